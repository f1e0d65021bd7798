"""Whom services/verify.py believes: a log's keys, those it had before, and its witnesses."""

import json
import os
import tarfile
from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services import verify
from services.cli.audit import audit_export
from services.ledger.log.signed_note import Signer
from tests import exports
from tests.exports import LogSpec
from tests.golden.make import HERE

OLD = Signer("log.example/0", bytes(32))
NEW = OLD.with_new_key(bytes([1] * 32)).newest_only()
LEAF = (HERE / "entry/before-a-plan.json").read_bytes()


def told(words: list[Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code of verify.py, and what it says."""
    code = verify.main([str(each) for each in words])
    return code, capsys.readouterr().out


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A log whose key was changed after the first head that was kept."""
    folder = exports.write(tmp_path / "export", [LogSpec([LEAF], NEW, archived=(0,))])
    (folder / "logs/0/log.vkey").write_text("".join(f"{each}\n" for each in NEW.vkeys))
    (folder / "logs/0/checkpoints/0").write_text(LogSpec([LEAF], OLD).checkpoint(0))
    return folder


def test_all_keys_of_a_log_are_given_as_its_address_gives_them(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.vkey"
    file.write_text("".join(f"{each}\n" for each in NEW.vkeys))
    for words in (["\n".join(NEW.vkeys)], [file], [NEW.vkeys[0], "--vkey", NEW.vkeys[1]]):
        code, said = told([export, "--vkey", *words], capsys)
        assert (code, "FINDING" in said) == (0, False), said


def test_a_head_by_an_older_key_than_those_given_says_by_which(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told([export, "--vkey", NEW.vkey], capsys)
    (finding,) = [line for line in said.splitlines() if line.startswith("FINDING")]
    key_id = OLD.vkey.split("+")[1]
    assert finding == (
        "FINDING checkpoint: logs/0/checkpoints/0: log.example/0 is signed by none of the keys, "
        f"but by {key_id}: a former key?"
    )
    assert code == 1


@pytest.mark.parametrize("given", ["", "nowhere", "no+key", f"{NEW.vkey} more", __file__])
def test_what_is_no_key_is_named(
    export: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        verify.main([str(export), "--vkey", given])
    assert "is not a verifier key, nor a file of keys" in capsys.readouterr().err


@pytest.fixture
def two_logs(tmp_path: Path) -> tuple[Path, list[str]]:
    """Two logs of one ledger, and both their keys."""
    signers = [Signer(f"log.example/{log}", bytes([log] * 32)) for log in (0, 1)]
    logs = [LogSpec([], each) for each in signers]
    return exports.write(tmp_path / "two", logs), [each.vkey for each in signers]


def found_by_both(folder: Path, vkeys: list[str]) -> list[tuple[str, str]]:
    """Code and place of what verify.py finds, if `firsthand audit` finds as many."""
    report = verify.Report()
    verify.check_export(folder, [verify.read_vkey(each) for each in vkeys], [], report)
    audited = audit_export(folder, vkeys, [])
    assert [each.code for each in audited.findings] == [each.code for each in report.findings]
    return [(each.code, each.where) for each in report.findings]


def test_each_logs_keys_are_its_own(two_logs: tuple[Path, list[str]]) -> None:
    folder, vkeys = two_logs
    assert found_by_both(folder, vkeys) == []
    (folder / "logs/1/log.vkey").write_text(f"{vkeys[0]}\n")
    assert found_by_both(folder, vkeys) == [("vkey", "logs/1/log.vkey")] * 2
    (folder / "logs/1/log.vkey").write_text("".join(f"{each}\n" for each in vkeys))
    for given in (vkeys, []):
        assert found_by_both(folder, given) == [("vkey", "logs/1/log.vkey")]


def test_a_signature_that_is_there_twice_spoils_a_checkpoint(
    two_logs: tuple[Path, list[str]],
) -> None:
    folder, vkeys = two_logs
    head = folder / "logs/1/checkpoint"
    head.write_text(head.read_text() + head.read_text().rpartition("\n\n")[2])
    assert found_by_both(folder, vkeys) == [("checkpoint", "logs/1/checkpoint")]


def test_names_are_told_apart_by_another_hash_in_each_run() -> None:
    def stored() -> list[Any]:
        streams = verify.Streams(0, 1, verify.Report())
        streams.check(json.loads(LEAF) | {"kid": ""}, "here")
        return streams.names.execute("SELECT name FROM names").fetchall()

    first, second = stored(), stored()
    assert len(first) == len(second) == 1
    assert first != second


class Cosigner:
    """A witness that cosigns as C2SP tlog-cosignature says."""

    def __init__(self, number: int) -> None:
        self.name = f"witness.example/{number}"
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))
        raw = b"\x04" + self.key.public_key().public_bytes_raw()
        self.id = sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        self.vkey = f"{self.name}+{self.id.hex()}+{b64encode(raw).decode()}"

    def cosign(self, path: Path, time: int = 1_790_000_000, signed_time: int | None = None) -> None:
        """Add a line to a checkpoint; `time` is told, and signed unless another is."""
        text = path.read_text().partition("\n\n")[0] + "\n"
        told = time if signed_time is None else signed_time
        signature = self.key.sign(f"cosignature/v1\ntime {told}\n{text}".encode())
        raw = self.id + time.to_bytes(8, "big") + signature
        with path.open("a") as file:
            file.write(f"\u2014 {self.name} {b64encode(raw).decode()}\n")


ONE, TWO = Cosigner(1), Cosigner(2)
BOTH = ["--witness", ONE.vkey, "--witness", TWO.vkey]


def test_so_many_witnesses_must_have_cosigned_as_are_asked_for(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = export / "logs/0/checkpoint"
    assert "cosignatures of witnesses" in told([export], capsys)[1]
    ONE.cosign(head)
    assert told([export, "--witness", ONE.vkey], capsys)[0] == 0
    assert told([export, *BOTH, "--quorum", "1"], capsys)[0] == 0
    code, said = told([export, *BOTH], capsys)
    assert code == 1
    assert "FINDING checkpoint: logs/0/checkpoint: log.example/0, size 1: 1 valid cosign" in said
    before = head.read_text()
    TWO.cosign(head, signed_time=1)
    for words in ([], ["--quorum", "1"]):
        code, said = told([export, *BOTH, *words], capsys)
        assert (code, f"the signature of {TWO.name} is invalid" in said) == (1, True), (
            "its time too"
        )
    head.write_text(before)
    TWO.cosign(head)
    code, said = told([export, *BOTH], capsys)
    assert (code, "cosignatures" in said) == (0, False)


def test_one_witness_counts_once(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ONE.cosign(export / "logs/0/checkpoint")
    assert told([export, *BOTH], capsys)[0] == 1
    twice = ["--witness", ONE.vkey, "--witness", ONE.vkey]
    assert told([export, *twice], capsys)[0] == 0
    ONE.cosign(export / "logs/0/checkpoint")
    code, said = told([export, *twice], capsys)
    assert (code, f"{ONE.name} signed twice with one key" in said) == (1, True)


def test_a_receipt_too_may_have_to_be_cosigned(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, receipt = export / "logs/0/checkpoint", tmp_path / "receipt.json"
    words = [receipt, "--vkey", NEW.vkey, "--witness", ONE.vkey]
    for code in (1, 0):
        proof = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{head.read_text()}"
        receipt.write_text(json.dumps({"entry": LEAF.decode(), "proof": proof}))
        assert told(words, capsys)[0] == code
        ONE.cosign(head)


@pytest.mark.parametrize(
    "words",
    [
        ["--quorum", "1"],
        ["--witness", NEW.vkey],
        [*BOTH, "--quorum", "3"],
        [*BOTH, "--quorum", "0"],
    ],
)
def test_a_quorum_is_of_witnesses(
    export: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        verify.main([str(export), *words])
    assert "error:" in capsys.readouterr().err


def test_that_there_may_be_other_logs_is_said(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [export, "--checkpoint", export / "logs/0/checkpoint"]
    assert "whether the ledger has other logs than these" in told(words, capsys)[1]


def test_a_pipe_in_an_export_is_not_waited_for(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export / "logs/0/tile/0/000.p/1"
    path.unlink()
    os.mkfifo(path)
    code, said = told([export], capsys)
    assert (code, "is missing, or not a regular file" in said) == (1, True)


def test_an_archive_is_not_unpacked_without_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bomb = tmp_path / "export.tar.gz"
    with tarfile.open(bomb, "w:gz", compresslevel=1) as archive:
        for number in range(8):
            member = tarfile.TarInfo(f"logs/{number}")
            member.size = verify.LARGEST_FILE
            archive.addfile(member, BytesIO(bytes(member.size)))
    code, said = told([bomb], capsys)
    assert (code, "expands to far more than an export" in said) == (1, True)


def test_an_event_that_utf_8_cannot_write_is_a_finding(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event, receipt = export.parent / "event", export.parent / "receipt"
    event.write_text(r'{"type": "plan.started", "words": "\ud800"}')
    proof = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{(export / 'logs/0/checkpoint').read_text()}"
    told_of = {"entry": LEAF.decode(), "proof": proof, "salt": "A" * 43}
    receipt.write_text(json.dumps(told_of))
    code, said = told([receipt, "--vkey", NEW.vkey, "--event", event], capsys)
    assert (code, "is not readable JSON" in said) == (1, True)


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("receipt", ["--checkpoint", __file__], "--checkpoint is for an export"),
        ("export", ["--event", __file__], "--event is for a receipt"),
        ("export.tar", [], "an export is a folder or a .tar.gz: unpack it"),
        ("export.zip", [], "an export is a folder or a .tar.gz: unpack it"),
    ],
)
def test_what_would_be_left_out_is_refused(
    export: Path, name: str, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export.parent / name
    if name != "export":
        path.write_bytes(b"{}")
    with pytest.raises(SystemExit, match="2"):
        verify.main([str(path), "--vkey", NEW.vkey, *words])
    assert says in capsys.readouterr().err
