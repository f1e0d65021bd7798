"""Held messages: events of people whose key or entries are unavailable.

A person's events cannot be decided while their key is missing or cannot be unwrapped, or one of
their entries is damaged. Their messages move, in order, from the queue into the table `held`, while
other people's messages are processed. They are encrypted with the hold key, since the person's key
may be missing. While a person has held messages, later ones are held too. The worker retries
automatically. As soon as the person is available, their held messages are decided in order, before
the next ones of the queue.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from services.ledger.store import reads, writes
from services.ledger.store.database import Connection, Row
from services.ledger.store.reads import HeldPerson
from services.ledger.vault import Vault
from shared.crypto.jwe import b64url, decrypt, encrypt, from_b64url
from shared.events.event import Event, Json

RETRY, LONGEST_RETRY = 2.0, 60.0  # seconds between two attempts, doubled up to this
AT_ONCE = 20  # people that are retried in one batch
MOST_MESSAGES, MOST_BYTES = 1_000, 8 * 1024 * 1024  # of one person; beyond, intake rejects events


class HeldMessages:
    """Cached numbers of held messages by log and person, and the times of the next retries."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._people: dict[int, dict[str, HeldPerson]] = {}
        self._due: dict[int, float] = {}
        self._pause: dict[int, float] = {}

    def refresh(self, connection: Connection, log: int) -> None:
        """Read the store, since another process may have written to this log."""
        people = reads.held_people(connection, log)
        self._people[log] = {person.subject: person for person in people}

    def is_loaded(self, log: int) -> bool:
        """Return whether this process has read a log's held messages."""
        return log in self._people

    def forget(self, log: int) -> None:
        """Invalidate the cache because a batch did not commit."""
        self._people.pop(log, None)

    def people(self, log: int) -> list[str]:
        """Return the people with held messages, the longest held first."""
        return list(self._people.get(log, ()))

    def full(self, log: int) -> list[str]:
        """Return the people with as many held messages as allowed."""
        return [
            person.subject
            for person in self._people.get(log, {}).values()
            if person.messages >= MOST_MESSAGES or person.bytes >= MOST_BYTES
        ]

    def is_due(self, log: int) -> bool:
        """Return whether it is time to retry held messages."""
        return bool(self._people.get(log)) and self._clock() >= self._due.get(log, 0.0)

    def schedule_retry(self, log: int, *, released: bool) -> None:
        """Schedule the next retry; the delay doubles while no person can be released."""
        pause = RETRY if released else min(2 * self._pause.get(log, RETRY / 2), LONGEST_RETRY)
        self._pause[log] = pause
        self._due[log] = self._clock() + pause


def held_row(
    vault: Vault, log: int, message_id: bytes, event: Event, reason: str, seen: str
) -> dict[str, Any]:
    """Return the row that holds an event, without its waiter."""
    bound = {"log": log, "subject": event.subject, "use": "held"}
    message = event._replace(waiter=None).message()
    return {
        "log": log,
        "subject": event.subject,
        "place": message_id.decode(),
        "reason": reason,
        "seen": seen,
        "message": encrypt(vault.hold, message, bound),
    }


def held_event(vault: Vault, row: Row | dict[str, Any]) -> Event:
    """Decrypt a row's event; raise DecryptionError or ValueError if the row does not match."""
    key = vault.hold
    header, message = decrypt(row["message"], {key.kid: key}.get)
    event = Event.from_message(message)
    if (header.get("log"), header.get("use"), event.subject) != (
        row["log"],
        "held",
        row["subject"],
    ):
        raise ValueError("the held message belongs to another row")
    return event


_EXPORTED = ("log", "subject", "place", "reason", "seen")


def export_held(connection: Connection, logs: int) -> Iterator[Json]:
    """Yield the lines of an export's held.jsonl, one a held message, in order and encrypted."""
    for log in range(logs):
        for row in reads.held_of(connection, log):
            line = {name: row[name] for name in _EXPORTED}
            yield line | {"message": b64url(row["message"]).decode()}


def restore_held(connection: Connection, vault: Vault, lines: Iterable[bytes]) -> int:
    """Insert the held messages of an export that are missing here, and return their number.

    Raises ValueError or DecryptionError, and inserts nothing, if a line was not exported by this
    ledger. Messages recorded since then are recognised as duplicates when they are released.
    """
    rows: list[dict[str, Any]] = []
    existing: dict[int, set[tuple[str, str]]] = {}
    for line in lines:
        members = orjson.loads(line)
        row = {name: members[name] for name in _EXPORTED}
        row["message"] = from_b64url(members["message"].encode())
        held_event(vault, row)
        log = int(row["log"])
        if log not in existing:
            held = reads.held_of(connection, log)
            existing[log] = {(known["subject"], known["place"]) for known in held}
        if (row["subject"], row["place"]) not in existing[log]:
            rows.append(row)
    writes.save_held(connection, rows)
    return len(rows)
