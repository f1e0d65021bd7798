"""Tokens for tests: two issuers, valid claims, and everything needed to make them invalid."""

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
    """Return a key set of public keys."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def keys_of(*keys: OKPKey | ECKey) -> JwksCache:
    """Return an issuer's keys, which never change."""
    return JwksCache("fixed", lambda: jwks(*keys))


def kids(keys: JwksCache) -> list[str | None]:
    """Return the ids of the keys in use."""
    return [key.kid for key in keys.current().keys]


def callers(clock: Clock | None = None) -> Callers:
    """Return two issuers: ours for everybody, a clinic's for its partners only."""
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
    """Return Ada's claims with some changed; ABSENT removes one."""
    return {name: value for name, value in (CLAIMS | changed).items() if value is not ABSENT}


def token(payload: dict[str, Any], key: OKPKey | ECKey = OURS, **header: Any) -> str:
    """Return a signed token."""
    shown = {name: value for name, value in (HEADER | header).items() if value is not ABSENT}
    return jwt.encode(shown, payload, key, ["Ed25519", "EdDSA", "ES256"], default_type=None)


def clinic(**changed: Any) -> str:
    """Return a token of the clinic for one of its partners."""
    payload = claims(iss=CLINIC, sub="partner:clinic-7", roles=["partner"]) | changed
    return token(payload, THEIRS, alg="ES256", kid="theirs")


def forged(header: object, body: object, signature: bytes = bytes(64)) -> str:
    """Return a hand-made token; bytes are used unchanged."""
    raw = (
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, body)
    )
    return ".".join(b64url(part).decode() for part in (*raw, signature))


def refusal(authorization: str | None, clock: Clock | None = None) -> str:
    """Return the detail of the error for this header."""
    with pytest.raises(Unauthorized) as caught:
        callers(clock).of(authorization)
    error = caught.value
    assert error.status == 401
    assert error.headers["WWW-Authenticate"] in ("Bearer", 'Bearer error="invalid_token"')
    assert re.fullmatch(r"[A-Z].{10,200}\.", error.detail)
    return error.detail
