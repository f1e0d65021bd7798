"""Claims: a signed token says who speaks, for how long, and no more than its issuer may."""

import pytest

from shared.auth.tokens import LEEWAY, MAX_LIFETIME
from shared.errors import Unauthorized
from tests.given import ADA, SAM
from tests.tokens import ABSENT, CLAIMS, ISS, NOW, Clock, callers, claims, clinic, refusal, token

GOOD = token(CLAIMS)


@pytest.mark.parametrize("iss", ["", "local", ISS + "/", ISS.upper(), 7, None, [ISS], {}, ABSENT])
def test_the_issuer_is_one_that_we_trust(iss: object) -> None:
    assert refusal(f"Bearer {token(claims(iss=iss))}") == "The issuer of the token is not trusted."


@pytest.mark.parametrize("typ", ["JWT", "jwt", "", "at+jwt ", "id+jwt", ABSENT])
def test_an_id_token_is_no_access_token(typ: object) -> None:
    assert "typ at+jwt" in refusal(f"Bearer {token(CLAIMS, typ=typ)}")


WRONG_CLAIMS = [
    *[("aud", aud, "(aud)") for aud in ("other", "", None, 7, [], ["other"], {}, ABSENT)],
    *[("aud", aud, "(aud)") for aud in ("firsthand ", "Firsthand", [["firsthand"]])],
    *[("exp", NOW - ago, "expired") for ago in (0, 1)],
    ("exp", NOW - 10**9, "24 hours"),
    *[("exp", NOW + 600.5, "whole"), ("exp", True, "whole"), ("exp", str(NOW + 9), "whole")],
    *[("exp", exp, "whole") for exp in (None, [], {}, float("nan"), float("inf"), ABSENT)],
    *[("exp", NOW - 60 + MAX_LIFETIME + 1, "24 hours"), ("exp", 10**400, "whole")],
    *[("iat", NOW + LEEWAY + 1, "future"), ("iat", NOW - MAX_LIFETIME, "24 hours")],
    *[("iat", iat, "whole") for iat in (True, "1", None, 1.5, ABSENT)],
    *[("iat", 0, "24 hours"), ("iat", -(10**400), "whole")],
    *[("sub", sub, "sub") for sub in (None, 7, True, [ADA], {}, ABSENT)],
    *[
        ("sub", sub, "sub claim is not a valid")
        for sub in ("", "ada", "person:", ":ada", "person:é", ADA + "\n")
    ],
    *[
        ("sub", sub, "sub claim is not a valid")
        for sub in ("person:" + "x" * 65, "person: ada", "king:ada", ADA + ":x")
    ],
    *[("sub", SAM, "role"), ("sub", "service:shoes", "role")],
    *[("roles", roles, "role") for roles in ([], ["partner"], "person", None, 7, {}, ABSENT)],
    *[("roles", roles, "role") for roles in (["Person"], [["person"]], [None], {"person": 1})],
    *[("client_id", client, "client_id") for client in (None, 7, [], {}, ABSENT)],
    *[("client_id", client, "client_id") for client in ("", "notebook", "service:a b", "king:a")],
    *[("scope", scope, "scope") for scope in (None, 7, ["read"], {}, True, ABSENT)],
    *[("jti", jti, "jti") for jti in (None, 7, [], ABSENT)],
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG_CLAIMS)
def test_a_signed_token_with_a_wrong_claim_is_refused(name: str, value: object, told: str) -> None:
    assert told in refusal(f"Bearer {token(claims(**{name: value}))}")


def test_an_issuer_speaks_only_of_its_roles() -> None:
    bad = clinic(sub="person:clinic-7", roles=["person"])
    assert "may not issue tokens for this role" in refusal(f"Bearer {bad}")


@pytest.mark.parametrize("sub", [SAM, "partner:clinic-", "partner:clinic-7x", "partner:xclinic-7"])
def test_an_issuer_speaks_only_of_its_subjects(sub: str) -> None:
    assert "may not issue tokens for this sub" in refusal(f"Bearer {clinic(sub=sub)}")


def test_a_team_holds_no_token() -> None:
    bad = token(claims(sub="team:north", roles=["team"]))
    assert "may not issue tokens for this role" in refusal(f"Bearer {bad}")


def test_a_token_that_is_good_from_later_on_is_not_good_yet() -> None:
    clock = Clock()
    clock.now = NOW - 60 - LEEWAY - 1
    assert "future" in refusal(f"Bearer {GOOD}", clock)


@pytest.mark.parametrize("nbf", [NOW + LEEWAY + 1, NOW + 10**6, "1", None])
def test_a_token_is_not_used_before_its_time(nbf: object) -> None:
    refusal(f"Bearer {token(claims(nbf=nbf))}")


def test_the_service_that_acts_is_named() -> None:
    acted = token(claims(act={"sub": "service:diary"}))
    assert callers().of(f"Bearer {acted}").via == "service:diary"


# Time passes.


def test_a_known_token_expires_too() -> None:
    clock = Clock()
    ours = callers(clock)
    assert ours.of(f"Bearer {GOOD}") is ours.of(f"Bearer {GOOD}")
    clock.now = NOW + 599.9
    assert ours.of(f"Bearer {GOOD}").subject == ADA
    for clock.now in (NOW + 600.0, NOW + 600.1, NOW + 10**9, NOW + 600.0):
        with pytest.raises(Unauthorized, match="expired"):
            ours.of(f"Bearer {GOOD}")


def test_an_issuers_clock_may_be_a_little_ahead_of_ours() -> None:
    ahead = claims(iat=NOW + LEEWAY, exp=NOW + LEEWAY + MAX_LIFETIME)
    assert callers().of(f"Bearer {token(ahead)}").subject == ADA


def test_a_refused_token_is_not_remembered_as_a_good_one() -> None:
    ours, bad = callers(), token(claims(aud="other"))
    for _ in range(3):
        with pytest.raises(Unauthorized):
            ours.of(f"Bearer {bad}")
