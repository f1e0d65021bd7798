"""A second opinion: services/verify.py on exports of real ledgers, good ones and others."""

import json
import random
import shutil
import subprocess
import sys
import tarfile
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services import verify
from services.ledger.config import signers
from tests import exports, postgres
from tests.contract.builds import audited, built
from tests.contract.forging import opened
from tests.contract.ledgers import Ledger
from tests.exports import LogSpec
from tests.given import Voice, about

KEPT = (0, 1, 37, 255, 256, 257, 300)
on_sqlite = pytest.mark.parametrize("lived_once", ["sqlite"], indirect=True, scope="module")


def leaves(ledger: Ledger) -> list[bytes]:
    """The bytes of every entry."""
    return [bytes(row["leaf"]) for row in ledger.rows()]


def check(path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of verify.py, run as anybody would: alone, far from this project."""
    program = path.parent / "verify.py"
    shutil.copy(verify.__file__, program)
    done = subprocess.run(
        [sys.executable, "-I", program, path, "--json", *words],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def codes(folder: Path, keys: Sequence[str], *outside: Path) -> set[str]:
    """The codes of what verify.py finds, run in this process."""
    report = verify.Report()
    verify.check_export(folder, [verify.read_vkey(each) for each in keys], list(outside), report)
    return set(report.found)


@pytest.fixture
def vkey(lived: Ledger) -> str:
    return signers(lived.settings)[0].vkey


@pytest.fixture
def export(lived: Ledger, tmp_path: Path) -> Path:
    told = LogSpec(leaves(lived), signers(lived.settings)[0], KEPT)
    return exports.write(tmp_path / "export", [told], opened(lived))


def test_a_good_export_passes_on_its_own(lived: Ledger, export: Path, vkey: str) -> None:
    code, report = check(export, "--vkey", vkey)
    assert (code, report["findings"]) == (0, [])
    assert report["seen"]["entries"] == len(lived.rows()) > 257
    assert any("the verdicts by the rules" in each for each in report["unchecked"])


def files(export: Path) -> list[Path]:
    """Every file of an export."""
    return sorted(path for path in export.rglob("*") if path.is_file())


@on_sqlite
def test_one_bit_anywhere_is_found(export: Path, vkey: str) -> None:
    dice = random.Random(18)
    for path in files(export):
        raw = path.read_bytes()
        for bit in {0, len(raw) * 8 - 1, *(dice.randrange(len(raw) * 8) for _ in range(2))}:
            changed = bytearray(raw)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert codes(export, [vkey]), (path, bit)
        path.write_bytes(raw)
    assert codes(export, [vkey]) == set()


@on_sqlite
def test_a_file_cut_off_anywhere_lost_or_too_many_is_found(export: Path, vkey: str) -> None:
    dice = random.Random(19)
    for path in files(export):
        raw = path.read_bytes()
        for length in {0, len(raw) - 1, *(dice.randrange(len(raw)) for _ in range(2))}:
            path.write_bytes(raw[:length])
            assert codes(export, [vkey]), (path, length)
        path.unlink()
        assert codes(export, [vkey]), path
        path.write_bytes(raw + raw[-1:])
        assert codes(export, [vkey]), path
        path.write_bytes(raw)
        stray = path.with_name("more")
        stray.write_bytes(raw)
        assert codes(export, [vkey]) or path.parent == export, path
        stray.unlink()


@on_sqlite
def test_an_archive_says_what_its_folder_says_and_may_be_cut_nowhere(
    export: Path, vkey: str, tmp_path: Path
) -> None:
    packed = tmp_path / "export.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(export, "export")
    assert check(packed, "--vkey", vkey)[0] == 0
    raw, dice = packed.read_bytes(), random.Random(20)
    for length in [2, 10, 700, len(raw) - 1, *(dice.randrange(2, len(raw)) for _ in range(8))]:
        packed.write_bytes(raw[:length])
        assert verify.main([str(packed), "--vkey", vkey]) == 1, length


def drop_the_last(told: list[bytes]) -> None:
    del told[-1]


def drop_a_refusal_without_standing(told: list[bytes]) -> None:
    del told[next(n for n, each in enumerate(told) if n > 50 and b'"sequence":' not in each)]


def drop_a_persons_end(told: list[bytes]) -> None:
    subject = json.loads(told[-20])["subject"].encode()
    told[-20:] = [each for each in told[-20:] if b'"subject":"%b"' % subject not in each]


UNSEEN = [drop_the_last, drop_a_refusal_without_standing, drop_a_persons_end]


def swap_two(told: list[bytes]) -> None:
    first, second = [n for n, each in enumerate(told) if b'"sequence":' in each][20:22]
    told[first], told[second] = told[second], told[first]


def insert_one(told: list[bytes]) -> None:
    told.insert(100, told[7])


def flip_a_verdict(told: list[bytes]) -> None:
    at = next(n for n, each in enumerate(told) if n > 50 and b'"verdict":"accepted"' in each)
    changed = told[at].replace(b'"verdict":"accepted"', b'"verdict":"refused"')
    told[at] = changed.replace(b'"rules":', b'"refusal":"unknown-target","rules":')


@on_sqlite
@pytest.mark.parametrize("change", [*UNSEEN, swap_two, insert_one, flip_a_verdict])
def test_a_history_signed_anew_is_found_by_a_checkpoint_kept_outside(
    change: Any, lived: Ledger, vkey: str, tmp_path: Path
) -> None:
    before = LogSpec(leaves(lived), signers(lived.settings)[0])
    after = LogSpec([*before.leaves], before.signer)
    change(after.leaves)
    kept = tmp_path / "kept"
    kept.write_text(before.checkpoint(len(before.leaves)))
    folder = exports.write(tmp_path / "other", [after])
    assert "checkpoint" in codes(folder, [vkey], kept)
    early = tmp_path / "early"
    early.write_text(before.checkpoint(10))
    assert "checkpoint" not in codes(folder, [vkey], early), "until there nothing was changed"


@on_sqlite
@pytest.mark.parametrize(
    ("change", "code"), [(swap_two, "order"), (insert_one, "twice"), (flip_a_verdict, "order")]
)
def test_most_of_it_is_found_without_one(
    change: Any, code: str, lived: Ledger, vkey: str, tmp_path: Path
) -> None:
    told = LogSpec(leaves(lived), signers(lived.settings)[0])
    change(told.leaves)
    assert code in codes(exports.write(tmp_path / "other", [told]), [vkey])


@on_sqlite
@pytest.mark.parametrize("change", UNSEEN)
def test_what_leaves_no_gap_is_not_found_without_one(
    change: Any, lived: Ledger, vkey: str, tmp_path: Path
) -> None:
    told = LogSpec(leaves(lived), signers(lived.settings)[0])
    change(told.leaves)
    assert codes(exports.write(tmp_path / "other", [told]), [vkey]) == set()


def test_of_several_logs_none_may_be_missing_or_stand_in_for_another(
    tmp_path: Path, valkey_url: str, in_matrix: Callable[..., None]
) -> None:
    in_matrix(store="sqlite")
    with postgres.sqlite_database(tmp_path) as database:
        ledger = Ledger(tmp_path, database, valkey_url, partitions=2)
        voices = [Voice(f"person:p{number}") for number in range(6)]
        ledger.post(*(about(each.id, each.starts()) for each in voices))
        ledger.drain()
        rows, keys = ledger.rows(), signers(ledger.settings)
        ledger.close()
    told = [
        LogSpec([row["leaf"] for row in rows if row["log"] == log], keys[log], archived=(0, 1))
        for log in (0, 1)
    ]
    vkeys = [each.vkey for each in keys]
    assert all(each.leaves for each in told)
    export = exports.write(tmp_path / "export", told)
    head = export / "logs/1/checkpoint"
    witness = f"\u2014 witness.example {b64encode(bytes(76)).decode()}\n"
    head.write_text(head.read_text() + witness)
    assert codes(export, vkeys) == set(), "a witness's signature is none of the log's"
    (export / "logs/0").rename(export / "logs/x")
    (export / "logs/1").rename(export / "logs/0")
    (export / "logs/x").rename(export / "logs/1")
    assert codes(export, vkeys) == {"order", "manifest"}
    shutil.rmtree(export / "logs/1")
    assert {"checkpoint", "manifest"} <= codes(export, vkeys)


def test_a_ledger_without_the_rule_of_authorship_is_caught_though_every_proof_holds(
    tmp_path: Path, valkey_url: str, in_matrix: Callable[..., None]
) -> None:
    in_matrix(store="sqlite")
    export = built(tmp_path, valkey_url, "lenient")
    code, report = check(export)
    assert code == 1
    assert report["found"] == {"authorship": 2}, "and nothing else is wrong with it"
    (_, where, says), (_, _, weighed) = report["findings"]
    assert where == "logs/0 entry 2 (person:ada, version 3)"
    assert says == "kind plan, accepted from partner:sam: only person:ada may write it"
    assert weighed == "kind plan, refused from partner:sam: only person:ada may write it"
    head = verify.read_checkpoint((export / "logs/0/checkpoint").read_bytes())
    raw = (export / "logs/0/tile/entries/000.p/5").read_bytes()
    entries: list[bytes] = []
    while raw:
        end = 2 + int.from_bytes(raw[:2], "big")
        entries, raw = [*entries, raw[2:end]], raw[end:]
    for index, each in enumerate(entries):
        leaf, proof = sha256(b"\0" + each).digest(), exports.proof(entries, index)
        assert verify.root_of_proof(leaf, index, head.size, proof) == head.root

    assert audited(str(export)) == {"authorship": 2}, "an audit needs no key for it either"
    found = {"authorship": 2, "verdict": 2}
    assert audited(str(tmp_path / "opened")) == found, "and sees more with the events"
    database = f"sqlite:///{tmp_path}/ledger.db"
    live = audited(FIRSTHAND_DATA=str(tmp_path / "data"), FIRSTHAND_DATABASE_URL=database)
    assert live == found, "or in the store itself, where each stored plan is as it folds"


def test_the_same_history_under_the_rule_is_clean(
    tmp_path: Path, valkey_url: str, in_matrix: Callable[..., None]
) -> None:
    in_matrix(store="sqlite")
    export = built(tmp_path, valkey_url, "sound")
    assert check(export)[0] == 0
