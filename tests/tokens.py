"""Tokens for tests: two issuers, good claims, and everything needed to spoil them."""

import json
import re
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from shared.auth.issuers import ROLES, Issuer, JwksCache
from shared.auth.tokens import Callers
from shared.crypto.jwe import b64url
from shared.errors import Unauthorized
from tests.given import ADA

NOW = 1_772_452_800
ISS, CLINIC = "urn:firsthand:local", "https://clinic.example"
OKP = {"alg": "Ed25519", "use": "sig", "kid": "ours"}
OURS = OKPKey.generate_key("Ed25519", parameters=OKP)  # type: ignore[arg-type]  # an alias inside
THEIRS = ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "theirs"})
STRANGE = OKPKey.generate_key("Ed25519", parameters=OKP)  # type: ignore[arg-type]  # an alias inside
NEW = OKPKey.import_key({**STRANGE.as_dict(private=True), "kid": "new"})
HEADER = {"alg": "Ed25519", "typ": "at+jwt", "kid": "ours"}
CLAIMS: dict[str, Any] = {
    "iss": ISS,
    "aud": "firsthand",
    "sub": ADA,
    "iat": NOW - 60,
    "exp": NOW + 600,
    "jti": "1",
    "client_id": "service:notebook",
    "scope": "read write",
    "roles": ["person"],
}
ABSENT = object()


class Clock:
    """A clock that a test moves."""

    now = float(NOW)

    def __call__(self) -> float:
        return self.now


def jwks(*keys: OKPKey | ECKey) -> bytes:
    """A key set, without what is private."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def keys_of(*keys: OKPKey | ECKey) -> JwksCache:
    """An issuer's keys, which stay what they are."""
    return JwksCache("fixed", lambda: jwks(*keys))


def kids(keys: JwksCache) -> list[str | None]:
    """The ids of the keys in use."""
    return [key.kid for key in keys.current().keys]


def callers(clock: Clock | None = None) -> Callers:
    """Two issuers: ours for everybody, a clinic's for its partners alone."""
    anybody = re.compile(r"(person|partner|team|service|auditor|operator):[A-Za-z0-9._-]{1,64}")
    issuers = {
        ISS: Issuer("local", keys_of(OURS), frozenset(ROLES), anybody),
        CLINIC: Issuer(
            "clinic",
            keys_of(THEIRS),
            frozenset({"partner", "service"}),
            re.compile(r"(partner|service):clinic-\d+"),
        ),
    }
    return Callers(issuers, "firsthand", clock or Clock())


def claims(**changed: Any) -> dict[str, Any]:
    """Ada's claims with some changed; ABSENT leaves one out."""
    return {name: value for name, value in (CLAIMS | changed).items() if value is not ABSENT}


def token(told: dict[str, Any], key: OKPKey | ECKey = OURS, **header: Any) -> str:
    """A signed token."""
    shown = {name: value for name, value in (HEADER | header).items() if value is not ABSENT}
    return jwt.encode(shown, told, key, ["Ed25519", "EdDSA", "ES256"], default_type=None)


def clinic(**changed: Any) -> str:
    """A token of the clinic's for one of its partners."""
    told = claims(iss=CLINIC, sub="partner:clinic-7", roles=["partner"]) | changed
    return token(told, THEIRS, alg="ES256", kid="theirs")


def forged(header: object, body: object, signature: bytes = bytes(64)) -> str:
    """A token made by hand; bytes go in as they are."""
    raw = (
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, body)
    )
    return ".".join(b64url(each).decode() for each in (*raw, signature))


def refusal(authorization: str | None, clock: Clock | None = None) -> str:
    """The sentence with which a header is refused."""
    with pytest.raises(Unauthorized) as caught:
        callers(clock).of(authorization)
    told = caught.value
    assert told.status == 401
    assert told.headers["WWW-Authenticate"] in ("Bearer", 'Bearer error="invalid_token"')
    assert re.fullmatch(r"[A-Z].{10,200}\.", told.detail)
    return told.detail
