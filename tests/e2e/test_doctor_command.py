"""`firsthand doctor` on the command line: its lines, its JSON, its exit status."""

import json
from pathlib import Path

import pytest

from services.ledger.config import LedgerSettings
from shared.inbox import doorbell
from shared.inbox.servers import connect
from tests.e2e.running import Up
from tests.process import wait_until


@pytest.fixture(autouse=True)
def noted(in_matrix: object) -> None:
    """Note the store of these tests in the matrix."""
    in_matrix(store="sqlite")  # type: ignore[operator]  # the fixture's own function


def test_with_everything_running_it_finds_nothing_and_with_a_fault_it_names_it(
    tmp_path: Path,
) -> None:
    with Up(tmp_path) as up:
        with connect(LedgerSettings.load(data=up.data).queue_url) as queue:
            wait_until(lambda: doorbell.listeners(queue) == 1, "the worker to listen")
        healthy = up.run("doctor")
        assert (healthy.returncode, healthy.stderr) == (0, "")
        assert healthy.stdout.splitlines()[-1].endswith(" ok, 0 warning, 0 error, 0 skipped.")
        assert "\x1b" not in healthy.stdout  # no colour without a terminal
        with connect(LedgerSettings.load(data=up.data).queue_url) as queue:
            queue.config_set("appendfsync", "everysec")
        wait_until(
            lambda: up.client.get(f"{up.intake}/readyz").status_code == 503, "intake to notice it"
        )
        faulty = up.run("doctor")
        assert faulty.returncode == 1
        wrong = [line for line in faulty.stdout.splitlines() if line.startswith("error")]
        assert [line[9:28].strip() for line in wrong] == ["queue durability", "intake"]
        assert "; set appendonly yes, appendfsync always" in wrong[0]
        assert "intake is not ready: the queue does not fsync each write" in wrong[1]
        checks = [json.loads(line) for line in up.run("doctor", "--json").stdout.splitlines()]
        assert [row["check"] for row in checks if row["state"] == "error"] == [
            "queue durability",
            "intake",
        ]
        assert up.stop() == 0
    quiet = up.run("doctor")
    assert quiet.returncode == 3
    assert "the embedded queue is not running; start 'firsthand up'" in quiet.stdout
    assert " 0 error, " in quiet.stdout


def test_before_there_is_a_ledger_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = Up(tmp_path).run("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert "key folder" in done.stdout
    assert "run 'firsthand init'" in done.stdout
    assert not (tmp_path / "data").exists()


def test_a_setting_that_cannot_be_read_is_the_one_finding(tmp_path: Path) -> None:
    done = Up(tmp_path, FIRSTHAND_PARTITIONS="many").run("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("error    settings            FIRSTHAND_PARTITIONS: ")
