"""Entry checks: the format and the clear members of entries, without keys or decryption."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidTag

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.log.tiles import MAX_ENTRY
from shared.crypto.jwe import Key, b64url, from_b64url
from shared.errors import DecryptionError
from shared.events.event import MAX_WHOLE_NUMBER, Json, canonical
from shared.events.refusals import NO_STANDING, Code
from shared.events.schema_fields import ID_PATTERN
from shared.events.type_names import Kind

OPTIONAL = frozenset(("onbehalfof", "sequence", "planversion", "refusal", "warnings"))
NEEDED = frozenset(Entry._fields) - OPTIONAL - {"leaf"} | {"v"}
OF_THE_PLAN = (Kind.PLAN, Kind.ANSWER)
CODES = frozenset(Code)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
KID = 43  # characters
_DOTS = b"..", b".", b"."
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_PARTIES = {name: re.compile(ID_PATTERN) for name in ("author", "via", "onbehalfof")} | {
    "subject": re.compile(r"person:[A-Za-z0-9._-]{1,64}"),
    "issuer": re.compile(r"[!-~]+(?: [!-~]+)*"),
}
LIMIT = 50_000  # cached valid texts


class EntryFormat:
    """A parser of entries that raises ValueError with the first format error."""

    def __init__(self) -> None:
        self._good: set[object] = set()
        self._shapes: set[tuple[str, ...]] = set()

    def read(self, leaf: bytes) -> Json:
        """Return the members of an entry; raise ValueError if the format is invalid."""
        members: Json = orjson.loads(leaf)
        if type(members) is not dict or len(leaf) > MAX_ENTRY or canonical(members) != leaf:
            raise ValueError("not canonical JSON (RFC 8785), or too long")
        if (shape := tuple(members)) not in self._shapes:
            if wrong := (members.keys() - NEEDED - OPTIONAL) | (NEEDED - members.keys()):
                raise ValueError(f"{min(wrong)}: missing, or not a member of an entry")
            self._shapes.add(shape)
        self._texts(members)
        self._numbers(members)
        return members

    def _texts(self, members: Json) -> None:
        subject, behalf = (
            members["subject"],
            members.get("onbehalfof", ""),
        )  # null counts as a value
        parties = members["author"], members["via"], subject, members["issuer"], behalf
        if parties not in self._good:
            for name, form in _PARTIES.items():
                if name in members and not form.fullmatch(_text(members, name)):
                    raise ValueError(f"{name} is not of the format")
            if members.get("onbehalfof", subject) != subject:
                raise ValueError("onbehalfof is not the subject")
            self._learn(parties)
        for name in ("received", "recorded"):
            if (moment := members[name]) not in self._good:
                if not _is_moment(_text(members, name)):
                    raise ValueError(f"{name} is not of the format")
                self._learn(moment)
        _text(members, "sealed")
        if not _UUID.fullmatch(_text(members, "id")):
            raise ValueError("id is not a UUID")
        if not _DIGEST.fullmatch(_text(members, "digest")):
            raise ValueError("digest is not the base64url of a SHA-256")

    def _learn(self, good: object) -> None:
        if len(self._good) > LIMIT:
            self._good.clear()
        self._good.add(good)

    def _numbers(self, members: Json) -> None:
        placed, verdict = "sequence" in members, members["verdict"]
        code, version = members.get("refusal", ""), members.get("planversion", 0)
        if placed != ("planversion" in members):
            raise ValueError("sequence and planversion must occur together")
        for number in (members["rules"], members.get("sequence", 1), version):
            if type(number) is not int or not 0 <= number <= MAX_WHOLE_NUMBER:
                raise ValueError("rules, sequence or planversion is not a whole number")
        if type(members["v"]) is not int or members["v"] != entry.VERSION or not members["rules"]:
            raise ValueError("not an entry of version 1")
        known = verdict, code, placed, members["kind"]  # four; of parties there are five
        if "warnings" not in members and known in self._good:
            return
        _check_verdict(members, placed)
        self._learn(known)


def _check_verdict(members: Json, placed: bool) -> None:
    code, accepted = members.get("refusal"), members["verdict"] == entry.ACCEPTED
    warnings = members.get("warnings", [""])
    if members["verdict"] not in (entry.ACCEPTED, entry.REFUSED) or accepted == (
        "refusal" in members
    ):
        raise ValueError("verdict and refusal do not fit")
    if not accepted and code not in CODES:
        raise ValueError("refusal is not a code of the format")
    if (accepted and not placed) or (placed and code in NO_STANDING):
        raise ValueError("sequence does not fit the verdict")
    if members["kind"] not in (*Kind, "ledger"):
        raise ValueError("kind is not of the format")
    if type(warnings) is not list or not warnings or any(type(n) is not str for n in warnings):
        raise ValueError("warnings are not a list of texts, or are empty")


def _text(members: Json, name: str) -> str:
    value = members[name]
    if type(value) is not str:
        raise ValueError(f"{name} is not a text")
    return value


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


class SealedPart(NamedTuple):
    """The encrypted part of an entry: its key id, and the parts of its JWE."""

    kid: str
    header: bytes
    nonce: bytes
    text: bytes

    def open(self, key: Key) -> bytes:
        """Decrypt it; raise DecryptionError if it was encrypted with another key."""
        if key.kid != self.kid:
            raise DecryptionError("no key with this kid")
        try:
            return key.cipher.decrypt(self.nonce, self.text, self.header)
        except InvalidTag:
            raise DecryptionError("modified, or encrypted with another key") from None


_HEADER = '{"alg":"dir","author":"%s","enc":"A256GCM","id":"%s","kid":"%s","subject":"%s"}'


def seal_of(members: Json, kid: str = "") -> SealedPart:
    """Return an entry's encrypted part; raise ValueError unless it binds author, id and subject.

    `kid` is the expected key id, with which the expected header is built fast.
    """
    sealed = members["sealed"].encode()
    header = b64url(
        (_HEADER % (members["author"], members["id"], kid, members["subject"])).encode()
    )
    at = len(header)  # ".." nonce "." text "." tag
    if (
        kid
        and sealed.startswith(header)
        and sealed.count(b".") == 4
        and (sealed[at : at + 2], sealed[at + 18 : at + 19], sealed[-23:-22]) == _DOTS
        and at + 41 < len(sealed)
    ):
        whole = from_b64url(sealed[at + 2 : at + 18] + sealed[at + 19 : -23])
        return SealedPart(kid, header, whole[:12], whole[12:] + from_b64url(sealed[-22:]))
    return _read_seal(members, sealed)


def _read_seal(members: Json, sealed: bytes) -> SealedPart:
    """Parse the encrypted part whatever key it names."""
    parts = sealed.split(b".")
    if len(parts) != 5 or parts[1]:
        raise ValueError("sealed is not a JWE (RFC 7516)")
    header, _, nonce, text, tag = parts
    before = b'{"alg":"dir","author":"%b","enc":"A256GCM","id":"%b","kid":"' % (
        members["author"].encode(),
        members["id"].encode(),
    )
    after = b'","subject":"%b"}' % members["subject"].encode()
    bound = from_b64url(header)
    kid = bound[len(before) : -len(after)]
    if bound != before + kid + after or len(kid) != KID or len(nonce) != 16 or len(tag) != 22:
        raise ValueError("sealed is not a JWE of this author, id and subject")
    whole = from_b64url(nonce + text)  # a nonce is four times four characters
    return SealedPart(kid.decode(), header, whole[:12], whole[12:] + from_b64url(tag))


@dataclass(slots=True)
class StreamChecks:
    """The state of a person's stream, by the clear members of its entries."""

    sequence: int = 0
    version: int = 0
    kid: str = ""
    opened: bool = False  # the person has granted access or named a representative
    accepted: set[str] = field(default_factory=set)

    def check(self, members: Json, kid: str) -> list[tuple[str, str, str]]:
        """Check the person's next entry; return (code, field, detail) of findings."""
        if "sequence" not in members:
            return self._outside(members, kid)
        findings = []
        sequence, version = members["sequence"], members["planversion"]
        accepted = members["verdict"] == entry.ACCEPTED
        moves = version - self.version
        if sequence != self.sequence + 1:
            findings.append(("place", "sequence", f"{sequence}; {self.sequence + 1} was next"))
        if moves and not (moves == 1 and accepted and members["kind"] in OF_THE_PLAN):
            findings.append(("place", "planversion", f"{version} after {self.version}"))
        if kid != self.kid and kid and self.kid:
            detail = "encrypted with another key than this person's earlier entries"
            findings.append(("place", "sealed", detail))
        self.sequence, self.version, self.kid = sequence, version, kid or self.kid
        if members["author"] != members["subject"]:
            findings += self._stranger(members)
        elif accepted and members["kind"] == Kind.WHOSE:
            self.opened = True
        if accepted:
            if members["id"] in self.accepted:
                findings.append(("twice", "id", f"{members['id']} was accepted before"))
            self.accepted.add(members["id"])
        return findings

    def _outside(self, members: Json, kid: str) -> list[tuple[str, str, str]]:
        """Check an entry without a position in the stream."""
        findings = []
        if self.sequence and members["refusal"] not in NO_STANDING:
            detail = f"none, though it was refused {members['refusal']}"
            findings.append(("place", "sequence", detail))
        if kid and kid == self.kid:
            detail = "without words, yet encrypted with the person's key"
            findings.append(("place", "sealed", detail))
        return findings

    def _stranger(self, members: Json) -> Iterator[tuple[str, str, str]]:
        """Yield findings of an entry by another author. (An internal error shows no rights.)"""
        detail = f"{members['kind']}, {members['verdict']} from {members['author']}"
        if "onbehalfof" in members:
            if not self.opened:
                yield "authorship", "onbehalfof", f"{detail}, but the person had no representative"
        elif members["kind"] in OF_THE_PLAN and members.get("refusal") != Code.OUR_FAULT:
            yield "authorship", "kind", f"{detail}: only {members['subject']} may say this"
