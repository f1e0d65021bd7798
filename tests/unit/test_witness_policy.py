"""Who the witnesses are: one file, and what is wrong with it is said in words."""

import json
from pathlib import Path

import pytest

from services.ledger.checkpoints.witnesses import Policy, Witness
from services.ledger.log.signed_note import COSIGNATURE, Verifier
from shared.errors import SettingsError
from tests.logs import SIGNER


def test_no_witnesses_are_asked_where_none_are_named(tmp_path: Path) -> None:
    assert Policy.from_folder(tmp_path) == Policy()


@pytest.mark.parametrize(
    "told",
    [
        "not json",
        "[]",
        "{}",
        {"witnesses": [{"url": "https://w.example"}]},
        {"witnesses": [{"url": "ftp://w.example", "vkey": "{vkey}"}]},
        {"witnesses": [{"url": "https://w.example", "vkey": "nonsense"}]},
        {"witnesses": [{"url": "https://w.example", "vkey": "{log}"}]},
        {"quorum": 2, "witnesses": [{"url": "https://w.example", "vkey": "{vkey}"}]},
        {"quorum": -1, "witnesses": []},
        {"quorum": True, "witnesses": [{"url": "https://w.example", "vkey": "{vkey}"}]},
        {"quorum": "1", "witnesses": [{"url": "https://w.example", "vkey": "{vkey}"}]},
        {"witnesses": [{"url": "https://w.example", "vkey": "{vkey}"}] * 2},
    ],
)
def test_a_wrong_witness_file_is_named(tmp_path: Path, told: object) -> None:
    key = Verifier("w.example", COSIGNATURE, bytes(32)).vkey
    text = told if isinstance(told, str) else json.dumps(told)
    text = text.replace("{vkey}", key).replace("{log}", SIGNER.vkey)
    (tmp_path / "witnesses.json").write_text(text)
    with pytest.raises(SettingsError, match=r"witnesses\.json: "):
        Policy.from_folder(tmp_path)


def test_the_witness_file_names_who_is_asked(tmp_path: Path) -> None:
    key = Verifier("w.example", COSIGNATURE, bytes(32))
    listed = [{"url": "https://w.example/", "vkey": key.vkey}]
    (tmp_path / "witnesses.json").write_text(json.dumps({"quorum": 1, "witnesses": listed}))
    assert Policy.from_folder(tmp_path) == Policy(1, (Witness("https://w.example", key),))
