"""`replay --step`: a person's entries one by one, all at once or a key at a time."""

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli import main
from tests.contract.ledgers import Ledger
from tests.docs.blocks import ROOT
from tests.given import ADA, ada, sam, started
from tests.postgres import Database
from tests.process import wait_until

STATED = ada.states("Walk.")
SENTENCES = [
    "You started your plan.",
    "You said what you want. “Walk.”",
    "Sam tried to change your words; it was refused: only you may say this.",
]
PAUSE = 20  # seconds until a key must have been answered


@pytest.fixture
def lived(tmp_path: Path, database: Database, valkey_url: str) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, database, valkey_url)
    ledger.post(started, STATED, sam.rewords("Run."), ada.disagrees(STATED, "Not so."))
    ledger.drain()
    yield ledger
    ledger.close()


def step(ledger: Ledger, *words: str) -> Result:
    return CliRunner().invoke(main, ["replay", *words, "--step"], env=ledger.environment)


def test_all_entries_are_listed_where_nobody_can_press_a_key(lived: Ledger) -> None:
    told = step(lived, ADA)
    assert told.exit_code == 0
    parts = told.stdout.strip().split("\n\n")
    assert [part.splitlines()[0] for part in parts[:3]] == SENTENCES
    assert "You disagreed: Not so." in parts[1]
    assert "refused (not-yours-to-say). The plan has version 2." in parts[2]
    assert "Run." not in told.stdout


def test_each_entry_is_a_line_of_json(lived: Ledger) -> None:
    told = [json.loads(line) for line in step(lived, ADA, "--json").stdout.splitlines()]
    assert [each["verdict"] for each in told] == ["accepted", "accepted", "refused", "accepted"]
    assert [one["id"] for one in told[1]["changes"]] == ["sea"]
    assert [each["words"] for each in told[1]["disagreements"]] == ["Not so."]
    assert "changes" not in told[2]


def test_of_nobody_there_are_no_steps(lived: Ledger) -> None:
    told = step(lived, "person:nobody")
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr == "firsthand: no entries about person:nobody\n"
    assert step(lived, "--all").exit_code == 2


def test_on_a_terminal_a_key_goes_on_back_or_out(lived: Ledger) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "replay", ADA, "--step"],
        stdin=theirs,
        stdout=theirs,
        cwd=ROOT,
        env=os.environ | lived.environment,
    )
    os.close(theirs)
    seen = [read_step(ours)]
    for key in (b"\r", b"b", b"\r", b"\r"):
        press(ours, key)
        seen.append(read_step(ours))
    press(ours, b"q")
    assert process.wait(PAUSE) == 0
    os.close(ours)
    first, second, third = SENTENCES
    assert [text.splitlines()[0] for text in seen] == [first, second, first, second, third]


def press(terminal: int, key: bytes) -> None:
    """Press a key once it is waited for: what was typed before is thrown away."""
    local = 3  # of the terminal's attributes: the local modes
    wait_until(lambda: not termios.tcgetattr(terminal)[local] & termios.ICANON, "a key's turn")
    os.write(terminal, key)


def read_step(terminal: int) -> str:
    """What is shown until an empty line."""
    shown = b""
    while not shown.endswith(b"\r\n\r\n"):
        shown += os.read(terminal, 1)
    return shown.decode().strip()
