r"""Checkpoints as signed notes (C2SP tlog-checkpoint, C2SP signed-note).

    <origin>\n<size>\n<base64(root)>\n
    \n
    — <name> <base64(key id || signature)>\n            (the dash is U+2014)

    key id = SHA-256(name || 0x0A || 0x01 || public key)[:4]     Ed25519; key name = origin
    vkey   = <name>+<hex(key id)>+<base64(0x01 || public key)>
    skey   = PRIVATE+KEY+<name>+<hex(key id)>+<base64(0x01 || seed)>

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
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
ORIGIN = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}"  # a key's name holds no white space and no plus
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that point a signature at its key (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


class Signer:
    """The key that signs a log's checkpoints; its name is the log's origin."""

    def __init__(self, origin: str, seed: bytes) -> None:
        if not re.fullmatch(ORIGIN, origin):
            raise ValueError(f"{origin!r} cannot be the name of a key")
        self.origin = origin
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes_raw()
        self._id = key_id(origin, self._public)

    @classmethod
    def from_skey(cls, skey: str) -> "Signer":
        """The signer of a private key line; ValueError if it is not one."""
        private, word, origin, told, raw = skey.strip().split("+", 4)
        seed = b64decode(raw, validate=True)
        signer = cls(origin, seed[1:])
        if (private, word, seed[:1]) != ("PRIVATE", "KEY", ED25519) or signer._id.hex() != told:
            raise ValueError("not an Ed25519 signed-note key")
        return signer

    @property
    def skey(self) -> str:
        """The private key line, for a file."""
        raw = b64encode(ED25519 + self._seed).decode()
        return f"PRIVATE+KEY+{self.origin}+{self._id.hex()}+{raw}"

    @property
    def vkey(self) -> str:
        """The verifier key line, for everybody."""
        raw = b64encode(ED25519 + self._public).decode()
        return f"{self.origin}+{self._id.hex()}+{raw}"

    def checkpoint(self, size: int, root: bytes) -> str:
        """The signed checkpoint of a tree head."""
        text = f"{self.origin}\n{size}\n{b64encode(root).decode()}\n"
        signature = b64encode(self._id + self._key.sign(text.encode())).decode()
        return f"{text}\n\u2014 {self.origin} {signature}\n"


def read_checkpoint(note: str, vkey: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint signed by `vkey`; ValueError if it is not."""
    name, told, raw = vkey.split("+", 2)
    public = b64decode(raw, validate=True)[1:]
    text, _, signatures = note.rpartition("\n\n")
    *lines, end = signatures.split("\n")
    if end:
        raise ValueError("the last line of a note must end")
    for line in lines:
        if line.startswith(f"\u2014 {name} "):
            signed = b64decode(line.rsplit(" ", 1)[1], validate=True)
            if signed[:4].hex() == told:
                return _verified(text + "\n", name, public, signed[4:])
    raise ValueError(f"no signature of {name}")


def _verified(text: str, origin: str, public: bytes, signature: bytes) -> tuple[int, bytes]:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode())
    except InvalidSignature:
        raise ValueError("the signature is not by this key") from None
    named, _, head = text.partition("\n")
    size, _, root = head.partition("\n")
    if named != origin or not _SIZE.fullmatch(size) or not root.endswith("=\n"):
        raise ValueError("not a checkpoint of this log")
    return int(size), b64decode(root[:-1], validate=True)
