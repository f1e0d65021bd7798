"""Independent verifier of a Firsthand ledger's exports and receipts, in one file.

    python verify.py EXPORT  [--vkey VKEY]... [--checkpoint FILE]... [WITNESSES] [--json]
    python verify.py RECEIPT --vkey VKEY... [--event FILE] [WITNESSES] [--json]
    WITNESSES: --witness VKEY... [--quorum N]

Written from the published formats alone (Firsthand's formats page; RFC 6962, 8785, 9162; C2SP
tlog-tiles, tlog-checkpoint, tlog-cosignature, signed-note, tlog-proof). It shares no code with
Firsthand, uses no network, decrypts nothing, and needs Python 3.11 and `cryptography`. The report
ends with what was not checked. Exit status: 0 no findings, 1 findings, 2 usage error, 3 the report
cannot be written, 130 interrupted by Ctrl-C.

EXPORT is a folder or a .tar.gz. Every file is a function of the entries and the signatures:

    manifest.json              {"logs":[{"kept","log","origin","root","size"}],"opened","v":1}
    logs/<n>/checkpoint        the signed tree head of all files of this log
    logs/<n>/log.vkey          the current and former keys of the log, one per line
    logs/<n>/checkpoints/<size>               archived checkpoints of smaller sizes
    logs/<n>/tile/<L>/<N>[.p/<W>]             hash tiles of the checkpoint's size, no others
    logs/<n>/tile/entries/<N>[.p/<W>]         entry bundles of the checkpoint's size, no others
    opened.jsonl               optional; one line per decrypted entry, in order, counted as
                               `opened`: {"event","index","log","salt"}

`root` is the checkpoint's. `kept` is the number of files in checkpoints/. manifest.json and each
line of opened.jsonl are RFC 8785 JSON.

RECEIPT is JSON with at least `entry` (the entry's exact bytes, as text) and `proof` (a
.tlog-proof). For its author it also has `salt` (base64url), with which EVENT, as it was posted, is
compared. Any other member must equal the entry's member of that name (`warnings` are
[{"code","because"}] here), except that `index` is the proof's and `log` the number that ends the
log's name. Instead of that JSON, RECEIPT may be the text of its printed QR codes, in any order, one
per line: FIRSTHAND1:<k>/<n>:<part k of n of base32(zlib(that JSON)), unpadded>.

VKEY is a verifier key, several keys separated by white space, or a file of them. After a log's key
was rotated, pass the former keys too: they signed earlier checkpoints. At least N of the witnesses
(default: all) must have cosigned each log's checkpoint, or the receipt's.

Findings: `file` missing, truncated or unexpected · `manifest` differs from the files · `vkey`
invalid or of another log · `checkpoint` unsigned, signed twice by one key, not cosigned, or of
other entries · `tile` differs from the entries · `entry` invalid, or of newer rules than this file
· `order` not the next in its stream or log · `clock` received or recorded in the future · `twice` a
duplicate event · `authorship` accepted or decided, although its author had no right to it ·
`opened` differs from the entry · `receipt` proves nothing.

Representatives are named in encrypted entries. Where opened.jsonl has all of these, acting without
being named is a finding; otherwise the entry is counted as not checked.
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

RULES = 2  # the newest known rules
AHEAD = timedelta(minutes=5)  # tolerated lead of a ledger's clock over this machine's
ED25519, COSIGNATURE = 0x01, 0x04  # types of keys
OTHER_ARCHIVES = (".tar", ".zip", ".bz2", ".xz", ".zst", ".7z")
PERHAPS_NAMED = "for the person, by somebody perhaps never named"
SPOKE = "a representative acted for the person: whether the person had named them"
UNWITNESSED = "cosignatures of witnesses: pass --witness"
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
ANY_AUTHOR = ("key.registered", "key.revoked", "legal-basis.recorded")  # though of kind `whose`

Json = dict[str, Any]
Heads = list[tuple[str, "Checkpoint"]]  # with their paths


class Invalid(Exception):
    """Input that does not have the required format or value."""


class Finding(NamedTuple):
    """A fault and its location."""

    code: str
    where: str
    detail: str


@dataclass
class Report:
    """Findings and counts. All findings are counted; only the first ones are stored."""

    findings: list[Finding] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    facts: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def add(self, code: str, where: str, detail: object) -> None:
        """Record a finding, without terminal control characters from the checked files."""
        self.found[code] += 1
        if len(self.findings) < SHOWN:
            self.findings.append(Finding(code, plain(where), plain(detail)))


def plain(text: object) -> str:
    """Return text without terminal control characters, truncated to 500 characters."""
    return re.sub(r"[^ -~\u2014]", "?", str(text)[:500])


def sha256(*parts: bytes) -> bytes:
    """Return the SHA-256 of the concatenated parts."""
    return hashlib.sha256(b"".join(parts)).digest()


def to_base64(raw: bytes, *, url: bool = False) -> str:
    """Encode as standard base64, or as unpadded base64url."""
    text = base64.b64encode(raw, b"-_" if url else None).decode()
    return text.rstrip("=") if url else text


def unbase64(text: str, *, url: bool = False) -> bytes:
    """Decode standard base64, or unpadded base64url. Only the canonical encoding is accepted."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4 if url else 0), b"-_" if url else None)
    except ValueError:
        raise Invalid("is not base64") from None
    if to_base64(raw, url=url) != text:
        raise Invalid("is not canonical base64")
    return raw


def _no_fraction(text: str) -> None:
    raise ValueError(text)


DECODER = json.JSONDecoder(parse_float=_no_fraction, parse_constant=_no_fraction)
ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def canonical(value: object) -> bytes:
    """Encode as RFC 8785, for values without fractions and with ASCII member names."""
    return ENCODER.encode(value).encode()


def read_json(raw: bytes, *, exact: bool = True) -> Json:
    """Parse a JSON object without fractions; with `exact` its bytes must be canonical."""
    try:
        document = DECODER.decode(raw.decode())
        encoded = canonical(document)  # rejects lone surrogates, too
        if isinstance(document, dict) and (encoded == raw or not exact):
            return document
    except (ValueError, RecursionError):
        pass
    raise Invalid(f"is not {'canonical' if exact else 'readable'} JSON (RFC 8785)")


# --- Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint) ---------------------------


class Key(NamedTuple):
    """A log's public key."""

    name: str
    id: bytes
    public: Ed25519PublicKey


class Checkpoint(NamedTuple):
    """A tree head and its signatures."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: list[tuple[str, bytes]]


def read_vkey(text: str, kind: int = ED25519) -> Key:
    """Parse `<name>+<hex8 of key id>+<base64(kind || public key)>`; a witness's kind is 0x04."""
    name, _, rest = text.strip().partition("+")
    key_hex, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    key_id = sha256(name.encode(), b"\n", raw)[:4]
    if not name or len(raw) != 33 or raw[0] != kind or key_id.hex() != key_hex:
        raise Invalid("is not the verifier key of an Ed25519 log, or of a witness")
    return Key(name, key_id, Ed25519PublicKey.from_public_bytes(raw[1:]))


def read_vkeys(arguments: list[str], kind: int = ED25519) -> list[Key]:
    """Return the keys of arguments: keys separated by white space, or files of them."""
    keys = list[Key]()
    for argument in arguments:
        try:
            words = Path(argument).read_text().split()
        except (OSError, ValueError):
            words = argument.split()
        for word in words or [argument]:
            try:
                keys.append(read_vkey(word, kind))
            except Invalid:
                raise Invalid(f"{word[:200]!r} is not a verifier key, nor a file of keys") from None
    return keys


def read_checkpoint(raw: bytes) -> Checkpoint:
    """Parse the three lines and the signatures of a checkpoint, without verifying them."""
    form = (
        rb"(([^\n]+)\n(0|[1-9]\d{0,17})\n([A-Za-z0-9+/]{43}=)\n)\n((?:\xe2\x80\x94 \S+ [^ \n]+\n)+)"
    )
    if not (match := re.fullmatch(form, raw)):
        raise Invalid("is not a signed checkpoint")
    try:
        lines = [line.split(" ") for line in match[5].decode().splitlines()]
        signatures = [(name, unbase64(signature)) for _, name, signature in lines]
        root = unbase64(match[4].decode())
        return Checkpoint(match[2].decode(), int(match[3]), root, match[1], signatures)
    except ValueError:
        raise Invalid("is not a signed checkpoint") from None


def _signers(
    head: Checkpoint, keys: list[Key], message: Callable[[bytes], tuple[bytes, bytes]]
) -> int:
    """Return how many of the keys signed a checkpoint. Raises Invalid on a bad or duplicate one.

    `message` returns the signed bytes and the bare signature.
    """
    public_keys, verified = {key[:2]: key.public for key in keys}, set[tuple[str, bytes]]()
    for name, signature in head.signatures:
        key = name, signature[:4]
        if key not in public_keys:
            continue
        if key in verified:
            raise Invalid(f"{name} signed twice with one key")
        signed, bare = message(signature[4:])
        try:
            public_keys[key].verify(bare, signed)
        except InvalidSignature:
            raise Invalid(f"the signature of {name} is invalid") from None
        verified.add(key)
    return len(verified)


def verify_note(head: Checkpoint, keys: list[Key]) -> None:
    """Require a valid signature by one of the keys, and no invalid signature under their names."""
    candidates = [key for key in keys if key.name == head.origin]
    if not _signers(head, candidates, lambda signature: (head.text, signature)):
        ids = {signature[:4].hex() for name, signature in head.signatures if name == head.origin}
        by_ids = ", ".join(sorted(ids)) or "others"
        raise Invalid(
            f"{head.origin} is signed by none of the keys, but by {by_ids}: a former key?"
        )


class Quorum(NamedTuple):
    """Witness keys, and the number of them that must have cosigned."""

    witnesses: list[Key]
    needed: int

    def check(self, head: Checkpoint) -> None:
        """Check the cosignatures of a checkpoint (C2SP tlog-cosignature). Raises Invalid."""

        def message(signature: bytes) -> tuple[bytes, bytes]:
            time = int.from_bytes(signature[:8], "big")
            return b"cosignature/v1\ntime %d\n%b" % (time, head.text), signature[8:]

        count = _signers(head, self.witnesses, message)
        if count < self.needed:
            state = f"{head.origin}, size {head.size}: {count} valid cosignatures"
            raise Invalid(f"{state}; {self.needed} of {len(self.witnesses)} are required")


# --- The tree (RFC 6962, section 2.1; C2SP tlog-tiles) ------------------------------------------


class Tree:
    """Merkle tree of leaves; it stores one hash per height and one partial tile per level."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[bytes] = []
        self.tiles: list[bytearray] = []

    def append(self, entry: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf; yield the tiles that it completes, as level, number and bytes."""
        node, height = sha256(b"\0", entry), 0
        while True:
            if height % 8 == 0:
                yield from self._to_tile(height // 8, node)
            if not self.size >> height & 1:
                break
            node, height = sha256(b"\1", self.stack.pop(), node), height + 1
        self.stack.append(node)
        self.size += 1

    def _to_tile(self, level: int, node: bytes) -> Iterator[tuple[int, int, bytes]]:
        if level == len(self.tiles):
            self.tiles.append(bytearray())
        self.tiles[level] += node
        if len(self.tiles[level]) == 256 * 32:
            yield level, self.size >> 8 * (level + 1), bytes(self.tiles[level])
            self.tiles[level].clear()

    def partial(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the partial tiles, as level, number and bytes."""
        for level, tile in enumerate(self.tiles):
            if tile:
                yield level, self.size >> 8 * (level + 1), bytes(tile)

    def root(self) -> bytes:
        """Return the root of all leaves so far."""
        if not self.stack:
            return sha256()
        *rest, root = self.stack
        for left in reversed(rest):
            root = sha256(b"\1", left, root)
        return root


def tile_path(number: int, width: int) -> str:
    """Return the path of a tile: 1234067 is x001/x234/067; a partial tile adds .p/<width>."""
    digits = f"{number:0{-(-len(str(number)) // 3) * 3}d}"
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if width == 256 else f"{path}.p/{width}"


def root_of_proof(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """Return the root that a proof computes from a leaf hash (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise Invalid(f"index {index} is not below the checkpoint's size {size}")
    if any(len(digest) != 32 for digest in (leaf, *proof)):
        raise Invalid("the proof has a line that is not a hash")
    node, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Invalid("the proof is too long")
        if node & 1 or node == last:
            digest = sha256(b"\1", sibling, digest)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            digest = sha256(b"\1", digest, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise Invalid("the proof is too short")
    return digest


# --- Entries ------------------------------------------------------------------------------------


def _text(pattern: str) -> Callable[[Any], bool]:
    expression = re.compile(pattern)
    return lambda value: isinstance(value, str) and bool(expression.fullmatch(value))


def _is_whole(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value).replace(tzinfo=None)
        return bool(f"{moment.isoformat(timespec='milliseconds')}Z" == value)
    except (TypeError, ValueError):
        return False


ID = r"(?:person|partner|team|service|auditor|operator):[A-Za-z0-9._-]{1,64}"
MEMBERS: dict[str, Callable[[Any], bool]] = {
    "v": lambda value: _is_whole(value) and value == 1,
    "rules": lambda value: _is_whole(value) and value > 0,
    "id": _text(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "kind": _text("|".join(set(KINDS.values()))),
    "subject": _text(r"person:[A-Za-z0-9._-]{1,64}"),
    "author": _text(ID),
    "onbehalfof": _text(ID),
    "via": _text(ID),
    "issuer": _text(r"[!-~]+( [!-~]+)*"),
    "received": _is_time,
    "recorded": _is_time,
    "sequence": _is_whole,
    "planversion": _is_whole,
    "verdict": _text("accepted|refused"),
    "refusal": lambda value: isinstance(value, str) and value in REFUSALS,
    "warnings": lambda value: (
        isinstance(value, list) and value != [] and all(map(_text("[a-z-]+"), value))
    ),
    "digest": lambda value: isinstance(value, str) and len(unbase64(value, url=True)) == 32,
    "sealed": lambda value: isinstance(value, str),
}
OPTIONAL = {"onbehalfof", "sequence", "planversion", "refusal", "warnings"}
COMPARED = {*MEMBERS, "index", "log", "entry", "proof", "salt", "also"}  # members of a receipt


def read_entry(raw: bytes) -> Json:
    """Return the members of an entry, with `kid`, the id of its encryption key. Raises Invalid."""
    if len(raw) > LONGEST_ENTRY:
        raise Invalid(f"is longer than {LONGEST_ENTRY} bytes")
    entry = read_json(raw)
    if members := (entry.keys() - MEMBERS.keys()) | (MEMBERS.keys() - OPTIONAL - entry.keys()):
        raise Invalid(f"{min(members)}: missing or unknown member")
    for name, fits in MEMBERS.items():
        if name in entry and not fits(entry[name]):
            raise Invalid(f"{name} has an invalid format")
    numbered, accepted = "sequence" in entry, entry["verdict"] == "accepted"
    if accepted == ("refusal" in entry) or numbered != ("planversion" in entry):
        raise Invalid("refusal, sequence or planversion is missing or not allowed")
    if accepted > numbered or (numbered and entry.get("refusal") in NO_STANDING):
        raise Invalid("sequence does not fit the verdict")
    if entry.get("onbehalfof", entry["subject"]) != entry["subject"]:
        raise Invalid("onbehalfof is not the subject")
    return entry | {"kid": _kid(entry)}


def _kid(entry: Json) -> str:
    parts = entry["sealed"].split(".")
    header, *rest = (unbase64(part, url=True) for part in parts)
    protected = read_json(header)
    kid = protected.pop("kid", None)
    expected = {"alg": "dir", "enc": "A256GCM"} | {n: entry[n] for n in ("author", "id", "subject")}
    if protected != expected or [len(part) for part in (*rest[:2], *rest[3:])] != [0, 12, 16]:
        raise Invalid("sealed is not a JWE of this author, id and subject")
    if not isinstance(kid, str) or len(unbase64(kid, url=True)) != 32:
        raise Invalid("sealed has no valid key id")
    return kid


def _latest() -> str:
    """Return the latest time that an entry may have."""
    moment = (datetime.now(UTC) + AHEAD).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


@dataclass(slots=True)
class Stream:
    """State of a person's stream."""

    sequence: int = 0
    version: int = 0
    kid: str = ""
    opened: bool = False  # the person granted access or named a representative at least once
    sealed: int = 0  # the person's accepted `whose` entries that are not decrypted
    named: frozenset[str] = frozenset()  # representatives, according to decrypted entries


class Streams:
    """Every person's stream in one log, checked entry by entry from the clear fields."""

    def __init__(self, log: int, logs: int, report: Report) -> None:
        self.log, self.logs, self.report = log, logs, report
        self.people: dict[str, Stream] = {}
        self.recorded, self.latest = "", _latest()
        self.names = sqlite3.connect("", isolation_level=None)  # temporary file
        self.names.execute("BEGIN")
        self.names.execute("CREATE TABLE names (name INTEGER PRIMARY KEY)")
        self.seed = os.urandom(16)  # secret key: names with equal hashes cannot be crafted

    def check(self, entry: Json, where: str) -> None:
        """Check an entry against the entries before it."""
        where = f"{where} ({entry['subject']}, version {entry.get('planversion', '–')})"
        stream = self.people.setdefault(entry["subject"], Stream())
        for name, before in (("received", ""), ("recorded", self.recorded)):
            if entry[name] > max(before, self.latest):
                self.report.add("clock", where, f"{name} at {entry[name]}: in the future")
        for fault in self._order(entry, stream):
            self.report.add("order", where, fault)
        if not self._is_new(entry["author"], entry["id"], entry["digest"]):
            self.report.add("twice", where, f"event {entry['id']} is recorded twice")
        if entry["verdict"] == "accepted" and not self._is_new(entry["subject"], entry["id"]):
            self.report.add("twice", where, f"id {entry['id']} is accepted twice")
        if "sequence" in entry and (fault := self._authorship(entry, stream)):
            self.report.add("authorship", where, fault)
        if entry["rules"] > RULES:
            fault = f"was decided by rules {entry['rules']}; this file knows rules up to {RULES}"
            self.report.add("entry", where, fault)

    def _order(self, entry: Json, stream: Stream) -> Iterator[str]:
        person = int.from_bytes(sha256(entry["subject"].encode())[:8], "big")
        if person % self.logs != self.log:
            yield f"{entry['subject']} belongs in log {person % self.logs}"
        if entry["recorded"] < self.recorded:
            yield f"recorded before the previous entry, at {entry['recorded']}"
        self.recorded = max(self.recorded, entry["recorded"])
        if "sequence" not in entry:
            if stream.sequence and entry["refusal"] not in NO_STANDING:
                yield f"refused {entry['refusal']}, without a sequence in the person's stream"
            if entry["kid"] == stream.kid:
                yield "stored without words, but encrypted with the person's key"
            return
        if entry["sequence"] != stream.sequence + 1:
            yield f"sequence {entry['sequence']} after {stream.sequence}"
        moves = entry["verdict"] == "accepted" and entry["kind"] in ("plan", "answer")
        if entry["planversion"] - stream.version not in ((0, 1) if moves else (0,)):
            yield f"planversion {entry['planversion']} after {stream.version}"
        if entry["kid"] != stream.kid and stream.kid:
            yield "encrypted with another key than the person's earlier entries"
        stream.sequence, stream.version = entry["sequence"], entry["planversion"]
        stream.kid = entry["kid"]

    def _authorship(self, entry: Json, stream: Stream) -> str:
        """Return why the author had no right to this event; empty if they had, or on our-fault."""
        author, subject, verdict = entry["author"], entry["subject"], entry["verdict"]
        group = "of the plan" if entry["kind"] in ("plan", "answer") else entry["kind"]
        role, fault = "the person" if author == subject else "a representative", ""
        if author != subject and "onbehalfof" not in entry:
            role = "somebody else"
            if group == "of the plan" and entry.get("refusal") != "our-fault":
                fault = (
                    f"kind {entry['kind']}, {verdict} from {author}: only {subject} may write it"
                )
        elif author != subject and entry.get("refusal") != "our-fault":
            if not stream.opened or not (stream.sealed or author in stream.named):
                fault = f"{verdict} from {author} for {subject}, who had not named them"
            elif author not in stream.named:
                self.report.seen[PERHAPS_NAMED] += 1
        if verdict == "accepted":
            if entry["kind"] == "whose" and author == subject:
                stream.opened, stream.sealed = True, stream.sealed + 1
            self.report.seen[f"{group}, by {role}"] += 1
        return fault

    def open(self, entry: Json, event: Json) -> None:
        """Apply the decrypted event of the last checked entry, after its digest was verified."""
        if (entry["verdict"], entry["kind"], entry["author"]) != (
            "accepted",
            "whose",
            entry["subject"],
        ):
            return
        stream, data = self.people[entry["subject"]], event.get("data")
        stream.sealed -= 1
        names = {str(data.get("representative"))} if isinstance(data, dict) else set[str]()
        if event["type"] == "representative.named":
            stream.named |= names
        elif event["type"] == "representative.ended":
            stream.named -= names

    def _is_new(self, *name: str) -> bool:
        hashed = hashlib.blake2b("\0".join(name).encode(), key=self.seed, digest_size=8)
        number = int.from_bytes(hashed.digest(), "big") >> 1
        return bool(self.names.execute("INSERT OR IGNORE INTO names VALUES (?)", [number]).rowcount)


def check_event(entry: Json, salt: object, event: object) -> Iterator[str]:
    """Check a decrypted event against its entry; yield faults of authorship."""
    if not isinstance(salt, str) or len(unbase64(salt, url=True)) != 32:
        raise Invalid("the salt does not have 32 bytes")
    if not isinstance(event, dict):
        raise Invalid("the event is not an object")
    digest = sha256(unbase64(salt, url=True), canonical(event))
    if digest != unbase64(entry["digest"], url=True):
        raise Invalid("the digest of salt and event differs from the entry's")
    kind = KINDS.get(str(event.get("type")), entry["kind"])
    if not isinstance(event.get("type"), str):
        raise Invalid("the event has no type")
    if [event.get("id"), event.get("subject"), kind] != [
        entry[n] for n in ("id", "subject", "kind")
    ]:
        raise Invalid("id, subject or kind differ from the event's")
    other_author = entry["author"] != entry["subject"] and "onbehalfof" not in entry
    exclusive = kind == "whose" and event["type"] not in ANY_AUTHOR
    if entry["verdict"] == "accepted" and exclusive and other_author:
        yield f"{event['type']}, accepted from {entry['author']}: only {entry['subject']} may"


# --- An export ----------------------------------------------------------------------------------


class Export:
    """An export's folder, the files read so far, and the next line of opened.jsonl."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, {"manifest.json"}
        self.lines, self.opened = self._opened(), 0
        self.next = next(self.lines, None)

    def read(self, path: str) -> bytes:
        """Return a file's bytes. Raises Invalid."""
        self.used.add(path)
        try:
            if not (self.folder / path).is_file():  # reading a pipe would block
                raise Invalid("is missing, or not a regular file")
            with (self.folder / path).open("rb") as file:
                raw = file.read(LARGEST_FILE + 1)
        except OSError as fault:
            raise Invalid(f"cannot be read: {fault.strerror}") from None
        if len(raw) > LARGEST_FILE:
            raise Invalid("is larger than the maximum size")
        return raw

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder; none if the folder does not exist."""
        path = self.folder / folder
        return sorted(file.name for file in path.iterdir()) if path.is_dir() else []

    def _opened(self) -> Iterator[Json]:
        if (path := self.folder / "opened.jsonl").is_file():
            with path.open("rb") as file:
                while line := file.readline(2 * LONGEST_ENTRY):
                    try:
                        yield read_json(line.removesuffix(b"\n")) if line.endswith(b"\n") else {}
                    except Invalid:
                        yield {}

    def event_of(self, log: int, index: int) -> Json | None:
        """Return the line of opened.jsonl for an entry, if it is the next line."""
        line = self.next
        if line is None or line != line | {"log": log, "index": index} or len(line) != 4:
            return None
        self.opened, self.next = self.opened + 1, next(self.lines, None)
        return line

    def strays(self) -> Iterator[str]:
        """Yield the unread files of the logs, which are not part of an export."""
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
        self.archived = 0

    def check(self, trusted: list[Key], outside: Heads) -> None:
        """Check the whole log. `trusted` keys replace the export's keys."""
        self.head = self._read_head(path := f"{self.where}/checkpoint")
        self.keys = self._keys(trusted)
        if self.head is None:
            return
        self._expect(path, self.head)
        archived = self.export.names(f"{self.where}/checkpoints")
        self.archived = len(archived)
        if self.quorum:
            self._cosigned(self.head, self.quorum)
        for name in archived:
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
        except Invalid as fault:
            self.report.add("file", f"{self.where} entry {tree.size}", f"{fault}; rest not read")
        for path, head in (item for heads in self.heads.values() for item in heads):
            detail = f"is of {head.size} entries; this log could be read up to {tree.size}"
            self.report.add("checkpoint", path, detail)

    def _keys(self, trusted: list[Key]) -> list[Key]:
        path, keys = f"{self.where}/log.vkey", list[Key]()
        name = self.head.origin if self.head else ""
        matching = [key for key in trusted if name in ("", key.name)]
        if trusted and not matching:
            self.report.add("vkey", path, f"none of the --vkey keys is of {name}")
        try:
            text = self.export.read(path).decode(errors="replace")
            keys = [read_vkey(line) for line in text.splitlines()]
        except Invalid as fault:
            self.report.add("vkey", path, fault)
            return matching
        if not keys or text != "".join(f"{line}\n" for line in text.splitlines()):
            self.report.add("vkey", path, "is not a list of keys, one per line")
        if foreign := {key.name for key in keys if name not in ("", key.name)}:
            self.report.add("vkey", path, f"holds a key of {min(foreign)}, but the log is {name}")
        if matching and not {key[:2] for key in matching} & {key[:2] for key in keys}:
            self.report.add("vkey", path, "holds none of the --vkey keys")
        return matching if trusted else keys

    def _read_head(self, path: str) -> Checkpoint | None:
        try:
            head = read_checkpoint(self.export.read(path))
        except Invalid as fault:
            self.report.add("checkpoint", path, fault)
            return None
        return head

    def _expect(self, path: str, head: Checkpoint) -> None:
        """Verify a checkpoint's signature now, and its root when the tree reaches its size."""
        self.heads.setdefault(head.size, []).append((path, head))
        try:
            verify_note(head, self.keys)
        except Invalid as fault:
            self.report.add("checkpoint", path, fault)

    def _cosigned(self, head: Checkpoint, quorum: Quorum) -> None:
        try:
            quorum.check(head)
        except Invalid as fault:
            self.report.add("checkpoint", f"{self.where}/checkpoint", fault)

    def _compare(self, tree: Tree) -> None:
        for path, head in self.heads.pop(tree.size, ()):
            if tree.root() != head.root:
                detail = f"its root differs from that of the first {tree.size} entries"
                self.report.add("checkpoint", path, detail)

    def _entries(self, tree: Tree, size: int) -> None:
        """Read every bundle, and add its entries to the tree and the people's streams."""
        self._compare(tree)
        while tree.size < size:
            number, width = tree.size // 256, min(256, size - tree.size)
            path = f"{self.where}/tile/entries/{tile_path(number, width)}"
            raw, at = self.export.read(path), 0
            for _ in range(width):
                end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
                if not at + 2 < end <= len(raw):
                    raise Invalid(f"{path} is truncated, or not a bundle of {width} entries")
                self._entry(tree.size, leaf := raw[at + 2 : end])
                self._tiles(tree.append(leaf))
                self._compare(tree)
                at = end
            if at != len(raw):
                self.report.add("file", path, f"has data after {width} entries")

    def _entry(self, index: int, raw: bytes) -> None:
        where, code = f"{self.where} entry {index}", "entry"
        self.report.seen["entries"] += 1
        try:
            entry = read_entry(raw)
            self.streams.check(entry, where)
            code = "opened"
            line = self.export.event_of(self.number, index)
            if not line:
                return
            for detail in check_event(entry, line.get("salt"), line.get("event")):
                self.report.add("authorship", where, detail)
            self.streams.open(entry, line["event"])
        except Invalid as fault:
            self.report.add(code, where, fault)

    def _tiles(self, tiles: Iterable[tuple[int, int, bytes]]) -> None:
        for level, number, hashes in tiles:
            path = f"{self.where}/tile/{level}/{tile_path(number, len(hashes) // 32)}"
            try:
                if self.export.read(path) != hashes:
                    self.report.add("tile", path, "its hashes differ from the entries'")
            except Invalid as fault:
                self.report.add("file", path, fault)


def check_export(
    folder: Path,
    keys: list[Key],
    outside: list[Path],
    report: Report,
    quorum: Quorum | None = None,
) -> None:
    """Check all files in an export's folder, and checkpoints from `outside`."""
    export, heads = Export(folder), Heads()
    names = export.names("logs")
    logs = [Log(export, number, len(names), report, quorum) for number in range(len(names))]
    for path in outside:
        try:
            heads.append((str(path), read_outside(path)))
        except (OSError, Invalid) as fault:
            report.add("checkpoint", str(path), fault)
    for log in logs:
        log.check(keys, heads)
    present = {log.head.origin for log in logs if log.head}
    named = {head.origin for _, head in heads} | {key.name for key in keys}
    for name in sorted(named - present):
        report.add("checkpoint", name, "no log of this name in the export")
    _check_manifest(export, logs, report)
    if export.next is not None:
        report.add("opened", f"opened.jsonl line {export.opened + 1}", "is not of the next entry")
    for name in export.strays():
        report.add("file", name, "is not part of an export of this size")
    _list_unchecked(report, export.opened, bool(keys), bool(outside))
    if not quorum:
        report.unchecked.append(UNWITNESSED)


def _check_manifest(export: Export, logs: list[Log], report: Report) -> None:
    listed = [
        {
            "kept": log.archived,
            "log": log.number,
            "origin": log.head.origin,
            "root": to_base64(log.head.root),
            "size": log.head.size,
        }
        for log in logs
        if log.head
    ]
    expected = canonical({"logs": listed, "opened": export.opened, "v": 1})
    try:
        if export.read("manifest.json") != expected or not logs:
            report.add("manifest", "manifest.json", f"is not {expected.decode()}")
    except Invalid as fault:
        report.add("file", "manifest.json", fault)


def _list_unchecked(report: Report, opened: int, keys: bool, outside: bool) -> None:
    sealed, others = report.seen["entries"] - opened, report.seen["whose, by somebody else"]
    unnamed = report.seen[PERHAPS_NAMED]
    items = [
        (sealed, f"the words of {sealed} entries that stay encrypted, and so their digests"),
        (True, "the verdicts by the rules, which need the words (firsthand audit)"),
        (True, "the identity behind an author's name, for which its issuer vouches"),
        (True, "whether the ledger has other logs than these"),
        (unnamed, f"{unnamed} entries in which {SPOKE}"),
        (
            others,
            f"{others} entries of kind whose by others, who may own the key",
        ),
        (not keys, "who signed it: the key came with the export; pass --vkey"),
        (
            not outside,
            "whether other readers were shown the same history: pass --checkpoint or a receipt",
        ),
    ]
    report.unchecked += [text for applies, text in items if applies]


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Extract one member below the folder; return what is wrong with it, if anything."""
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        return "has a path outside the export"
    target = folder.joinpath(*parts)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return ""
    if not member.isreg() or member.issparse() or target.is_file():
        return "is not a regular file, or a duplicate"
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    with target.open("xb") as file:
        while source and (block := source.read(LARGEST_FILE)):
            file.write(block)
    return ""


def unpack(archive: Path, folder: Path, report: Report) -> Path:
    """Extract an archive into a folder; faults of the archive are findings."""
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            limit = 4 * LARGEST_FILE + 100 * archive.stat().st_size
            for member in tar:
                limit -= member.size
                if limit < 0 or member.size < 0:
                    report.add("file", archive.name, "expands to far more than an export")
                    break
                if detail := _member(tar, member, folder):
                    report.add("file", member.name, detail)
            while limit >= 0 and stream.read(LARGEST_FILE):  # read on to verify the checksum
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as fault:
        report.add("file", archive.name, f"is truncated, or not an archive: {fault}")
    folders = [path for path in folder.iterdir() if path.is_dir()]
    return folder if (folder / "logs").exists() or len(folders) != 1 else folders[0]


# --- A receipt (C2SP tlog-proof) ----------------------------------------------------------------


def read_receipt(raw: bytes) -> tuple[Json, set[str]]:
    """Return a receipt's members, from JSON or QR codes, and the names of members around it."""
    if raw.startswith(b"FIRSTHAND1:"):
        codes = {}
        for line in raw.decode(errors="replace").split():
            if not (match := re.fullmatch(r"FIRSTHAND1:(\d+)/(\d+):([A-Z2-7]+)", line)):
                raise Invalid("is not a QR code of a receipt")
            codes[int(match[1]), int(match[2])] = match[3]
        if sorted(codes) != [(n + 1, len(codes)) for n in range(len(codes))]:
            raise Invalid(f"codes are missing, or of different receipts: {sorted(codes)}")
        text = "".join(codes[key] for key in sorted(codes))
        try:
            packed = base64.b32decode(text + "=" * (-len(text) % 8))
            raw = zlib.decompressobj().decompress(packed, 4 * LONGEST_ENTRY)
        except (ValueError, zlib.error):
            raise Invalid("the codes do not decode to a receipt") from None
    document, around = read_json(raw, exact=False), set[str]()
    if isinstance(document.get("receipt"), dict):  # the response to a refused event
        document, around = document["receipt"], document.keys() - {"receipt"}
    also = document.get("also", [])
    for receipt in [document, *also] if isinstance(also, list) else [{}]:
        if not isinstance(receipt, dict) or {
            type(receipt.get(name)) for name in ("entry", "proof")
        } != {str}:
            raise Invalid("has no entry or no proof")
    return document, around


def read_proof(text: str) -> tuple[int, list[bytes], Checkpoint]:
    """Parse a .tlog-proof: index, hashes, checkpoint."""
    head, _, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if lines and lines[0].startswith("extra "):
        del lines[0]
    if first != "c2sp.org/tlog-proof@v1" or not lines:
        raise Invalid("proof is not a .tlog-proof")
    if not (match := re.fullmatch(r"index (0|[1-9][0-9]{0,17})", lines[0])):
        raise Invalid("proof has no index")
    proof = [unbase64(line) for line in lines[1:]]
    return int(match[1]), proof, read_checkpoint(note.encode(errors="replace"))


def read_outside(path: Path) -> Checkpoint:
    """Read a saved checkpoint: bare, or in a proof or receipt."""
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
    """Check a receipt, those of others with the same id, and the author's `event` if passed."""
    try:
        receipt, around = read_receipt(path.read_bytes())
        receipts = [receipt, *receipt.get("also", ())]
        report.facts += [_prove(item, keys, report, quorum) for item in receipts]
        nested = {"also/also" for item in receipts[1:] if "also" in item}
        if unknown := sorted(around.union(nested, *map(_unverifiable, receipts))):
            detail = f"members of the file that no entry has: {', '.join(unknown)}"
            report.unchecked.append(plain(detail))
        if event:
            posted = read_json(event.read_bytes(), exact=False)
            posted.pop("datacontenttype", None)  # not part of the canonical event
            for detail in _check_any_of(receipts, posted):
                report.add("authorship", path.name, detail)
    except (OSError, Invalid) as fault:
        report.add("receipt", path.name, fault)
    if not event:
        report.unchecked.append("whether it is of your event: pass --event, as posted")
    report.unchecked.append(
        "whether others are shown the same log: check an export with this receipt"
    )
    if not quorum:
        report.unchecked.append(UNWITNESSED)


def _check_any_of(receipts: list[Json], event: Json) -> list[str]:
    fault = Invalid()
    for receipt in receipts:
        try:
            return list(check_event(read_entry(_leaf(receipt)), receipt.get("salt"), event))
        except Invalid as error:
            fault = error
    raise fault


def _leaf(receipt: Json) -> bytes:
    return str(receipt["entry"]).encode(errors="replace")


def _unverifiable(receipt: Json) -> Iterator[str]:
    """Yield the members of a receipt that cannot be compared with its entry."""
    yield from receipt.keys() - COMPARED
    if isinstance(receipt.get("warnings"), list):
        yield "warnings/because"


def _holds(entry: Json, receipt: Json, name: str) -> bool:
    """Return True if a member of a receipt agrees with its entry and proof."""
    if name in ("entry", "proof", "salt", "also"):  # compared elsewhere
        return True
    value = receipt[name]
    if name == "log":
        return type(value) is int and str(value) == entry["log"]
    if name == "warnings" and isinstance(value, list):
        codes = [warning.get("code") for warning in value if isinstance(warning, dict)]
        return codes == entry.get("warnings") and len(codes) == len(value)
    return name in entry and canonical(value) == canonical(entry[name])


def _prove(receipt: Json, keys: list[Key], report: Report, quorum: Quorum | None) -> str:
    entry = read_entry(leaf := _leaf(receipt))
    index, proof, head = read_proof(receipt["proof"])
    verify_note(head, keys)
    if root_of_proof(sha256(b"\0", leaf), index, head.size, proof) != head.root:
        raise Invalid("the proof does not connect the entry with the checkpoint's root")
    if quorum:
        quorum.check(head)
    for name in ("received", "recorded"):
        if entry[name] > _latest():
            report.add("clock", f"entry {index}", f"{name} at {entry[name]}: in the future")
    if entry["rules"] > RULES:
        detail = f"the decision by rules {entry['rules']}: this file knows rules up to {RULES}"
        report.unchecked.append(detail)
    members = entry | {"index": index, "log": head.origin.rpartition("/")[2]}
    if different := [
        name for name in sorted(receipt.keys() & COMPARED) if not _holds(members, receipt, name)
    ]:
        raise Invalid(f"{', '.join(different)}: differs from the entry")
    other_author = entry["author"] != entry["subject"] and "onbehalfof" not in entry
    if entry["verdict"] == "accepted" and entry["kind"] in ("plan", "answer") and other_author:
        report.add("authorship", f"entry {index}", f"only {entry['subject']} may write it")
    return (
        f"Entry {index} of {head.origin}: event {entry['id']} of {entry['author']} about "
        f"{entry['subject']}, recorded {entry['recorded']}: "
        f"{entry.get('refusal', entry['verdict'])}."
    )


# --- The command --------------------------------------------------------------------------------


def report_lines(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    yield from report.facts
    for name, count in sorted(report.seen.items()):
        yield f"{count:>10,} {name}"
    for finding in report.findings:
        yield f"FINDING {finding.code}: {finding.where}: {finding.detail}"
    total = sum(report.found.values())
    if total > len(report.findings):
        yield f"… and {total - len(report.findings):,} more"
    yield f"{total:,} finding{'s' * (total != 1)}"
    yield from (f"Not checked: {item}." for item in report.unchecked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check an export or a receipt of Firsthand.")
    parser.add_argument("path", type=Path, help="an export (folder, .tar.gz) or a receipt")
    repeated: Json = {"action": "append", "default": []}
    parser.add_argument("--vkey", **repeated, help="the log's verifier keys, or a file of them")
    parser.add_argument("--checkpoint", **repeated, type=Path,
                        help="a saved checkpoint, proof or receipt")  # fmt: skip
    parser.add_argument("--witness", **repeated, metavar="VKEY", help="a witness's verifier key")
    parser.add_argument(
        "--quorum", type=int, help="witnesses that must have cosigned (default: all)"
    )
    parser.add_argument("--event", type=Path, help="the event of the receipt, as posted")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser


def _quorum(options: argparse.Namespace) -> Quorum | None:
    witnesses = list({key.id: key for key in read_vkeys(options.witness, COSIGNATURE)}.values())
    needed = len(witnesses) if options.quorum is None else options.quorum
    if options.quorum is not None and not 0 < needed <= len(witnesses):
        raise Invalid(f"--quorum {needed}: must be from 1 to {len(witnesses)}, as --witness")
    return Quorum(witnesses, needed) if witnesses else None


def _misplaced(options: argparse.Namespace, *, export: bool) -> str:
    """Return which argument does not fit an export, or a receipt; empty if none."""
    if not options.path.exists():
        return f"{options.path}: no such file or folder"
    if export:
        return "--event is for a receipt, not for an export" if options.event else ""
    if options.path.suffix in OTHER_ARCHIVES:
        return f"{options.path}: an export is a folder or a .tar.gz: unpack it, and pass the folder"
    if options.checkpoint:
        return "--checkpoint is for an export, not for a receipt"
    return "" if options.vkey else "a receipt proves nothing without --vkey"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("verify.py: stopped\n")
        return 130


def _main(arguments: list[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    packed = options.path.is_file() and options.path.suffix in (".gz", ".tgz")
    report, export = Report(), packed or options.path.is_dir()
    try:
        keys, quorum = read_vkeys(options.vkey), _quorum(options)
    except Invalid as fault:
        parser.error(str(fault))
    if detail := _misplaced(options, export=export):
        parser.error(detail)
    if export:
        with tempfile.TemporaryDirectory() as folder:
            where = unpack(options.path, Path(folder), report) if packed else options.path
            check_export(where, keys, options.checkpoint, report, quorum)
    else:
        check_receipt(options.path, keys, options.event, report, quorum)
    text = json.dumps(vars(report)) if options.json else "\n".join(report_lines(report))
    try:
        sys.stdout.buffer.write(f"{text}\n".encode())
        sys.stdout.buffer.flush()
    except OSError as fault:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # no second write at exit
        if not isinstance(fault, BrokenPipeError):
            sys.stderr.write(f"verify.py: cannot write the report: {fault.strerror}\n")
            return 3
    return 1 if report.found else 0


if __name__ == "__main__":
    sys.exit(main())
