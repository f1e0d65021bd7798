r"""Event: what an author posted, and what intake knows about the author.

**Posted** is a CloudEvent 1.0 in structured form. Attributes (ASCII):

    specversion "1.0" · id (UUID) · source (URI reference) · type · subject (person:<id>) · data
    optional: time (RFC 3339 with offset) · dataschema (urn:firsthand:<type>:<n>) ·
    expectedversion (0 … 2^53-1) · causationid · correlationid · traceparent

**Canonical event** = RFC 8785 (JCS) of that object, `datacontenttype` left out, `data` as posted.
Member names are ASCII and numbers are whole, so JSON with sorted member names and no white space
is RFC 8785 to the byte. These bytes are hashed, encrypted and compared; the format never changes.

>>> canonical({"type": "plan.started", "data": {"name_to_use": "Zoë", "language": "en"}})
b'{"data":{"language":"en","name_to_use":"Zo\xc3\xab"},"type":"plan.started"}'

**Message** = the plaintext of a message in the inbox: one line of JSON with the members that intake
adds, a line feed, then the canonical event. Canonical JSON contains no raw line feed, so the first
one ends the header:

    {"author","issuer","received","traceparent"?,"via","waiter"?}\n{"data":…,"id":…}

`author`, `via` (the token's client) and `issuer` (the configured name of the token's issuer) are
ids; `received` is intake's clock, `YYYY-MM-DDTHH:MM:SS.mmmZ`; `waiter` names the key on which a
request waits for its receipt; `traceparent` (shared/tracing.py) is the event's or else the
request's, and only used in logs. Golden files: tests/golden/event.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

MAX_EVENT_BYTES = 36 * 1024
MAX_DATA_BYTES = 32 * 1024
MAX_WHOLE_NUMBER = 2**53 - 1

Json = dict[str, Any]


def canonical(value: Mapping[str, Any]) -> bytes:
    """Encode a JSON object with ASCII member names and whole numbers as RFC 8785 bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def timestamp(moment: datetime) -> str:
    """Format a moment for an entry: UTC, milliseconds, truncated rather than rounded."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def partition_of(subject: str, partitions: int) -> int:
    """Return the partition of a person: all events about the person go there.

    >>> partition_of("person:ada", 8)
    3
    """
    return int.from_bytes(sha256(subject.encode()).digest()[:8]) % partitions


class Event(NamedTuple):
    """An event as the ledger processes it. `canonical` holds the posted event's canonical bytes.

    A named tuple, because creating a frozen dataclass takes three times as long.
    """

    id: str
    type: str
    subject: str
    data: Json
    author: str
    via: str
    issuer: str
    received: str
    canonical: bytes
    expectedversion: int | None = None
    waiter: str | None = None
    traceparent: str | None = None

    @property
    def by_person(self) -> bool:
        """True if the author is the person whose plan it is."""
        return self.author == self.subject

    def message(self) -> bytes:
        """Return the plaintext of the message for the inbox."""
        header = {
            "author": self.author,
            "via": self.via,
            "issuer": self.issuer,
            "received": self.received,
        }
        if self.waiter is not None:
            header["waiter"] = self.waiter
        if self.traceparent is not None:
            header["traceparent"] = self.traceparent
        return canonical(header) + b"\n" + self.canonical

    @classmethod
    def from_message(cls, message: bytes) -> "Event":
        """Parse a message that intake wrote; ValueError or KeyError if it is invalid."""
        header, posted = message.split(b"\n", 1)
        try:
            return cls.from_canonical(posted, **orjson.loads(header))
        except TypeError as fault:
            raise ValueError(f"not a message: {fault}") from None

    @classmethod
    def from_canonical(  # noqa: PLR0913 - the members that intake adds are passed by name
        cls,
        posted: bytes,
        attributes: Mapping[str, Any] | None = None,
        /,
        *,
        author: str,
        via: str,
        issuer: str,
        received: str,
        waiter: str | None = None,
        traceparent: str | None = None,
    ) -> "Event":
        """Build an event from its canonical bytes and the members that intake adds.

        Pass `attributes` to avoid parsing `posted` again. A `traceparent` in the event takes
        precedence over the argument.
        """
        attributes = orjson.loads(posted) if attributes is None else attributes
        return cls(
            attributes["id"],
            attributes["type"],
            attributes["subject"],
            attributes.get("data", {}),
            author,
            via,
            issuer,
            received,
            posted,
            attributes.get("expectedversion"),
            waiter,
            attributes.get("traceparent", traceparent),
        )
