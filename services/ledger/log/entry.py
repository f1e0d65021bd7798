"""An entry: one leaf of the log. RFC 8785 JSON, UTF-8, at most 65,535 bytes.

    {"v":1,"rules","id","kind","subject","author","onbehalfof"?,"via","issuer","received",
     "recorded","sequence"?,"planversion"?,"verdict","refusal"?,"warnings"?,"digest","sealed"}

The cleartext members are opaque ids, the kind, times (`YYYY-MM-DDTHH:MM:SS.mmmZ`) and the
verdict: "accepted", or "refused" with a code of `shared.events.refusals`. `onbehalfof` names the
person whom a representative spoke for; `warnings` holds the codes that the author received. The
type, the author's own time, the words and the signature are encrypted.

- **accepted**, and a **refusal with standing**: `sealed` encrypts the canonical event exactly as
  posted, with the person's key. `sequence` is the position in the person's stream (1, 2, …, no
  gaps), `planversion` the plan's version after the entry.
- a **refusal without words**: `sealed` encrypts the canonical event without `data` and
  `signature`, with the subject's envelope key. It has no `sequence` and no `planversion`.
  Refusals for lack of standing are written this way, and every refusal while the person has no
  key. Only these use the envelope key, so that an entry's `kid` does not reveal whether a person
  has a plan.

`sealed` is a JWE (shared/crypto/jwe.py) whose header binds author, id and subject.

    salt   = HMAC-SHA-256(HKDF(key, "firsthand/digest/1"), author || 0x00 || id)
    digest = BASE64URL(SHA-256(salt || canonical event))       key: the one that encrypts

The digest always covers the whole event as posted. Golden files: tests/golden/entry.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple, cast

import orjson

from shared.crypto.jwe import Key, b64url, decrypt, encrypt, from_b64url
from shared.errors import DecryptionError
from shared.events.event import Event, canonical
from shared.events.refusals import Code
from shared.events.type_names import KINDS

VERSION = 1
ACCEPTED, REFUSED = "accepted", "refused"
_NO_WORDS = ("data", "signature")


class StreamPosition(NamedTuple):
    """An entry's position in the person's stream, and the plan's version after the entry."""

    sequence: int
    planversion: int


class VerdictRecord(NamedTuple):
    """The verdict on an event, its rules version and its time; `code` None means accepted."""

    rules: int
    recorded: str
    code: Code | None = None
    represented: bool = False
    warnings: tuple[str, ...] = ()


class InvalidEntry(DecryptionError, ValueError):
    """Stored bytes are not a valid entry."""


class Entry(NamedTuple):
    """The cleartext members of an entry, its encrypted event, and its bytes."""

    leaf: bytes
    rules: int
    id: str
    kind: str
    subject: str
    author: str
    via: str
    issuer: str
    received: str
    recorded: str
    verdict: str
    digest: str
    sealed: bytes
    refusal: str | None = None
    sequence: int | None = None
    planversion: int | None = None
    onbehalfof: str | None = None
    warnings: list[str] | None = None

    def columns(self) -> dict[str, Any]:
        """Return the values of the store's columns; all are derived from the entry's bytes."""
        return {name: getattr(self, name) for name in (*COLUMNS, "leaf")}

    @property
    def kid(self) -> str:
        """The id of the key that encrypted the event."""
        return str(orjson.loads(from_b64url(self.sealed.partition(b".")[0]))["kid"])

    def open(self, find: Callable[[str], Key | None]) -> Event:
        """Decrypt and return the event.

        A refusal without words yields an event with empty data. Raises DecryptionError if that
        fails or the event is not the one that the entry names in clear.
        """
        header, posted = decrypt(self.sealed, find)
        bound = header.get("author"), header.get("id"), header.get("subject")
        if bound != (self.author, self.id, self.subject):
            raise DecryptionError("sealed for another entry")
        return Event.from_canonical(
            posted,
            author=self.author,
            via=self.via,
            issuer=self.issuer,
            received=self.received,
        )


COLUMNS = (
    "id",
    "author",
    "subject",
    "kind",
    "verdict",
    "refusal",
    "sequence",
    "planversion",
    "recorded",
    "digest",
)


def salt_of(key: Key, author: str, name: str) -> bytes:
    """Return the salt of an event's digest: 32 bytes that only the key can derive."""
    salting = key.salting.copy()
    salting.update(b"%b\x00%b" % (author.encode(), name.encode()))
    return salting.finalize()


def digest_of(salt: bytes, posted: bytes) -> str:
    """Return the digest of a canonical event."""
    return b64url(sha256(salt + posted).digest()).decode()


def write(
    event: Event,
    verdict: VerdictRecord,
    *,
    key: Key,
    position: StreamPosition | None,
    nonce: bytes | None = None,
) -> dict[str, Any]:
    """Return the database row of an event and its verdict.

    `leaf` is the entry's bytes; the other members are columns derived from it. `position` None
    writes the entry without words; `key` must then be the envelope key. Pass `nonce` for golden
    files only.
    """
    code, bound = verdict.code, {"author": event.author, "id": event.id, "subject": event.subject}
    posted = event.canonical if position else without_words(event.canonical)
    row: dict[str, Any] = {
        **bound,
        "kind": KINDS[event.type].value,
        "verdict": REFUSED if code else ACCEPTED,
        "refusal": code.value if code else None,
        "sequence": position.sequence if position else None,
        "planversion": position.planversion if position else None,
        "recorded": verdict.recorded,
        "digest": digest_of(salt_of(key, event.author, event.id), event.canonical),
    }
    members = row | {
        "v": VERSION,
        "rules": verdict.rules,
        "via": event.via,
        "issuer": event.issuer,
        "received": event.received,
        "sealed": encrypt(key, posted, bound, nonce=nonce).decode(),
    }
    if not code:
        del members["refusal"]
    if not position:
        del members["sequence"], members["planversion"]
    if verdict.represented:
        members["onbehalfof"] = event.subject
    if verdict.warnings:
        members["warnings"] = list(verdict.warnings)
    row["leaf"] = canonical(members)
    return row


def without_words(posted: bytes) -> bytes:
    """Return a canonical event without its data and signature."""
    attributes = orjson.loads(posted)
    return canonical({name: value for name, value in attributes.items() if name not in _NO_WORDS})


def parse(leaf: bytes) -> Entry:
    """Parse a leaf's bytes; raise InvalidEntry if they are not a canonical entry."""
    message = "the bytes are not a canonical entry of version 1; run 'firsthand audit'"
    try:
        members = cast(dict[str, Any], orjson.loads(leaf))
        is_canonical = members["v"] == VERSION and canonical(members) == leaf
        del members["v"]
        members["sealed"] = members["sealed"].encode()
        entry = Entry(leaf=leaf, **members)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidEntry(message) from None
    if not is_canonical:
        raise InvalidEntry(message)
    return entry
