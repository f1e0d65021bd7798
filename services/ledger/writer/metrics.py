"""Prometheus metrics and log lines of the worker's batches.

The worker serves metrics only if FIRSTHAND_METRICS_PORT is set.
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
TRACES = 8  # in a batch's log line

log_line = structlog.get_logger()


@dataclass(slots=True)
class BatchStats:
    """Counts of one batch, and the duration of its stages in seconds, in order."""

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
        """Record the end of a stage."""
        now = time.perf_counter()
        self.seconds[stage] = now - self._since
        self._since = now


class BatchMetrics:
    """Record metrics of batches, and log a line for every batch."""

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

    def record(self, stats: BatchStats) -> None:
        """Record a batch whose messages are acknowledged."""
        self._messages.observe(stats.messages)
        for name, seconds in stats.seconds.items():
            self._stages[name].observe(seconds)
        for verdict, count in stats.verdicts.items():
            (self._accepted if verdict == "accepted" else self._refused).inc(count)
            if verdict in self._refusals:
                self._refusals[verdict].inc(count)
        self._repeats.inc(stats.repeats)
        self._people.set(stats.people)
        log_line.info("batch", **_line(stats))

    def record_failure(self) -> None:
        """Count a drain that failed; the partition is blocked."""
        self._failures.inc()


def _line(stats: BatchStats) -> dict[str, object]:
    """Return a batch's log line: counts, stages in milliseconds, and some of its traces."""
    line: dict[str, object] = {
        "log": stats.log,
        "messages": stats.messages,
        "size": stats.size,
        "repeats": stats.repeats,
        "unreadable": stats.unreadable,
        **({"held": stats.held} if stats.held else {}),
        **({"released": stats.released} if stats.released else {}),
        "verdicts": dict(stats.verdicts),
        "milliseconds": round(sum(stats.seconds.values()) * 1000, 1),
        "stages": {name: round(seconds * 1000, 2) for name, seconds in stats.seconds.items()},
    }
    traces = list(dict.fromkeys(stats.traces))
    more = {"more_traces": len(traces) - TRACES} if len(traces) > TRACES else {}
    return line | ({"traces": traces[:TRACES]} if traces else {}) | more


def serve(registry: CollectorRegistry, host: str, port: int, stuck: Callable[[], str]) -> None:
    """Serve /metrics and /livez on a daemon thread; port 0 serves nothing.

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
        message = f"the worker's metrics cannot be served at {host}:{port} ({fault.strerror})"
        raise PreconditionFailed(f"{message}; set FIRSTHAND_METRICS_PORT to another") from None
