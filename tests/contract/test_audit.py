"""`firsthand audit`, as it is typed: on a live store, on exports good and bad, and its page."""

import json
import os
import random
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli import main
from services.ledger.audit.stream_checks import SPOKE
from services.ledger.config import signers
from services.ledger.fold import unwrap_keys
from services.ledger.log import entry
from services.ledger.log.proofs import Proof
from services.ledger.log.signed_note import Signer
from services.ledger.receipts import LocatedEntry, receipt
from services.ledger.vault import Vault
from tests import exports
from tests.contract.audited import Cosigner, codes, report, run, written
from tests.contract.forging import KEPT, Exported, exported
from tests.contract.ledgers import Ledger
from tests.contract.mixed import PEOPLE
from tests.exports import LogSpec

on_sqlite = pytest.mark.parametrize("lived_once", ["sqlite"], indirect=True, scope="module")
WITNESS = Cosigner("w1.example", 1).key.vkey
DEPTHS = ("log", "opened", "vault")


@pytest.fixture(scope="module")
def whole(lived_once: Ledger) -> Exported:
    return exported(lived_once)


@pytest.fixture
def export(whole: Exported, tmp_path: Path) -> Path:
    return written(whole, tmp_path / "export")


def test_a_live_ledger_is_checked_at_all_depths(lived: Ledger) -> None:
    told = report(env=lived.environment)
    assert told["entries"] == len(lived.rows())
    for depth in DEPTHS:
        checked = told["depths"][depth]["checked"]
        assert all(checked.values()), (depth, checked)
    words = told["authorship"]
    assert words["lines"] == sum(each["lines"] for each in words["vouched"]) + sum(
        words[name] for name in ("accepted_proposals", "denied", "nobodys")
    )
    assert words["accepted_proposals"] > 0
    assert words["nobodys"] == 0
    replayed = CliRunner().invoke(main, ["replay", "--all", "--json"], env=lived.environment)
    assert json.loads(replayed.stdout)["logs"] == told["logs"]


def test_every_line_of_the_report_names_its_depth_and_it_ends_with_what_was_not_checked(
    lived: Ledger,
) -> None:
    first, *lines = run(env=lived.environment).stdout.splitlines()
    assert first.endswith(": 0 findings.")
    place = lines.index("Not checked:")
    for line in [*lines[:place], *lines[place + 1 :]]:
        assert line.split()[0] in DEPTHS, line
    assert any(line.startswith("opened  ") and " vouched for by " in line for line in lines)
    assert len(lines) > place + 1


@on_sqlite
def test_an_export_is_checked_as_far_as_it_is_opened(
    whole: Exported, export: Path, tmp_path: Path
) -> None:
    vkey = whole.signer.vkey
    told = report(export, "--vkey", vkey)
    assert told["depths"]["opened"]["checked"]["digests"] == len(whole.opened)
    sealed = written(whole, tmp_path / "sealed", opened=False)
    told = report(sealed)
    assert not any(told["depths"]["opened"]["checked"].values())
    left_out = {each["says"]: each["count"] for each in told["depths"]["opened"]["unchecked"]}
    spoke = [b'"onbehalfof"' in each for each in whole.leaves]
    assert left_out.pop(f"entries {SPOKE}") == sum(spoke) > 0
    assert sum(each or 0 for each in left_out.values()) == told["entries"]
    assert "pass --vkey" in json.dumps(told["depths"]["log"]["unchecked"])
    found = report(sealed, "--require", "opened", code=1)
    assert [each["depth"] for each in found["findings"]] == ["opened", "opened"]
    assert report(sealed, "--require", "log")["found"] == 0
    assert codes(report(export, "--require", "vault", code=1)) == {"unchecked"}


@on_sqlite
def test_a_person_is_decided_as_far_as_all_before_is_opened(
    whole: Exported, tmp_path: Path
) -> None:
    one = PEOPLE[0]
    lines = [each for each in whole.opened if each["event"]["subject"] == one]
    part = Exported(whole.signer, whole.leaves, lines)
    told = report(written(part, tmp_path / "one"))
    assert told["depths"]["opened"]["checked"]["verdicts"] == len(lines) > 0
    assert told["authorship"]["lines"] > 0
    later = Exported(whole.signer, whole.leaves, lines[1:])
    told = report(written(later, tmp_path / "later"))
    assert not told["depths"]["opened"]["checked"]["verdicts"]


@on_sqlite
def test_an_archive_cut_off_anywhere_is_a_finding(export: Path, tmp_path: Path) -> None:
    packed = tmp_path / "export.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(export, "export")
    assert report(packed)["found"] == 0
    raw, dice = packed.read_bytes(), random.Random(21)
    places = [0, 1, 2, 10, 300, len(raw) - 9, len(raw) - 1]
    for length in [*places, *(dice.randrange(len(raw)) for _ in range(16))]:
        packed.write_bytes(raw[:length])
        assert "file" in codes(report(packed, code=1)), length


@on_sqlite
def test_a_file_cut_off_lost_or_changed_anywhere_is_a_finding(
    export: Path, whole: Exported
) -> None:
    dice = random.Random(22)
    for path in sorted(path for path in export.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        for length in {0, len(raw) - 1, dice.randrange(len(raw))}:
            path.write_bytes(raw[:length])
            report(export, "--vkey", whole.signer.vkey, code=1)
        changed = bytearray(raw)
        changed[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        report(export, "--vkey", whole.signer.vkey, code=1)
        path.unlink()
        report(export, "--vkey", whole.signer.vkey, code=1)
        path.write_bytes(raw)
    assert report(export)["found"] == 0


@on_sqlite
def test_what_was_kept_outside_is_taken_as_checkpoint_proof_or_receipt(
    lived: Ledger, whole: Exported, export: Path, tmp_path: Path
) -> None:
    told = LogSpec(whole.leaves, whole.signer)
    with lived.as_services(write=False) as connection:
        vault = Vault.from_folder(lived.settings.key_folder)
        each = entry.parse(whole.leaves[7])
        unwrap_keys(connection, vault, [each.subject])
        path = tuple(exports.proof(whole.leaves[:200], 7))
        proof = Proof(7, path, told.checkpoint(200))
        made = receipt(LocatedEntry(0, 7, each), vault, proof)
    kept = {"note": told.checkpoint(300), "proof": str(made["proof"]), "receipt": json.dumps(made)}
    for name, text in kept.items():
        (tmp_path / name).write_text(text)
        counted = report(export, "--checkpoint", tmp_path / name)["depths"]["log"]["checked"]
        assert counted["checkpoints"] == len(KEPT) + 2, name
    other = Signer("example.org/other/0", bytes(32)).checkpoint(3, bytes(32))
    forged = Signer(whole.signer.origin, bytes(32)).checkpoint(3, bytes(32))
    for name, text in {"other": other, "forged": forged, "no": "no", "json": "{}"}.items():
        (tmp_path / name).write_text(text)
        found = report(export, "--checkpoint", tmp_path / name, code=1)
        assert codes(found) == {"checkpoint"}, name


@on_sqlite
def test_a_key_that_is_not_the_logs_is_a_finding(
    lived: Ledger, whole: Exported, export: Path
) -> None:
    other = Signer(whole.signer.origin, bytes(32)).vkey
    assert codes(report(export, "--vkey", other, code=1)) == {"vkey", "checkpoint"}
    elsewhere = Signer("example.org/other/0", bytes(32)).vkey
    assert "vkey" in codes(report(export, "--vkey", elsewhere, code=1))
    env = lived.environment
    assert {"vkey", "head"} <= codes(report("--vkey", other, env=env, code=1))
    assert report("--vkey", signers(lived.settings)[0].vkey, env=env)["found"] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "does not exist"),
        (["."], "not an export"),
        (["--vkey", "no+key"], "a key is <name>+"),
        (["--witness", "no+key"], "--witness no+key"),
        (["--quorum", "2"], "--quorum must be between 1"),
        (["--witness", WITNESS, "--quorum", "0"], "--quorum must be between 1"),
        (["--witness", WITNESS, "--quorum", "2"], "--quorum must be between 1"),
        (["--html", "nowhere/page.html"], "the folder nowhere does not exist"),
        (["--checkpoint", "nowhere"], "does not exist"),
        (["--require", "all"], "is not one of"),
        (["--data", "nowhere"], "firsthand init"),
    ],
)
def test_a_wrong_call_is_named_in_one_line(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTHAND_DATA", raising=False)
    done = run(*words)
    assert done.exit_code == 2
    assert says in done.output.replace("\n", " ")


def test_a_whole_archive_of_something_else_is_a_wrong_call(tmp_path: Path) -> None:
    packed = tmp_path / "else.tar.gz"
    (tmp_path / "note").write_text("Good morning.")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "note", "note")
    done = run(packed)
    assert (done.exit_code, "not an export" in done.output) == (2, True)


@on_sqlite
def test_an_archive_may_not_write_outside_its_folder(export: Path, tmp_path: Path) -> None:
    packed = tmp_path / "export.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(export, "export")
        archive.add(export / "manifest.json", "../../outside.json")
    assert "file" in codes(report(packed, code=1))
    assert not list(tmp_path.parent.glob("outside.json"))


@on_sqlite
def test_the_witnesses_given_must_have_cosigned(export: Path, tmp_path: Path) -> None:
    one, other = Cosigner("w1.example", 1), Cosigner("w2.example", 2)
    assert "pass --witness" in run(export).stdout
    assert codes(report(export, "--witness", one.key.vkey, code=1)) == {"checkpoint"}
    path = export / "logs" / "0" / "checkpoint"
    path.write_text(one.cosign(path.read_text()))
    assert report(export, "--witness", one.key.vkey)["found"] == 0
    both = tmp_path / "witnesses"
    both.write_text(f"{one.key.vkey}\n{other.key.vkey}\n")
    (found,) = report(export, "--witness", both, code=1)["findings"]
    assert (found["field"], found["detail"]) == (
        "cosignatures",
        "cosigned by 1 of the --witness keys; 2 are required",
    )
    assert report(export, "--witness", both, "--quorum", "1")["found"] == 0


@on_sqlite
def test_keys_may_be_several_and_an_older_one_is_hinted_at(
    whole: Exported, export: Path, tmp_path: Path
) -> None:
    newer, kept = Signer(whole.signer.origin, bytes(32)), tmp_path / "keys"
    kept.write_text(f"{newer.vkey}\n{whole.signer.vkey}\n")
    assert report(export, "--vkey", kept)["found"] == 0
    assert report(export, "--vkey", f"{newer.vkey} {whole.signer.vkey}")["found"] == 0
    told = json.dumps(report(export, "--vkey", newer.vkey, code=1)["findings"])
    assert "an older key?" in told
    assert "+".join(whole.signer.vkey.split("+")[:2]) in told


@on_sqlite
def test_names_that_are_no_text_and_what_is_no_file_are_findings(export: Path) -> None:
    os.mkfifo(export / "logs" / "0" / "checkpoints" / "7")
    (export / "logs" / os.fsdecode(b"odd\xff")).write_text("")
    found = {each["field"]: each["detail"] for each in report(export, code=1)["findings"]}
    assert found["logs/0/checkpoints/7"] == "is not a regular file"
    assert "logs/odd?" in found


@on_sqlite
def test_a_size_written_in_another_way_is_named_as_it_stands_there(export: Path) -> None:
    (export / "logs" / "0" / "checkpoints" / "007").write_text("")
    found = {each["field"]: each["detail"] for each in report(export, code=1)["findings"]}
    assert found.pop("logs/0/checkpoints/007") == "the name is not a size"
    assert {*found} == {"manifest.json"}


def test_an_archive_out_of_all_proportion_is_a_finding(tmp_path: Path) -> None:
    packed, great = tmp_path / "export.tar.gz", tmp_path / "great"
    with great.open("wb") as file:
        file.truncate(80_000_000)
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(great, "logs/0/checkpoint")
    (found,) = report(packed, code=1)["findings"][-1:]
    assert "more than 100 times its size" in found["detail"]
