"""The worker's and the replay's start: settings to neighbours to work."""

from services.ledger import worker
from services.ledger.config import LedgerSettings, local_folder, now, open_store, signers
from services.ledger.projector import Projector
from services.ledger.store.engine import lock_writer
from shared import doorbell, logs
from shared.inbox import Inbox, Transit, connect


def work(*, sweeper: bool, rq: bool) -> None:
    """Run the worker until it is asked to stop."""
    settings = LedgerSettings.load()
    logs.configure(settings.log_level)
    folder = local_folder(settings)
    lock = lock_writer(folder) if folder else None
    try:
        engine, vault = open_store(settings, write=True)
        queue = doorbell.bell(connect(settings.queue_url))
        inbox = Inbox(connect(settings.queue_url), Transit.from_folder(settings.key_folder))
        projector = Projector(engine, inbox, vault, signers(settings), now)
        drainer = worker.Drainer(projector, lambda log: doorbell.ring(queue, log))
        worker.run(
            drainer,
            connect(settings.queue_url),
            partitions=settings.partitions,
            sweeper=sweeper,
            rq=rq,
        )
        engine.dispose()
    finally:
        if lock is not None:
            lock.close()
