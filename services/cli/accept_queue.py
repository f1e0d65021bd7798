"""`firsthand accept-queue`: let the ledger go on with a queue that lost what was published.

The worker waits where nothing is published in the queue and something was: the queue was emptied
or replaced, or the database is an older copy, and it cannot tell which. This publishes the heads of
the database, after it was held against every checkpoint that is known: those kept in the database
and those that are given. It writes nothing into the database; the worker then goes on by itself.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson

from services.cli.options import DATA, JSON, KEPT, show
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.known_checkpoints import Note, read_known_checkpoints
from services.ledger.config import LedgerSettings, signers
from services.ledger.log.signed_note import Signer, read_checkpoint
from services.ledger.store import reads
from services.ledger.store.checkpoint_archive import archived_checkpoints
from services.ledger.store.database import Connection, transaction
from services.ledger.store.tile_store import root_at
from services.ledger.store.writes import Head
from shared.crypto.transit import Transit
from shared.errors import PreconditionFailed
from shared.inbox.inbox import Inbox
from shared.inbox.servers import RedisServers


@click.command()
@KEPT
@JSON
@DATA
def accept_queue(kept: tuple[Path, ...], as_json: bool) -> None:
    """Go on with a queue that was emptied or replaced, once this database is the newest one.

    Publishes the heads of the database again, after it was held against all known checkpoints.
    """
    accepted = accept(list(kept))
    show(accepted_json(accepted), accepted_text(accepted), as_json=as_json)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was done about a log: its size, and whether it was published again."""

    log: int
    size: int
    published: bool

    def text(self) -> str:
        """A line to read."""
        if self.published:
            return f"Log {self.log}: published again, {self.size:,} entries."
        return f"Log {self.log}: {self.size:,} entries; what is published is well, nothing done."


def accept(given: list[Path]) -> list[Accepted]:
    """Publish the heads of logs of which nothing is published; Unsafe if a checkpoint is beyond."""
    settings = LedgerSettings.load()
    keys = signers(settings)
    known = read_known_checkpoints(keys, given)
    engine, _ = open_store(settings, write=False)
    queues = RedisServers.connect(settings.queue_urls)
    inbox = Inbox(queues, Transit.from_folder(settings.key_folder))
    try:
        with transaction(engine) as connection:
            heads = [_checked(connection, key, log, known[log]) for log, key in enumerate(keys)]
        return [_publish(inbox, keys[head.log], head) for head in heads]
    finally:
        engine.dispose()


def _checked(connection: Connection, key: Signer, log: int, given: list[Note]) -> Head:
    """The head of a log, if the log holds all that its known checkpoints sign."""
    head = reads.head(connection, log)
    if head is None:
        raise PreconditionFailed(f"log {log} is not in this ledger; run 'firsthand init'")
    kept = [
        Note(row["size"], f"kept on {row['kept']}", row["checkpoint"])
        for row in archived_checkpoints(connection, log)
    ]
    for each in (*given, *kept[-1:]):
        size, root = read_checkpoint(each.note, *key.vkeys)
        if size > head.size:
            raise PreconditionFailed(
                f"log {log} ends at {head.size}, and {size} entries were published ({each.where}): "
                "this database is an older copy; bring back the newer one, or run 'firsthand "
                "restore' with an export that holds them"
            )
        if root != root_at(connection, log, size):
            raise PreconditionFailed(
                f"log {log} holds other entries than the {size} that were published "
                f"({each.where}); bring back the database that they were published from"
            )
    return head


def _publish(inbox: Inbox, key: Signer, head: Head) -> Accepted:
    """Publish a head, unless a checkpoint of this log is published."""
    published = inbox.peek(head.log, 1).published
    try:
        read_checkpoint((published or b"").decode(), *key.vkeys)
    except ValueError:
        inbox.republish_checkpoint(head.log, head.checkpoint.encode())
        return Accepted(head.log, head.size, published=True)
    return Accepted(head.log, head.size, published=False)


def accepted_json(found: list[Accepted]) -> Iterator[str]:
    """One JSON object a log."""
    for each in found:
        yield orjson.dumps(asdict(each)).decode()


def accepted_text(found: list[Accepted]) -> Iterator[str]:
    """A line a log, and what is left to do."""
    yield from (each.text() for each in found)
    if any(each.published for each in found):
        yield (
            "The worker goes on by itself and says how many acknowledged events are missing; their "
            "senders post them again from their outboxes."
        )
