"""Keys, issuers, and tokens of the same moment, well-formed but for one thing."""

import base64
import hmac
import json
from collections.abc import Callable
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OKPKey

from shared.crypto.jwe import b64url, from_b64url
from tests.tokens import ABSENT, CLAIMS, CLINIC, HEADER, ISS, OURS, THEIRS, forged, token

_numbers = count()
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519 (RFC 8032, 5.1)

WIDE = ECKey.generate_key("P-384", parameters={"alg": "ES256", "kid": "wide"})
FOR_SECRETS = OKPKey.generate_key("Ed25519", parameters={"alg": "Ed25519", "kid": "secrets"})
FOR_NOTHING = OKPKey.generate_key("Ed25519", parameters={"alg": "Ed25519", "kid": "nothing"})
ISSUERS: dict[str, dict[str, Any]] = {  # iss: its public keys, roles and subjects
    ISS: {"keys": [OURS.as_dict(private=False)]},
    CLINIC: {
        "keys": [THEIRS.as_dict(private=False)],
        "roles": ["partner", "service"],
        "subjects": r"partner:clinic-\d+",
    },
    "urn:partners": {"keys": [THEIRS.as_dict(private=False)], "roles": ["partner"]},
    "urn:wide": {"keys": [WIDE.as_dict(private=False)]},
    "urn:secrets": {"keys": [FOR_SECRETS.as_dict(private=False) | {"use": "enc"}]},
    "urn:nothing": {"keys": [FOR_NOTHING.as_dict(private=False) | {"key_ops": ["sign"]}]},
}


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims, with some changed; ABSENT leaves one out."""
    told = CLAIMS | {"scope": "write"} | changed
    return {name: value for name, value in told.items() if value is not ABSENT}


def ours(**changed: Any) -> str:
    """A token of ours."""
    return token(claims(**changed))


def headed(**header: Any) -> str:
    """A token of ours with another header."""
    return token(claims(), **header)


def clinic(**changed: Any) -> str:
    """A token of the clinic's for one of its partners."""
    told = {"iss": CLINIC, "sub": "partner:clinic-7", "roles": ["partner"]} | changed
    return token(claims(**told), THEIRS, alg="ES256", kid="theirs")


def signature(change: Callable[[bytes], bytes]) -> str:
    """A token of ours whose signature is changed."""
    head, body, signed = ours().split(".")
    return f"{head}.{body}.{b64url(change(from_b64url(signed.encode()))).decode()}"


def spelled(change: Callable[[str], str], wanted: str = "") -> str:
    """A token of ours whose signature is spelled otherwise; one with `wanted` in it."""
    while True:
        head, body, signed = ours(jti=str(next(_numbers))).split(".")
        if wanted in signed:
            return f"{head}.{body}.{change(signed)}"


def standard(text: str) -> str:
    """base64url in the alphabet of base64."""
    return text.replace("-", "+").replace("_", "/")


def left_over(text: str) -> str:
    """The same bytes, with bits set in the last character that stand for nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = text[:-1] + letters[letters.index(text[-1]) + 1]
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(text + "==")
    return other


def malleable(signed: bytes) -> bytes:
    """Another S of the same signature (RFC 8032, 8.4)."""
    whole = int.from_bytes(signed[32:], "little") + GROUP_ORDER
    return signed[:32] + whole.to_bytes(32, "little")


def der() -> str:
    """The clinic's signature in the form of X.509, not of JWS."""
    head, body, signed = clinic().split(".")
    raw = from_b64url(signed.encode())
    r, s = (int.from_bytes(part) for part in (raw[:32], raw[32:]))
    return f"{head}.{body}.{b64url(encode_dss_signature(r, s)).decode()}"


def secret(key: bytes) -> str:
    """A token signed with HMAC, and a key that everybody knows."""
    head, body, _ = forged({"alg": "HS256", "typ": "at+jwt"}, claims()).split(".")
    signed = hmac.digest(key, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{b64url(signed).decode()}"


def raw(head: bytes, body: bytes, *, encoded: bool = True) -> str:
    """A token of ours, signed, of just these bytes."""
    middle = b64url(body) if encoded else body
    signed = OURS.private_key.sign(b64url(head) + b"." + middle)  # type: ignore[union-attr]  # it is Ed25519
    return b".".join((b64url(head), middle, b64url(signed))).decode()


def wide() -> str:
    """A token of ES256, but over P-384."""
    head, body, _ = forged(HEADER | {"alg": "ES256", "kid": "wide"}, claims(iss="urn:wide")).split(
        "."
    )
    signed = WIDE.private_key.sign(f"{head}.{body}".encode(), ECDSA(SHA256()))  # type: ignore[union-attr]  # it is whole
    r, s = decode_dss_signature(signed)
    return f"{head}.{body}.{b64url(r.to_bytes(48) + s.to_bytes(48)).decode()}"


def twice(members: dict[str, Any], name: str, first: Any) -> bytes:
    """JSON in which a name stands twice: what is good comes last."""
    return json.dumps({name: first}).encode()[:-1] + b"," + json.dumps(members).encode()[1:]


def just(**header: Any) -> bytes:
    """A header's bytes."""
    told = {name: value for name, value in (HEADER | header).items() if value is not ABSENT}
    return json.dumps(told).encode()


def body(**changed: Any) -> bytes:
    """A body's bytes."""
    return json.dumps(claims(**changed)).encode()
