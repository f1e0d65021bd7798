"""Bearer tokens to callers: who is speaking, through what, and for how much.

A token is a JWT access token (RFC 9068): header `typ` "at+jwt", `alg` pinned by its key; claims
`iss`, `aud`, `sub` (an id), `exp` (at most 24 h after `iat`), `iat`, `jti`, `client_id`,
`scope` (space separated), `roles` (list), and if somebody acts for `sub`, `act.sub`.
`sub`'s prefix is the role, and must stand in `roles`.

Who we trust stands in `issuers.json` in the key folder, a list of

    {"name": "local", "iss": "...", "jwks": "tokens.jwks",
     "roles": ["person", ...], "subjects": "regular expression of the whole sub"}

with the JWKS (RFC 7517) beside it. A token that says more than its issuer may is a 401.

Scopes: `read`; `write` (plan, answer, beside); `share` (access). An author's role must be
person, partner or service; auditors and operators author nothing.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from joserfc.jws import JWSRegistry

from shared.fields import ID_PATTERN
from shared.keyfiles import keep
from shared.problems import SettingsError, Unauthorised
from shared.seal import from_b64url

MAX_LIFETIME = 24 * 3600  # seconds
MAX_TOKEN_BYTES = 8_192
LEEWAY = 60  # seconds of clock skew between us and an issuer
AUTHORS = frozenset({"person", "partner", "service"})
ROLES = ("person", "partner", "service", "auditor", "operator")
SCOPES = ("read", "write", "share")
LOCAL_ISS = "urn:firsthand:local"
_ALGORITHMS = ["Ed25519", "EdDSA", "ES256"]  # EdDSA: the older name, which issuers still send
_ID = re.compile(ID_PATTERN)
_CACHE_LIMIT = 10_000


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


@dataclass(frozen=True, slots=True)
class Issuer:
    """Somebody whose tokens we take, and for which roles and subjects."""

    name: str
    keys: KeySet
    roles: frozenset[str]
    subjects: re.Pattern[str]


class Callers:
    """Turns `Authorization` headers into callers; verified tokens are kept until they expire."""

    def __init__(
        self,
        issuers: dict[str, Issuer],
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = issuers
        self._audience = audience
        self._clock = clock
        self._known: dict[str, Caller] = {}
        self._registry = JWSRegistry(algorithms=_ALGORITHMS)

    @classmethod
    def from_folder(
        cls, folder: Path, audience: str, clock: Callable[[], float] = time.time
    ) -> "Callers":
        """Read `issuers.json` and its key sets; SettingsError names the file that is wrong."""
        path = folder / "issuers.json"
        try:
            issuers = _issuers(folder, json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError, JoseError, re.error) as fault:
            raise SettingsError(
                f"{path}: {type(fault).__name__}: {fault}. Run 'firsthand init' to make one."
            ) from None
        return cls(issuers, audience, clock)

    def of(self, authorization: str | None) -> Caller:
        """The caller of a request; Unauthorised says what is wrong with the token."""
        if authorization is None or not authorization.startswith("Bearer "):
            told = "There is no bearer token in the Authorization header."
            raise Unauthorised(told, challenge="Bearer")  # RFC 6750, 3.1
        token, now = authorization[7:].strip(), self._clock()
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorised(f"A token has at most {MAX_TOKEN_BYTES} bytes.")
        caller = self._known.get(token)
        if caller is None:
            caller = self._verify(token, now)
            if len(self._known) >= _CACHE_LIMIT:
                self._known.clear()
            self._known[token] = caller
        if caller.expires <= now:
            self._known.pop(token, None)
            raise Unauthorised("The token has expired.")
        return caller

    def _verify(self, token: str, now: float) -> Caller:
        try:
            issuer = self._issuers[_unverified_iss(token)]
            decoded = jwt.decode(token, issuer.keys, registry=self._registry)
        except LookupError:
            raise Unauthorised("The token names no issuer that we trust.") from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unauthorised("The token is not one that its issuer signed.") from None
        if str(decoded.header.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):
            raise Unauthorised("The token is not an access token (typ at+jwt).")
        wrong = _wrong(decoded.claims, issuer, self._audience, now)
        if wrong:
            raise Unauthorised(wrong)
        claims = decoded.claims
        return Caller(
            subject=claims["sub"],
            via=_acting(claims),
            issuer=issuer.name,
            scopes=frozenset(claims["scope"].split()),
            expires=float(claims["exp"]),
        )


def _issuers(folder: Path, listed: Any) -> dict[str, Issuer]:
    if not isinstance(listed, list) or not listed:
        raise TypeError("a list of at least one issuer is wanted")
    return {each["iss"]: _issuer(folder, each) for each in listed}


def _issuer(folder: Path, told: dict[str, Any]) -> Issuer:
    keys = KeySet.import_key_set(json.loads((folder / told["jwks"]).read_text()))
    if not set(told["roles"]) <= set(ROLES):
        raise ValueError(f"roles of {told['name']} are not all known")
    for key in keys.keys:
        if key.alg not in _ALGORITHMS:
            raise ValueError(f"a key of {told['name']} has no alg of {_ALGORITHMS}")
    return Issuer(told["name"], keys, frozenset(told["roles"]), re.compile(told["subjects"]))


def _unverified_iss(token: str) -> str:
    """Only to pick the issuer; the signature is checked with that issuer's keys."""
    parts = (from_b64url(each.encode()) for each in token.split(".")[:2])
    _head, claims = (json.loads(each, object_pairs_hook=_once) for each in parts)
    return str(claims["iss"])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: two readers could take each another one."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _acting(claims: dict[str, Any]) -> str:
    """The service that speaks for the subject: `act.sub` (RFC 8693, 4.1), else `client_id`."""
    acting = claims.get("act", {"sub": claims["client_id"]})
    return str(acting.get("sub")) if isinstance(acting, dict) else ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(claims: dict[str, Any], issuer: Issuer, audience: str, now: float) -> str | None:
    """What is wrong with a verified token's claims, in words; None if nothing is."""
    for name in ("sub", "client_id", "scope", "jti"):
        if not isinstance(claims.get(name), str):
            return f"The claim '{name}' is missing or not a string."
    if not all(
        _is_whole(each) for each in (claims.get("exp"), claims.get("iat"), claims.get("nbf", 0))
    ):
        return "The claims 'exp', 'iat' and 'nbf' must be whole seconds."
    subject, client, roles = claims["sub"], _acting(claims), claims.get("roles")
    named = claims.get("aud")
    told = [
        (audience in (named if isinstance(named, list) else [named]), "not meant for us (aud)"),
        (claims.get("nbf", 0) <= now + LEEWAY, "not valid yet (nbf)"),
        (claims["iat"] <= now + LEEWAY, "from the future (iat)"),
        (0 < claims["exp"] - claims["iat"] <= MAX_LIFETIME, "longer-lived than 24 hours"),
        (_ID.fullmatch(subject) is not None, "without a well-formed sub"),
        (_ID.fullmatch(client) is not None, "without a well-formed client_id or act"),
        (isinstance(roles, list) and subject.split(":")[0] in roles, "without the sub's role"),
        (subject.split(":")[0] in issuer.roles, "for a role its issuer may not speak of"),
        (issuer.subjects.fullmatch(subject) is not None, "for a sub its issuer may not speak of"),
    ]
    return next((f"The token is {why}." for good, why in told if not good), None)


def make_local_issuer(folder: Path) -> None:
    """Write `tokens.key` (private), `tokens.jwks` and `issuers.json` for this machine."""
    key = OKPKey.generate_key("Ed25519", parameters={"alg": "Ed25519", "use": "sig"}, auto_kid=True)
    keep(folder / "tokens.key", json.dumps(key.as_dict(private=True)).encode())
    made = OKPKey.import_key(json.loads((folder / "tokens.key").read_text()))
    public = {"keys": [made.as_dict(private=False)]}
    keep(folder / "tokens.jwks", json.dumps(public, indent=2).encode(), secret=False)
    local = {
        "name": "local",
        "iss": LOCAL_ISS,
        "jwks": "tokens.jwks",
        "roles": list(ROLES),
        "subjects": ID_PATTERN,
    }
    keep(folder / "issuers.json", json.dumps([local], indent=2).encode(), secret=False)


def local_token(
    folder: Path,
    subject: str,
    *,
    role: str | None = None,
    scopes: Sequence[str] = SCOPES,
    ttl: int = 3600,
    audience: str = "firsthand",
    client: str = "service:command",
) -> str:
    """A token of the local issuer for `subject`, valid for `ttl` seconds from now."""
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
        "scope": " ".join(scopes),
        "roles": [role or subject.partition(":")[0]],
    }
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": cast(str, key.kid)}
    return jwt.encode(header, claims, key, algorithms=["Ed25519"])
