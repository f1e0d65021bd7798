"""Checks of the database: the start-up checks, one by one, and more."""

from collections.abc import Callable
from datetime import timedelta

from services.ledger.bootstrap import check_signers
from services.ledger.config import signers
from services.ledger.fold import unwrap_keys
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.store import append_only, reads, setup
from services.ledger.store.database import connect, transaction
from services.ledger.vault import KeyUnwrapError, Vault
from services.operations.doctor import queue_checks
from services.operations.doctor.context import CheckWarning, DoctorContext
from shared.errors import PreconditionFailed
from shared.events.event import timestamp
from shared.inbox.lag import lags

RECENT = timedelta(days=7)  # older problems are not findings
GOOD = {
    "tables": "match this version",
    "ledger": "format, partitions and origin agree",
    "database settings": "commits are durable",
    "append-only": "entries cannot be changed or deleted",
    "heads": "each log has the size of its head",
}


def answers(context: DoctorContext) -> str:
    """Check that the database can be reached."""
    with context.store() as connection:
        return reads.version(connection)


def at_start(name: str) -> Callable[[DoctorContext], str]:
    """Return a start-up check as a check of the doctor."""

    def check(context: DoctorContext) -> str:
        with context.store() as connection:
            wanted = setup.Wanted(context.settings.partitions, context.settings.origin)
            setup.CHECKS[name](connection, wanted)
            return GOOD.get(name) or reads.version(connection)

    return check


def reader(context: DoctorContext) -> str:
    """Check that the read API has its own role, with read privileges only."""
    if not context.settings.database_reader_url:
        with context.store() as connection:
            if connection.dialect.name == "sqlite":
                return "SQLite's file is opened read-only"
        raise CheckWarning(
            "the read API shares the worker's role, which may write; set "
            "FIRSTHAND_DATABASE_READER_URL, and run 'firsthand init'"
        )
    engine = connect(context.settings.reading_url, write=False)
    try:
        with transaction(engine) as connection:
            append_only.check_reader(connection)
    finally:
        engine.dispose()
    return "read privileges only"


def unwraps(context: DoctorContext) -> str:
    """Check that the key-encryption key is the one that wrapped the ledger's keys."""
    folder = context.key_file("kek", "worker and read API").parent
    with context.store() as connection:
        try:
            unwrap_keys(connection, Vault.from_folder(folder), ())
        except KeyUnwrapError as fault:
            raise PreconditionFailed(
                f"{fault}; restore the kek that 'firsthand init' wrote"
            ) from None
    return "the kek unwraps the ledger's key"


def signs(context: DoctorContext) -> str:
    """Check that each log's key signed its head."""
    context.key_file("log-0.key", "workers")
    with context.store() as connection:
        check_signers(connection, context.settings)
    return "each log's key signed its head"


def published(context: DoctorContext) -> str:
    """Check that the database is not older than the published checkpoints."""
    context.key_file("log-0.key", "workers")
    keys, unused = [signer.vkeys for signer in signers(context.settings)], list[int]()
    with context.store() as connection:
        sizes = reads.log_sizes(connection)
    for partition in lags(context.queues, context.settings.partitions):
        try:
            vkeys = keys[partition.partition]
            size = read_checkpoint(partition.published, *vkeys)[0] if partition.published else 0
        except ValueError as fault:
            raise PreconditionFailed(
                f"the published checkpoint of log {partition.partition} is invalid ({fault}); "
                "find out which other program writes to the queue"
            ) from None
        if size > sizes.get(partition.partition, 0):
            raise PreconditionFailed(
                f"log {partition.partition} ends at {sizes.get(partition.partition, 0)}, but "
                f"{size} entries were published: an older copy; restore the newer database"
            )
        if partition.published and not _is_signed_by(partition.published, vkeys[0]):
            unused.append(partition.partition)
    if unused:
        logs = ", ".join(map(str, unused))
        raise CheckWarning(
            f"log {logs} has a new key that is not in use; restart worker and ledger"
        )
    return f"{sum(sizes.values())} entries; all published entries are present"


def _is_signed_by(note: str, vkey: str) -> bool:
    try:
        read_checkpoint(note, vkey)
    except ValueError:
        return False
    return True


def unreadable(context: DoctorContext) -> str:
    """Check that every message could be decrypted."""
    with context.store() as connection:
        count, last = reads.unreadable_count(connection), reads.last_unreadable(connection)
    if not count:
        return "every message could be decrypted"
    if last > timestamp(context.clock() - RECENT):
        raise PreconditionFailed(
            f"{count} messages could not be decrypted and are in the table unreadable; find out "
            "which other program writes to the queue: see docs/how-to/monitor-and-troubleshoot.md"
        )
    return f"{count} messages could not be decrypted, the last one on {last[:10]}"


def held(context: DoctorContext) -> str:
    """Check that no events are held back."""
    with context.store() as connection:
        people = reads.held_people(connection)
    if not people:
        return "no events are held back"
    named = ", ".join(
        f"{person.subject} ({person.messages}: {person.reason})" for person in people[:5]
    )
    more = f" and {len(people) - 5} more people" if len(people) > 5 else ""
    raise PreconditionFailed(
        f"events are held back about {named}{more}; restore from a copy their row of the table "
        "keys, or their damaged entry, and the worker continues by itself"
    )


def complete(context: DoctorContext) -> str:
    """Check that no acknowledged message was lost from the queue."""
    with context.store() as connection:
        recent = reads.alarms_since(connection, timestamp(context.clock() - RECENT))
        totals = reads.alarm_counts(connection)
    if recent:
        last = recent[-1]
        missing = sum(alarm["missing"] for alarm in recent)
        raise PreconditionFailed(
            f"log {last['log']}, {last['seen'][:19]}: {last['detail']} ({missing} in the last 7 "
            "days); find out who emptied or trimmed the queue, and let senders post again from "
            "their outboxes"
        )
    if missing := sum(totals.values()):
        return f"{missing} messages are missing, none from the last {RECENT.days} days"
    return "every message removed from the queue was recorded"


def clock(context: DoctorContext) -> str:
    """Check that PostgreSQL's clock and this host's agree."""
    with context.store() as connection:
        now = reads.clock(connection)
    if now is None:
        return "SQLite uses this host's clock"
    return queue_checks.skew(context, now)
