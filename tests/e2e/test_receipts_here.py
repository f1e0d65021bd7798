"""`firsthand receipt`: the proof on screen, in a file, on paper."""

import json
from pathlib import Path

import pytest

from services import verify
from shared.events.event import Json
from tests.e2e.running import Up, event, new_id

pytestmark = pytest.mark.xdist_group("up")
STARTED: Json = {"name_to_use": "Ada", "language": "en"}
SEA: Json = {"id": "sea", "words": "Walk to the sea again."}


def holds(up: Up, printed: str, posted: Json, folder: Path) -> bool:
    """Return whether verify.py has no findings, with the key that the ledger serves."""
    (folder / "receipt").write_text(printed)
    (folder / "event").write_text(json.dumps(posted))
    vkey = up.client.get(f"{up.ledger}/logs/0/vkey").text.strip()
    report = verify.Report()
    keys = [verify.read_vkey(vkey)]
    verify.check_receipt(folder / "receipt", keys, folder / "event", report)
    return not report.findings


def test_it_prints_what_verify_accepts_for_accepted_and_refused(up: Up, tmp_path: Path) -> None:
    ada, sam = new_id(), new_id("partner")
    for author, posted in (
        (ada, up.say(ada, "plan.started", STARTED, ada)),
        (sam, event("aspiration.stated", SEA, ada)),
    ):
        up.post(author, posted)
        done = up.run("receipt", ada, posted["id"], "--as", author)
        assert (done.returncode, done.stderr) == (0, "")
        assert holds(up, done.stdout, posted, tmp_path)
        assert not holds(up, done.stdout, posted | {"source": "/else"}, tmp_path)


def test_it_draws_codes_here_and_into_files(up: Up, tmp_path: Path) -> None:
    ada = new_id()
    up.say(ada, "plan.started", STARTED, ada)
    long = up.say(ada, "about-me.written", {"section": "Sea", "words": "Sea. " * 1000}, ada)
    here = up.run("receipt", ada, long["id"], "--qr", "-")
    assert here.returncode == 0
    assert "\u2588" in here.stdout
    into = up.run("receipt", ada, long["id"], "--qr", str(tmp_path / "mine.svg"))
    files = [Path(line) for line in into.stdout.splitlines()]
    assert [file.name for file in files] == [f"mine-{n}.svg" for n in range(1, len(files) + 1)]
    assert len(files) > 1
    assert all("<svg" in file.read_text() for file in files)


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--qr", "none/here.svg"], 2), (["--as", "partner:no"], 1)],
)
def test_an_error_is_one_line(up: Up, words: list[str], status: int) -> None:
    ada = new_id()
    posted = up.say(ada, "plan.started", STARTED, ada)
    done = up.run("receipt", ada, posted["id"], *words)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (status, "", 1)
