"""Who may have entries opened in an export, and what is opened."""

import json
from pathlib import Path

import pytest

from tests.contract.exporting import export, token, verified
from tests.contract.ledgers import Ledger
from tests.given import ADA, EVE, SAM, about, ada, eve, sam


def test_opened_are_the_entries_of_those_who_say_so_themselves(
    on_valkey: Ledger, tmp_path: Path
) -> None:
    secret = "Only my sister knows."
    on_valkey.post(ada.starts(), about(EVE, eve.starts()), ada.states(secret), sam.rewords("No."))
    on_valkey.post(about(EVE, eve.states("Fly.")))
    on_valkey.drain()
    leave = token(on_valkey, ADA, "leave")
    one, both = tmp_path / "one", tmp_path / "both"
    export(on_valkey, one, "--opened", ADA, "--token", leave)
    assert [each["index"] for each in opened(one)] == [0, 2]
    assert secret in json.dumps(opened(one))
    hers = ("--opened", EVE, "--token", token(on_valkey, EVE, "read", "leave"))
    export(on_valkey, both, "--opened", ADA, "--token", leave, *hers)
    assert [each["index"] for each in opened(both)] == [0, 1, 2, 4]
    for out, count in ((one, 2), (both, 4)):
        report = verified(on_valkey, out)
        assert f"the words of {report.seen['entries'] - count} entries" in str(report.unchecked)


def opened(out: Path) -> list[dict[str, object]]:
    """The lines of opened.jsonl."""
    return [json.loads(line) for line in (out / "opened.jsonl").read_text().splitlines()]


def test_nobody_else_opens_a_persons_entries(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts())
    on_valkey.drain()
    others = [token(on_valkey, who, "leave", "read", "log") for who in ("operator:o", EVE, SAM)]
    for words in ([], *(["--token", each] for each in (*others, token(on_valkey, ADA, "read")))):
        told = export(on_valkey, tmp_path / "out", "--opened", ADA, *words, code=2).output
        assert "scope 'leave'" in told
    forged = export(on_valkey, tmp_path / "out", "--opened", ADA, "--token", "a.b.c", code=2)
    assert "its signature is invalid" in forged.output
    words = ["--from", "http://127.0.0.1:1", "--token", token(on_valkey, ADA, "leave")]
    assert (
        "needs the local keys"
        in export(on_valkey, tmp_path / "out", "--opened", ADA, *words, code=2).output
    )
    assert not (tmp_path / "out").exists()


def test_what_its_digest_does_not_say_is_not_opened(on_valkey: Ledger, tmp_path: Path) -> None:
    """The entry is consistent in itself and signed: only its digest is another's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.ledger.log.entry.salt_of", lambda *_: bytes(32))
        on_valkey.post(ada.starts())
        on_valkey.drain()
    words = ("--opened", ADA, "--token", token(on_valkey, ADA, "leave"))
    for out in (tmp_path / "out", tmp_path / "out.tar.gz"):
        told = export(on_valkey, out, *words, code=3).output
        assert "log 0, entry 0: the digest does not match" in told
    assert not list(tmp_path.glob("*out*"))


def test_no_key_goes_into_an_export(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts(), ada.states())
    on_valkey.drain()
    export(on_valkey, tmp_path / "out", "--opened", ADA, "--token", token(on_valkey, ADA, "leave"))
    whole = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    secrets = [path.read_bytes().strip() for path in on_valkey.settings.key_folder.glob("*.key")]
    secrets += [bytes(row["wrapped"]) for row in on_valkey.table("keys")]
    secrets.append((on_valkey.settings.key_folder / "kek").read_bytes().strip())
    assert len(secrets) > 3
    assert not [each for each in secrets if each in whole]
