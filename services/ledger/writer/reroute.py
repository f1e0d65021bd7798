"""Rerouting: moves messages from the wrong stream to the stream of their person.

An intake with another number of partitions than the ledger publishes events to the wrong stream, or
to one without a log, and may have acknowledged them. The worker encrypts every event for its right
stream, publishes it there, in order, and deletes it here only when it is durable there. A crash in
between leaves it in both; the ledger recognises the duplicate. Two workers may reroute at once:
they publish duplicates, but the first copies of a person's events are in order.
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
    """Move the messages that belong in other partitions; return those partitions.

    Messages that cannot be parsed or decrypted are skipped. Rerouting stops at a message that may
    be decrypted later (raising CatalogueTooNew or KeyUnavailable), since the next one may be of the
    same person. Raises Unavailable, or RedisError, if moved messages are not durable.
    """
    targets = set[int]()
    for page in iter_pages(inbox.queues, partition):
        events, later = _decrypt_page(inbox, partition, page)
        homes: dict[int, list[Placed]] = defaultdict(list)
        for message in events:
            homes[partition_of(message[1].subject, partitions)].append(message)
        homes.pop(partition, None)
        for target, misrouted in homes.items():
            result = inbox.publish(target, [event for _, event in misrouted])
            if result.level is None:
                raise Unavailable(
                    f"messages moved to partition {target} are not durable: {result.why}"
                )
            inbox.delete_moved(partition, [message_id for message_id, _ in misrouted])
            log_line.error("moved", log=target, out_of=partition, messages=len(misrouted))
        targets |= homes.keys()
        if later is not None:
            raise later
    return targets


def _decrypt_page(
    inbox: Inbox, partition: int, page: Sequence[tuple[bytes, bytes]]
) -> tuple[list[Placed], CatalogueTooNew | KeyUnavailable | None]:
    """Return the events of a page with their message ids, and the error that ended it early."""
    events: list[Placed] = []
    skipped, later = 0, None
    for message_id, sealed in page:
        try:
            message = inbox.transit.decrypt(partition, sealed, "event")
            events.append((message_id, Event.from_message(message)))
        except (CatalogueTooNew, KeyUnavailable) as fault:
            later = fault
            break
        except (DecryptionError, ValueError, KeyError, TypeError):
            skipped += 1
    if skipped:
        log_line.warning("reroute_skipped", partition=partition, messages=skipped)
    return events, later
