"""Encryption: JWE compact serialisation, RFC 7516, `alg: dir`, `enc: A256GCM`.

    BASE64URL(header) ".." BASE64URL(nonce) "." BASE64URL(ciphertext) "." BASE64URL(tag)

The part between the first two dots is empty: the key is used directly (RFC 7518, 4.5).
`header` is JSON with sorted keys: `alg`, `enc`, `kid`, and the members that the caller binds. It
is authenticated (AAD = its base64url text), so a ciphertext cannot be used in another context.

`kid` = BASE64URL(SHA-256("firsthand/key/1" || key)). AES-GCM does not commit to its key. The kid
does, and decryption verifies it. Every nonce is 12 fresh random bytes.

>>> key = Key(bytes(range(32)))
>>> key.kid
'gwW7yJiIzzDE6eUZe13TSgzS8JWDcvWE9ewTxZ8wOVo'
>>> sealed = encrypt(key, b"mine", {"subject": "person:ada"}, nonce=bytes(12))
>>> sealed.count(b".")
4
>>> decrypt(sealed, {key.kid: key}.get)[1]
b'mine'
"""

import os
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, cast

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pybase64 import b64decode, b64encode

from shared.errors import DecryptionError

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
KIND = "dir", "A256GCM"
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
NONCE_CHARACTERS = 16  # a multiple of four, so nonce and ciphertext are decoded in one call
_FINAL = {  # length modulo 4 -> valid last characters: those that leave no bits over
    rest: frozenset({b"", *(bytes([byte]) for byte in final)})
    for rest, final in ((0, _ALPHABET), (1, b""), (2, b"AQgw"), (3, b"AEIMQUYcgkosw048"))
}
_PLUS, _SLASH = b"+/"
_PADDING = b"", b"", b"==", b"="


def b64url(raw: bytes) -> bytes:
    """Encode as base64url without padding (RFC 7515, section 2)."""
    return b64encode(raw, b"-_").rstrip(b"=")


def from_b64url(text: bytes) -> bytes:
    """Decode base64url without padding; ValueError if the text is not canonical base64url."""
    rest = len(text) % 4
    if text[-1:] not in _FINAL[rest] or _PLUS in text or _SLASH in text:
        raise ValueError("not base64url")
    return b64decode(text + _PADDING[rest], b"-_", validate=True)


def derive_key(key: bytes, info: bytes) -> bytes:
    """Derive a 32-byte key for the purpose `info` with HKDF-SHA-256 (RFC 5869), without salt."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


class Key:
    """A 256-bit key, its `kid`, and its cipher object. `repr` does not contain the key."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise DecryptionError(f"a key has {KEY_BYTES} bytes, this one {len(raw)}")
        self.raw = raw
        self.kid = b64url(sha256(b"firsthand/key/1" + raw).digest()).decode()
        self.cipher = AESGCM(raw)

    @classmethod
    def fresh(cls) -> "Key":
        """Generate a random key."""
        return cls(os.urandom(KEY_BYTES))

    @cached_property
    def salting(self) -> HMAC:
        """Return HMAC-SHA-256 under HKDF(key, "firsthand/digest/1"), to be copied for each salt."""
        return HMAC(derive_key(self.raw, b"firsthand/digest/1"), SHA256())

    def __repr__(self) -> str:
        return f"Key({self.kid})"


def encrypt(
    key: Key, plaintext: bytes, bound: Mapping[str, object], *, nonce: bytes | None = None
) -> bytes:
    """Encrypt `plaintext` under `key`, authenticating the header members `bound`.

    Pass `nonce` for golden files only.
    """
    return encrypt_with_header(header_for(key, bound), key, plaintext, nonce=nonce)


def header_for(key: Key, bound: Mapping[str, object]) -> bytes:
    """Return the encoded header, for callers that encrypt many plaintexts with the same header."""
    members = {"alg": "dir", "enc": "A256GCM", "kid": key.kid, **bound}
    return b64url(orjson.dumps(members, option=orjson.OPT_SORT_KEYS))


def encrypt_with_header(
    header: bytes, key: Key, plaintext: bytes, *, nonce: bytes | None = None
) -> bytes:
    """Encrypt with a header that `header_for` made with the same key."""
    nonce = nonce or os.urandom(NONCE_BYTES)
    text = key.cipher.encrypt(nonce, plaintext, header)
    tag = b64url(text[-TAG_BYTES:])
    both = b64url(nonce + text[:-TAG_BYTES])
    return b"%b..%b.%b.%b" % (header, both[:NONCE_CHARACTERS], both[NONCE_CHARACTERS:], tag)


@lru_cache(maxsize=64)  # all messages of a stream have the same header
def _members(header: bytes) -> dict[str, Any]:
    return cast(dict[str, Any], orjson.loads(from_b64url(header)))


def read_header(encrypted: bytes) -> Mapping[str, object]:
    """Return the members of the header, not authenticated; empty if it is not such a JWE."""
    header, *others = encrypted.split(b".")
    try:
        members: object = _members(header)
    except ValueError:
        return {}
    if not isinstance(members, dict) or len(others) != 4 or others[0]:
        return {}
    return members if (members.get("alg"), members.get("enc")) == KIND else {}


def decrypt(encrypted: bytes, find: Callable[[str], Key | None]) -> tuple[dict[str, object], bytes]:
    """Return the authenticated header and the plaintext; `find` returns the key for a kid.

    Raises DecryptionError if `encrypted` is not such a JWE, the key is missing, or authentication
    fails.
    """
    try:
        header, empty, nonce, text, tag = encrypted.split(b".")
        members = _members(header)
        key = find(members["kid"])
        if empty or members["alg"] != "dir" or members["enc"] != "A256GCM":
            raise DecryptionError("not a direct A256GCM JWE")
        if key is None:
            raise DecryptionError("no key with this kid")
        if key.kid != members["kid"]:
            raise DecryptionError("the key does not match its kid")
        tag_bytes = from_b64url(tag)
        if len(tag_bytes) != TAG_BYTES:
            raise DecryptionError("not a tag of 16 bytes")
        if len(nonce) != NONCE_CHARACTERS:
            raise DecryptionError("not a nonce of 12 bytes")
        both = from_b64url(nonce + text)
        plaintext = key.cipher.decrypt(both[:NONCE_BYTES], both[NONCE_BYTES:] + tag_bytes, header)
    except InvalidTag:
        raise DecryptionError("modified, or encrypted with another key") from None
    except (ValueError, KeyError, TypeError, Base64Error) as fault:
        raise DecryptionError(f"not a valid JWE: {type(fault).__name__}") from None
    return members, plaintext
