"""An entry: one leaf of the log. RFC 8785 JSON, UTF-8, at most 65,535 bytes.

    {"v":1,"rules","id","kind","subject","author","onbehalfof"?,"via","issuer","received",
     "recorded","sequence"?,"planversion"?,"verdict","refusal"?,"warnings"?,"digest","sealed"}

In clear stand opaque ids, the kind, times (`YYYY-MM-DDTHH:MM:SS.mmmZ`) and the verdict:
"accepted", or "refused" with a code of `shared.events.refusals`. `onbehalfof` names the
person whom a representative spoke for; `warnings` holds codes told to the author. Type, the
author's own time, words and signature are inside the seal.

- **accepted**, and a **refusal with standing**: `sealed` holds the canonical event exactly as
  posted, under the person's key; `sequence` is the place in the person's stream (1, 2, …, no
  holes), `planversion` the plan's version after it.
- a **refusal without words**: `sealed` holds the canonical event without `data` and `signature`,
  under the subject's envelope key; no `sequence`, no `planversion`. So are sealed the refusals
  for lack of standing, and any other while the person has no key. Only these use the envelope
  key, so that nobody can tell from an entry's `kid` whether a person has a plan.

`sealed` is a JWE (shared/crypto/jwe.py) whose header binds author, id and subject.

    salt   = HMAC-SHA-256(HKDF(key, "firsthand/digest/1"), author || 0x00 || id)
    digest = BASE64URL(SHA-256(salt || canonical event))       key: the one that seals

The digest is always of the whole event as posted. Golden files: tests/golden/entry.
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
    """An entry's place in the person's stream, and the plan's version after it."""

    sequence: int
    planversion: int


class VerdictRecord(NamedTuple):
    """What was ruled on an event, by which rules and when; `code` None means accepted."""

    rules: int
    recorded: str
    code: Code | None = None
    represented: bool = False
    warnings: tuple[str, ...] = ()


class InvalidEntry(DecryptionError, ValueError):
    """Bytes that are stored as an entry, and are none."""


class Entry(NamedTuple):
    """What stands in clear on an entry, its sealed event, and its bytes."""

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
        """The columns that stand beside the bytes in the store; all are functions of them."""
        return {name: getattr(self, name) for name in (*COLUMNS, "leaf")}

    @property
    def kid(self) -> str:
        """The id of the key that encrypted the event."""
        return str(orjson.loads(from_b64url(self.sealed.partition(b".")[0]))["kid"])

    def open(self, find: Callable[[str], Key | None]) -> Event:
        """The event inside; SealBroken if it does not open or is not the one named in clear.

        Without words, its data is empty.
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
    """The salt of an event's digest: 32 bytes that only the key can make."""
    salting = key.salting.copy()
    salting.update(b"%b\x00%b" % (author.encode(), name.encode()))
    return salting.finalize()


def digest_of(salt: bytes, posted: bytes) -> str:
    """The digest of a canonical event."""
    return b64url(sha256(salt + posted).digest()).decode()


def write(
    event: Event,
    ruling: VerdictRecord,
    *,
    key: Key,
    standing: StreamPosition | None,
    nonce: bytes | None = None,
) -> dict[str, Any]:
    """The row of an event and the ruling on it.

    Its `leaf` is the entry's bytes; the other members are the columns that stand beside it.
    `standing` None writes it without words; `key` must then be the envelope key. `nonce` is
    for golden files only.
    """
    code, bound = ruling.code, {"author": event.author, "id": event.id, "subject": event.subject}
    posted = event.canonical if standing else without_words(event.canonical)
    row: dict[str, Any] = {
        **bound,
        "kind": KINDS[event.type].value,
        "verdict": REFUSED if code else ACCEPTED,
        "refusal": code.value if code else None,
        "sequence": standing.sequence if standing else None,
        "planversion": standing.planversion if standing else None,
        "recorded": ruling.recorded,
        "digest": digest_of(salt_of(key, event.author, event.id), event.canonical),
    }
    members = row | {
        "v": VERSION,
        "rules": ruling.rules,
        "via": event.via,
        "issuer": event.issuer,
        "received": event.received,
        "sealed": encrypt(key, posted, bound, nonce=nonce).decode(),
    }
    if not code:
        del members["refusal"]
    if not standing:
        del members["sequence"], members["planversion"]
    if ruling.represented:
        members["onbehalfof"] = event.subject
    if ruling.warnings:
        members["warnings"] = list(ruling.warnings)
    row["leaf"] = canonical(members)
    return row


def without_words(posted: bytes) -> bytes:
    """A canonical event without its data and signature."""
    attributes = orjson.loads(posted)
    return canonical({name: each for name, each in attributes.items() if name not in _NO_WORDS})


def parse(leaf: bytes) -> Entry:
    """The entry of a leaf's bytes; NoEntry if it is not one."""
    why = "the bytes are no canonical entry of version 1; run 'firsthand audit'"
    try:
        members = cast(dict[str, Any], orjson.loads(leaf))
        good = members["v"] == VERSION and canonical(members) == leaf
        del members["v"]
        members["sealed"] = members["sealed"].encode()
        found = Entry(leaf=leaf, **members)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidEntry(why) from None
    if not good:
        raise InvalidEntry(why)
    return found
