"""A second opinion on what a Firsthand ledger hands out, in one file that trusts none of it.

    python verify.py EXPORT  [--vkey VKEY]... [--checkpoint FILE]... [WITNESSES] [--json]
    python verify.py RECEIPT --vkey VKEY... [--event FILE] [WITNESSES] [--json]
    WITNESSES: --witness VKEY... [--quorum N]

Written from the published formats alone (Firsthand's formats page; RFC 6962, 8785, 9162; C2SP
tlog-tiles, tlog-checkpoint, tlog-cosignature, signed-note, tlog-proof). It shares no code with
Firsthand, asks no network, opens no seal, and needs Python 3.11 and `cryptography`. Exit 0: nothing
found; 1: findings; 2: not called as above; 3: the report cannot be written; 130: stopped by Ctrl-C.
It ends with what it did not check.

EXPORT is a folder or a .tar.gz. Every file is a function of the entries and the signatures:

    manifest.json              {"logs":[{"kept","log","origin","root","size"}],"opened","v":1}
    logs/<n>/checkpoint        the signed tree head that all of the log's files are of
    logs/<n>/log.vkey          the keys that sign and have signed, one a line
    logs/<n>/checkpoints/<size>               heads that were kept, each of an earlier size
    logs/<n>/tile/<L>/<N>[.p/<W>]             hashes: those of the checkpoint's size, no others
    logs/<n>/tile/entries/<N>[.p/<W>]         bundles of entries, likewise
    opened.jsonl               optional; one line an entry, in their order, counted as `opened`:
                               {"event","index","log","salt"}

`root` is the checkpoint's; `kept` counts the files in checkpoints/. manifest.json and each line of
opened.jsonl are RFC 8785 JSON.

RECEIPT is JSON with at least `entry` (the entry's exact bytes, as text) and `proof` (a
.tlog-proof), and for its author `salt` (base64url), by which EVENT is known as it was posted. Any
other member that an entry has must be the entry's (`warnings` are [{"code","because"}] here),
`index` the proof's, and `log` the number that ends the log's name. It is that JSON; or
what was scanned from its printed codes, in any order, one a line:
FIRSTHAND1:<k>/<n>:<part k of n of base32(zlib(that JSON)), unpadded>.

VKEY is a verifier key, several parted by white space, or a file that holds them; after a log's key
was changed give the old ones too, since they signed what was kept before. Of the witnesses given, N
(all, unless it is said) must have cosigned each log's head, or the receipt's.

Findings: `file` missing, cut off, or none of the above · `manifest` · `vkey` · `checkpoint` not
signed, signed twice by one key, not cosigned, or not of these entries · `tile` is not of these
entries · `entry` not of the format, or by rules newer than this file · `order` not the next in its
stream or log · `clock` received or recorded later than now · `twice` · `authorship` accepted or
weighed, though not theirs to say · `opened` is not what the entry holds · `receipt` proves nothing.

Whom a person named to speak for them is sealed. Where opened.jsonl opens all in which they might
have, a representative that they had not named is a finding, too; else it is counted as not checked.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sqlite3
import sys
import tarfile
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RULES = 2  # the newest that are known
AHEAD = timedelta(minutes=5)  # that a ledger's clock may be ahead of this machine's
ED25519, COSIGNATURE = 0x01, 0x04  # types of keys
OTHER_ARCHIVES = (".tar", ".zip", ".bz2", ".xz", ".zst", ".7z")
PERHAPS_NAMED = "for the person, by somebody perhaps never named"
SPOKE = "somebody spoke for the person: whether the person had named them"
UNWITNESSED = "cosignatures of witnesses: give --witness"
LONGEST_ENTRY, LARGEST_FILE, SHOWN = 65_535, 256 * 65_537, 200
NO_STANDING = ("not-yours-to-say", "no-grant", "no-such-plan", "plan-erased")
REFUSALS = set(re.findall(r"[a-z-]+", """
    not-yours-to-say no-grant no-such-plan plan-erased id-reused signature-missing signature-invalid
    version-conflict plan-exists no-basis unknown-target unknown-addressee lapsed already-answered
    invalid-change not-its-author not-in-your-name not-to-be-handed-on own-promise wrong-addressee
    wrong-state exists unchanged bad-range out-of-range version-mismatch missing-observable
    basis-missing wording-missing too-many plan-full our-fault"""))  # fmt: skip
KINDS = {name: kind for kind, names in {
    "plan": """plan.started plan.closed plan.reopened about-me.written aspiration.stated
        aspiration.reworded aspiration.paused aspiration.resumed aspiration.reached
        aspiration.let-go aspirations.ranked strength.named strength.reworded need.named
        need.reworded item.withdrawn action.planned action.reworded action.done action.dropped
        measure.defined measure.revised measure.rated safety-plan.written advance-choice.made
        advance-choice.revised advance-choice.revoked wording.preferred""",
    "answer": "proposal.accepted proposal.declined proposal.parked",
    "beside": """proposal.made observation.recorded interpretation.offered disagreement.stated
        correction.requested correction.made correction.declined entry.retracted
        authorship.denied""",
    "equal": """question.asked question.answered question.closed question.set-aside
        commitment.made commitment.kept commitment.not-kept advance-choice.departed-from""",
    "whose": """access.granted access.withdrawn representative.named representative.ended
        service.barred service.unbarred key.registered key.revoked signatures.required
        signatures.released legal-basis.recorded erasure.requested""",
    "ledger": "access.used access.refused erasure.completed",
}.items() for name in names.split()}  # fmt: skip
ANYBODYS = ("key.registered", "key.revoked", "legal-basis.recorded")  # of kind whose

Json = dict[str, Any]
Heads = list[tuple[str, "Checkpoint"]]  # with their path


class Wrong(Exception):
    """Something that is not as it is written that it must be."""


class Finding(NamedTuple):
    """One thing that is wrong, and where."""

    code: str
    where: str
    says: str


@dataclass
class Report:
    """What was found and what was counted; only the first findings are kept, all are counted."""

    findings: list[Finding] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    facts: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def add(self, code: str, where: str, says: object) -> None:
        """Write down a finding; what a file holds cannot move the terminal's cursor."""
        self.found[code] += 1
        if len(self.findings) < SHOWN:
            self.findings.append(Finding(code, plain(where), plain(says)))


def plain(text: object) -> str:
    """What cannot move the terminal's cursor, and is not too long."""
    return re.sub(r"[^ -~\u2014]", "?", str(text)[:500])


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts, one after another."""
    return hashlib.sha256(b"".join(parts)).digest()


def to_base64(raw: bytes, *, url: bool = False) -> str:
    """Standard base64, or unpadded base64url."""
    text = base64.b64encode(raw, b"-_" if url else None).decode()
    return text.rstrip("=") if url else text


def unbase64(text: str, *, url: bool = False) -> bytes:
    """The bytes of standard base64, or of unpadded base64url: one text for the same bytes."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4 if url else 0), b"-_" if url else None)
    except ValueError:
        raise Wrong("is not base64") from None
    if to_base64(raw, url=url) != text:
        raise Wrong("is not base64 as it is written once")
    return raw


def _no_fraction(text: str) -> None:
    raise ValueError(text)


DECODER = json.JSONDecoder(parse_float=_no_fraction, parse_constant=_no_fraction)
ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def canonical(value: object) -> bytes:
    """RFC 8785, of values without fractions and with ASCII member names."""
    return ENCODER.encode(value).encode()


def read_json(raw: bytes, *, exact: bool = True) -> Json:
    """A JSON object without fractions; with `exact` it must be canonical to the byte."""
    try:
        told = DECODER.decode(raw.decode())
        if isinstance(told, dict) and (canonical(told) == raw or not exact):  # and half a surrogate
            return told
    except (ValueError, RecursionError):
        pass
    raise Wrong(f"is not {'canonical' if exact else 'readable'} JSON (RFC 8785)")


# --- Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint) ---------------------------


class Key(NamedTuple):
    """A log's public key."""

    name: str
    id: bytes
    public: Ed25519PublicKey


class Checkpoint(NamedTuple):
    """A tree head, and the signatures under it."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: list[tuple[str, bytes]]


def read_vkey(text: str, kind: int = ED25519) -> Key:
    """`<name>+<hex8 of key id>+<base64(kind || public key)>`; kind is 0x01, a witness's 0x04."""
    name, _, rest = text.strip().partition("+")
    told, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    key_id = sha256(name.encode(), b"\n", raw)[:4]
    if not name or len(raw) != 33 or raw[0] != kind or key_id.hex() != told:
        raise Wrong("is not the verifier key of an Ed25519 log, or of a witness")
    return Key(name, key_id, Ed25519PublicKey.from_public_bytes(raw[1:]))


def read_vkeys(told: list[str], kind: int = ED25519) -> list[Key]:
    """The keys of arguments that are keys, parted by white space, or files that hold them so."""
    keys = list[Key]()
    for each in told:
        try:
            words = Path(each).read_text().split()
        except (OSError, ValueError):
            words = each.split()
        for word in words or [each]:
            try:
                keys.append(read_vkey(word, kind))
            except Wrong:
                raise Wrong(f"{word[:200]!r} is no verifier key, and no file of some") from None
    return keys


def read_checkpoint(raw: bytes) -> Checkpoint:
    """The three lines and the signatures of a checkpoint; nothing is verified yet."""
    form = (
        rb"(([^\n]+)\n(0|[1-9]\d{0,17})\n([A-Za-z0-9+/]{43}=)\n)\n((?:\xe2\x80\x94 \S+ [^ \n]+\n)+)"
    )
    if not (met := re.fullmatch(form, raw)):
        raise Wrong("is not a signed checkpoint")
    try:
        lines = [line.split(" ") for line in met[5].decode().splitlines()]
        signatures = [(name, unbase64(signature)) for _, name, signature in lines]
        root = unbase64(met[4].decode())
        return Checkpoint(met[2].decode(), int(met[3]), root, met[1], signatures)
    except ValueError:
        raise Wrong("is not a signed checkpoint") from None


def _signers(
    head: Checkpoint, keys: list[Key], message: Callable[[bytes], tuple[bytes, bytes]]
) -> int:
    """How many of the keys signed a head; Wrong if a signature of one is false, or there twice.

    `message` gives what a signature signs, and the bare signature.
    """
    known, good = {key[:2]: key.public for key in keys}, set[tuple[str, bytes]]()
    for name, signature in head.signatures:
        place = name, signature[:4]
        if place not in known:
            continue
        if place in good:
            raise Wrong(f"{name} signed twice with one key")
        signed, bare = message(signature[4:])
        try:
            known[place].verify(bare, signed)
        except InvalidSignature:
            raise Wrong(f"the signature of {name} is false") from None
        good.add(place)
    return len(good)


def verify_note(head: Checkpoint, keys: list[Key]) -> None:
    """At least one signature is of a key given, and none that claims to be is false."""
    ours = [key for key in keys if key.name == head.origin]
    if not _signers(head, ours, lambda signature: (head.text, signature)):
        ids = {told[:4].hex() for name, told in head.signatures if name == head.origin}
        by = ", ".join(sorted(ids)) or "others"
        raise Wrong(f"{head.origin} is signed by none of the keys, but by {by}: an older key?")


class Quorum(NamedTuple):
    """Witnesses' keys, and how many of them must have cosigned."""

    witnesses: list[Key]
    needed: int

    def check(self, head: Checkpoint) -> None:
        """Count the cosignatures under a head (C2SP tlog-cosignature); Wrong if too few are good,
        or one is false.
        """

        def message(signature: bytes) -> tuple[bytes, bytes]:
            time = int.from_bytes(signature[:8], "big")
            return b"cosignature/v1\ntime %d\n%b" % (time, head.text), signature[8:]

        good = _signers(head, self.witnesses, message)
        if good < self.needed:
            says = f"{head.origin}, size {head.size}: {good} good cosignatures"
            raise Wrong(f"{says}; {self.needed} are wanted of the {len(self.witnesses)} witnesses")


# --- The tree (RFC 6962, section 2.1; C2SP tlog-tiles) ------------------------------------------


class Tree:
    """Hashes leaves one by one; keeps a hash a height and one unfinished tile a level."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[bytes] = []
        self.tiles: list[bytearray] = []

    def append(self, entry: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf; yields the tiles it completes: level, number, bytes."""
        each, height = sha256(b"\0", entry), 0
        while True:
            if height % 8 == 0:
                yield from self._to_tile(height // 8, each)
            if not self.size >> height & 1:
                break
            each, height = sha256(b"\1", self.stack.pop(), each), height + 1
        self.stack.append(each)
        self.size += 1

    def _to_tile(self, level: int, each: bytes) -> Iterator[tuple[int, int, bytes]]:
        if level == len(self.tiles):
            self.tiles.append(bytearray())
        self.tiles[level] += each
        if len(self.tiles[level]) == 256 * 32:
            yield level, self.size >> 8 * (level + 1), bytes(self.tiles[level])
            self.tiles[level].clear()

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        """The tiles that are not full: level, number, bytes."""
        for level, tile in enumerate(self.tiles):
            if tile:
                yield level, self.size >> 8 * (level + 1), bytes(tile)

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self.stack:
            return sha256()
        *rest, root = self.stack
        for left in reversed(rest):
            root = sha256(b"\1", left, root)
        return root


def tile_path(number: int, width: int) -> str:
    """1234067 of 256 → x001/x234/067; of fewer, with .p/<width>."""
    digits = f"{number:0{-(-len(str(number)) // 3) * 3}d}"
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{each}" for each in groups[:-1]), groups[-1]])
    return path if width == 256 else f"{path}.p/{width}"


def root_of_proof(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root to which a proof leads from a leaf hash (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise Wrong(f"index {index} lies beyond the checkpoint's size {size}")
    if any(len(each) != 32 for each in (leaf, *proof)):
        raise Wrong("the proof has a line that is no hash")
    node, last, each = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Wrong("the proof is too long")
        if node & 1 or node == last:
            each = sha256(b"\1", sibling, each)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            each = sha256(b"\1", each, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise Wrong("the proof is too short")
    return each


# --- Entries ------------------------------------------------------------------------------------


def _text(pattern: str) -> Callable[[Any], bool]:
    form = re.compile(pattern)
    return lambda told: isinstance(told, str) and bool(form.fullmatch(told))


def _whole(told: object) -> bool:
    return type(told) is int and 0 <= told < 2**53


def _time(told: Any) -> bool:
    try:
        moment = datetime.fromisoformat(told).replace(tzinfo=None)
        return bool(f"{moment.isoformat(timespec='milliseconds')}Z" == told)
    except (TypeError, ValueError):
        return False


ID = r"(?:person|partner|team|service|auditor|operator):[A-Za-z0-9._-]{1,64}"
MEMBERS: dict[str, Callable[[Any], bool]] = {
    "v": lambda told: _whole(told) and told == 1,
    "rules": lambda told: _whole(told) and told > 0,
    "id": _text(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "kind": _text("|".join(set(KINDS.values()))),
    "subject": _text(r"person:[A-Za-z0-9._-]{1,64}"),
    "author": _text(ID),
    "onbehalfof": _text(ID),
    "via": _text(ID),
    "issuer": _text(r"[!-~]+( [!-~]+)*"),
    "received": _time,
    "recorded": _time,
    "sequence": _whole,
    "planversion": _whole,
    "verdict": _text("accepted|refused"),
    "refusal": lambda told: isinstance(told, str) and told in REFUSALS,
    "warnings": lambda told: (
        isinstance(told, list) and told != [] and all(map(_text("[a-z-]+"), told))
    ),
    "digest": lambda told: isinstance(told, str) and len(unbase64(told, url=True)) == 32,
    "sealed": lambda told: isinstance(told, str),
}
OPTIONAL = {"onbehalfof", "sequence", "planversion", "refusal", "warnings"}
COMPARED = {*MEMBERS, "index", "log", "entry", "proof", "salt", "also"}  # of a receipt


def read_entry(raw: bytes) -> Json:
    """The members of an entry, `kid` (which key sealed it) besides; raises Wrong."""
    if len(raw) > LONGEST_ENTRY:
        raise Wrong(f"is longer than {LONGEST_ENTRY} bytes")
    told = read_json(raw)
    if odd := (told.keys() - MEMBERS.keys()) | (MEMBERS.keys() - OPTIONAL - told.keys()):
        raise Wrong(f"{min(odd)}: missing, or no member of an entry")
    for name, fits in MEMBERS.items():
        if name in told and not fits(told[name]):
            raise Wrong(f"{name} is not of the format")
    placed, accepted = "sequence" in told, told["verdict"] == "accepted"
    if accepted == ("refusal" in told) or placed != ("planversion" in told):
        raise Wrong("refusal, sequence or planversion stands where it may not, or is missing")
    if accepted > placed or (placed and told.get("refusal") in NO_STANDING):
        raise Wrong("sequence is there, or missing, against the verdict")
    if told.get("onbehalfof", told["subject"]) != told["subject"]:
        raise Wrong("onbehalfof is not the subject")
    return told | {"kid": _kid(told)}


def _kid(told: Json) -> str:
    parts = told["sealed"].split(".")
    header, *rest = (unbase64(part, url=True) for part in parts)
    bound = read_json(header)
    kid = bound.pop("kid", None)
    wanted = {"alg": "dir", "enc": "A256GCM"} | {n: told[n] for n in ("author", "id", "subject")}
    if bound != wanted or [len(each) for each in (*rest[:2], *rest[3:])] != [0, 12, 16]:
        raise Wrong("sealed is no JWE of this author, id and subject")
    if not isinstance(kid, str) or len(unbase64(kid, url=True)) != 32:
        raise Wrong("sealed names no key")
    return kid


def _latest() -> str:
    """The latest time that an entry may bear."""
    moment = (datetime.now(UTC) + AHEAD).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


@dataclass(slots=True)
class Stream:
    """Where a person's stream stands."""

    sequence: int = 0
    version: int = 0
    kid: str = ""
    opened: bool = False  # the person said once whom they let in, or who may speak for them
    sealed: int = 0  # accepted `whose` of the person, not opened here: they may name anybody
    named: frozenset[str] = frozenset()  # representatives, by what is opened


class Streams:
    """Every person's stream in one log, checked entry by entry from the clear fields."""

    def __init__(self, log: int, logs: int, report: Report) -> None:
        self.log, self.logs, self.report = log, logs, report
        self.people: dict[str, Stream] = {}
        self.recorded, self.latest = "", _latest()
        self.names = sqlite3.connect("", isolation_level=None)  # on disk, and gone when closed
        self.names.execute("BEGIN")
        self.names.execute("CREATE TABLE names (name INTEGER PRIMARY KEY)")
        self.seed = os.urandom(16)  # or names could be chosen that are taken for one another

    def check(self, told: Json, where: str) -> None:
        """Check one entry against what came before it."""
        where = f"{where} ({told['subject']}, version {told.get('planversion', '–')})"
        stream = self.people.setdefault(told["subject"], Stream())
        for name, before in (("received", ""), ("recorded", self.recorded)):
            if told[name] > max(before, self.latest):
                self.report.add("clock", where, f"{name} at {told[name]}: later than now")
        for says in self._order(told, stream):
            self.report.add("order", where, says)
        if not self._is_new(told["author"], told["id"], told["digest"]):
            self.report.add("twice", where, f"event {told['id']} is recorded twice")
        if told["verdict"] == "accepted" and not self._is_new(told["subject"], told["id"]):
            self.report.add("twice", where, f"id {told['id']} is accepted twice")
        if "sequence" in told and (says := self._authorship(told, stream)):
            self.report.add("authorship", where, says)
        if told["rules"] > RULES:
            says = f"was ruled by rules {told['rules']}; this file knows none after {RULES}"
            self.report.add("entry", where, says)

    def _order(self, told: Json, stream: Stream) -> Iterator[str]:
        person = int.from_bytes(sha256(told["subject"].encode())[:8], "big")
        if person % self.logs != self.log:
            yield f"{told['subject']} belongs in log {person % self.logs}"
        if told["recorded"] < self.recorded:
            yield f"recorded before the entry before it, at {told['recorded']}"
        self.recorded = max(self.recorded, told["recorded"])
        if "sequence" not in told:
            if stream.sequence and told["refusal"] not in NO_STANDING:
                yield f"refused {told['refusal']}, without its place in the person's stream"
            if told["kid"] == stream.kid:
                yield "no words of it are kept, and yet the person's own key seals it"
            return
        if told["sequence"] != stream.sequence + 1:
            yield f"sequence {told['sequence']} after {stream.sequence}"
        moves = told["verdict"] == "accepted" and told["kind"] in ("plan", "answer")
        if told["planversion"] - stream.version not in ((0, 1) if moves else (0,)):
            yield f"planversion {told['planversion']} after {stream.version}"
        if told["kid"] != stream.kid and stream.kid:
            yield "sealed under another key than what this person said before"
        stream.sequence, stream.version = told["sequence"], told["planversion"]
        stream.kid = told["kid"]

    def _authorship(self, told: Json, stream: Stream) -> str:
        """What its author might not say. (A failure of ours says nothing of who was heard.)"""
        author, subject, verdict = told["author"], told["subject"], told["verdict"]
        group = "of the plan" if told["kind"] in ("plan", "answer") else told["kind"]
        by, says = "the person" if author == subject else "a representative", ""
        if author != subject and "onbehalfof" not in told:
            by = "somebody else"
            if group == "of the plan" and told.get("refusal") != "our-fault":
                says = f"kind {told['kind']}, {verdict} from {author}: only {subject} may say this"
        elif author != subject and told.get("refusal") != "our-fault":
            if not stream.opened or not (stream.sealed or author in stream.named):
                says = f"{verdict} from {author} for {subject}, who had not let them speak for them"
            elif author not in stream.named:
                self.report.seen[PERHAPS_NAMED] += 1
        if verdict == "accepted":
            if told["kind"] == "whose" and author == subject:
                stream.opened, stream.sealed = True, stream.sealed + 1
            self.report.seen[f"{group}, by {by}"] += 1
        return says

    def open(self, told: Json, event: Json) -> None:
        """Take in what is opened of the last entry checked, once it is known to be what it says."""
        if (told["verdict"], told["kind"], told["author"]) != (
            "accepted",
            "whose",
            told["subject"],
        ):
            return
        stream, data = self.people[told["subject"]], event.get("data")
        stream.sealed -= 1
        whom = {str(data.get("representative"))} if isinstance(data, dict) else set[str]()
        if event["type"] == "representative.named":
            stream.named |= whom
        elif event["type"] == "representative.ended":
            stream.named -= whom

    def _is_new(self, *name: str) -> bool:
        hashed = hashlib.blake2b("\0".join(name).encode(), key=self.seed, digest_size=8)
        number = int.from_bytes(hashed.digest(), "big") >> 1
        return bool(self.names.execute("INSERT OR IGNORE INTO names VALUES (?)", [number]).rowcount)


def check_event(told: Json, salt: object, event: object) -> Iterator[str]:
    """Check an opened event against its entry; yields what its author might not say."""
    if not isinstance(salt, str) or len(unbase64(salt, url=True)) != 32:
        raise Wrong("the salt is not one of 32 bytes")
    if not isinstance(event, dict):
        raise Wrong("the event is no object")
    digest = sha256(unbase64(salt, url=True), canonical(event))
    if digest != unbase64(told["digest"], url=True):
        raise Wrong("salt and event do not give the digest of the entry")
    kind = KINDS.get(str(event.get("type")), told["kind"])
    if not isinstance(event.get("type"), str):
        raise Wrong("the event has no type")
    if [event.get("id"), event.get("subject"), kind] != [
        told[n] for n in ("id", "subject", "kind")
    ]:
        raise Wrong("id, subject or kind differ from the event's")
    stranger = told["author"] != told["subject"] and "onbehalfof" not in told
    closed = kind == "whose" and event["type"] not in ANYBODYS
    if told["verdict"] == "accepted" and closed and stranger:
        yield f"{event['type']}, accepted from {told['author']}: only {told['subject']} may"


# --- An export ----------------------------------------------------------------------------------


class Export:
    """An export's folder; what was read of it, and the next line of what is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, {"manifest.json"}
        self.lines, self.opened = self._opened(), 0
        self.next = next(self.lines, None)

    def read(self, path: str) -> bytes:
        """A file's bytes; raises Wrong."""
        self.used.add(path)
        try:
            if not (self.folder / path).is_file():  # a pipe would be waited for
                raise Wrong("is not there, or no plain file")
            with (self.folder / path).open("rb") as file:
                raw = file.read(LARGEST_FILE + 1)
        except OSError as fault:
            raise Wrong(f"cannot be read: {fault.strerror}") from None
        if len(raw) > LARGEST_FILE:
            raise Wrong("is larger than any such file can be")
        return raw

    def names(self, folder: str) -> list[str]:
        """The names in a folder; none where there is no such folder."""
        there = self.folder / folder
        return sorted(each.name for each in there.iterdir()) if there.is_dir() else []

    def _opened(self) -> Iterator[Json]:
        if (path := self.folder / "opened.jsonl").is_file():
            with path.open("rb") as file:
                while line := file.readline(2 * LONGEST_ENTRY):
                    try:
                        yield read_json(line.removesuffix(b"\n")) if line.endswith(b"\n") else {}
                    except Wrong:
                        yield {}

    def event_of(self, log: int, index: int) -> Json | None:
        """The line of opened.jsonl for an entry, if it is next."""
        line = self.next
        if line is None or line != line | {"log": log, "index": index} or len(line) != 4:
            return None
        self.opened, self.next = self.opened + 1, next(self.lines, None)
        return line

    def strays(self) -> Iterator[str]:
        """Files among the logs that nothing read, because they are no part of an export."""
        for path in sorted((self.folder / "logs").rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if not path.is_dir() and name not in self.used:
                yield name


class Log:
    """One log of an export, checked from its first entry to its checkpoint."""

    def __init__(
        self, export: Export, number: int, logs: int, report: Report, quorum: Quorum | None
    ) -> None:
        self.export, self.number, self.report = export, number, report
        self.where, self.streams = f"logs/{number}", Streams(number, logs, report)
        self.quorum = quorum
        self.heads: dict[int, list[tuple[str, Checkpoint]]] = {}
        self.keys: list[Key] = []
        self.head: Checkpoint | None = None
        self.kept = 0

    def check(self, given: list[Key], outside: Heads) -> None:
        """All of it. `given` keys count, not the export's own; so do heads kept `outside`."""
        self.head = self._read_head(path := f"{self.where}/checkpoint")
        self.keys = self._keys(given)
        if self.head is None:
            return
        self._expect(path, self.head)
        kept = self.export.names(f"{self.where}/checkpoints")
        self.kept = len(kept)
        if self.quorum:
            self._cosigned(self.head, self.quorum)
        for name in kept:
            head = self._read_head(path := f"{self.where}/checkpoints/{name}")
            if head:
                self._expect(path, head)
            if head and (str(head.size), head.origin) != (name, self.head.origin):
                self.report.add("checkpoint", path, f"is of {head.origin}, size {head.size}")
        for path, head in outside:
            if head.origin == self.head.origin:
                self._expect(path, head)
        tree = Tree()
        try:
            self._entries(tree, self.head.size)
            self._tiles(tree.partial())
        except Wrong as fault:
            self.report.add("file", f"{self.where} entry {tree.size}", f"{fault}; read no further")
        for path, head in (each for heads in self.heads.values() for each in heads):
            says = f"is of {head.size} entries; this log could be read up to {tree.size}"
            self.report.add("checkpoint", path, says)

    def _keys(self, given: list[Key]) -> list[Key]:
        path, own = f"{self.where}/log.vkey", list[Key]()
        name = self.head.origin if self.head else ""
        mine = [key for key in given if name in ("", key.name)]
        if given and not mine:
            self.report.add("vkey", path, f"none of the keys given is of {name}")
        try:
            text = self.export.read(path).decode(errors="replace")
            own = [read_vkey(line) for line in text.splitlines()]
        except Wrong as fault:
            self.report.add("vkey", path, fault)
            return mine
        if not own or text != "".join(f"{line}\n" for line in text.splitlines()):
            self.report.add("vkey", path, "is not a list of keys, one a line")
        if odd := {key.name for key in own if name not in ("", key.name)}:
            self.report.add("vkey", path, f"holds a key of {min(odd)}, and the log is {name}")
        if mine and not {key[:2] for key in mine} & {key[:2] for key in own}:
            self.report.add("vkey", path, "holds none of the keys given")
        return mine if given else own

    def _read_head(self, path: str) -> Checkpoint | None:
        try:
            head = read_checkpoint(self.export.read(path))
        except Wrong as fault:
            self.report.add("checkpoint", path, fault)
            return None
        return head

    def _expect(self, path: str, head: Checkpoint) -> None:
        """Verify a head's signature now, and its root when the tree has come to its size."""
        self.heads.setdefault(head.size, []).append((path, head))
        try:
            verify_note(head, self.keys)
        except Wrong as fault:
            self.report.add("checkpoint", path, fault)

    def _cosigned(self, head: Checkpoint, quorum: Quorum) -> None:
        try:
            quorum.check(head)
        except Wrong as fault:
            self.report.add("checkpoint", f"{self.where}/checkpoint", fault)

    def _compare(self, tree: Tree) -> None:
        for path, head in self.heads.pop(tree.size, ()):
            if tree.root() != head.root:
                says = f"signs another root than that of the first {tree.size} entries"
                self.report.add("checkpoint", path, says)

    def _entries(self, tree: Tree, size: int) -> None:
        """Every bundle, entry by entry, into the tree and the people's streams."""
        self._compare(tree)
        while tree.size < size:
            number, width = tree.size // 256, min(256, size - tree.size)
            path = f"{self.where}/tile/entries/{tile_path(number, width)}"
            raw, at = self.export.read(path), 0
            for _ in range(width):
                end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
                if not at + 2 < end <= len(raw):
                    raise Wrong(f"{path} is cut off, or no bundle of {width} entries")
                self._entry(tree.size, leaf := raw[at + 2 : end])
                self._tiles(tree.append(leaf))
                self._compare(tree)
                at = end
            if at != len(raw):
                self.report.add("file", path, f"goes on after {width} entries")

    def _entry(self, index: int, raw: bytes) -> None:
        where, code = f"{self.where} entry {index}", "entry"
        self.report.seen["entries"] += 1
        try:
            told = read_entry(raw)
            self.streams.check(told, where)
            code = "opened"
            line = self.export.event_of(self.number, index)
            if not line:
                return
            for says in check_event(told, line.get("salt"), line.get("event")):
                self.report.add("authorship", where, says)
            self.streams.open(told, line["event"])
        except Wrong as fault:
            self.report.add(code, where, fault)

    def _tiles(self, tiles: Iterable[tuple[int, int, bytes]]) -> None:
        for level, number, hashes in tiles:
            path = f"{self.where}/tile/{level}/{tile_path(number, len(hashes) // 32)}"
            try:
                if self.export.read(path) != hashes:
                    self.report.add("tile", path, "holds other hashes than the entries have")
            except Wrong as fault:
                self.report.add("file", path, fault)


def check_export(
    folder: Path,
    keys: list[Key],
    outside: list[Path],
    report: Report,
    quorum: Quorum | None = None,
) -> None:
    """Everything in an export's folder, and what was kept `outside` it."""
    export, heads = Export(folder), Heads()
    names = export.names("logs")
    logs = [Log(export, number, len(names), report, quorum) for number in range(len(names))]
    for path in outside:
        try:
            heads.append((str(path), read_outside(path)))
        except (OSError, Wrong) as fault:
            report.add("checkpoint", str(path), fault)
    for log in logs:
        log.check(keys, heads)
    held = {log.head.origin for log in logs if log.head}
    for name in sorted(({each.origin for _, each in heads} | {each.name for each in keys}) - held):
        report.add("checkpoint", name, "no log of this name is in the export")
    _check_manifest(export, logs, report)
    if export.next is not None:
        report.add("opened", f"opened.jsonl line {export.opened + 1}", "is no next entry's")
    for name in export.strays():
        report.add("file", name, "is no part of an export of this size")
    _leave_out(report, export.opened, bool(keys), bool(outside))
    if not quorum:
        report.unchecked.append(UNWITNESSED)


def _check_manifest(export: Export, logs: list[Log], report: Report) -> None:
    listed = [
        {
            "kept": log.kept,
            "log": log.number,
            "origin": log.head.origin,
            "root": to_base64(log.head.root),
            "size": log.head.size,
        }
        for log in logs
        if log.head
    ]
    told = canonical({"logs": listed, "opened": export.opened, "v": 1})
    try:
        if export.read("manifest.json") != told or not logs:
            report.add("manifest", "manifest.json", f"does not say what is here: {told.decode()}")
    except Wrong as fault:
        report.add("file", "manifest.json", fault)


def _leave_out(report: Report, opened: int, keys: bool, outside: bool) -> None:
    sealed, others = report.seen["entries"] - opened, report.seen["whose, by somebody else"]
    perhaps = report.seen[PERHAPS_NAMED]
    told = [
        (sealed, f"the words of {sealed} entries, which stay sealed, and with them their digests"),
        (True, "whether the rules give these verdicts: that takes the words (firsthand audit)"),
        (True, "who is behind an author's name: its issuer vouches for that"),
        (True, "whether the ledger has other logs than these"),
        (perhaps, f"{perhaps} entries in which {SPOKE}"),
        (others, f"{others} entries of kind whose by somebody else: it may be their own key"),
        (not keys, "whose signature it is: the export's own key was taken; give --vkey"),
        (
            not outside,
            "whether others were shown the same history: give --checkpoint, or a receipt",
        ),
    ]
    report.unchecked += [says for holds, says in told if holds]


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Write one member below the folder, by its vetted name; what is wrong with it, if anything."""
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        return "leads out of the export"
    place = folder.joinpath(*parts)
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return ""
    if not member.isreg() or member.issparse() or place.is_file():
        return "is no plain file, or is there twice"
    place.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    with place.open("xb") as file:
        while source and (block := source.read(LARGEST_FILE)):
            file.write(block)
    return ""


def unpacked(archive: Path, folder: Path, report: Report) -> Path:
    """An archive's files in a folder; what cannot be unpacked is a finding."""
    try:
        with gzip.open(archive) as whole, tarfile.open(fileobj=whole, mode="r|") as tar:
            room = 4 * LARGEST_FILE + 100 * archive.stat().st_size
            for member in tar:
                room -= member.size
                if room < 0 or member.size < 0:
                    report.add("file", archive.name, "unpacks to far more than an export does")
                    break
                if says := _member(tar, member, folder):
                    report.add("file", member.name, says)
            while room >= 0 and whole.read(LARGEST_FILE):  # to its checksum
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as fault:
        report.add("file", archive.name, f"is cut off, or no archive: {fault}")
    inside = [each for each in folder.iterdir() if each.is_dir()]
    return folder if (folder / "logs").exists() or len(inside) != 1 else inside[0]


# --- A receipt (C2SP tlog-proof) ----------------------------------------------------------------


def read_receipt(raw: bytes) -> tuple[Json, set[str]]:
    """A receipt's members, from JSON or its scanned codes; and the names of those around it."""
    if raw.startswith(b"FIRSTHAND1:"):
        codes = {}
        for line in raw.decode(errors="replace").split():
            if not (met := re.fullmatch(r"FIRSTHAND1:(\d+)/(\d+):([A-Z2-7]+)", line)):
                raise Wrong("is no code of a receipt")
            codes[int(met[1]), int(met[2])] = met[3]
        if sorted(codes) != [(n + 1, len(codes)) for n in range(len(codes))]:
            raise Wrong(f"the codes are not all there, or of different receipts: {sorted(codes)}")
        text = "".join(codes[place] for place in sorted(codes))
        try:
            packed = base64.b32decode(text + "=" * (-len(text) % 8))
            raw = zlib.decompressobj().decompress(packed, 4 * LONGEST_ENTRY)
        except (ValueError, zlib.error):
            raise Wrong("the codes do not give a receipt") from None
    told, around = read_json(raw, exact=False), set[str]()
    if isinstance(told.get("receipt"), dict):  # of a refusal
        told, around = told["receipt"], told.keys() - {"receipt"}
    also = told.get("also", [])
    for each in [told, *also] if isinstance(also, list) else [{}]:
        if not isinstance(each, dict) or {type(each.get(n)) for n in ("entry", "proof")} != {str}:
            raise Wrong("has no entry and proof")
    return told, around


def read_proof(text: str) -> tuple[int, list[bytes], Checkpoint]:
    """A .tlog-proof: index, hashes, checkpoint."""
    head, _, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if lines and lines[0].startswith("extra "):
        del lines[0]
    if first != "c2sp.org/tlog-proof@v1" or not lines:
        raise Wrong("proof is no .tlog-proof")
    if not (met := re.fullmatch(r"index (0|[1-9][0-9]{0,17})", lines[0])):
        raise Wrong("proof has no index")
    proof = [unbase64(line) for line in lines[1:]]
    return int(met[1]), proof, read_checkpoint(note.encode(errors="replace"))


def read_outside(path: Path) -> Checkpoint:
    """A checkpoint that somebody kept: bare, or in a proof or receipt."""
    raw = path.read_bytes()
    if raw.startswith((b"{", b"FIRSTHAND1:")):
        raw = read_receipt(raw)[0]["proof"].encode(errors="replace")
    if raw.startswith(b"c2sp.org/tlog-proof@v1\n"):
        return read_proof(raw.decode(errors="replace"))[2]
    return read_checkpoint(raw)


def check_receipt(
    path: Path,
    keys: list[Key],
    event: Path | None,
    report: Report,
    quorum: Quorum | None = None,
) -> None:
    """A receipt, those of others with the same id, and with `event` what its author kept."""
    try:
        receipt, around = read_receipt(path.read_bytes())
        whole = [receipt, *receipt.get("also", ())]
        report.facts += [_prove(each, keys, report, quorum) for each in whole]
        nested = {"also/also" for each in whole[1:] if "also" in each}
        if left := sorted(around.union(nested, *map(_besides, whole))):
            says = f"what the file says besides, which no entry holds: {', '.join(left)}"
            report.unchecked.append(plain(says))
        if event:
            held = read_json(event.read_bytes(), exact=False)
            held.pop("datacontenttype", None)  # the canonical event leaves it out
            for says in _check_one_of(whole, held):
                report.add("authorship", path.name, says)
    except (OSError, Wrong) as fault:
        report.add("receipt", path.name, fault)
    if not event:
        report.unchecked.append("that it is of your event: give --event, as you posted it")
    report.unchecked.append("that others are shown the same log: check an export with this receipt")
    if not quorum:
        report.unchecked.append(UNWITNESSED)


def _check_one_of(receipts: list[Json], event: Json) -> list[str]:
    fault = Wrong()
    for each in receipts:
        try:
            return list(check_event(read_entry(_leaf(each)), each.get("salt"), event))
        except Wrong as why:
            fault = why
    raise fault


def _leaf(receipt: Json) -> bytes:
    return str(receipt["entry"]).encode(errors="replace")


def _besides(receipt: Json) -> Iterator[str]:
    """The members of a receipt that cannot be compared with its entry."""
    yield from receipt.keys() - COMPARED
    if isinstance(receipt.get("warnings"), list):
        yield "warnings/because"


def _holds(held: Json, receipt: Json, name: str) -> bool:
    """Whether a member of a receipt is what its entry and proof hold."""
    if name in ("entry", "proof", "salt", "also"):  # compared otherwise
        return True
    said = receipt[name]
    if name == "log":
        return type(said) is int and str(said) == held["log"]
    if name == "warnings" and isinstance(said, list):
        codes = [each.get("code") for each in said if isinstance(each, dict)]
        return codes == held.get("warnings") and len(codes) == len(said)
    return name in held and canonical(said) == canonical(held[name])


def _prove(receipt: Json, keys: list[Key], report: Report, quorum: Quorum | None) -> str:
    told = read_entry(leaf := _leaf(receipt))
    index, proof, head = read_proof(receipt["proof"])
    verify_note(head, keys)
    if root_of_proof(sha256(b"\0", leaf), index, head.size, proof) != head.root:
        raise Wrong("the proof does not lead from the entry to the checkpoint's root")
    if quorum:
        quorum.check(head)
    for name in ("received", "recorded"):
        if told[name] > _latest():
            report.add("clock", f"entry {index}", f"{name} at {told[name]}: later than now")
    if told["rules"] > RULES:
        says = f"rules {told['rules']}, by which it was ruled: this file knows none after {RULES}"
        report.unchecked.append(says)
    held = told | {"index": index, "log": head.origin.rpartition("/")[2]}
    if odd := [
        name for name in sorted(receipt.keys() & COMPARED) if not _holds(held, receipt, name)
    ]:
        raise Wrong(f"{', '.join(odd)}: not what the entry says")
    stranger = told["author"] != told["subject"] and "onbehalfof" not in told
    if told["verdict"] == "accepted" and told["kind"] in ("plan", "answer") and stranger:
        report.add("authorship", f"entry {index}", f"only {told['subject']} may say this")
    return (
        f"Entry {index} of {head.origin}: event {told['id']} of {told['author']} about "
        f"{told['subject']}, recorded {told['recorded']}: {told.get('refusal', told['verdict'])}."
    )


# --- The command --------------------------------------------------------------------------------


def said(report: Report) -> Iterator[str]:
    """The report in lines of text."""
    yield from report.facts
    for name, count in sorted(report.seen.items()):
        yield f"{count:>10,} {name}"
    for each in report.findings:
        yield f"FINDING {each.code}: {each.where}: {each.says}"
    total = sum(report.found.values())
    if total > len(report.findings):
        yield f"… and {total - len(report.findings):,} more"
    yield f"{total:,} finding{'s' * (total != 1)}"
    yield from (f"Not checked: {each}." for each in report.unchecked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check an export or a receipt of Firsthand.")
    parser.add_argument("path", type=Path, help="an export (folder, .tar.gz) or a receipt")
    repeated: Json = {"action": "append", "default": []}
    parser.add_argument("--vkey", **repeated, help="the log's verifier keys, or a file of them")
    parser.add_argument("--checkpoint", **repeated, type=Path,
                        help="one that you kept: a checkpoint, proof or receipt")  # fmt: skip
    parser.add_argument("--witness", **repeated, metavar="VKEY", help="a witness's verifier key")
    parser.add_argument("--quorum", type=int, help="so many must have cosigned (default: all)")
    parser.add_argument("--event", type=Path, help="the event that a receipt is of")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser


def _quorum(told: argparse.Namespace) -> Quorum | None:
    witnesses = list({key.id: key for key in read_vkeys(told.witness, COSIGNATURE)}.values())
    needed = len(witnesses) if told.quorum is None else told.quorum
    if told.quorum is not None and not 0 < needed <= len(witnesses):
        raise Wrong(f"--quorum {needed} of the {len(witnesses)} that --witness names")
    return Quorum(witnesses, needed) if witnesses else None


def _misplaced(told: argparse.Namespace, *, export: bool) -> str:
    """What an export, or a receipt, is not asked with; empty if nothing."""
    if not told.path.exists():
        return f"{told.path}: no such file or folder"
    if export:
        return "--event is for a receipt, not for an export" if told.event else ""
    if told.path.suffix in OTHER_ARCHIVES:
        return f"{told.path}: an export is a folder or a .tar.gz: unpack it, and give the folder"
    if told.checkpoint:
        return "--checkpoint is for an export, not for a receipt"
    return "" if told.vkey else "a receipt proves nothing without --vkey"


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("verify.py: stopped\n")
        return 130


def _main(arguments: list[str] | None) -> int:
    parser = _parser()
    told = parser.parse_args(arguments)
    packed = told.path.is_file() and told.path.suffix in (".gz", ".tgz")
    report, export = Report(), packed or told.path.is_dir()
    try:
        keys, quorum = read_vkeys(told.vkey), _quorum(told)
    except Wrong as fault:
        parser.error(str(fault))
    if says := _misplaced(told, export=export):
        parser.error(says)
    if export:
        with tempfile.TemporaryDirectory() as folder:
            where = unpacked(told.path, Path(folder), report) if packed else told.path
            check_export(where, keys, told.checkpoint, report, quorum)
    else:
        check_receipt(told.path, keys, told.event, report, quorum)
    text = json.dumps(vars(report)) if told.json else "\n".join(said(report))
    try:
        sys.stdout.buffer.write(f"{text}\n".encode())
        sys.stdout.buffer.flush()
    except OSError as fault:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries once more
        if not isinstance(fault, BrokenPipeError):
            sys.stderr.write(f"verify.py: it cannot be written: {fault.strerror}\n")
            return 3
    return 1 if report.found else 0


if __name__ == "__main__":
    sys.exit(main())
