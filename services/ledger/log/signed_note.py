r"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

    <origin>\n<size>\n<base64(root)>\n                  a checkpoint's text; ours end here,
    <extension>\n                                       others' may have such lines
    \n
    — <name> <base64(key id || signature)>\n            (the dash is U+2014), one or more

    key id = SHA-256(name || 0x0A || type || public key)[:4]
    vkey   = <name>+<hex(key id)>+<base64(type || public key)>
    skey   = PRIVATE+KEY+<name>+<hex(key id)>+<base64(0x01 || seed)>

Type 0x01 is Ed25519 over the text; a log's key is named as its origin. Type 0x04 is a witness's
cosignature: signature = uint64 big-endian POSIX time || Ed25519 over
`cosignature/v1\ntime <time>\n<text>`.

A note is verified with a list of known keys. Signatures by other keys are skipped. A note is
rejected if a signature that claims a known key is invalid or duplicate.

>>> signer = Signer("example.org/firsthand/0", bytes(32))
>>> signer.vkey
'example.org/firsthand/0+cbace1ca+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
>>> note = signer.checkpoint(0, bytes(32))
>>> note.splitlines()[:3]
['example.org/firsthand/0', '0', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=']
>>> read_checkpoint(note, signer.vkey) == (0, bytes(32))
True
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.ledger.log.merkle import HASH_BYTES

ED25519, COSIGNATURE = 1, 4  # types of signature
MAX_NOTE = 1_000_000  # characters
MAX_SIGNATURES = 100
MAX_SIZE = 2**63 - 1
ORIGIN = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}"  # of ours: no white space and no plus
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{8}", re.ASCII)
_PUBLIC_BYTES, _TIME_BYTES = 32, 8


def strict_base64(text: str) -> bytes:
    """Decode canonical base64; raise ValueError if encoding the result gives another text."""
    try:
        decoded = b64decode(text, validate=True)
    except ValueError:
        decoded = b""
    if b64encode(decoded).decode() != text:
        raise ValueError("not canonical base64")
    return decoded


def key_id(name: str, public: bytes, kind: int = ED25519) -> bytes:
    """Return the four bytes that link a signature to its key."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() for char in name):
        raise ValueError(f"{name!r} cannot be the name of a key")


@dataclass(frozen=True, slots=True)
class Signature:
    """One unverified signature line of a note."""

    name: str
    key_id: bytes
    signed: bytes

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """Parse a line without its line feed; raise ValueError if it is malformed."""
        dash, *parts = line.split(" ")
        if dash != "\u2014" or len(parts) != 2:
            raise ValueError("a line at the note's end is not a signature")
        _check_name(parts[0])
        raw = strict_base64(parts[1])
        if len(raw) <= 4:
            raise ValueError("a signature is too short")
        return cls(parts[0], raw[:4], raw[4:])

    @property
    def line(self) -> str:
        """The line with its line feed."""
        return f"\u2014 {self.name} {b64encode(self.key_id + self.signed).decode()}\n"

    @property
    def time(self) -> int:
        """The time of a cosignature in seconds since 1970, as stated by the witness."""
        return int.from_bytes(self.signed[:_TIME_BYTES])


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that verifies notes."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Parse a vkey; raise ValueError if it is malformed or of an unknown type."""
        name, stated_id, raw = [*vkey.split("+", 2), "", ""][:3]
        _check_name(name)
        key = strict_base64(raw)
        verifier = cls(name, key[0] if key else 0, key[1:])
        if verifier.kind not in (ED25519, COSIGNATURE) or len(verifier.public) != _PUBLIC_BYTES:
            raise ValueError("not an Ed25519 key or cosignature key")
        if not _HEX.fullmatch(stated_id) or verifier.key_id.hex() != stated_id:
            raise ValueError("the key id does not match the key")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The four bytes that link a signature to this key."""
        return key_id(self.name, self.public, self.kind)

    @property
    def vkey(self) -> str:
        """The verifier line, which may be published."""
        raw = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{raw}"

    def verify(self, text: str, signature: Signature) -> None:
        """Raise ValueError unless this key signed the text."""
        signed, message = signature.signed, text.encode()
        if self.kind == COSIGNATURE:
            if len(signed) < _TIME_BYTES or signature.time > MAX_SIZE:
                raise ValueError("a cosignature begins with its time")
            message = f"cosignature/v1\ntime {signature.time}\n".encode() + message
            signed = signed[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signed, message)
        except InvalidSignature:
            raise ValueError("the signature is not by this key") from None


def split_note(note: str) -> tuple[str, list[Signature]]:
    """Return a note's text and unverified signatures; raise ValueError if it is malformed."""
    if len(note) > MAX_NOTE or _CONTROL.search(note):
        raise ValueError("a note is at most a million characters, none of them control characters")
    text, blank, rest = note.rpartition("\n\n")
    lines = rest.split("\n")
    if not blank or lines.pop() or not lines:
        raise ValueError("a note is text, a blank line, and signature lines that end")
    if len(lines) > MAX_SIGNATURES:
        raise ValueError(f"a note has at most {MAX_SIGNATURES} signatures")
    return f"{text}\n", [Signature.parse(line) for line in lines]


def open_note(note: str, known: Iterable[Verifier]) -> tuple[str, list[Signature]]:
    """Return a note's text and the signatures by known keys.

    Raises ValueError if none is by a known key, or one is invalid.
    """
    text, signatures = split_note(note)
    keys = {(verifier.name, verifier.key_id): verifier for verifier in known}
    verified: dict[tuple[str, bytes], Signature] = {}
    for signature in signatures:
        key_of_line = (signature.name, signature.key_id)
        if key_of_line in keys:
            if key_of_line in verified:
                raise ValueError(f"{signature.name} signed twice with one key")
            keys[key_of_line].verify(text, signature)
            verified[key_of_line] = signature
    if not verified:
        signers = ", ".join(
            f"{signature.name}+{signature.key_id.hex()}" for signature in signatures
        )
        raise ValueError(f"no signature by a known key; signed by {signers} (an older key?)")
    return text, list(verified.values())


def attach(note: str, signatures: Iterable[Signature]) -> str:
    """Return the note with these signatures; they replace others by the same keys."""
    _, existing = split_note(note)
    lines = {(signature.name, signature.key_id): signature.line for signature in existing}
    lines |= {(signature.name, signature.key_id): signature.line for signature in signatures}
    text, _, _ = note.rpartition("\n\n")
    return f"{text}\n\n{''.join(lines.values())}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head, parsed from a note's text. Our checkpoints have no extension lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note's text."""
        lines = [self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Parse a note's text, ours or another log's; raise ValueError if it is invalid."""
        lines = text.split("\n")
        if lines.pop() or len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
            raise ValueError("not a checkpoint: origin, size and root are required, a line each")
        origin, size, root, *extensions = lines
        checkpoint = cls(origin, int(size), strict_base64(root), tuple(extensions))
        if checkpoint.size > MAX_SIZE or len(checkpoint.root) != HASH_BYTES:
            raise ValueError("not a checkpoint: a root has 32 bytes, a size at most 63 bits")
        return checkpoint


class Signer:
    """The keys that sign a log's checkpoints, each named after the log's origin.

    Two keys sign during a rotation; `retired` keys (vkeys) no longer sign.
    """

    def __init__(self, origin: str, *seeds: bytes, retired: Iterable[str] = ()) -> None:
        if not re.fullmatch(ORIGIN, origin):
            raise ValueError(f"{origin!r} cannot be the name of a key")
        self.origin = origin
        self.retired = tuple(retired)
        self._seeds = seeds
        self._keys = [Ed25519PrivateKey.from_private_bytes(seed) for seed in seeds]
        self._verifiers = [
            Verifier(origin, ED25519, key.public_key().public_bytes_raw()) for key in self._keys
        ]
        if not seeds or any(Verifier.parse(vkey).name != origin for vkey in self.retired):
            raise ValueError("a log needs a signing key, and all its keys have one name")

    @classmethod
    def from_skey(cls, lines: str) -> "Signer":
        """Parse a key file: one private key a line, newest first, then retired vkeys.

        Raises ValueError if it is invalid.
        """
        private = [line for line in lines.split() if line.startswith("PRIVATE+KEY+")]
        parts = [line.split("+", 4) for line in private] or [[""] * 5]
        seeds = [strict_base64(fields[-1])[1:] for fields in parts]
        signer = cls(parts[0][2], *seeds, retired=lines.split()[len(private) :])
        if signer.skey.split() != lines.split():
            raise ValueError("not Ed25519 signed-note keys of one name")
        return signer

    @property
    def skey(self) -> str:
        """The key file's lines, private keys first."""
        raws = [b64encode(bytes([ED25519]) + seed).decode() for seed in self._seeds]
        ids = [f"PRIVATE+KEY+{self.origin}+{known.key_id.hex()}" for known in self._verifiers]
        private = map("+".join, zip(ids, raws, strict=True))
        return "\n".join([*private, *self.retired])

    @property
    def vkey(self) -> str:
        """The newest key's verifier line, which may be published."""
        return self._verifiers[0].vkey

    @property
    def vkeys(self) -> list[str]:
        """The verifier lines of all present and retired keys, newest first."""
        return [*(known.vkey for known in self._verifiers), *self.retired]

    def with_new_key(self, seed: bytes) -> "Signer":
        """Return a signer with an additional key; raise ValueError if there are two already."""
        if len(self._seeds) > 1:
            raise ValueError("two keys sign already: retire the old one first")
        return Signer(self.origin, seed, *self._seeds, retired=self.retired)

    def newest_only(self) -> "Signer":
        """Return a signer with the newest key only; raise ValueError if there is no other."""
        if len(self._seeds) < 2:
            raise ValueError("one key signs: add the new one first")
        return Signer(self.origin, self._seeds[0], retired=self.vkeys[1:])

    def checkpoint(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a tree head."""
        text = Checkpoint(self.origin, size, root).text
        lines = [
            Signature(self.origin, known.key_id, key.sign(text.encode())).line
            for known, key in zip(self._verifiers, self._keys, strict=True)
        ]
        return f"{text}\n{''.join(lines)}"


def read_checkpoint(note: str, *vkeys: str) -> tuple[int, bytes]:
    """Return size and root of a log's checkpoint signed by one of its `vkeys`.

    Raises ValueError if it is not one of ours: the origin is not the key's name, or it has
    extension lines.
    """
    known = [Verifier.parse(vkey) for vkey in vkeys]
    text, signatures = open_note(note, known)
    checkpoint = Checkpoint.parse(text)
    if checkpoint.extensions or any(
        signature.name != checkpoint.origin for signature in signatures
    ):
        raise ValueError("not a checkpoint of this log")
    return checkpoint.size, checkpoint.root
