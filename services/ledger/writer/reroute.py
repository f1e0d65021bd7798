"""Moves messages from a stream that is not their person's to the one that is.

An intake with another number of partitions than the ledger puts events into the wrong stream, or
into one that no log belongs to, and may have acknowledged them. Each is sealed anew for its place
and published there, in order, and deleted here only when it is safe there. A crash in between
leaves it in both; the ledger knows a repeat. Two workers may do this at once: whatever they
publish twice, each person's events come first in their order.
"""

from collections import defaultdict
from collections.abc import Sequence

import structlog

from shared.errors import CatalogueTooNew, DecryptionError, KeyUnavailable, Unavailable
from shared.events.event import Event, partition_of
from shared.inbox.inbox import Inbox
from shared.inbox.lag import iter_pages

log_line = structlog.get_logger()
Placed = tuple[bytes, Event]


def reroute(inbox: Inbox, partition: int, partitions: int) -> set[int]:
    """Move what does not belong in a partition; where it went. What is no event stays.

    It ends at a message that opens later (TooNew, KeyAway), since the next may be of the same
    person. Unavailable, or RedisError, if the queue does not keep what is moved.
    """
    went = set[int]()
    for page in iter_pages(inbox.queues, partition):
        found, later = _opened(inbox, partition, page)
        homes: dict[int, list[Placed]] = defaultdict(list)
        for each in found:
            homes[partition_of(each[1].subject, partitions)].append(each)
        homes.pop(partition, None)
        for home, theirs in homes.items():
            kept = inbox.publish(home, [event for _, event in theirs])
            if kept.level is None:
                raise Unavailable(f"what is moved to partition {home} is not safe: {kept.why}")
            inbox.delete_moved(partition, [place for place, _ in theirs])
            log_line.error("moved", log=home, out_of=partition, messages=len(theirs))
        went |= homes.keys()
        if later is not None:
            raise later
    return went


def _opened(
    inbox: Inbox, partition: int, page: Sequence[tuple[bytes, bytes]]
) -> tuple[list[Placed], CatalogueTooNew | KeyUnavailable | None]:
    """The events of a page with their places, and why it ends before its end, if it does."""
    found: list[Placed] = []
    left, later = 0, None
    for place, sealed in page:
        try:
            message = inbox.transit.decrypt(partition, sealed, "event")
            found.append((place, Event.from_message(message)))
        except (CatalogueTooNew, KeyUnavailable) as fault:
            later = fault
            break
        except (DecryptionError, ValueError, KeyError, TypeError):
            left += 1
    if left:
        log_line.warning("reroute_skipped", partition=partition, messages=left)
    return found, later
