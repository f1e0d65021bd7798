"""Bearer tokens: verify JWT access tokens and return the caller.

A token is a JWT access token (RFC 9068): header `typ` "at+jwt", `alg` pinned by its key; claims
`iss`, `aud`, `sub` (an id), `exp` (at most 24 h after `iat`), `iat`, `jti`, `client_id`,
`scope` (space separated), `roles` (list), and `act.sub` if a service acts for `sub`.
The prefix of `sub` is the role; `roles` must contain it.

Scopes: `read`; `write` (plan, answer, beside, equal); `share` (access, representatives, services);
`leave` (export, erasure); `log` (hashes, and entries without words). A token has exactly the scopes
in its `scope` claim. For a service that acts for `sub` (`act`), a token of the local issuer has
`read` and `write` by default; `share` and `leave` must be requested explicitly. Only persons,
partners and services may author events; auditors and operators may not.

A token that claims more than its issuer may assert (shared/auth/issuers.py) is answered with 401.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from joserfc.jws import JWSRegistry

from shared.auth.issuers import ALGORITHMS, ROLES, Issuer, issuers
from shared.crypto.jwe import from_b64url
from shared.errors import SettingsError, Unauthorized
from shared.events.schema_fields import ID_PATTERN
from shared.files import write_if_absent

MAX_LIFETIME = 24 * 3600  # seconds
MAX_TOKEN_BYTES = 8_192
MAX_TIME = 2**53  # of `exp`, `iat` and `nbf`
LEEWAY = 60  # seconds of clock skew between an issuer and this process
AUTHORS = frozenset({"person", "partner", "service"})
SCOPES = ("read", "write", "share", "leave", "log")
ACTING_SCOPES = ("read", "write")  # the default for a service that acts for a subject
LOCAL_ISS = "urn:firsthand:local"
_ID = re.compile(ID_PATTERN)
_CACHE_LIMIT = 10_000
Check = tuple[object, str]  # a condition that must be true, and the error detail if it is not


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller of a request. `expires` is in seconds since 1970."""

    subject: str
    via: str
    issuer: str
    scopes: frozenset[str]
    expires: float

    @property
    def role(self) -> str:
        """The role: the part of the id before its colon."""
        return self.subject.partition(":")[0]


class Callers:
    """Verifies `Authorization` headers, with a cache of verified tokens.

    A token leaves the cache when it expires, or when the keys of its issuer change.
    """

    def __init__(
        self,
        issuers: dict[str, Issuer],
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = issuers
        self._audience = audience
        self._clock = clock
        self._known: dict[str, tuple[Caller, Issuer, KeySet]] = {}
        self._registry = JWSRegistry(algorithms=list(ALGORITHMS))

    @classmethod
    def from_folder(
        cls, folder: Path, audience: str, clock: Callable[[], float] = time.time
    ) -> "Callers":
        """Load the issuers of a key folder; SettingsError names a missing or invalid file."""
        return cls(issuers(folder), audience, clock)

    def of(self, authorization: str | None) -> Caller:
        """Return the caller of a request; Unauthorized if the token is missing or invalid."""
        token, now = _bearer(authorization), self._clock()
        if token is None:
            raise Unauthorized(
                "The Authorization header has no bearer token.", challenge="Bearer"
            )  # RFC 6750, 3.1
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized(f"A token has at most {MAX_TOKEN_BYTES} bytes.")
        caller, issuer, keys = self._known.get(token) or self._verify(token, now)
        if keys is not issuer.keys.current():
            caller, issuer, keys = self._verify(token, now)
        if caller.expires <= now:
            self._known.pop(token, None)
            raise Unauthorized("The token has expired.")
        return caller

    def known(self, authorization: str | None) -> Caller | None:
        """Return the caller if the token is in the cache and its keys need no refresh."""
        cached = self._known.get(_bearer(authorization) or "")
        if cached is None:
            return None
        caller, issuer, keys = cached
        fresh = keys is issuer.keys.at_hand() and caller.expires > self._clock()
        return caller if fresh else None

    def _verify(self, token: str, now: float) -> tuple[Caller, Issuer, KeySet]:
        """Verify a token and add it to the cache."""
        try:
            iss, kid = _unverified(token)
            issuer = self._issuers[iss]
            keys = issuer.keys.with_key(kid) if kid else issuer.keys.current()
            decoded = jwt.decode(token, keys, registry=self._registry)
        except LookupError:
            raise Unauthorized("The issuer of the token is not trusted.") from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unauthorized("The token is malformed or its signature is invalid.") from None
        for holds, detail in checks(decoded, issuer, self._audience, now):
            if not holds:
                raise Unauthorized(detail)
        if len(self._known) >= _CACHE_LIMIT:
            self._known.clear()
        self._known[token] = _caller(decoded.claims, issuer), issuer, keys
        return self._known[token]


def _bearer(authorization: str | None) -> str | None:
    """Return the token of an Authorization header; None if it has no bearer token."""
    if authorization is None or authorization[:7].lower() != "bearer ":  # RFC 9110, 11.1
        return None
    return authorization[7:].strip()


def _unverified(token: str) -> tuple[str, str]:
    """Return `iss` and `kid`, not authenticated, to select the key that verifies the signature."""
    parts = (from_b64url(part.encode()) for part in token.split(".")[:2])
    head, body, *_ = (json.loads(part, object_pairs_hook=_unique) for part in parts)
    kid = head.get("kid") if isinstance(head, dict) else None
    return str(body["iss"]), kid if isinstance(kid, str) else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Reject duplicate member names: two parsers could read different values."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member name")
    return members


def _caller(claims: dict[str, Any], issuer: Issuer) -> Caller:
    return Caller(
        subject=claims["sub"],
        via=_acting(claims),
        issuer=issuer.name,
        scopes=frozenset(claims["scope"].split()),
        expires=float(claims["exp"]),
    )


def _acting(claims: dict[str, Any]) -> str:
    """Return the service that acts for the subject: `act.sub` (RFC 8693, 4.1), else `client_id`."""
    acting = claims.get("act", {"sub": claims["client_id"]})
    return str(acting.get("sub")) if isinstance(acting, dict) else ""


def _is_time(value: object) -> bool:
    """Return True for whole seconds since 1970 within the range of exact arithmetic."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TIME


def checks(token: jwt.Token, issuer: Issuer, audience: str, now: float) -> Iterator[Check]:
    """Yield the checks of a signed token in order. A check may rely on the preceding ones."""
    claims, typ = token.claims, str(token.header.get("typ", "")).lower()
    yield typ in ("at+jwt", "application/at+jwt"), "The token is not an access token (typ at+jwt)."
    for name in ("sub", "client_id", "scope", "jti"):
        yield isinstance(claims.get(name), str), f"The claim '{name}' is missing or not a string."
    times: tuple[Any, ...] = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    whole = "The claims 'exp', 'iat' and 'nbf' must be whole seconds since 1970."
    yield all(map(_is_time, times)), whole
    (exp, iat, nbf), aud, roles = times, claims.get("aud"), claims.get("roles")
    subject, audiences = claims["sub"], aud if isinstance(aud, list) else [aud]
    role = subject.partition(":")[0]
    yield audience in audiences, "The token has another audience (aud)."
    yield nbf <= now + LEEWAY, "The token is not valid yet (nbf)."
    yield iat <= now + LEEWAY, "The token was issued in the future (iat)."
    yield 0 < exp - iat <= MAX_LIFETIME, "The token is valid for more than 24 hours."
    yield _ID.fullmatch(subject), "The sub claim is not a valid id."
    yield _ID.fullmatch(_acting(claims)), "The client_id or act claim is not a valid id."
    yield isinstance(roles, list) and role in roles, "The roles claim does not contain sub's role."
    yield role in issuer.roles, "The issuer may not issue tokens for this role."
    yield issuer.subjects.fullmatch(subject), "The issuer may not issue tokens for this sub."


def make_local_issuer(folder: Path) -> None:
    """Create `tokens.key` (private), `tokens.jwks` and `issuers.json`, unless they exist."""
    key = OKPKey.generate_key("Ed25519", parameters={"alg": "Ed25519", "use": "sig"}, auto_kid=True)
    write_if_absent(folder / "tokens.key", json.dumps(key.as_dict(private=True)).encode())
    stored = OKPKey.import_key(json.loads((folder / "tokens.key").read_text()))
    public = {"keys": [stored.as_dict(private=False)]}
    write_if_absent(folder / "tokens.jwks", json.dumps(public, indent=2).encode(), secret=False)
    local = {
        "name": "local",
        "iss": LOCAL_ISS,
        "jwks": "tokens.jwks",
        "roles": list(ROLES),
        "subjects": ID_PATTERN,
    }
    write_if_absent(folder / "issuers.json", json.dumps([local], indent=2).encode(), secret=False)


def local_token(  # noqa: PLR0913 - a token has this many claims, passed by name
    folder: Path,
    subject: str,
    *,
    role: str | None = None,
    scopes: Sequence[str] | None = None,
    ttl: int = 3600,
    audience: str = "firsthand",
    client: str = "service:command",
    act: str | None = None,
) -> str:
    """Issue a token of the local issuer for `subject`, valid for `ttl` seconds.

    `act` is a service that acts for the subject. It reduces the default scopes to ACTING_SCOPES.
    """
    try:
        key = OKPKey.import_key(json.loads((folder / "tokens.key").read_text()))
    except OSError as fault:
        raise SettingsError(f"{fault}. Run 'firsthand init' or 'firsthand up' first.") from None
    now = int(time.time())
    claims = {
        "iss": LOCAL_ISS,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + ttl,
        "jti": uuid.uuid4().hex,
        "client_id": client,
        "scope": " ".join((ACTING_SCOPES if act else SCOPES) if scopes is None else scopes),
        "roles": [role or subject.partition(":")[0]],
        **({"act": {"sub": act}} if act else {}),
    }
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": cast(str, key.kid)}
    return jwt.encode(header, claims, key, algorithms=["Ed25519"])
