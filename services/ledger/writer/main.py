"""Start of the worker: creates its dependencies from the settings and runs it."""

from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.archiver import CheckpointArchiver
from services.ledger.checkpoints.witnesses import Policy
from services.ledger.config import LedgerSettings, local_folder, signers, utc_now
from services.ledger.maintenance.rebuild_switch import take_up
from services.ledger.store.database import connect as connect_store
from services.ledger.store.database import lock_writer
from services.ledger.store.wal import empty_wal
from services.ledger.writer import worker
from services.ledger.writer.metrics import BatchMetrics, serve
from services.ledger.writer.projector import Projector
from shared import log_setup
from shared.crypto.transit import Transit
from shared.http.metrics import CollectorRegistry
from shared.inbox import doorbell
from shared.inbox.inbox import Inbox
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.servers import RedisServers, connect
from shared.process import tune_gc


def run_worker(*, sweeper: bool, rq: bool) -> None:
    """Run the worker until it is stopped."""
    settings = LedgerSettings.load()
    log_setup.configure(settings.log_level)
    tune_gc()
    folder = local_folder(settings)
    lock = lock_writer(folder) if folder else None
    try:
        engine, vault = open_store(settings, write=True)
        queue = doorbell.bell(connect(settings.queue_url))
        servers = RedisServers.connect(settings.queue_urls)
        inbox = Inbox(servers, Transit.from_folder(settings.key_folder))
        registry = CollectorRegistry()
        batches = BatchMetrics(registry)
        projector = Projector(engine, inbox, vault, signers(settings), utc_now, batches.record)

        def switch() -> None:
            if take_up(folder, engine, vault, settings.partitions):
                projector.forget()

        drainer = worker.Drainer(
            projector,
            lambda log: doorbell.ring(queue, log),
            linger=worker.LINGER if settings.partitions == 1 else 0,  # or delay the others
            failed=batches.record_failure,
            switch=switch,
        )
        serve(registry, settings.metrics_host, settings.metrics_port, drainer.stuck)
        reader = connect_store(settings.store_url, write=False)
        archiver = CheckpointArchiver(
            engine,
            reader,
            PublishedCheckpoints(RedisServers.connect(settings.queue_urls)),
            [signer.vkeys for signer in signers(settings)],
            Policy.from_folder(settings.key_folder),
            utc_now,
        )
        worker.run(
            drainer,
            archiver,
            connect(settings.queue_url),
            sweeper=sweeper,
            rq=rq,
        )
        empty_wal(engine)
        engine.dispose()
        reader.dispose()
    finally:
        if lock is not None:
            lock.close()
