"""Bearer tokens: what nobody we trust has signed is a 401 with a sentence, never a crash."""

import hmac
import json
from itertools import count

import pytest
from joserfc.jwk import OKPKey

from shared.auth.tokens import Caller
from shared.crypto.jwe import b64url
from tests.given import ADA, EVE
from tests.tokens import (
    ABSENT,
    CLAIMS,
    CLINIC,
    HEADER,
    ISS,
    NOW,
    OURS,
    STRANGE,
    THEIRS,
    callers,
    claims,
    clinic,
    forged,
    refusal,
    token,
)

GOOD = token(CLAIMS)
HEAD, BODY, SIGNATURE = GOOD.split(".")
PUBLIC = json.dumps(OURS.as_dict(private=False)).encode()


def test_a_good_token_says_who_is_speaking_and_through_what() -> None:
    assert callers().of(f"Bearer {GOOD}") == Caller(
        ADA, "service:notebook", "local", frozenset({"read", "write"}), float(NOW + 600)
    )


def test_a_caller_has_the_role_of_its_id() -> None:
    assert callers().of(f"Bearer {clinic()}").role == "partner"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_capitals_or_not(scheme: str) -> None:
    assert callers().of(f"{scheme} {GOOD}").subject == ADA


@pytest.mark.parametrize("scheme", ["Bearer\t", "Bearers ", "Bear er", "ſBearer ", ""])
def test_another_scheme_is_no_bearer_token(scheme: str) -> None:
    assert "no bearer token" in refusal(f"{scheme}{GOOD}")


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_an_access_token_says_that_it_is_one(typ: str) -> None:
    assert callers().of(f"Bearer {token(CLAIMS, typ=typ)}").subject == ADA


def test_a_token_may_be_meant_for_us_among_others() -> None:
    assert callers().of(f"Bearer {token(claims(aud=['other', 'firsthand']))}").subject == ADA


def test_a_token_may_say_more_than_we_ask() -> None:
    assert callers().of(f"Bearer {token(claims(name='Ada', roles=['person', 'x']))}").subject == ADA


def test_space_around_a_token_is_not_part_of_it() -> None:
    assert callers().of(f"Bearer  {GOOD} ").subject == ADA


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer  ", GOOD, f"Basic {GOOD}", f"Bearer: {GOOD}", "é"],
    ids=count(),  # a name out of the token would be another one in each process
)
def test_without_a_bearer_token_nobody_is_speaking(authorization: str | None) -> None:
    refusal(authorization)


MALFORMED = {
    "one part": "abc",
    "two parts": f"{HEAD}.{BODY}",
    "a trailing dot": f"{GOOD}.",
    "trailing dots": f"{GOOD}..",
    "a fourth part": f"{GOOD}.e30",
    "dots alone": "...",
    "no signature": f"{HEAD}.{BODY}.",
    "no header": f".{BODY}.{SIGNATURE}",
    "no body": f"{HEAD}..{SIGNATURE}",
    "a space inside": f"{HEAD}. {BODY}.{SIGNATURE}",
    "a line feed inside": f"{HEAD}.{BODY}.{SIGNATURE[:20]}\n{SIGNATURE[20:]}",
    "padding": f"{GOOD}==",
    "two tokens": f"{GOOD} {GOOD}",
    "a comma": f"{GOOD},{GOOD}",
    "no ASCII": "é.é.é",
    "a surrogate": f"{HEAD}.\ud800.{SIGNATURE}",
    "a NUL": f"{HEAD}.\0.{SIGNATURE}",
    "a changed body": f"{HEAD}.{b64url(json.dumps(claims(sub=EVE)).encode()).decode()}.{SIGNATURE}",
    "a changed signature": GOOD[:-4] + ("AAAA" if not GOOD.endswith("AAAA") else "BBBB"),
    "a signature of zeros": forged(HEADER, CLAIMS),
    "a huge body": forged(HEADER, claims(name="x" * 500_000)),
    "a huge signature": forged(HEADER, CLAIMS, bytes(500_000)),
    "a huge header": forged(HEADER | {"x": "x" * 500_000}, CLAIMS),
    "a header that is a list": forged(["alg"], CLAIMS),
    "a header that is a text": forged("alg", CLAIMS),
    "a header that is a number": forged(7, CLAIMS),
    "a header of no JSON": forged(b"{", CLAIMS),
    "a deep header": forged(b"[" * 100_000, CLAIMS),
    "a body that is a list": forged(HEADER, [CLAIMS]),
    "a body that is a text": forged(HEADER, "iss"),
    "a body that is null": forged(HEADER, None),
    "a body of no JSON": forged(HEADER, b"{"),
    "a body of no UTF-8": forged(HEADER, b"\xff\xfe"),
    "an endless number": forged(
        HEADER, b'{"iss":"urn:firsthand:local","exp":' + b"9" * 5000 + b"}"
    ),
    "alg none": forged({"alg": "none", "typ": "at+jwt"}, CLAIMS, b""),
    "alg None": forged({"alg": "None", "typ": "at+jwt", "kid": "ours"}, CLAIMS, b""),
    "alg a list": forged(HEADER | {"alg": ["Ed25519"]}, CLAIMS),
    "alg an object": forged(HEADER | {"alg": {}}, CLAIMS),
    "no alg": forged({"typ": "at+jwt", "kid": "ours"}, CLAIMS),
    "kid a list": forged(HEADER | {"kid": []}, CLAIMS),
    "kid a number": forged(HEADER | {"kid": 7}, CLAIMS),
    "kid a path": forged(HEADER | {"kid": "../../tokens.key"}, CLAIMS),
    "a key inside": forged(HEADER | {"jwk": STRANGE.as_dict(private=False)}, CLAIMS),
    "an address of keys": forged(HEADER | {"jku": "https://evil.example/jwks"}, CLAIMS),
    "something critical": forged(HEADER | {"crit": ["x"], "x": 1}, CLAIMS),
    "a body not encoded": forged(HEADER | {"crit": ["b64"], "b64": False}, CLAIMS),
}


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_nobody_signed_is_no_token(bad: str) -> None:
    assert refusal(f"Bearer {bad}") in (
        "The token is malformed or its signature is invalid.",
        "The issuer of the token is not trusted.",
        "A token has at most 8192 bytes.",
    )


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    secrets = (PUBLIC, OURS.as_bytes(private=False), OURS.as_dict(private=False)["x"])
    for secret in (each if isinstance(each, bytes) else str(each).encode() for each in secrets):
        head, body, _ = forged(HEADER | {"alg": "HS256"}, CLAIMS).split(".")
        signature = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
        refusal(f"Bearer {head}.{body}.{b64url(signature).decode()}")


DEEP = [b"[" * 5_000, b'{"iss":' * 5_000, b'{"iss":"urn:firsthand:local","x":' + b"[" * 5_000]


@pytest.mark.parametrize("body", DEEP, ids=["lists", "objects", "a list inside"])
def test_a_deep_body_is_no_token(body: bytes) -> None:
    refusal(f"Bearer {forged(HEADER, body)}")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # the older name warns, and should
@pytest.mark.parametrize("name", ["EdDSA", "ES256", "Ed448", "HS256", "RS256"])
def test_the_algorithm_is_pinned_by_the_key(name: str) -> None:
    _, _, signature = token(CLAIMS).split(".")
    refusal(f"Bearer {forged(HEADER | {'alg': name}, CLAIMS, signature.encode())}")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # the older name warns, and should
def test_an_older_name_of_the_algorithm_is_not_the_keys() -> None:
    loose = OKPKey.import_key({**OURS.as_dict(private=True), "alg": "EdDSA"})
    refusal(f"Bearer {token(CLAIMS, loose, alg='EdDSA')}")


@pytest.mark.parametrize(
    "bad",
    [
        token(CLAIMS, STRANGE),
        token(CLAIMS, STRANGE, kid=ABSENT),
        token(CLAIMS, kid="other"),
        token(CLAIMS, kid=""),
        token(claims(iss=CLINIC)),
        token(claims(iss=CLINIC), kid="theirs"),
        token(claims(iss=ISS), THEIRS, alg="ES256", kid="theirs"),
    ],
    ids=["strange", "no kid", "other kid", "blank kid", "their iss", "their kid", "their key"],
)
def test_a_token_is_signed_by_a_key_of_its_own_issuer(bad: str) -> None:
    assert refusal(f"Bearer {bad}") == "The token is malformed or its signature is invalid."


@pytest.mark.parametrize(
    "exp", [-(10**400) + 5, 10**400, 2**53 + 1, -5], ids=["before", "after", "beyond", "negative"]
)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_time_beyond_all_reckoning_is_no_time(name: str, exp: int) -> None:
    """Also where `iat` is as far away, so that the token's lifetime is a short one."""
    told = {"exp": exp, "iat": exp - 5} if name == "exp" else {name: exp}
    assert "whole seconds" in refusal(f"Bearer {token(claims(**told))}")


def test_a_token_that_was_verified_is_known_without_a_wait() -> None:
    asked = callers()
    assert asked.known(f"Bearer {GOOD}") is None
    told = asked.of(f"Bearer {GOOD}")
    assert asked.known(f"bearer {GOOD}") == told
    assert asked.known(f"Digest {GOOD}") is None
    assert asked.known(None) is None
