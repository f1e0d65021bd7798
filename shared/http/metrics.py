"""Prometheus metrics of HTTP requests and of the queue.

Every service has one registry, passed as an argument. Labels are routes, statuses, partition
numbers and fixed words, never an id: everybody who can reach the service may read its metrics.
"""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from shared.inbox.durability import level_of
from shared.inbox.lag import Lag
from shared.inbox.queue_status import QueueStatus

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)

__all__ = ["MEDIA_TYPE", "CollectorRegistry", "QueueCollector", "RequestMetrics", "generate_latest"]


class RequestMetrics:
    """`firsthand_http_request_duration_seconds`: requests and their time, by route and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "firsthand_http_request_duration_seconds",
            "Time from a request to its answer; its count is that of the requests.",
            ["route", "status"],
            registry=registry,
            buckets=SECONDS,
        )
        self._known: dict[tuple[str, int], Histogram] = {}

    def record(self, route: str, status: int, seconds: float) -> None:
        """Observe a request. Children are cached, because `labels` costs as much as `observe`."""
        child = self._known.get((route, status))
        if child is None:
            child = self._known[route, status] = self._seconds.labels(route, str(status))
        child.observe(seconds)


class QueueCollector(Collector):
    """Lag, durability and publish counts by intake's queue status (shared/inbox/queue_status.py).

    Intake exports the lag, because it runs whenever the lag can grow, even without a worker.
    """

    def __init__(self, status: QueueStatus) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not query the queue."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics. The lag of an unavailable server is left out."""
        snapshot, inbox = self._status.current(), self._status.inbox
        level = GaugeMetricFamily(
            "firsthand_queue_durability",
            "1 if the queue stores events as durably as configured.",
            labels=["level"],
        )
        level.add_metric([level_of(inbox.replicas)], float(snapshot.durability.level is not None))
        published = CounterMetricFamily(
            "firsthand_published_events", "Events appended to the inbox.", labels=["partition"]
        )
        for partition, count in sorted(inbox.published.items()):
            published.add_metric([str(partition)], count)
        up = GaugeMetricFamily("firsthand_queue_up", "1 if every server of the queue answers.")
        up.add_metric([], float(not snapshot.unavailable))
        lags = _lag_families(snapshot.lags) if snapshot.lags else ()
        yield from (*lags, up, level, published)


def _lag_families(lags: Sequence[Lag]) -> list[GaugeMetricFamily]:
    documentation = {
        "firsthand_inbox_messages": "Messages that are not recorded yet.",
        "firsthand_inbox_oldest_seconds": "Age of the oldest message; 0 if there is none.",
        "firsthand_partition_blocked": "1 if the partition waits; 'firsthand doctor' says why.",
    }
    families = [GaugeMetricFamily(*item, labels=["partition"]) for item in documentation.items()]
    for lag in lags:
        values = (lag.messages, lag.oldest, float(lag.waits is not None))
        for family, value in zip(families, values, strict=True):
            family.add_metric([str(lag.partition)], value)
    return families
