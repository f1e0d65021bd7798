"""Prometheus metrics of the store, for the read API."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.ledger.store import reads
from services.ledger.store.database import Engine, StoreError, transaction


class StoreCollector(Collector):
    """Collector that reads the store at each scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; only `firsthand_store_up` if the store does not answer."""
        up = GaugeMetricFamily("firsthand_store_up", "1 if the store answers.")
        size = GaugeMetricFamily("firsthand_log_entries", "Entries of a log.", labels=["log"])
        aside = GaugeMetricFamily(
            "firsthand_unreadable_messages", "Messages that could not be decrypted."
        )
        held = GaugeMetricFamily("firsthand_held_messages", "Messages held back.", labels=["log"])
        missing = CounterMetricFamily(
            "firsthand_missing_messages",
            "Messages removed from the queue without being recorded.",
            labels=["kind"],
        )
        try:
            with transaction(self._engine) as connection:
                for log, entries in reads.log_sizes(connection).items():
                    size.add_metric([str(log)], entries)
                aside.add_metric([], reads.unreadable_count(connection))
                messages = Counter[int]()
                for person in reads.held_people(connection):
                    messages[person.log] += person.messages
                for log, count in messages.items():
                    held.add_metric([str(log)], count)
                for kind, count in reads.alarm_counts(connection).items():
                    missing.add_metric([kind], count)
        except StoreError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield from (up, size, aside, held, missing)
