"""The checks that hold the abuses of tokens, and how each is cut out of a build.

Most stand in `shared/callers.py`. Some are joserfc's: there, what is cut is joserfc's own check, or
the key and the algorithms that it is called with. Words in `old` are regular expressions.
"""

import re

from tests.hostile.builds import Cut

CALLERS, ROUTES = "shared/callers.py", "services/intake/routes.py"
JWT, JWS, UTIL = "joserfc/jwt.py", "joserfc/jws.py", "joserfc/util.py"
MODEL, HEADERS, KEYS = "joserfc/_rfc7515/model.py", "joserfc/registry.py", "joserfc/_keys.py"
_NAMES = r'    for name in \("sub", "client_id"'


def line(check: str, text: str, path: str = CALLERS, new: str = "True") -> Cut:
    """A condition, replaced by what always holds."""
    return Cut(check, path, re.escape(text), new)


def without(check: str, condition: str, path: str) -> Cut:
    """An `if` that never holds."""
    return Cut(check, path, rf"if {re.escape(condition)}:", "if False:")


def lenient(check: str, repair: str) -> Cut:
    """A build that puts a claim right before it looks."""
    return Cut(check, CALLERS, _NAMES, f"    {repair}\n{_NAMES.replace(chr(92), '')}")


def decoded(check: str, key: str, algorithms: str = "list(registry.allowed)") -> Cut:
    """A build that takes another key, or other algorithms."""
    old = r"jws_obj = deserialize_compact\(value, key, algorithms, registry\)"
    new = (
        "from joserfc.jwk import KeySet, OctKey; from joserfc.jws import extract_compact; "
        "head = extract_compact(value).headers(); "
        f"jws_obj = deserialize_compact(value, {key}, None, JWSRegistry(algorithms={algorithms}))"
    )
    return Cut(check, JWT, old, new)


def issuer_of(check: str, found: str) -> Cut:
    """Another way from `iss` to the issuer; \\1 stands for what was claimed."""
    return Cut(check, CALLERS, r"self\._issuers\[([^\]]+)\]", found)


# Who is asked
SCHEME = Cut(
    "the scheme is Bearer",
    CALLERS,
    r' or authorization\[:7\]\.lower\(\) != "bearer "',
    "",
)
HEADER_ONLY = Cut(
    "a token stands in the Authorization header",
    ROUTES,
    r'callers\.of\(environ\.get\("HTTP_AUTHORIZATION"\)\)',
    'callers.of("Bearer " + (request.args.get("access_token") or request.cookies["token"]))',
)
SIZE = Cut("a token has at most 8192 bytes", CALLERS, "= 8_192", "= 8_192_000")
ONE_TOKEN = Cut(
    "the header holds one token", CALLERS, r"\[7:\]\.strip\(\)", "[7:].replace(',', ' ').split()[0]"
)

# Who signed
ISSUER = issuer_of(
    "we trust the issuer", r"self._issuers.get(\1, next(iter(self._issuers.values())))"
)
ISSUER_SLASH = issuer_of("iss is compared as it is", r"self._issuers[(\1).rstrip('/')]")
ISSUER_CASE = issuer_of("iss is compared letter by letter", r"self._issuers[(\1).lower()]")
ISSUER_CLAIM = Cut(
    "iss is there", CALLERS, r'(claims|body)\["iss"\]', r'\1.get("iss", "urn:firsthand:local")'
)
SIGNATURE = without(
    "the signature is verified", "not validate_compact(obj, public_key, algorithms, registry)", JWS
)
OWN_KEYS = Cut(
    "the key is one of the issuer's own",
    CALLERS,
    r"jwt\.decode\(token, (?:issuer\.keys|keys),",
    "jwt.decode(token, KeySet([key for each in self._issuers.values() for key in "
    'getattr(each.keys, "current", lambda each=each: each.keys)()]),',
)
KID = Cut(
    "the kid names the key",
    KEYS,
    r"if kid is None and len\(self\.keys\) == 1:",
    "if len(self.keys) == 1:",
)
NO_EMBEDDED_KEY = decoded(
    "a key inside the token is no key", 'KeySet.import_key_set({"keys": [head["jwk"]]})'
)
ALGORITHMS = Cut(
    "an algorithm is one of ours",
    JWT,
    r"key, algorithms, registry\)\n    assert jws_obj",
    "key, None, JWSRegistry(algorithms=['none']))\n    assert jws_obj",
)
_PEM = "key.keys[0].as_pem(private=False)"
ASYMMETRIC_PEM = decoded(  # made past `import_key`, which knows a PEM when it sees one
    "a public key is no secret", f"OctKey({_PEM}, {_PEM})", '["HS256"]'
)
ASYMMETRIC_X = decoded(
    "a part of a public key is no secret",
    'OctKey.import_key(key.keys[0].as_dict(private=False)["x"].encode())',
    '["HS256"]',
)
PINNED = Cut("the key pins the algorithm", MODEL, r"key\.check_alg\(self\.name\)", "pass")
USE = Cut("the key is for signatures", MODEL, r'key\.check_use\("sig"\)', "pass")
OPERATION = without(
    "the key is for verifying",
    "key_ops is not None and operation not in key_ops",
    "joserfc/_rfc7517/models.py",
)
CURVE = without(
    "ES256 is over P-256", "key.curve_name != self.curve", "joserfc/_rfc7518/jws_algs.py"
)

# How it is written
TRAILING_BITS = without("base64url has one form", "pad and s[-1] not in safe_ending[pad - 1]", UTIL)
ALPHABET = without("base64url is not base64", 'b"+" in s or b"/" in s or b"=" in s', UTIL)
ONCE = without("a name stands once", "len(members) != len(pairs)", CALLERS)
KNOWN_HEADERS = without(
    "a header is one that we know", "self.strict_check_header", "joserfc/_rfc7515/registry.py"
)
CRITICAL = without("what is critical is there", "missing_crit_headers", HEADERS)
HEADER_TYPES = Cut("a header is of its type", HEADERS, r"reg\.validate\(header\[key\]\)", "pass")
ENCODED = Cut(
    "the body is encoded",
    CALLERS,
    r"from_b64url\(",
    "(lambda raw: raw if raw[:1] == b'{' else from_b64url(raw))(",
)
TYP = line(
    "typ is at+jwt",
    'str(decoded.header.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt")',
    new="False",
)

# When
EXPIRY = without("a token expires, a known one too", "caller.expires <= now", CALLERS)
LIFETIME = line("a token lives 24 hours", '<= MAX_LIFETIME, "longer', new='<= 10**20, "longer')
BACKWARDS = line("it expires after it was issued", '(0 < claims["exp"]', new='(claims["exp"]')
NOT_BEFORE = Cut("nbf has come", CALLERS, r'\(claims\.get\("nbf", 0\) <= now \+ LEEWAY,', "(True,")
ISSUED = Cut("iat is past", CALLERS, r'\(claims\["iat"\] <= now \+ LEEWAY,', "(True,")
NO_BOOL = Cut("a time is no truth", CALLERS, r" and not isinstance\(value, bool\)", "")
RANGE = Cut("a time is in range", CALLERS, r" and 0 <= value <= LATEST", "")
WHOLE = Cut(
    "a time is a whole number",
    CALLERS,
    r"isinstance\(value, int\) and",
    "isinstance(value, (int, float)) and",
)
EXP_THERE = lenient("exp is there", 'claims.setdefault("exp", claims["iat"] + 600)')
IAT_THERE = lenient("iat is there", 'claims.setdefault("iat", claims["exp"] - 600)')
EXP_TEXT = lenient("exp is no text", 'claims["exp"] = int(claims["exp"])')

# For whom, and for what
AUDIENCE = line("it is meant for us", "audience in (named if isinstance(named, list) else [named])")
AUDIENCE_PART = Cut(
    "aud is no part of a word",
    CALLERS,
    r"\(named if isinstance\(named, list\) else \[named\]\)",
    "named",
)
AUDIENCE_CASE = Cut(
    "aud is compared letter by letter",
    CALLERS,
    r'= claims\.get\("aud"\)',
    '= claims.get("aud").lower()',
)
AUDIENCE_THERE = lenient("aud is there", 'claims.setdefault("aud", audience)')
JTI = Cut("jti is there", CALLERS, r', "jti"\):', "):")
SUBJECT = line("sub is a well-formed id", "_ID.fullmatch(subject) is not None")
SUBJECT_END = line("sub ends where an id ends", "_ID.fullmatch(subject)", new="_ID.match(subject)")
SUBJECT_TEXT = lenient("sub is a text", 'claims["sub"] = claims["sub"][0]')
CLIENT = line("who acts is a well-formed id", "_ID.fullmatch(client) is not None")
CLIENT_THERE = lenient("client_id is there", 'claims.setdefault("client_id", "service:x")')
ROLE = line("roles holds the role", 'isinstance(roles, list) and subject.split(":")[0] in roles')
ROLE_LIST = line("roles is a list", "isinstance(roles, list) and ", new="")
ISSUERS_ROLE = line("the issuer may speak of the role", 'subject.split(":")[0] in issuer.roles')
ISSUERS_SUBJECT = line(
    "the issuer may speak of the subject", "issuer.subjects.fullmatch(subject) is not None"
)
SUBJECT_WHOLE = line(
    "the pattern is of the whole subject", "issuer.subjects.fullmatch", new="issuer.subjects.search"
)
SCOPE_TEXT = lenient(
    "scope is a text",
    'claims["scope"] = " ".join(claims["scope"])',
)
SCOPE_THERE = lenient("scope is there", 'claims.setdefault("scope", "write")')
SCOPE = without("the scope allows it", "row.token_scope not in caller.scopes", ROUTES)
SCOPE_PART = Cut(
    "a scope is a whole word",
    CALLERS,
    r'frozenset\(claims\["scope"\]\.split\(\)\)',
    'claims["scope"]',
)
SCOPE_CASE = Cut(
    "a scope is compared letter by letter",
    CALLERS,
    r'claims\["scope"\]\.split',
    'claims["scope"].lower().split',
)
SCOPE_COMMA = Cut(
    "scopes are separated by spaces",
    CALLERS,
    r'claims\["scope"\]\.split\(\)',
    'claims["scope"].split(",")',
)
AUTHORS = without("the role authors events", "caller.role not in AUTHORS", ROUTES)
