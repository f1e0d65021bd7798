"""Checks of the database: those of every start, one by one, and a few more."""

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

OLD_NEWS = timedelta(days=7)  # what did not open is looked into by then
GOOD = {
    "tables": "as this version has them",
    "ledger": "format, partitions and origin agree",
    "database settings": "what is committed is on the disk",
    "append-only": "nobody can change or remove an entry",
    "heads": "each log ends where its head says",
}


def answers(ground: DoctorContext) -> str:
    """It can be reached."""
    with ground.store() as connection:
        return reads.version(connection)


def at_start(name: str) -> Callable[[DoctorContext], str]:
    """One of the checks of every start."""

    def check(ground: DoctorContext) -> str:
        with ground.store() as connection:
            wanted = setup.Wanted(ground.settings.partitions, ground.settings.origin)
            setup.CHECKS[name](connection, wanted)
            return GOOD.get(name) or reads.version(connection)

    return check


def reader(ground: DoctorContext) -> str:
    """The read API has a role of its own, which may only read."""
    if not ground.settings.database_reader_url:
        with ground.store() as connection:
            if connection.dialect.name == "sqlite":
                return "SQLite's file is opened for reading alone"
        raise CheckWarning(
            "the read API shares the worker's role, which may write; set "
            "FIRSTHAND_DATABASE_READER_URL, and run 'firsthand init'"
        )
    engine = connect(ground.settings.reading_url, write=False)
    try:
        with transaction(engine) as connection:
            append_only.check_reader(connection)
    finally:
        engine.dispose()
    return "it may read, and nothing else"


def unwraps(ground: DoctorContext) -> str:
    """The key-encryption key is the one that wrapped the ledger's keys."""
    folder = ground.key_file("kek", "worker and read API").parent
    with ground.store() as connection:
        try:
            unwrap_keys(connection, Vault.from_folder(folder), ())
        except KeyUnwrapError as fault:
            raise PreconditionFailed(
                f"{fault}; put back the kek that 'firsthand init' wrote"
            ) from None
    return "the kek opens the ledger's key"


def signs(ground: DoctorContext) -> str:
    """Each log's key is the one that signed its head."""
    ground.key_file("log-0.key", "workers")
    with ground.store() as connection:
        check_signers(connection, ground.settings)
    return "each log's key signed its head"


def published(ground: DoctorContext) -> str:
    """The database is not older than what was published."""
    ground.key_file("log-0.key", "workers")
    keys, unused = [each.vkeys for each in signers(ground.settings)], list[int]()
    with ground.store() as connection:
        sizes = reads.log_sizes(connection)
    for each in lags(ground.queues, ground.settings.partitions):
        try:
            vkeys = keys[each.partition]
            size = read_checkpoint(each.published, *vkeys)[0] if each.published else 0
        except ValueError as fault:
            raise PreconditionFailed(
                f"what was published of log {each.partition} cannot be read ({fault}); "
                "find out who else writes to the queue"
            ) from None
        if size > sizes.get(each.partition, 0):
            raise PreconditionFailed(
                f"log {each.partition} ends at {sizes.get(each.partition, 0)}, but {size} entries "
                "were published: an older copy; bring back the newer database"
            )
        if each.published and not _is_signed_by(each.published, vkeys[0]):
            unused.append(each.partition)
    if unused:
        logs = ", ".join(map(str, unused))
        raise CheckWarning(
            f"a new key of log {logs} is there, and not in use; restart worker and ledger"
        )
    return f"{sum(sizes.values())} entries, none that was published is missing"


def _is_signed_by(note: str, vkey: str) -> bool:
    try:
        read_checkpoint(note, vkey)
    except ValueError:
        return False
    return True


def unreadable(ground: DoctorContext) -> str:
    """Every message opened."""
    with ground.store() as connection:
        count, last = reads.unreadable_count(connection), reads.last_unreadable(connection)
    if not count:
        return "every message opened"
    if last > timestamp(ground.clock() - OLD_NEWS):
        raise PreconditionFailed(
            f"{count} messages did not open, and are kept in the table unreadable; find out who "
            "else writes to the queue, as docs/how-to/monitor-and-troubleshoot.md says"
        )
    return f"{count} messages did not open, the last one on {last[:10]}"


def held(ground: DoctorContext) -> str:
    """Nobody's events are held back."""
    with ground.store() as connection:
        found = reads.held_people(connection)
    if not found:
        return "nobody's events are held back"
    named = ", ".join(f"{each.subject} ({each.messages}: {each.reason})" for each in found[:5])
    more = f" and {len(found) - 5} more people" if len(found) > 5 else ""
    raise PreconditionFailed(
        f"events are held back about {named}{more}; bring back from a copy their row of the table "
        "keys, or their damaged entry, and the worker goes on by itself"
    )


def complete(ground: DoctorContext) -> str:
    """Nothing that was acknowledged is missing from the queue."""
    with ground.store() as connection:
        recent = reads.alarms_since(connection, timestamp(ground.clock() - OLD_NEWS))
        ever = reads.alarm_counts(connection)
    if recent:
        last = recent[-1]
        missing = sum(each["missing"] for each in recent)
        raise PreconditionFailed(
            f"log {last['log']}, {last['seen'][:19]}: {last['detail']} ({missing} in the last 7 "
            "days); find out who emptied or trimmed the queue, and have senders post again from "
            "their outboxes"
        )
    if missing := sum(ever.values()):
        return f"{missing} messages are missing, none of them since {OLD_NEWS.days} days"
    return "every message that left the queue was recorded"


def clock(ground: DoctorContext) -> str:
    """PostgreSQL's clock and ours agree."""
    with ground.store() as connection:
        theirs = reads.clock(connection)
    if theirs is None:
        return "SQLite has no clock of its own"
    return queue_checks.skew(ground, theirs)
