"""What is typed wrongly is a usage error that names the remedy: status 2, and nothing is asked."""

import pytest
from click.testing import CliRunner

from services.cli import main
from services.intake.routes import MAX_WAIT
from services.ledger.writer.worker import LONGEST_PAUSE, PAUSE, next_pause
from services.operations.child_process import STOP_SECONDS

NO_ID = ("person:zoë", "person:a b", "zoe", "person:", "user:zoe", "person:ada\n", "../x")
EVERY = (
    ("plan", "{}"),
    ("history", "{}"),
    ("receipt", "{}", "an-id"),
    ("origins", "{}"),
    ("diff", "{}", "--from=1"),
    ("token", "{}"),
    ("token", "person:ada", "--act={}"),
    ("plan", "person:ada", "--as={}"),
)


def said(*words: str) -> str:
    """What it says, with status 2."""
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2, done.output
    return done.output


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
@pytest.mark.parametrize("wrong", NO_ID)
def test_an_id_that_is_none(words: tuple[str, ...], wrong: str) -> None:
    told = said(*(each.format(wrong) for each in words))
    assert "is not an id of the form <role>:<1 to 64 of A-Z a-z 0-9 . _ ->" in told


def test_a_team_gets_no_token() -> None:
    assert "person, partner, service, auditor, operator" in said("token", "team:oak")


@pytest.mark.parametrize("wrong", ["a\nb", "a b", "ä.b.c", "a\x00b"])
def test_a_token_that_cannot_stand_in_a_header(wrong: str) -> None:
    assert "one line of letters" in said("plan", "person:ada", f"--token={wrong}")
    assert "one line of letters" in said("export", "out", "--from=http://x", f"--token={wrong}")


def test_a_worker_whose_queue_is_away_says_so_ever_more_seldom() -> None:
    pauses = [PAUSE]
    for _ in range(8):
        pauses.append(next_pause(pauses[-1], connected=False))
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert sum(pauses[:7]) > 10, "some seven lines in the first ten seconds"
    assert next_pause(LONGEST_PAUSE, connected=True) == PAUSE


def test_up_waits_longer_than_intake_for_whoever_waits_for_a_verdict() -> None:
    assert STOP_SECONDS > MAX_WAIT + 5
