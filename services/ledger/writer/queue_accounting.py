"""Counting what the queue was given against what was taken off it, so that no loss is silent.

A stream counts the messages that were ever added to it (`entries-added`, Redis 7.0 and later), and
deleting messages does not lower that count. A log's head counts, in the same transaction as the
entries, the messages that were taken off the stream, each id once; the queue counts those that were
moved to another partition. Under the head's lock, then

    added = taken + moved + waiting

where `waiting` leaves out messages that were recorded before and not deleted yet (their ids are not
past the last one taken). Fewer waiting: somebody trimmed or deleted messages. More: the stream is
another one than before, since the queue was emptied, replaced, or restored from an older copy.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from services.ledger.store.writes import UNKNOWN, Head
from shared.inbox.inbox import StreamHead

LOST, REPLACED = "queue-lost-messages", "queue-replaced"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Messages that were acknowledged and are gone: how many are known to be missing, and why."""

    log: int
    kind: str
    missing: int
    detail: str

    def row(self, seen: str) -> dict[str, object]:
        """Its row in `alarms`."""
        return {
            "log": self.log,
            "kind": self.kind,
            "seen": seen,
            "missing": self.missing,
            "detail": self.detail,
        }


class StreamId(NamedTuple):
    """A message's id in its stream, which orders as the stream does."""

    milliseconds: int
    number: int

    @classmethod
    def parse(cls, place: bytes | str) -> "StreamId":
        """The id that a stream gave."""
        text = place.decode() if isinstance(place, bytes) else place
        first, _, second = text.partition("-")
        return cls(int(first), int(second or 0)) if first else cls(-1, 0)


def reconcile(head: Head, reading: StreamHead, seen: int) -> tuple[Head, Alarm | None]:
    """The head brought in step with the stream as it was read, and what is missing, if anything.

    `seen` is the largest count of added messages that anybody saw of the stream before.
    """
    if reading.added is None:  # the server does not count
        return head, None
    if head.added == UNKNOWN:
        return _recount(head, reading), None
    last = StreamId.parse(head.last)
    leftover = sum(StreamId.parse(place) <= last for place, _ in reading.messages)
    missing = reading.added - head.taken - reading.moved - (reading.length - leftover)
    if missing < 0:
        return _replaced(head, reading, seen)
    step = replace(head, added=reading.added, moved=reading.moved, taken=head.taken + missing)
    if not missing:
        return step, None
    detail = f"{missing} messages were removed from the queue before they were recorded"
    return step, Alarm(head.log, LOST, missing, detail)


def _recount(head: Head, reading: StreamHead) -> Head:
    """Count from here on: whatever was added and is not waiting counts as taken."""
    added = reading.added or 0
    done = added - reading.length - reading.moved
    return replace(head, added=added, moved=reading.moved, taken=done, last="")


def _replaced(head: Head, reading: StreamHead, seen: int) -> tuple[Head, Alarm]:
    """Begin a new count: the stream is a new one."""
    missing = max(0, max(seen, head.added, reading.before) - head.taken - head.moved)
    detail = (
        "the queue was emptied or replaced: of the messages that were in it before, at least "
        f"{missing} were not recorded"
    )
    return _recount(head, reading), Alarm(head.log, REPLACED, missing, detail)


def count_taken(head: Head, places: list[bytes]) -> Head:
    """The head after these messages were taken off the stream; each id counts once."""
    last = StreamId.parse(head.last)
    new = [each for each in places if StreamId.parse(each) > last]
    if not new:
        return head
    return replace(head, taken=head.taken + len(new), last=max(new, key=StreamId.parse).decode())
