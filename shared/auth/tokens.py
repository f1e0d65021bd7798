"""Bearer tokens to callers: who is speaking, through what, and for how much.

A token is a JWT access token (RFC 9068): header `typ` "at+jwt", `alg` pinned by its key; claims
`iss`, `aud`, `sub` (an id), `exp` (at most 24 h after `iat`), `iat`, `jti`, `client_id`,
`scope` (space separated), `roles` (list), and if somebody acts for `sub`, `act.sub`.
`sub`'s prefix is the role, and must stand in `roles`.

Scopes: `read`; `write` (plan, answer, beside, equal); `share` (access, representatives, services);
`leave` (export, erasure); `log` (hashes, and entries without words). A token has the scopes that
its `scope` names and no others. Where a service acts for `sub` (`act`), the local key names `read`
and `write` unless told otherwise: whose it is, and leaving, are handed on only by name. An author's
role must be person, partner or service; auditors and operators author nothing.

A token that says more than its issuer may (shared/auth/issuers.py) is a 401.
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
LATEST = 2**53  # the greatest `exp`, `iat` or `nbf`
LEEWAY = 60  # seconds of clock skew between us and an issuer
AUTHORS = frozenset({"person", "partner", "service"})
SCOPES = ("read", "write", "share", "leave", "log")
ACTING_SCOPES = ("read", "write")  # of a service that acts for somebody, if none are named
LOCAL_ISS = "urn:firsthand:local"
_ID = re.compile(ID_PATTERN)
_CACHE_LIMIT = 10_000
Check = tuple[object, str]  # what must be true, and the answer if it is not


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a bearer token says is speaking. `expires` is in seconds since 1970."""

    subject: str
    via: str
    issuer: str
    scopes: frozenset[str]
    expires: float

    @property
    def role(self) -> str:
        """The role the id carries before its colon."""
        return self.subject.partition(":")[0]


class Callers:
    """Turns `Authorization` headers into callers. Verified tokens are kept until they expire, or
    until their issuer's keys change.
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
        """Callers of the issuers in a key folder; SettingsError names the file that is wrong."""
        return cls(issuers(folder), audience, clock)

    def of(self, authorization: str | None) -> Caller:
        """The caller of a request; Unauthorised says what is wrong with the token."""
        token, now = _bearer(authorization), self._clock()
        if token is None:
            told = "There is no bearer token in the Authorization header."
            raise Unauthorized(told, challenge="Bearer")  # RFC 6750, 3.1
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
        """The caller, if the token was verified before and nothing must be waited for."""
        found = self._known.get(_bearer(authorization) or "")
        if found is None:
            return None
        caller, issuer, keys = found
        fresh = keys is issuer.keys.at_hand() and caller.expires > self._clock()
        return caller if fresh else None

    def _verify(self, token: str, now: float) -> tuple[Caller, Issuer, KeySet]:
        """Caller, issuer and keys of a token; remembered."""
        try:
            iss, kid = _unverified(token)
            issuer = self._issuers[iss]
            keys = issuer.keys.with_key(kid) if kid else issuer.keys.current()
            decoded = jwt.decode(token, keys, registry=self._registry)
        except LookupError:
            raise Unauthorized("The token names no issuer that we trust.") from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unauthorized("The token is not one that its issuer signed.") from None
        for holds, answer in checks(decoded, issuer, self._audience, now):
            if not holds:
                raise Unauthorized(answer)
        if len(self._known) >= _CACHE_LIMIT:
            self._known.clear()
        self._known[token] = _caller(decoded.claims, issuer), issuer, keys
        return self._known[token]


def _bearer(authorization: str | None) -> str | None:
    """The token of an Authorization header; None if it holds none."""
    if authorization is None or authorization[:7].lower() != "bearer ":  # RFC 9110, 11.1
        return None
    return authorization[7:].strip()


def _unverified(token: str) -> tuple[str, str]:
    """`iss` and `kid`, only to pick the issuer's key; the signature is checked with that."""
    parts = (from_b64url(part.encode()) for part in token.split(".")[:2])
    head, body, *_ = (json.loads(part, object_pairs_hook=_once) for part in parts)
    kid = head.get("kid") if isinstance(head, dict) else None
    return str(body["iss"]), kid if isinstance(kid, str) else ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: two readers could take each another one."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
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
    """The service that speaks for the subject: `act.sub` (RFC 8693, 4.1), else `client_id`."""
    acting = claims.get("act", {"sub": claims["client_id"]})
    return str(acting.get("sub")) if isinstance(acting, dict) else ""


def _is_time(value: object) -> bool:
    """True for whole seconds since 1970, in a range in which all arithmetic with them is exact."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST


def checks(token: jwt.Token, issuer: Issuer, audience: str, now: float) -> Iterator[Check]:
    """Yield the checks of a signed token in order; a check may rely on those before it."""
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
    yield audience in audiences, "The token is not meant for us (aud)."
    yield nbf <= now + LEEWAY, "The token is not valid yet (nbf)."
    yield iat <= now + LEEWAY, "The token is from the future (iat)."
    yield 0 < exp - iat <= MAX_LIFETIME, "The token is longer-lived than 24 hours."
    yield _ID.fullmatch(subject), "The token is without a well-formed sub."
    yield _ID.fullmatch(_acting(claims)), "The token is without a well-formed client_id or act."
    yield isinstance(roles, list) and role in roles, "The token is without the sub's role."
    yield role in issuer.roles, "The token is for a role its issuer may not speak of."
    yield issuer.subjects.fullmatch(subject), "The token is for a sub its issuer may not speak of."


def make_local_issuer(folder: Path) -> None:
    """Write `tokens.key` (private), `tokens.jwks` and `issuers.json` for this machine."""
    key = OKPKey.generate_key("Ed25519", parameters={"alg": "Ed25519", "use": "sig"}, auto_kid=True)
    write_if_absent(folder / "tokens.key", json.dumps(key.as_dict(private=True)).encode())
    made = OKPKey.import_key(json.loads((folder / "tokens.key").read_text()))
    public = {"keys": [made.as_dict(private=False)]}
    write_if_absent(folder / "tokens.jwks", json.dumps(public, indent=2).encode(), secret=False)
    local = {
        "name": "local",
        "iss": LOCAL_ISS,
        "jwks": "tokens.jwks",
        "roles": list(ROLES),
        "subjects": ID_PATTERN,
    }
    write_if_absent(folder / "issuers.json", json.dumps([local], indent=2).encode(), secret=False)


def local_token(  # noqa: PLR0913 - a token has as many claims, and each is named
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
    """A token of the local issuer for `subject`, valid for `ttl` seconds from now.

    With `act`, a service that acts for the subject, it has fewer scopes unless they are named.
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
