"""The worker's and the replay's start: settings to neighbours to work."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import click

from services.bar import bar
from services.ledger import worker
from services.ledger.config import LedgerSettings, local_folder, now, open_store, signers
from services.ledger.history import Reader
from services.ledger.keeping import Keeper
from services.ledger.mending import take_up
from services.ledger.metrics import Batches, serve
from services.ledger.projector import Projector
from services.ledger.replay import Replay
from services.ledger.report import report_json, report_text
from services.ledger.sentences import read_names
from services.ledger.steps import Step
from services.ledger.steps import steps as walk
from services.ledger.store import compare, reads
from services.ledger.store.engine import Engine, answering, lock_writer, transaction
from services.ledger.store.engine import connect as connect_store
from services.ledger.store.wal import empty_wal
from services.ledger.vault import Vault
from services.ledger.witnesses import Policy
from shared import doorbell, logs
from shared.event import partition_of
from shared.inbox import Inbox, Queues, connect
from shared.metrics import CollectorRegistry
from shared.problems import SettingsError, Unsafe
from shared.processes import look_for_garbage_seldom
from shared.published import LastPublished
from shared.transit import Transit


def work(*, sweeper: bool, rq: bool) -> None:
    """Run the worker until it is asked to stop."""
    settings = LedgerSettings.load()
    logs.configure(settings.log_level)
    look_for_garbage_seldom()
    folder = local_folder(settings)
    lock = lock_writer(folder) if folder else None
    try:
        engine, vault = open_store(settings, write=True)
        queue = doorbell.bell(connect(settings.queue_url))
        inbox = Inbox(Queues.connect(settings.queue_urls), Transit.from_folder(settings.key_folder))
        registry = CollectorRegistry()
        batches = Batches(registry)
        serve(registry, settings.metrics_host, settings.metrics_port)
        projector = Projector(engine, inbox, vault, signers(settings), now, batches.done)

        def switch() -> None:
            if take_up(folder, engine, vault, settings.partitions):
                projector.forget()

        drainer = worker.Drainer(
            projector,
            lambda log: doorbell.ring(queue, log),
            linger=worker.LINGER if settings.partitions == 1 else 0,  # or the others would wait
            failed=batches.failed,
            beat=settings.heartbeat.touch if settings.heartbeat else lambda: None,
            switch=switch,
        )
        reader = connect_store(settings.store_url, write=False)
        keeper = Keeper(
            engine,
            reader,
            LastPublished(Queues.connect(settings.queue_urls)),
            [each.vkeys for each in signers(settings)],
            Policy.from_folder(settings.key_folder),
            now,
        )
        worker.run(
            drainer,
            keeper,
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


def replay(person: str | None, *, as_json: bool) -> bool:
    """Replay one person, or every log; print the report. True if there are findings."""
    settings = LedgerSettings.load()
    vault = Vault.from_folder(settings.key_folder)
    vkeys = [each.vkeys for each in signers(settings)]
    with _whole(settings) as engine, transaction(engine) as connection:
        work = Replay(connection, vault, vkeys)
        if person is not None:
            work.person(partition_of(person, settings.partitions), person)
        else:
            size = sum(reads.log_size(connection, log) for log in range(settings.partitions))
            with bar("Replaying", size) as tick:
                work.everything(tick)
    if person is not None and not work.report.entries:
        raise SettingsError(f"there are no entries about {person}")
    for line in report_json(work.report) if as_json else report_text(work.report):
        click.echo(line)
    return bool(work.report.findings)


def steps(person: str) -> Iterator[Step]:
    """A person's entries one by one, from entries and keys; SettingsError if there are none."""
    settings = LedgerSettings.load()
    vault, names = Vault.from_folder(settings.key_folder), read_names(settings.names)
    log = partition_of(person, settings.partitions)
    with _whole(settings) as engine:

        @contextmanager
        def reading() -> Iterator[Reader]:
            with transaction(engine) as connection:
                yield Reader(connection, vault, log, person)

        told = walk(reading, names)
        first = next(told, None)
        if first is None:
            raise SettingsError(f"there are no entries about {person}")
        yield from chain([first], told)


@contextmanager
def _whole(settings: LedgerSettings) -> Iterator[Engine]:
    """The store to read from, if all its tables are there; Unavailable if it does not answer."""
    engine = connect_store(settings.store_url, write=False)
    try:
        with answering():
            with transaction(engine) as connection:
                missing = compare.missing_tables(connection)
            if missing:
                told = f"tables are missing: {', '.join(missing)}; restore a copy of the database"
                raise Unsafe(told)
            yield engine
    finally:
        engine.dispose()
