"""Messages about people who cannot be judged just now, held back while everybody else goes on.

A person cannot be judged while their key is missing or does not unwrap, or one of their entries is
damaged. Their messages move from the queue into the table `held`, in order and in the transaction
that deletes nothing else: encrypted under the hold key, since their own key may be what is missing.
While a person has held messages, later ones join them. The worker tries again by itself; once the
person can be judged, their messages are judged in order, before the next ones of the queue.
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

RETRY, LONGEST_RETRY = 2.0, 60.0  # seconds between two tries, twice as long each time, up to this
AT_ONCE = 20  # people that are tried in one batch
MOST_MESSAGES, MOST_BYTES = 1_000, 8 * 1024 * 1024  # of one person; then intake takes no more


class HeldMessages:
    """Of whom messages are held in each log, as this process knows, and when to try them again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._people: dict[int, dict[str, HeldPerson]] = {}
        self._due: dict[int, float] = {}
        self._pause: dict[int, float] = {}

    def refresh(self, connection: Connection, log: int) -> None:
        """Look into the store, since somebody else may have written to this log."""
        self._people[log] = {each.subject: each for each in reads.held_people(connection, log)}

    def known(self, log: int) -> bool:
        """Whether this process has looked into the store."""
        return log in self._people

    def forget(self, log: int) -> None:
        """Look again next time: a batch did not commit."""
        self._people.pop(log, None)

    def people(self, log: int) -> list[str]:
        """The people of whom messages are held, the longest held first."""
        return list(self._people.get(log, ()))

    def full(self, log: int) -> list[str]:
        """Those of whom as many are held as may be."""
        return [
            each.subject
            for each in self._people.get(log, {}).values()
            if each.messages >= MOST_MESSAGES or each.bytes >= MOST_BYTES
        ]

    def is_due(self, log: int) -> bool:
        """Whether it is time to try those who are held again."""
        return bool(self._people.get(log)) and self._clock() >= self._due.get(log, 0.0)

    def schedule_retry(self, log: int, *, released: bool) -> None:
        """They were tried: the next time is later, and later each time that nobody is released."""
        pause = RETRY if released else min(2 * self._pause.get(log, RETRY / 2), LONGEST_RETRY)
        self._pause[log] = pause
        self._due[log] = self._clock() + pause


def held_row(
    vault: Vault, log: int, place: bytes, event: Event, reason: str, seen: str
) -> dict[str, Any]:
    """The row that holds an event back. Nobody waits for its verdict any more."""
    bound = {"log": log, "subject": event.subject, "use": "held"}
    message = event._replace(waiter=None).message()
    return {
        "log": log,
        "subject": event.subject,
        "place": place.decode(),
        "reason": reason,
        "seen": seen,
        "message": encrypt(vault.hold, message, bound),
    }


def held_event(vault: Vault, row: Row | dict[str, Any]) -> Event:
    """The event of a row; SealBroken or ValueError if it is not what the row says."""
    key = vault.hold
    header, message = decrypt(row["message"], {key.kid: key}.get)
    event = Event.from_message(message)
    if (header.get("log"), header.get("use"), event.subject) != (
        row["log"],
        "held",
        row["subject"],
    ):
        raise ValueError("a held message of another row")
    return event


_EXPORTED = ("log", "subject", "place", "reason", "seen")


def export_held(connection: Connection, logs: int) -> Iterator[Json]:
    """The lines of an export's held.jsonl, one a held message, in order; still encrypted."""
    for log in range(logs):
        for row in reads.held_of(connection, log):
            line = {name: row[name] for name in _EXPORTED}
            yield line | {"message": b64url(row["message"]).decode()}


def restore_held(connection: Connection, vault: Vault, lines: Iterable[bytes]) -> int:
    """Hold again what an export held and this database does not; how many messages that is.

    ValueError or SealBroken, and nothing is held, if a line is not one that this ledger exported.
    What was recorded since is recognised as a duplicate when it is released.
    """
    rows: list[dict[str, Any]] = []
    there: dict[int, set[tuple[str, str]]] = {}
    for line in lines:
        told = orjson.loads(line)
        row = {name: told[name] for name in _EXPORTED}
        row["message"] = from_b64url(told["message"].encode())
        held_event(vault, row)
        log = int(row["log"])
        if log not in there:
            known = reads.held_of(connection, log)
            there[log] = {(each["subject"], each["place"]) for each in known}
        if (row["subject"], row["place"]) not in there[log]:
            rows.append(row)
    writes.save_held(connection, rows)
    return len(rows)
