"""Figures for Prometheus: of every request, and of the queue at the moment it is asked.

A registry is handed in, one a service. Labels are routes, statuses, numbers of partitions and
words of our own, never an id: what is served here may be seen by anybody who may see the service.
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
        """Count a request. A child is looked up once: `labels` costs as much again."""
        child = self._known.get((route, status))
        if child is None:
            child = self._known[route, status] = self._seconds.labels(route, str(status))
        child.observe(seconds)


class QueueCollector(Collector):
    """The queue as intake sees it (shared/inbox/queue_status.py): lag, durability, and what intake
    put in.

    It stands with intake, which is there whenever the lag can grow, also while no worker runs.
    """

    def __init__(self, status: QueueStatus) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Nothing: to be registered does not ask the queue."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Of a server that does not answer, no figure but that."""
        look, inbox = self._status.current(), self._status.inbox
        level = GaugeMetricFamily(
            "firsthand_queue_durability",
            "1 if the queue keeps what it is given as safely as is configured.",
            labels=["level"],
        )
        level.add_metric([level_of(inbox.replicas)], float(look.durability.level is not None))
        published = CounterMetricFamily(
            "firsthand_published_events", "Events put into the inbox.", labels=["partition"]
        )
        for partition, count in sorted(inbox.published.items()):
            published.add_metric([str(partition)], count)
        up = GaugeMetricFamily("firsthand_queue_up", "1 if every server of the queue answers.")
        up.add_metric([], float(not look.away))
        yield from (*(_lags(look.lags) if look.lags else ()), up, level, published)


def _lags(found: Sequence[Lag]) -> list[GaugeMetricFamily]:
    told = {
        "firsthand_inbox_messages": "Messages that are not yet recorded.",
        "firsthand_inbox_oldest_seconds": "Age of the oldest message; 0 if there is none.",
        "firsthand_partition_blocked": "1 if the partition waits; 'firsthand doctor' says why.",
    }
    made = [GaugeMetricFamily(*each, labels=["partition"]) for each in told.items()]
    for each in found:
        figures = (each.messages, each.oldest, float(each.waits is not None))
        for family, figure in zip(made, figures, strict=True):
            family.add_metric([str(each.partition)], figure)
    return made
