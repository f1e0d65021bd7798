"""Abuses of tokens: each is well-formed but for one thing, and names the check that it meets.

`make` makes the token, and `says` stands in the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.auth.tokens import LEEWAY, MAX_LIFETIME
from shared.crypto.jwe import b64url
from tests.hostile.checks import Check
from tests.hostile.forgery import (
    FOR_NOTHING,
    FOR_SECRETS,
    body,
    claims,
    clinic,
    der,
    headed,
    just,
    left_over,
    malleable,
    ours,
    raw,
    secret,
    signature,
    spelled,
    standard,
    twice,
    wide,
)
from tests.tokens import ABSENT, CLINIC, HEADER, ISS, NOW, OURS, STRANGE, THEIRS, forged, token

UNSIGNED = "its signature is invalid"
UNKNOWN = "issuer of the token is not trusted"
NO_TOKEN = "no bearer token"


@dataclass(frozen=True)
class Abuse:
    """What is tried, the header or the request that does it, and what holds it."""

    name: str
    make: Callable[[], str]
    says: str
    check: Check
    status: int = 401
    place: str = "Bearer {}"  # where the token stands: a header's value, `?query` or `Cookie:`
    again_after: float | None = None  # seconds, if the first time is no abuse


WHO_IS_ASKED = [
    Abuse("another scheme", ours, NO_TOKEN, Check.SCHEME, place="Digest {}"),
    Abuse("a token in the query", ours, NO_TOKEN, Check.HEADER_ONLY, place="?access_token={}"),
    Abuse("a token in a cookie", ours, NO_TOKEN, Check.HEADER_ONLY, place="Cookie: token={}"),
    Abuse("a huge token", lambda: ours(name="x" * 9000), "at most 8192 bytes", Check.SIZE),
    Abuse("two tokens", lambda: f"{ours()} {ours(sub='person:eve')}", UNSIGNED, Check.ONE_TOKEN),
    Abuse("two, with a comma", lambda: f"{ours()},{ours()}", UNSIGNED, Check.ONE_TOKEN),
]
WHO_SIGNED = [
    Abuse("an unknown issuer", lambda: ours(iss="https://evil.example"), UNKNOWN, Check.ISSUER),
    Abuse("an issuer in a list", lambda: ours(iss=[ISS]), UNKNOWN, Check.ISSUER),
    Abuse("an issuer and a slash", lambda: ours(iss=ISS + "/"), UNKNOWN, Check.ISSUER_SLASH),
    Abuse("an issuer in capitals", lambda: ours(iss=ISS.upper()), UNKNOWN, Check.ISSUER_CASE),
    Abuse("no issuer", lambda: ours(iss=ABSENT), UNKNOWN, Check.ISSUER_PRESENT),
    Abuse(
        "another issuer's key",
        lambda: token(claims(), THEIRS, alg="ES256", kid="theirs"),
        UNSIGNED,
        Check.OWN_KEYS,
    ),
    Abuse(
        "our key for another issuer",
        lambda: token(claims(iss=CLINIC, sub="partner:clinic-7", roles=["partner"])),
        UNSIGNED,
        Check.OWN_KEYS,
    ),
    Abuse("a kid of nobody", lambda: headed(kid="other"), UNSIGNED, Check.KID),
    Abuse("a kid that is a path", lambda: headed(kid="../tokens.key"), UNSIGNED, Check.KID),
    Abuse(
        "a key inside",
        lambda: token(claims(), STRANGE, jwk=STRANGE.as_dict(private=False), kid=ABSENT),
        UNSIGNED,
        Check.NO_EMBEDDED_KEY,
    ),
    Abuse(
        "an address of keys",
        lambda: token(claims(), STRANGE, jku="https://evil.example/jwks"),
        UNSIGNED,
        Check.SIGNATURE,
    ),
    Abuse(
        "a certificate inside",
        lambda: token(claims(), STRANGE, x5c=["MII"]),
        UNSIGNED,
        Check.SIGNATURE,
    ),
    Abuse("a strange key", lambda: token(claims(), STRANGE), UNSIGNED, Check.SIGNATURE),
    Abuse(
        "another body",
        lambda: (
            f"{ours().split('.')[0]}.{b64url(body(sub='person:eve')).decode()}."
            f"{ours().split('.')[2]}"
        ),
        UNSIGNED,
        Check.SIGNATURE,
    ),
    Abuse("no signature", lambda: signature(lambda _: b""), UNSIGNED, Check.SIGNATURE),
    Abuse(
        "a signature of zeros", lambda: signature(lambda _: bytes(64)), UNSIGNED, Check.SIGNATURE
    ),
    Abuse(
        "a short signature", lambda: signature(lambda told: told[:63]), UNSIGNED, Check.SIGNATURE
    ),
    Abuse(
        "a long signature", lambda: signature(lambda told: told + b"x"), UNSIGNED, Check.SIGNATURE
    ),
    Abuse("another S of it", lambda: signature(malleable), UNSIGNED, Check.SIGNATURE),
    Abuse(
        "ES256 of zeros",
        lambda: ".".join([*clinic().split(".")[:2], b64url(bytes(64)).decode()]),
        UNSIGNED,
        Check.SIGNATURE,
    ),
    Abuse("ES256 in DER", der, UNSIGNED, Check.SIGNATURE),
    Abuse(
        "alg none",
        lambda: forged({"alg": "none", "typ": "at+jwt"}, claims(), b""),
        UNSIGNED,
        Check.ALGORITHMS,
    ),
    Abuse(
        "a public key as a secret",
        lambda: secret(OURS.as_pem(private=False)),
        UNSIGNED,
        Check.ASYMMETRIC_PEM,
    ),
    Abuse(
        "a public key's x as a secret",
        lambda: secret(str(OURS.as_dict(private=False)["x"]).encode()),
        UNSIGNED,
        Check.ASYMMETRIC_X,
    ),
    Abuse(
        "another algorithm of the key",
        lambda: raw(just(alg="EdDSA", kid=ABSENT), body()),
        UNSIGNED,
        Check.PINNED,
    ),
    Abuse(
        "ES256 over another curve",
        wide,
        UNSIGNED,
        Check.CURVE,
    ),
    Abuse(
        "a key for encryption",
        lambda: token(claims(iss="urn:secrets"), FOR_SECRETS, kid=ABSENT),
        UNSIGNED,
        Check.USE,
    ),
    Abuse(
        "a key that must not verify",
        lambda: token(claims(iss="urn:nothing"), FOR_NOTHING, kid="nothing"),
        UNSIGNED,
        Check.OPERATION,
    ),
]
HOW_IT_IS_WRITTEN = [
    Abuse("bits left over", lambda: spelled(left_over), UNSIGNED, Check.TRAILING_BITS),
    Abuse("padding", lambda: spelled(lambda text: text + "=="), UNSIGNED, Check.ALPHABET),
    Abuse("base64", lambda: spelled(standard, "-"), UNSIGNED, Check.ALPHABET),
    Abuse(
        "a claim twice",
        lambda: raw(just(), twice(claims(), "sub", "person:eve")),
        UNSIGNED,
        Check.ONCE,
    ),
    Abuse(
        "a header twice", lambda: raw(twice(HEADER, "alg", "none"), body()), UNSIGNED, Check.ONCE
    ),
    Abuse("a header of nobody", lambda: raw(just(x=1), body()), UNSIGNED, Check.KNOWN_HEADERS),
    Abuse(
        "something critical, not there",
        lambda: raw(just(crit=["exp"]), body()),
        UNSIGNED,
        Check.CRITICAL,
    ),
    Abuse(
        "a header of another type", lambda: raw(just(cty=7), body()), UNSIGNED, Check.HEADER_TYPES
    ),
    Abuse(
        "a body that is not encoded",
        lambda: raw(just(b64=False, crit=["b64"]), body(), encoded=False),
        UNSIGNED,
        Check.ENCODED,
    ),
    Abuse("typ JWT", lambda: headed(typ="JWT"), "typ at+jwt", Check.TYP),
    Abuse("an id token", lambda: headed(typ="id+jwt"), "typ at+jwt", Check.TYP),
    Abuse("no typ", lambda: headed(typ=ABSENT), "typ at+jwt", Check.TYP),
]
WHEN = [
    Abuse("expired", lambda: ours(exp=NOW - 1), "expired", Check.EXPIRY),
    Abuse("nbf before 1970", lambda: ours(nbf=-5), "whole seconds", Check.RANGE),
    Abuse(
        "known, then expired", lambda: ours(exp=NOW + 1), "expired", Check.EXPIRY, again_after=1.0
    ),
    Abuse("no exp", lambda: ours(exp=ABSENT), "whole seconds", Check.EXP_PRESENT),
    Abuse("exp with a fraction", lambda: ours(exp=NOW + 9.5), "whole seconds", Check.WHOLE),
    Abuse("exp as a text", lambda: ours(exp=str(NOW + 9)), "whole seconds", Check.WHOLE),
    Abuse("nbf as a truth", lambda: ours(nbf=True), "whole seconds", Check.NO_BOOL),
    Abuse("no iat", lambda: ours(iat=ABSENT), "whole seconds", Check.IAT_PRESENT),
    Abuse("for ever", lambda: ours(exp=10**15), "24 hours", Check.LIFETIME),
    Abuse(
        "a second too long", lambda: ours(exp=NOW - 59 + MAX_LIFETIME), "24 hours", Check.LIFETIME
    ),
    Abuse(
        "expires before it begins",
        lambda: ours(iat=NOW + 50, exp=NOW + 40),
        "24 hours",
        Check.FORWARDS,
    ),
    Abuse(
        "from the future", lambda: ours(iat=NOW + LEEWAY + 60), "issued in the future", Check.ISSUED
    ),
    Abuse("not valid yet", lambda: ours(nbf=NOW + LEEWAY + 60), "not valid yet", Check.NOT_BEFORE),
]
FOR_WHOM = [
    Abuse("for others", lambda: ours(aud="other"), "(aud)", Check.AUDIENCE),
    Abuse("for several others", lambda: ours(aud=["a", "b"]), "(aud)", Check.AUDIENCE),
    Abuse("for nobody", lambda: ours(aud=ABSENT), "(aud)", Check.AUDIENCE_PRESENT),
    Abuse("for a longer name", lambda: ours(aud="firsthand-test"), "(aud)", Check.AUDIENCE_WHOLE),
    Abuse("for an object", lambda: ours(aud={"firsthand": 1}), "(aud)", Check.AUDIENCE_WHOLE),
    Abuse("for us in capitals", lambda: ours(aud="FIRSTHAND"), "(aud)", Check.AUDIENCE_CASE),
    Abuse("no jti", lambda: ours(jti=ABSENT), "'jti'", Check.JTI),
    Abuse(
        "sub too long",
        lambda: ours(sub="person:" + "x" * 65),
        "sub claim is not a valid",
        Check.SUBJECT,
    ),
    Abuse(
        "sub with a letter like an a",
        lambda: ours(sub="person:\u0430da"),
        "sub claim is not a valid",
        Check.SUBJECT,
    ),
    Abuse(
        "sub of three parts",
        lambda: ours(sub="person:ada:eve"),
        "sub claim is not a valid",
        Check.SUBJECT,
    ),
    Abuse(
        "sub and a line feed",
        lambda: ours(sub="person:ada\n"),
        "sub claim is not a valid",
        Check.SUBJECT_END,
    ),
    Abuse("sub in a list", lambda: ours(sub=["person:ada"]), "'sub'", Check.SUBJECT_TEXT),
    Abuse(
        "acts without a role", lambda: ours(client_id="notebook"), "client_id or act", Check.CLIENT
    ),
    Abuse("act as a text", lambda: ours(act="service:x"), "client_id or act", Check.CLIENT),
    Abuse("act of nobody", lambda: ours(act={}), "client_id or act", Check.CLIENT),
    Abuse("no client_id", lambda: ours(client_id=ABSENT), "'client_id'", Check.CLIENT_PRESENT),
    Abuse(
        "another's role", lambda: ours(roles=["partner"]), "does not contain sub's role", Check.ROLE
    ),
    Abuse(
        "roles as a text",
        lambda: ours(roles="a person"),
        "does not contain sub's role",
        Check.ROLE_LIST,
    ),
    Abuse(
        "a role of no issuer's",
        lambda: clinic(iss="urn:partners", sub="person:ada", roles=["person"]),
        "tokens for this role",
        Check.ISSUERS_ROLE,
    ),
    Abuse(
        "a subject of no issuer's",
        lambda: clinic(sub="partner:sam"),
        "tokens for this sub",
        Check.ISSUERS_SUBJECT,
    ),
    Abuse(
        "a subject with more behind it",
        lambda: clinic(sub="partner:clinic-7x"),
        "tokens for this sub",
        Check.SUBJECT_WHOLE,
    ),
]
FOR_WHAT = [
    Abuse("no scope", lambda: ours(scope=ABSENT), "'scope'", Check.SCOPE_PRESENT),
    Abuse("scopes in a list", lambda: ours(scope=["write"]), "'scope'", Check.SCOPE_TEXT),
    Abuse("another scope", lambda: ours(scope="read share"), "scope 'write'", Check.SCOPE, 403),
    Abuse("an empty scope", lambda: ours(scope=""), "scope 'write'", Check.SCOPE, 403),
    Abuse(
        "a longer scope", lambda: ours(scope="rewrites"), "scope 'write'", Check.SCOPE_WHOLE, 403
    ),
    Abuse(
        "a scope in capitals", lambda: ours(scope="WRITE"), "scope 'write'", Check.SCOPE_CASE, 403
    ),
    Abuse(
        "scopes with a comma",
        lambda: ours(scope="read,write"),
        "scope 'write'",
        Check.SCOPE_COMMA,
        403,
    ),
    Abuse(
        "a role that authors nothing",
        lambda: ours(sub="auditor:kim", roles=["auditor"]),
        "'auditor' may not author events",
        Check.AUTHOR,
        403,
    ),
]
ABUSES = [*WHO_IS_ASKED, *WHO_SIGNED, *HOW_IT_IS_WRITTEN, *WHEN, *FOR_WHOM, *FOR_WHAT]
