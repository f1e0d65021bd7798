"""What the clear fields of entries say by themselves: no key is needed, and nothing is opened."""

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
LIMIT = 50_000  # texts remembered as good


class EntryFormat:
    """Reads entries, and says of each what of the format it breaks."""

    def __init__(self) -> None:
        self._good: set[object] = set()
        self._shapes: set[tuple[str, ...]] = set()

    def read(self, leaf: bytes) -> Json:
        """The members of an entry; ValueError if they are not of the format."""
        told: Json = orjson.loads(leaf)
        if type(told) is not dict or len(leaf) > MAX_ENTRY or canonical(told) != leaf:
            raise ValueError("not canonical JSON (RFC 8785), or too long")
        if (shape := tuple(told)) not in self._shapes:
            if odd := (told.keys() - NEEDED - OPTIONAL) | (NEEDED - told.keys()):
                raise ValueError(f"{min(odd)}: missing, or no member of an entry")
            self._shapes.add(shape)
        self._texts(told)
        self._numbers(told)
        return told

    def _texts(self, told: Json) -> None:
        subject, behalf = told["subject"], told.get("onbehalfof", "")  # a null is not nothing
        parties = told["author"], told["via"], subject, told["issuer"], behalf
        if parties not in self._good:
            for name, form in _PARTIES.items():
                if name in told and not form.fullmatch(_text(told, name)):
                    raise ValueError(f"{name} is not of the format")
            if told.get("onbehalfof", subject) != subject:
                raise ValueError("onbehalfof is not the subject")
            self._learn(parties)
        for name in ("received", "recorded"):
            if (moment := told[name]) not in self._good:
                if not _is_moment(_text(told, name)):
                    raise ValueError(f"{name} is not of the format")
                self._learn(moment)
        _text(told, "sealed")
        if not _UUID.fullmatch(_text(told, "id")):
            raise ValueError("id is not a UUID")
        if not _DIGEST.fullmatch(_text(told, "digest")):
            raise ValueError("digest is not the base64url of a SHA-256")

    def _learn(self, good: object) -> None:
        if len(self._good) > LIMIT:
            self._good.clear()
        self._good.add(good)

    def _numbers(self, told: Json) -> None:
        placed, verdict = "sequence" in told, told["verdict"]
        code, version = told.get("refusal", ""), told.get("planversion", 0)
        if placed != ("planversion" in told):
            raise ValueError("sequence and planversion stand together, or not at all")
        for number in (told["rules"], told.get("sequence", 1), version):
            if type(number) is not int or not 0 <= number <= MAX_WHOLE_NUMBER:
                raise ValueError("rules, sequence or planversion is no whole number")
        if type(told["v"]) is not int or told["v"] != entry.VERSION or not told["rules"]:
            raise ValueError("not an entry of version 1")
        known = verdict, code, placed, told["kind"]  # four; of parties there are five
        if "warnings" not in told and known in self._good:
            return
        _check_verdict(told, placed)
        self._learn(known)


def _check_verdict(told: Json, placed: bool) -> None:
    code, accepted = told.get("refusal"), told["verdict"] == entry.ACCEPTED
    warnings = told.get("warnings", [""])
    if told["verdict"] not in (entry.ACCEPTED, entry.REFUSED) or accepted == ("refusal" in told):
        raise ValueError("verdict and refusal do not fit")
    if not accepted and code not in CODES:
        raise ValueError("refusal is no code of the format")
    if (accepted and not placed) or (placed and code in NO_STANDING):
        raise ValueError("sequence is there, or missing, against the verdict")
    if told["kind"] not in (*Kind, "ledger"):
        raise ValueError("kind is none of the format")
    if type(warnings) is not list or not warnings or any(type(n) is not str for n in warnings):
        raise ValueError("warnings are no list of texts, or an empty one")


def _text(told: Json, name: str) -> str:
    value = told[name]
    if type(value) is not str:
        raise ValueError(f"{name} is no text")
    return value


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


class SealedPart(NamedTuple):
    """What seals an entry: which key, and the parts of its JWE."""

    kid: str
    header: bytes
    nonce: bytes
    text: bytes

    def open(self, key: Key) -> bytes:
        """What is sealed; SealBroken if it is not by this key."""
        if key.kid != self.kid:
            raise DecryptionError("no key with this kid")
        try:
            return key.cipher.decrypt(self.nonce, self.text, self.header)
        except InvalidTag:
            raise DecryptionError("changed, or sealed with another key") from None


_HEADER = '{"alg":"dir","author":"%s","enc":"A256GCM","id":"%s","kid":"%s","subject":"%s"}'


def seal_of(told: Json, kid: str = "") -> SealedPart:
    """What seals an entry; ValueError unless it binds author, id and subject.

    `kid` is that of the key which should seal it: the header to expect is soon written.
    """
    sealed = told["sealed"].encode()
    header = b64url((_HEADER % (told["author"], told["id"], kid, told["subject"])).encode())
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
    return _read_seal(told, sealed)


def _read_seal(told: Json, sealed: bytes) -> SealedPart:
    """The same, whatever key it names."""
    parts = sealed.split(b".")
    if len(parts) != 5 or parts[1]:
        raise ValueError("sealed is no JWE (RFC 7516)")
    header, _, nonce, text, tag = parts
    before = b'{"alg":"dir","author":"%b","enc":"A256GCM","id":"%b","kid":"' % (
        told["author"].encode(),
        told["id"].encode(),
    )
    after = b'","subject":"%b"}' % told["subject"].encode()
    bound = from_b64url(header)
    kid = bound[len(before) : -len(after)]
    if bound != before + kid + after or len(kid) != KID or len(nonce) != 16 or len(tag) != 22:
        raise ValueError("sealed is no JWE of this author, id and subject")
    whole = from_b64url(nonce + text)  # a nonce is four times four characters
    return SealedPart(kid.decode(), header, whole[:12], whole[12:] + from_b64url(tag))


@dataclass(slots=True)
class StreamChecks:
    """Where a person's stream stands, by the clear fields of its entries."""

    sequence: int = 0
    version: int = 0
    kid: str = ""
    opened: bool = False  # the person said once whom they let in, or who may speak for them
    accepted: set[str] = field(default_factory=set)

    def take(self, told: Json, kid: str) -> list[tuple[str, str, str]]:
        """Move past the person's next entry; (code, field, detail) of what is wrong."""
        if "sequence" not in told:
            return self._outside(told, kid)
        found = []
        sequence, version = told["sequence"], told["planversion"]
        accepted = told["verdict"] == entry.ACCEPTED
        moves = version - self.version
        if sequence != self.sequence + 1:
            found.append(("place", "sequence", f"{sequence}; {self.sequence + 1} was next"))
        if moves and not (moves == 1 and accepted and told["kind"] in OF_THE_PLAN):
            found.append(("place", "planversion", f"{version} after {self.version}"))
        if kid != self.kid and kid and self.kid:
            says = "under another key than what this person said before"
            found.append(("place", "sealed", says))
        self.sequence, self.version, self.kid = sequence, version, kid or self.kid
        if told["author"] != told["subject"]:
            found += self._stranger(told)
        elif accepted and told["kind"] == Kind.WHOSE:
            self.opened = True
        if accepted:
            if told["id"] in self.accepted:
                found.append(("twice", "id", f"{told['id']} was accepted before"))
            self.accepted.add(told["id"])
        return found

    def _outside(self, told: Json, kid: str) -> list[tuple[str, str, str]]:
        """What an entry says that has no place in the stream."""
        found = []
        if self.sequence and told["refusal"] not in NO_STANDING:
            says = f"none, though it was refused {told['refusal']}"
            found.append(("place", "sequence", says))
        if kid and kid == self.kid:
            says = "no words of it are kept, yet the person's key seals it"
            found.append(("place", "sealed", says))
        return found

    def _stranger(self, told: Json) -> Iterator[tuple[str, str, str]]:
        """What somebody else might not say. (A fault of ours says nothing of who was heard.)"""
        says = f"{told['kind']}, {told['verdict']} from {told['author']}"
        if "onbehalfof" in told:
            if not self.opened:
                yield "authorship", "onbehalfof", f"{says}, while nobody might speak for them"
        elif told["kind"] in OF_THE_PLAN and told.get("refusal") != Code.OUR_FAULT:
            yield "authorship", "kind", f"{says}: only {told['subject']} may say this"
