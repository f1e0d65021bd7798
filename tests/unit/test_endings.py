"""A command that was stopped, or whose words go nowhere, does not end as if it found something."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services import verify
from services.ledger.log.signed_note import Signer
from tests import exports
from tests.answering import Answering, Request, Response, status
from tests.docs.blocks import ROOT
from tests.exports import LogSpec
from tests.process import PATIENCE, as_in_a_terminal

FULL = Path("/dev/full")
CLI = [sys.executable, "-m", "services.cli"]
VERIFY = [sys.executable, verify.__file__]
RECEIPT = {"entry": "{}", "proof": "c2sp.org/tlog-proof@v1"}

on_a_full_disk = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")

unbuffered = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return exports.write(tmp_path / "export", [LogSpec([], Signer("example.org/log/0", bytes(32)))])


@pytest.fixture
def ledger() -> Iterator[dict[str, str]]:
    """What a command finds in its environment that asks a ledger for something."""
    with Answering(status(200, RECEIPT)) as answering:
        yield {"FIRSTHAND_LEDGER_URL": answering.url, "FIRSTHAND_TOKEN": "a.b.c"}


def into(out: Path, command: list[str], **env: str) -> tuple[int, str]:
    """Its status, and what it says on standard error."""
    env = os.environ | env
    with out.open("w") as file:
        done = subprocess.run(
            command, stdout=file, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env, check=False
        )
    return done.returncode, done.stderr


@on_a_full_disk
@unbuffered
@pytest.mark.parametrize("command", [[*CLI, "audit"], [*CLI, "audit", "--json"], VERIFY])
def test_a_report_that_cannot_be_written_is_no_finding(
    command: list[str], export: Path, unbuffered: str
) -> None:
    assert into(export.parent / "out", [*command, str(export)])[0] == 0
    code, said = into(FULL, [*command, str(export)], PYTHONUNBUFFERED=unbuffered)
    assert (code, len(said.splitlines())) == (3, 1), said
    assert said.endswith(": No space left on device\n")


@on_a_full_disk
@unbuffered
@pytest.mark.parametrize("words", [["plan"], ["receipt", "an-id"], ["receipt", "an-id", "--qr=-"]])
def test_nor_is_a_plan_or_receipt(
    words: list[str], ledger: dict[str, str], unbuffered: str
) -> None:
    command, *rest = words
    env = ledger | {"PYTHONUNBUFFERED": unbuffered}
    code, said = into(FULL, [*CLI, command, "person:ada", *rest], **env)
    assert (code, len(said.splitlines())) == (3, 1), said


@pytest.mark.parametrize("command", [[*CLI, "audit"], VERIFY])
def test_whoever_reads_no_further_hears_nothing_of_it(command: list[str], export: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*command, str(export)], stdout=theirs, stderr=subprocess.PIPE, cwd=ROOT, check=False
    )
    os.close(theirs)
    assert (done.returncode == 3, done.stderr) == (False, b"")


def test_ctrl_c_ends_with_its_own_status() -> None:
    asked, over = threading.Event(), threading.Event()

    def never(_: Request) -> Response | None:
        asked.set()
        over.wait(PATIENCE)
        return None

    with Answering(never) as ledger:
        env = os.environ | {"FIRSTHAND_LEDGER_URL": ledger.url, "FIRSTHAND_TOKEN": "a.b.c"}
        command = [*CLI, "plan", "person:ada"]
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=env,
            preexec_fn=as_in_a_terminal,  # noqa: PLW1509 - it calls nothing that a thread may hold
        )
        assert asked.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        over.set()
    assert (process.returncode, said) == (130, "firsthand: stopped\n")


def test_so_does_the_second_opinion(tmp_path: Path) -> None:
    receipt = tmp_path / "receipt"
    os.mkfifo(receipt)
    command = [*VERIFY, str(receipt), "--vkey", Signer("example.org/log/0", bytes(32)).vkey]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=as_in_a_terminal,  # noqa: PLW1509 - there are no threads here
    )
    with receipt.open("w"):  # it waits for what the receipt says
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (130, "verify.py: stopped\n")
