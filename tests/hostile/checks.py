"""The checks that refuse the abuses of tokens, and how each is left out.

A process lacks a check when a lenient object replaces one of ours or of joserfc's.
"""

import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from flask import request
from joserfc._rfc7515.compact import verify_compact
from joserfc.jwa import ESAlgorithm, JWSAlgModel
from joserfc.jwk import KeySet, OctKey, OKPKey, guess_key
from joserfc.jws import CompactSignature, JWSRegistry, validate_compact
from joserfc.jwt import Token, decode
from joserfc.registry import check_crit_header, check_registry_header, check_supported_header
from joserfc.util import urlsafe_b64decode

from services.intake.routes import _refusal
from shared.auth.issuers import ROLES, Issuer, JwksCache, issuers
from shared.auth.tokens import AUTHORS, MAX_LIFETIME, MAX_TOKEN_BYTES, Callers, _unique, checks
from shared.crypto.jwe import from_b64url
from tests.tokens import ISS, NOW, jwks

Replacement = tuple[object, object]  # what is replaced, and what is lenient
PACKAGES = "joserfc", "services", "shared"


def always(*_: object, **__: object) -> bool:
    return True


def header(repair: Callable[[str], str]) -> Replacement:
    """Repair the Authorization header."""
    of = Callers.of
    return of, lambda callers, text: of(callers, repair(text))


def claim(name: str, repair: Callable[[Any], object]) -> Replacement:
    """Repair a claim before it is checked."""

    def lenient(*args: Any, **kwargs: Any) -> Token:
        token = decode(*args, **kwargs)
        token.claims[name] = repair(token.claims.get(name))
        return token

    return decode, lenient


def without(says: str, holds: Callable[..., object] = always) -> Replacement:
    """Leave out the check that has this answer, or make it a lenient one."""

    def lenient(token: Token, issuer: Issuer, *rest: Any) -> Iterator[tuple[object, str]]:
        for true, answer in checks(token, issuer, *rest):
            yield (holds(token.claims, issuer) if says in answer else true), answer

    return checks, lenient


def secret(part: Callable[[Any], bytes]) -> Replacement:
    """Take a part of the public key as the secret of an HMAC."""

    def lenient(signature: CompactSignature, keys: KeySet, *_: object) -> bool:
        raw = part(keys.keys[0])
        key = OctKey(raw, raw)  # `import_key` would recognise a PEM
        return verify_compact(signature, JWSRegistry.algorithms["HS256"], key)

    return validate_compact, lenient


def issuer(repair: Callable[[str], str]) -> Replacement:
    """Repair the `iss` that is read before the signature is verified."""
    return _unique, lambda pairs: _unique(pairs) | {"iss": repair(dict(pairs).get("iss", ""))}


def with_all_keys(folder: Path) -> dict[str, Issuer]:
    """Issuers of which each has the keys of all."""
    trusted = issuers(folder)
    public = jwks(*(key for one in trusted.values() for key in one.keys.current()))  # type: ignore[arg-type]  # no RSA
    keys = JwksCache("all", lambda: public)
    return {iss: replace(one, keys=keys) for iss, one in trusted.items()}


def in_cookie_or_query(_: object) -> str:
    return f"Bearer {request.args.get('access_token') or request.cookies['token']}"


def from_base64(text: bytes) -> bytes:
    return urlsafe_b64decode(text.rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_")))


class Check(Enum):
    """What is checked: the original that does it, and what replaces that where it is not."""

    # Who is asked
    SCHEME = header(lambda text: f"Bearer {text.split()[1]}")
    HEADER_ONLY = header(in_cookie_or_query)
    SIZE = MAX_TOKEN_BYTES, 8_192_000
    ONE_TOKEN = header(lambda text: " ".join(text.replace(",", " ").split()[:2]))

    # Who signed
    ISSUER = issuer(lambda _: ISS)
    ISSUER_SLASH = issuer(lambda iss: iss.rstrip("/"))
    ISSUER_CASE = issuer(str.lower)
    ISSUER_PRESENT = issuer(lambda iss: iss or ISS)
    SIGNATURE = verify_compact, always
    OWN_KEYS = issuers, with_all_keys
    KID = KeySet.get_by_kid, lambda keys, *_: keys.keys[0]
    NO_EMBEDDED_KEY = guess_key, lambda _, jws, **__: OKPKey.import_key(jws.headers()["jwk"])
    ALGORITHMS = JWSRegistry.get_alg, lambda registry, name: registry.algorithms[name]
    ASYMMETRIC_PEM = secret(lambda key: key.as_pem(private=False))
    ASYMMETRIC_X = secret(lambda key: key.as_dict()["x"].encode())
    PINNED = OKPKey.check_alg, always
    USE = OKPKey.check_use, always
    OPERATION = OKPKey.check_key_op, always
    CURVE = ESAlgorithm.check_key, JWSAlgModel.check_key

    # How it is written
    TRAILING_BITS = urlsafe_b64decode, lambda text: b64decode(text + b"==", b"-_")
    ALPHABET = urlsafe_b64decode, from_base64
    ONCE = _unique, dict
    KNOWN_HEADERS = check_supported_header, always
    CRITICAL = check_crit_header, always
    HEADER_TYPES = check_registry_header, always
    ENCODED = from_b64url, lambda raw: raw if raw[:1] == b"{" else from_b64url(raw)
    TYP = without("typ at+jwt")

    # When
    EXPIRY = claim("exp", lambda exp: exp + 600)
    LIFETIME = MAX_LIFETIME, 10**20
    FORWARDS = without("24 hours", lambda claims, _: claims["exp"] - claims["iat"] <= MAX_LIFETIME)
    NOT_BEFORE = without("not valid yet")
    ISSUED = without("issued in the future")
    NO_BOOL = claim("nbf", int)
    RANGE = claim("nbf", abs)
    WHOLE = claim("exp", int)
    EXP_PRESENT = claim("exp", lambda exp: exp or NOW + 600)
    IAT_PRESENT = claim("iat", lambda iat: iat or NOW - 60)

    # For whom, and for what
    AUDIENCE = without("(aud)")
    AUDIENCE_WHOLE = without("(aud)", lambda claims, _: "firsthand" in claims["aud"])
    AUDIENCE_CASE = claim("aud", str.lower)
    AUDIENCE_PRESENT = claim("aud", lambda aud: aud or "firsthand")
    JTI = without("'jti'")
    SUBJECT = without("sub claim is not a valid")
    SUBJECT_END = claim("sub", str.rstrip)
    SUBJECT_TEXT = claim("sub", lambda sub: sub[0])
    CLIENT = without("client_id or act")
    CLIENT_PRESENT = claim("client_id", lambda client: client or "service:x")
    ROLE = without("does not contain sub's role")
    ROLE_LIST = claim("roles", str.split)
    ISSUERS_ROLE = without("tokens for this role")
    ISSUERS_SUBJECT = without("tokens for this sub")
    SUBJECT_WHOLE = without(
        "tokens for this sub", lambda claims, by: by.subjects.search(claims["sub"])
    )
    SCOPE_TEXT = claim("scope", " ".join)
    SCOPE_PRESENT = claim("scope", lambda scope: scope or "write")
    SCOPE = _refusal, lambda *_: ""
    SCOPE_WHOLE = _refusal, lambda caller, row: row.token_scope not in str(caller.scopes)
    SCOPE_CASE = claim("scope", str.lower)
    SCOPE_COMMA = claim("scope", lambda scope: scope.replace(",", " "))
    AUTHOR = AUTHORS, frozenset(ROLES)

    def __init__(self, original: object, lenient: object) -> None:
        self.original, self.lenient = original, lenient

    def leave_out(self) -> None:
        """Replace the original, in this process, wherever a module or a class holds it."""
        modules = [module for name, module in sys.modules.items() if name.startswith(PACKAGES)]
        members = [member for module in modules for member in vars(module).values()]
        holders = [*modules, *{member for member in members if isinstance(member, type)}]
        names = [(holder, name) for holder in holders for name in vars(holder)]
        names = [pair for pair in names if vars(pair[0])[pair[1]] is self.original]
        assert names
        for holder, name in names:
            setattr(holder, name, self.lenient)
