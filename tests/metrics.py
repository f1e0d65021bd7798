"""All metrics that intake, worker and ledger serve at /metrics, in one text."""

from pathlib import Path

from fakeredis import FakeStrictRedis
from prometheus_client import CollectorRegistry

from services.ledger.api.metrics import StoreCollector
from services.ledger.bootstrap import open_store
from services.ledger.writer.metrics import BatchMetrics
from shared.crypto.jwe import Key
from shared.crypto.transit import Transit
from shared.http.metrics import QueueCollector, RequestMetrics, generate_latest
from shared.inbox.inbox import Inbox
from shared.inbox.queue_status import QueueStatus
from tests.contract.ledgers import Ledger
from tests.postgres import Database


def served(folder: Path, database: Database, queue: FakeStrictRedis) -> str:
    """Return the metrics of a new ledger, with their help."""
    ledger = Ledger(folder, database)
    engine, _ = open_store(ledger.settings, write=False)
    registry = CollectorRegistry()
    RequestMetrics(registry)
    BatchMetrics(registry)
    registry.register(StoreCollector(engine))
    registry.register(QueueCollector(QueueStatus(Inbox(queue, Transit([Key.fresh()])), 1)))
    text = generate_latest(registry).decode()
    engine.dispose()
    ledger.close()
    return text
