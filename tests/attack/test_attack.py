"""Tests of the harness: it reports silent loss as bad, and stops everything however it ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from tests.attack import outages, reading, writing
from tests.attack.__main__ import wanted
from tests.attack.alarms import NUMBER, says
from tests.attack.attacks import ALL, in_order
from tests.attack.clients import LARGEST_BATCH, Bystander, batches, opened, writes
from tests.attack.figures import Figure, Sheet, lines, milliseconds
from tests.attack.fleet import Judgement
from tests.attack.ground import with_limit
from tests.attack.memory import folder_bytes, peak_mib
from tests.process import SCRATCH, is_running, wait_until

ATTACK_MODULES = (outages, reading, writing)  # their import fills the table of attacks
HERE = Path(__file__).parents[2]


def entry(name: str, refusal: str | None = None) -> dict[str, str | None]:
    return {"id": name, "refusal": refusal}


def bad(judgement: Judgement, made: int, recorded: int) -> list[str]:
    figures = Sheet("wiped", "sqlite")
    judgement.add_to(figures, made, recorded, named="no alarm")
    return [figure.what for figure in figures.figures if not figure.ok]


def test_what_is_lost_without_an_alarm_is_silent_even_if_it_is_sent_again() -> None:
    after = [entry("a"), entry("b")]
    silent = Judgement.of({"a", "b"}, [entry("a")], after, alarmed=False)
    assert (silent.lost, silent.silent) == (1, 1)
    assert bad(silent, 2, 2) == ["of these lost silently"]
    named = Judgement.of({"a", "b"}, [entry("a")], after, alarmed=True)
    assert (named.lost, named.silent) == (1, 0)
    assert bad(named, 2, 2) == []


def test_an_outage_that_becomes_a_verdict_or_a_second_entry_is_bad() -> None:
    after = [entry("a", "our-fault"), entry("b"), entry("b")]
    judgement = Judgement.of({"a", "b"}, after, after, alarmed=True)
    assert bad(judgement, 2, 2) == ["refused as our-fault", "recorded twice"]


def test_what_is_never_recorded_is_bad() -> None:
    judgement = Judgement.of({"a"}, [entry("a")], [entry("a")], alarmed=True)
    assert bad(judgement, 2, 1) == ["recorded in the end"]


@pytest.mark.parametrize(
    ("limit", "value", "ok"),
    [
        ("= 0", 0, True),
        ("= 0", 1, False),
        ("<= 5", 5, True),
        ("<= 5", 5.1, False),
        (">= 9", 9, True),
        (">= 9", 8, False),
        ("", 99, True),
    ],
)
def test_a_figure_keeps_its_limit_or_does_not(limit: str, value: float, *, ok: bool) -> None:
    figure = Figure("S1", "sqlite", "crashes", value, limit=limit)
    assert figure.ok is ok
    assert figure.verdict == ("" if not limit else "ok" if ok else "BAD")
    assert Figure.read(orjson.loads(orjson.dumps(figure.members()))) == figure


def test_the_table_shows_limits_and_verdicts() -> None:
    figures = Sheet("S2", "sqlite")
    figures.add("gap", 14.5, "s", "<= 5", "held out")
    head, row = lines(figures.figures)
    assert head.split() == ["attack", "store", "measured", "figure", "limit"]
    assert row.split() == ["S2", "sqlite", "gap", "14.5", "s", "<=", "5", "s", "BAD", "held", "out"]


def test_attack_names_are_unique_and_the_short_form_is_a_subset() -> None:
    names = [attack.name for attack in in_order()]
    assert len(names) == len(set(names))
    long, short = wanted((), ALL, short=False), wanted((), ALL, short=True)
    assert set(short) < set(long)
    assert {store for _, store in short} == set(ALL)
    assert [attack.name for attack, _ in wanted(("S4",), ["sqlite"], short=True)] == ["S4"]


def test_a_bystander_counts_failures_and_the_longest_time_without_success() -> None:
    answers = iter([True, False, False, True])
    over = threading.Event()

    def act() -> bool:
        answer = next(answers, None)
        if answer is None:
            over.set()
        return bool(answer)

    with Bystander(act, every=0.02) as bystander:
        over.wait(10)
    assert bystander.served == 2
    assert bystander.failures >= 3
    assert bystander.gap >= 0.04
    assert len(bystander.seconds) == bystander.served + bystander.failures


def test_batches_stay_within_intakes_limits() -> None:
    many = list(batches([writes("person:eve", "x")] * 2_500))
    assert [len(batch) for batch in many] == [1_000, 1_000, 500]
    large = list(batches([writes("person:eve", "x" * 19_000)] * 300))
    assert max(len(orjson.dumps(batch)) for batch in large) <= LARGEST_BATCH + 2
    assert sum(map(len, large)) == 300


def test_only_what_is_wrong_is_an_alarm_of_readyz() -> None:
    assert says(b'{"ready":true}') == ""
    assert says(b'{"ready":true,"recording":{"oldest":0.1}}') == ""
    assert says(b'{"ready":false,"why":"it waits"}') == "it waits"
    assert says(b"<html>") == ""
    assert says(b'{"ready":true,"waiting":3}') == ""


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("", None),
        ("log 0, 2026-11-28T12:00:00: it waits", None),
        ("log 0, 2026-11-28T12:00:00: 120 messages were removed from the queue", "120"),
        ("of those before it, at least 7 were not recorded (7 in the last 7 days)", "7"),
        ("at least 40 entries of log 0 were published", "40"),
    ],
)
def test_a_year_is_not_a_number_of_missing_messages(words: str, number: str | None) -> None:
    match = NUMBER.search(words)
    assert (match and match[1]) == number


def test_a_percentile_without_measurements_is_zero() -> None:
    assert milliseconds([], 99) == 0
    assert milliseconds([0.5, 0.1], 99) == 500


def test_a_limit_is_set_for_the_process_that_follows() -> None:
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    words = [*with_limit("-n 77"), sys.executable, "-c", program]
    assert subprocess.run(words, capture_output=True, check=True, text=True).stdout == "77\n"


def test_connections_are_opened_with_a_small_window_and_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with opened(server.getsockname()[1], 3, window=4_096) as connections:
            sizes = {
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                for connection in connections
            }
            assert len(connections) == 3
            assert max(sizes) <= 2 * 4_096  # Linux doubles the requested size
        assert {connection.fileno() for connection in connections} == {-1}


def test_memory_and_disk_are_measured(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(100))
    assert folder_bytes(tmp_path) == 100
    if sys.platform == "linux":
        assert peak_mib(os.getpid()) > 10
    assert peak_mib(None) == 0


def folders_of(owner: int) -> list[Path]:
    return list(Path(SCRATCH).glob(f"firsthand-tests-{owner}-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for children in /proc")
def test_a_run_that_is_stopped_leaves_nothing_behind() -> None:
    """Also if the parent ignores SIGINT, as a shell does for a background job."""
    ignoring = "import os, signal, sys; signal.signal(2, signal.SIG_IGN); "
    ignoring += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    words = [sys.executable, "-c", ignoring, "-m", "tests.attack", "S2", "--store", "sqlite"]
    environment = {**os.environ, "ATTACK_SHORT": "1"}
    with subprocess.Popen(words, cwd=HERE, env=environment, stderr=subprocess.PIPE) as run:
        wait_until(lambda: len(folders_of(run.pid)) >= 2, "queue and services to be there")
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
    assert run.returncode != 0
    assert not folders_of(run.pid)
    assert not is_running(run.pid)
