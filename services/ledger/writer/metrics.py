"""The worker's metrics for Prometheus, of each batch.

The worker has no address of its own unless it is given a port; see FIRSTHAND_METRICS_PORT.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
import structlog
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    make_wsgi_app,
    start_http_server,
)
from prometheus_client import Counter as Total

from shared.errors import PreconditionFailed
from shared.events.refusals import Code

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

STAGES = ("lock", "read", "judge", "append", "commit", "settle")
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
TRACES = 8  # of a batch, in its line

log_line = structlog.get_logger()


@dataclass(slots=True)
class BatchStats:
    """What one batch did, and how long each of its stages took (seconds), in order."""

    log: int
    messages: int = 0
    size: int = 0
    people: int = 0
    unreadable: int = 0
    held: int = 0
    released: int = 0
    repeats: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    traces: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def record_stage(self, stage: str) -> None:
        """A stage is over."""
        now = time.perf_counter()
        self.seconds[stage] = now - self._since
        self._since = now


class BatchMetrics:
    """Counts what batches did, and writes a line for each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Histogram(
            "firsthand_batch_messages", "Messages of a batch.", registry=registry, buckets=SIZES
        )
        stage = Histogram(
            "firsthand_batch_stage_duration_seconds",
            "Time of each stage of a batch.",
            ["stage"],
            registry=registry,
            buckets=SECONDS,
        )
        self._stages = {name: stage.labels(name) for name in STAGES}
        entries = Total("firsthand_entries", "Entries recorded.", ["verdict"], registry=registry)
        self._accepted, self._refused = entries.labels("accepted"), entries.labels("refused")
        refusals = Total("firsthand_refusals", "Refusals recorded.", ["code"], registry=registry)
        self._refusals = {str(code): refusals.labels(code) for code in Code}
        self._repeats = Total(
            "firsthand_repeated_events", "Events that were recorded before.", registry=registry
        )
        self._failures = Total(
            "firsthand_drain_failures", "Drains that ended with a fault.", registry=registry
        )
        self._people = Gauge("firsthand_cached_plans", "People in memory.", registry=registry)

    def record(self, course: BatchStats) -> None:
        """A batch is over, its messages settled."""
        self._messages.observe(course.messages)
        for name, seconds in course.seconds.items():
            self._stages[name].observe(seconds)
        for verdict, count in course.verdicts.items():
            (self._accepted if verdict == "accepted" else self._refused).inc(count)
            if verdict in self._refusals:
                self._refusals[verdict].inc(count)
        self._repeats.inc(course.repeats)
        self._people.set(course.people)
        log_line.info("batch", **_line(course))

    def record_failure(self) -> None:
        """A drain ended with a fault; the partition waits."""
        self._failures.inc()


def _line(course: BatchStats) -> dict[str, object]:
    """A batch's line: counts, stages in milliseconds, and some of its traces."""
    line: dict[str, object] = {
        "log": course.log,
        "messages": course.messages,
        "size": course.size,
        "repeats": course.repeats,
        "unreadable": course.unreadable,
        **({"held": course.held} if course.held else {}),
        **({"released": course.released} if course.released else {}),
        "verdicts": dict(course.verdicts),
        "milliseconds": round(sum(course.seconds.values()) * 1000, 1),
        "stages": {name: round(each * 1000, 2) for name, each in course.seconds.items()},
    }
    traces = list(dict.fromkeys(course.traces))
    more = {"more_traces": len(traces) - TRACES} if len(traces) > TRACES else {}
    return line | ({"traces": traces[:TRACES]} if traces else {}) | more


def serve(registry: CollectorRegistry, host: str, port: int, stuck: Callable[[], str]) -> None:
    """Serve /metrics and /livez on a thread that ends with the process; port 0: nowhere.

    /livez answers 503 while `stuck` returns a reason.
    """
    metrics = make_wsgi_app(registry)

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/livez":
            page: Iterable[bytes] = metrics(environ, start_response)
            return page
        why = stuck()
        status = "503 Service Unavailable" if why else "200 OK"
        start_response(status, [("Content-Type", "application/json")])
        return [orjson.dumps({"alive": not why, **({"why": why} if why else {})})]

    try:
        if port:
            server, _ = start_http_server(port, host, registry)
            server.set_app(answer)
    except OSError as fault:
        told = f"the worker's metrics cannot be served at {host}:{port} ({fault.strerror})"
        raise PreconditionFailed(f"{told}; set FIRSTHAND_METRICS_PORT to another") from None
