"""The `firsthand accept-queue` command: republish checkpoints to a queue that lost them.

The worker stops when the queue holds no published checkpoint although the database archives one:
either the queue was emptied or replaced, or the database is an older copy. The worker cannot tell
which. This command compares the heads of the database with every known checkpoint: those archived
in the database and those passed with --checkpoint. If none is newer, it publishes the heads. It
writes nothing to the database; the worker then continues by itself.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson

from services.cli.options import CHECKPOINTS, DATA, JSON, show
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
@CHECKPOINTS
@JSON
@DATA
def accept_queue(checkpoints: tuple[Path, ...], as_json: bool) -> None:
    """Accept a queue that was emptied or replaced, if this database is the newest copy.

    Publishes the heads of the database again, after comparing them with all known checkpoints.
    """
    accepted = accept(list(checkpoints))
    show(accepted_json(accepted), accepted_text(accepted), as_json=as_json)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Result for a log: its size, and whether its checkpoint was published again."""

    log: int
    size: int
    published: bool

    def text(self) -> str:
        """Return the result as a line of text."""
        if self.published:
            return f"Log {self.log}: published again, {self.size:,} entries."
        return f"Log {self.log}: {self.size:,} entries; its checkpoint is published, nothing to do."


def accept(checkpoints: list[Path]) -> list[Accepted]:
    """Publish the heads of logs that have no published checkpoint.

    Raises PreconditionFailed if a known checkpoint is newer than the database or contradicts it.
    """
    settings = LedgerSettings.load()
    keys = signers(settings)
    known = read_known_checkpoints(keys, checkpoints)
    engine, _ = open_store(settings, write=False)
    queues = RedisServers.connect(settings.queue_urls)
    inbox = Inbox(queues, Transit.from_folder(settings.key_folder))
    try:
        with transaction(engine) as connection:
            heads = [_checked(connection, key, log, known[log]) for log, key in enumerate(keys)]
        return [_publish(inbox, keys[head.log], head) for head in heads]
    finally:
        engine.dispose()


def _checked(connection: Connection, key: Signer, log: int, known: list[Note]) -> Head:
    """Return the head of a log, after checking it against the known checkpoints."""
    head = reads.head(connection, log)
    if head is None:
        raise PreconditionFailed(f"log {log} is not in this ledger; run 'firsthand init'")
    archived = [
        Note(row["size"], f"archived on {row['kept']}", row["checkpoint"])
        for row in archived_checkpoints(connection, log)
    ]
    for checkpoint in (*known, *archived[-1:]):
        size, root = read_checkpoint(checkpoint.note, *key.vkeys)
        if size > head.size:
            raise PreconditionFailed(
                f"log {log} ends at {head.size}, and {size} entries were published "
                f"({checkpoint.where}): this database is an older copy; restore the newer one, or "
                "run 'firsthand restore' with an export that holds these entries"
            )
        if root != root_at(connection, log, size):
            raise PreconditionFailed(
                f"log {log} differs from the {size} entries that were published "
                f"({checkpoint.where}); restore the database that they were published from"
            )
    return head


def _publish(inbox: Inbox, key: Signer, head: Head) -> Accepted:
    """Publish a head, unless a checkpoint of this log is published already."""
    published = inbox.peek(head.log, 1).published
    try:
        read_checkpoint((published or b"").decode(), *key.vkeys)
    except ValueError:
        inbox.republish_checkpoint(head.log, head.checkpoint.encode())
        return Accepted(head.log, head.size, published=True)
    return Accepted(head.log, head.size, published=False)


def accepted_json(results: list[Accepted]) -> Iterator[str]:
    """Yield one JSON object per log."""
    for result in results:
        yield orjson.dumps(asdict(result)).decode()


def accepted_text(results: list[Accepted]) -> Iterator[str]:
    """Yield one line per log, and what the operator may expect next."""
    yield from (result.text() for result in results)
    if any(result.published for result in results):
        yield (
            "The worker continues by itself and logs how many acknowledged events are missing; "
            "their senders post them again from their outboxes."
        )
