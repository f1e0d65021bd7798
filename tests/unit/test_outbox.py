"""The outbox on disk: all of an input or nothing of it, for its owner alone, and no trace after."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from services.client.outbox import Outbox
from shared.errors import SettingsError

ADA, EVE, HERE, THERE = "person:ada", "person:eve", "", "https://intake.example"
WORDS = b'{"words":"Walk to the sea again."}'
ROOT = Path(__file__).parents[2]
DYING = """
import os, signal, sys
from pathlib import Path
from services.client.outbox import Outbox

def events():
    for n in range(400):
        yield str(n), b"x" * 30_000
    os.kill(os.getpid(), signal.SIGKILL)

Outbox(Path(sys.argv[1])).add("person:ada", "", events(), "many")
"""


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """An empty one."""
    return Outbox(tmp_path / "data" / "outbox")


def ids(outbox: Outbox, author: str = ADA, goes: str = HERE) -> list[str]:
    """What waits."""
    return [each.id for each in outbox.waiting(author, goes)]


def test_what_is_kept_is_there_for_the_next_process_in_its_order(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.add(ADA, HERE, [("2", WORDS), ("1", b"{}")], "first")
    outbox.add(ADA, HERE, [("0", b"[]")], "second")
    again = Outbox(tmp_path / "data" / "outbox")
    found = [(each.id, each.body) for each in again.waiting(ADA, HERE)]
    assert found == [("2", WORDS), ("1", b"{}"), ("0", b"[]")]


def test_one_authors_events_are_not_anothers_and_go_where_they_were_meant_to(
    outbox: Outbox,
) -> None:
    outbox.add(ADA, HERE, [("1", WORDS)], "x")
    assert outbox.add(EVE, HERE, [("1", b"{}")], "x")
    assert outbox.add(ADA, THERE, [("1", b"[]")], "x")
    assert ids(outbox) == ids(outbox, EVE) == ids(outbox, ADA, THERE) == ["1"]
    assert ids(outbox, EVE, THERE) == []


def test_an_input_that_waits_is_not_kept_twice(outbox: Outbox) -> None:
    assert outbox.add(ADA, HERE, [("1", WORDS), ("2", WORDS)], "x")
    assert not outbox.add(ADA, HERE, [("3", WORDS), ("4", WORDS)], "x")
    outbox.remove([1])
    assert not outbox.add(ADA, HERE, [("5", WORDS), ("6", WORDS)], "x")
    assert ids(outbox) == ["2"]
    outbox.remove([2])
    assert outbox.add(ADA, HERE, [("7", WORDS)], "x")


def test_an_id_waits_with_one_content_only_or_nothing_of_the_input_is_kept(outbox: Outbox) -> None:
    outbox.add(ADA, HERE, [("1", WORDS)], "x")
    assert outbox.add(ADA, HERE, [("1", WORDS), ("2", WORDS)], "y")
    with pytest.raises(ValueError, match="a different event with the id 1"):
        outbox.add(ADA, HERE, [("3", WORDS), ("1", b"{}")], "z")
    assert ids(outbox) == ["1", "2"]


def test_what_was_set_aside_is_not_sent_and_gives_way_to_what_was_mended(outbox: Outbox) -> None:
    outbox.add(ADA, HERE, [("1", WORDS), ("2", WORDS)], "x")
    outbox.set_aside(1, "/data/words: Missing.")
    assert ids(outbox) == ["2"]
    assert [each.aside for each in outbox.rows()] == ["/data/words: Missing.", None]
    outbox.add(ADA, HERE, [("1", b"{}")], "y")
    assert ids(outbox) == ["2", "1"]


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Outbox(tmp_path / "outbox").add(ADA, HERE, [("1", WORDS)], "x")
    finally:
        os.umask(before)
    for path, wanted in ((tmp_path / "outbox", 0o700), (tmp_path / "outbox" / "events.db", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == wanted


def test_no_word_is_left_of_what_was_removed(outbox: Outbox, tmp_path: Path) -> None:
    file = tmp_path / "data" / "outbox" / "events.db"
    outbox.add(ADA, HERE, [(str(n), WORDS) for n in range(200)], "x")
    assert b"Walk to the sea" in file.read_bytes()
    outbox.remove(range(1, 201))
    assert b"Walk" not in file.read_bytes()
    assert [each.name for each in file.parent.iterdir()] == ["events.db"]


@pytest.mark.parametrize("torn", [b"", b"\0" * 700, b"half a record" * 70])
def test_killed_while_it_keeps_an_input_it_has_nothing_of_it(tmp_path: Path, torn: bytes) -> None:
    """Pages of the file were overwritten by then; what ends the journal may be half written."""
    first = Outbox(tmp_path)
    first.add(ADA, HERE, [("before", WORDS)], "x")
    file, journal = tmp_path / "events.db", tmp_path / "events.db-journal"
    done = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert journal.stat().st_size > 0
    assert file.stat().st_size > 1_000_000
    with journal.open("ab") as end:
        end.write(torn)
    again = Outbox(tmp_path)
    assert ids(again) == ["before"]
    assert not journal.exists()
    again.add(ADA, HERE, [("after", WORDS)], "many")
    assert ids(again) == ["before", "after"]
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_an_outbox_that_cannot_be_read_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"no database" * 100)
    with pytest.raises(SettingsError, match=r"events\.db failed: file is not a database"):
        Outbox(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="The outbox cannot be created"):
        Outbox(tmp_path / "file")
