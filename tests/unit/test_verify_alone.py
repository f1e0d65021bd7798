"""services/verify.py by itself: what it needs, and others' vectors."""

import json
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from services import verify
from services.ledger.log.signed_note import Signer
from services.ledger.plan.decide import RULES
from shared.events.refusals import NO_STANDING, Code
from shared.events.type_names import KINDS
from tests import exports
from tests.golden.make import HERE

ONLY_CRYPTOGRAPHY = """
import runpy, sys
ALLOWED = {*sys.stdlib_module_names, "cryptography", "_cffi_backend"}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
LOG = HERE / "vectors/tlog-tiles"
NO_STANDARD: list[Any] = [None, [], 1.5, "", -1, True, {}]


def alone(program: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program where only the standard library and cryptography can be imported."""
    command = [sys.executable, "-I", "-c", ONLY_CRYPTOGRAPHY, program, *words]
    return subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)


def test_it_needs_python_and_cryptography_and_nothing_of_ours(tmp_path: Path) -> None:
    leaf, signer = (HERE / "entry/before-a-plan.json").read_bytes(), Signer("log/0", bytes(32))
    export = exports.write(tmp_path / "export", [exports.LogSpec([leaf], signer, archived=(0,))])
    program = Path(shutil.copy(verify.__file__, tmp_path))
    checked = alone(program, export, "--vkey", signer.vkey)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "0 findings" in checked.stdout


@pytest.mark.parametrize("name", ["shared", "services.ledger", "orjson"])
def test_where_it_ran_nothing_else_could_be_imported(name: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import {name}")
    assert f"{name.partition('.')[0]} is not here" in alone(program).stderr


def test_it_knows_the_types_and_refusals_that_we_write() -> None:
    assert {name: kind.value for name, kind in KINDS.items()}.items() <= verify.KINDS.items()
    assert {code.value for code in Code} <= verify.REFUSALS
    assert {code.value for code in NO_STANDING} == set(verify.NO_STANDING)


def vectors() -> list[Any]:
    lines = (HERE / "vectors/merkle/inclusion.jsonl").read_text().splitlines()
    return [pytest.param(told, id=told["file"]) for told in map(json.loads, lines)]


@pytest.mark.parametrize("told", vectors())
def test_inclusion_is_judged_as_others_vectors_say(told: dict[str, Any]) -> None:
    leaf, root = (b64decode(told[each] or "") for each in ("leafHash", "root"))
    proof = [b64decode(each) for each in told["proof"] or ()]
    try:
        found = verify.root_of_proof(leaf, told["leafIdx"], told["treeSize"], proof)
    except verify.Invalid:
        found = b"none"
    assert (found != root) == told["wantErr"]


def test_others_log_has_the_roots_that_it_signs() -> None:
    keys, tree = [verify.read_vkey((LOG / "log.vkey").read_text())], verify.Tree()
    raw = (LOG / "entries.15").read_bytes()
    for size in range(16):
        head = verify.read_checkpoint((LOG / f"checkpoint.{size}").read_bytes())
        verify.verify_note(head, keys)
        assert (head.size, head.root) == (size, tree.root())
        end = 2 + int.from_bytes(raw[:2], "big")
        assert list(tree.append(raw[2:end])) == []
        raw = raw[end:]


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [(0, 256, "000"), (1234067, 256, "x001/x234/067"), (1000, 17, "x001/000.p/17")],
)
def test_tiles_lie_where_c2sp_says(number: int, width: int, path: str) -> None:
    assert verify.tile_path(number, width) == path


@pytest.mark.parametrize("name", ["accepted", "own-refusal", "no-standing", "before-a-plan"])
def test_a_member_of_no_other_shape_is_taken(name: str) -> None:
    good = json.loads((HERE / f"entry/{name}.json").read_bytes())
    verify.read_entry(verify.canonical(good))
    for member in good:
        for odd in NO_STANDARD:
            with pytest.raises(verify.Invalid):
                verify.read_entry(verify.canonical(good | {member: odd}))
        with pytest.raises(verify.Invalid):
            verify.read_entry(verify.canonical({k: v for k, v in good.items() if k != member}))
    with pytest.raises(verify.Invalid):
        verify.read_entry(json.dumps(good).encode())


@pytest.mark.parametrize("words", [["nowhere"], [], [__file__], [".", "--vkey", "no+key"]])
def test_a_wrong_call_is_named_in_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        verify.main(words)
    assert "error:" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b"FIRSTHAND1:1/2:AAAA", b'{"entry":1}', b"["])
def test_what_is_no_receipt_is_a_finding(
    raw: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "receipt").write_bytes(raw * 9)
    vkey = (LOG / "log.vkey").read_text().strip()
    assert verify.main([str(tmp_path / "receipt"), "--vkey", vkey]) == 1
    assert "FINDING receipt: receipt: " in capsys.readouterr().out


def test_it_knows_the_rules_that_are_in_force() -> None:
    assert verify.RULES == RULES
