"""Queue accounting: compares messages added to the queue with those processed, to detect losses.

A stream counts the messages ever added to it (`entries-added`, Redis 7.0 and later); deletes do not
lower that count. A log's head counts, in the same transaction as the entries, the messages
processed from the stream, every id once. The queue counts those moved to another partition. Under
the head's lock,

    added = taken + moved + waiting

where `waiting` leaves out messages that were recorded but not yet deleted (their ids are not past
the last one processed). Fewer waiting means that messages were trimmed or deleted. More means that
the stream is another one, since the queue was emptied, replaced, or restored from an older copy.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from services.ledger.store.writes import UNKNOWN, Head
from shared.inbox.inbox import StreamHead

LOST, REPLACED = "queue-lost-messages", "queue-replaced"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Acknowledged messages were lost: how many are known to be missing, and why."""

    log: int
    kind: str
    missing: int
    detail: str

    def row(self, seen: str) -> dict[str, object]:
        """Return the row for `alarms`."""
        return {
            "log": self.log,
            "kind": self.kind,
            "seen": seen,
            "missing": self.missing,
            "detail": self.detail,
        }


class StreamId(NamedTuple):
    """A message's id in its stream, sorted as in the stream."""

    milliseconds: int
    number: int

    @classmethod
    def parse(cls, message_id: bytes | str) -> "StreamId":
        """Parse a stream's message id."""
        text = message_id.decode() if isinstance(message_id, bytes) else message_id
        first, _, second = text.partition("-")
        return cls(int(first), int(second or 0)) if first else cls(-1, 0)


def reconcile(head: Head, reading: StreamHead, seen: int) -> tuple[Head, Alarm | None]:
    """Return the head adjusted to the stream, and an alarm if messages are missing.

    `seen` is the largest number of added messages that this process saw before.
    """
    if reading.added is None:  # the server does not count
        return head, None
    if head.added == UNKNOWN:
        return _recount(head, reading), None
    last = StreamId.parse(head.last)
    undeleted = sum(StreamId.parse(name) <= last for name, _ in reading.messages)
    missing = reading.added - head.taken - reading.moved - (reading.length - undeleted)
    if missing < 0:
        return _replaced(head, reading, seen)
    step = replace(head, added=reading.added, moved=reading.moved, taken=head.taken + missing)
    if not missing:
        return step, None
    detail = f"{missing} messages were removed from the queue before they were recorded"
    return step, Alarm(head.log, LOST, missing, detail)


def _recount(head: Head, reading: StreamHead) -> Head:
    """Restart the count: messages that were added and are not waiting count as processed."""
    added = reading.added or 0
    processed = added - reading.length - reading.moved
    return replace(head, added=added, moved=reading.moved, taken=processed, last="")


def _replaced(head: Head, reading: StreamHead, seen: int) -> tuple[Head, Alarm]:
    """Restart the count for a new stream, and report lost messages of the old one."""
    missing = max(0, max(seen, head.added, reading.before) - head.taken - head.moved)
    detail = (
        "the queue was emptied or replaced; at least "
        f"{missing} of its earlier messages were not recorded"
    )
    return _recount(head, reading), Alarm(head.log, REPLACED, missing, detail)


def count_taken(head: Head, message_ids: list[bytes]) -> Head:
    """Return the head after these messages were processed; every id counts once."""
    last = StreamId.parse(head.last)
    new = [message_id for message_id in message_ids if StreamId.parse(message_id) > last]
    if not new:
        return head
    return replace(head, taken=head.taken + len(new), last=max(new, key=StreamId.parse).decode())
