"""What `make bench` measures with, measured: a generator that counts right, peers that work."""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.benchmarks import load, sample, theirs
from tests.benchmarks.figures import Figures
from tests.benchmarks.processes import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark needs Linux (epoll)")


@pytest.fixture
def echo() -> Iterator[Service]:
    with theirs.echo(threads=2) as service:
        yield service


@pytest.fixture
def requests() -> list[bytes]:
    return [load.request("/events", body, "token") for _, body in sample.statements(10, 300, 1)]


def test_a_closed_loop_sends_every_request_once(echo: Service, requests: list[bytes]) -> None:
    result = load.run(echo.address, requests, connections=4)
    assert result.statuses == {202: 300}
    assert len(result.latencies) == 300
    assert result.percentile(50) <= result.percentile(99)


def test_an_open_loop_keeps_to_its_rate(echo: Service, requests: list[bytes]) -> None:
    result = load.run(echo.address, requests, rate=300).only(202)
    assert result.rate == pytest.approx(300, rel=0.1)


def test_another_status_is_never_counted_as_work(echo: Service) -> None:
    result = load.run(echo.address, [load.request("/nowhere", b"{}", "token")])
    assert result.statuses == {404: 1}
    with pytest.raises(load.LoadError, match="404"):
        result.only(202)


def test_the_peer_records_every_event(valkey: servers.RedisLikeServer, tmp_path: Path) -> None:
    events = [body for _, body in sample.story(5, 60, seed=1)]
    rows = tmp_path / "peer.db"
    assert theirs.job_per_event_rate(sys.executable, valkey.url, str(rows), events) > 0
    with sqlite3.connect(rows) as database:
        assert database.execute("SELECT count(*) FROM entry").fetchone() == (60,)
    database.close()


def test_an_event_has_the_size_that_was_agreed() -> None:
    (_, body), *_ = sample.statements(1, 1, seed=1)
    assert 270 <= len(body) <= 330
    assert len(sample.WORDS) == 60


def test_a_ratio_is_taken_within_one_run() -> None:
    figures = Figures()
    for ours, theirs_then in ((10.0, 5.0), (30.0, 10.0), (8.0, 8.0)):
        figures.add("ours", ours)
        figures.add("theirs", theirs_then)
        figures.ratio("ratio", "ours", "theirs")
    assert figures.series["ratio"] == [2.0, 3.0, 1.0]
    assert figures.median("ratio", 1) == 2.0
    assert figures.ranges("rat") == {"io": [1.0, 3.0]}
