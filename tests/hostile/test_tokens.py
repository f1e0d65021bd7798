"""Abuses of tokens: the real build refuses each, and a build without the one check accepts it.

That it is accepted there proves two things: that the check is what holds it, and that nothing
else is wrong with it.
"""

import json
import re
from pathlib import Path

import pytest
from joserfc.jwt import Token

from shared.auth.issuers import ROLES, Issuer
from shared.auth.tokens import checks
from shared.crypto.transit import Transit
from tests.given import ADA
from tests.hostile.abuses import ABUSES, Abuse
from tests.hostile.checks import Check
from tests.hostile.forgery import ISSUERS, ours
from tests.hostile.judge import Answer, Step, judge
from tests.integration.together import MEDIA_TYPE, STARTED, event
from tests.servers import RedisLikeServer
from tests.tokens import CLAIMS, HEADER, NOW, OURS, keys_of

pytestmark = pytest.mark.xdist_group("tokens")
Answers = dict[Check | None, dict[str, list[Answer]]]
GOOD = Abuse("nothing wrong", ours, "", Check.SCHEME)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key folder with all issuers."""
    folder = tmp_path_factory.mktemp("keys")
    listed = []
    for number, (iss, parts) in enumerate(ISSUERS.items()):
        name = f"{number}.jwks"
        (folder / name).write_text(json.dumps({"keys": parts["keys"]}))
        more = {"roles": parts.get("roles", ROLES), "subjects": parts.get("subjects", "(?s).*")}
        listed.append({"name": str(number), "iss": iss, "jwks": name, **more})
    (folder / "issuers.json").write_text(json.dumps(listed))
    Transit.make(folder)
    return folder


def steps(abuse: Abuse) -> list[Step]:
    """The requests of an abuse: one, or the same one again later."""
    bearer = abuse.make()
    query, headers = "", {"Content-Type": MEDIA_TYPE}
    if abuse.place.startswith("?"):
        query = abuse.place.format(bearer).removeprefix("?")
    elif abuse.place.startswith("Cookie: "):
        headers["Cookie"] = abuse.place.removeprefix("Cookie: ").format(bearer)
    else:
        headers["Authorization"] = abuse.place.format(bearer)
    body = json.dumps(event("plan.started", STARTED, ADA))
    request = {"query_string": query, "headers": headers, "data": body}
    times = [NOW] if abuse.again_after is None else [NOW, NOW + abuse.again_after]
    return [(time, request) for time in times]


@pytest.fixture(scope="module")
def answers(keys: Path, valkey_process: RedisLikeServer) -> Answers:
    """What each build answers to the abuses of its check, and the real one to all."""
    abuses: dict[Check | None, list[Abuse]] = {None: [GOOD, *ABUSES]}
    abuses |= {check: [abuse for abuse in ABUSES if abuse.check is check] for check in Check}
    builds = [
        (check and check.name, {abuse.name: steps(abuse) for abuse in listed})
        for check, listed in abuses.items()
    ]
    return dict(zip(abuses, judge(builds, keys, valkey_process.url), strict=True))


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.name)
def test_the_abuse_is_refused_and_the_answer_says_why(abuse: Abuse, answers: Answers) -> None:
    *before, answer = answers[None][abuse.name]
    assert [earlier["status"] for earlier in before] == [202] * len(before)
    assert answer["status"] == abuse.status, answer
    slug = {401: "unauthorized", 403: "forbidden"}[abuse.status]
    assert answer["body"]["type"] == f"/problems/{slug}"
    assert abuse.says in answer["body"]["detail"]


def test_a_good_token_is_accepted(answers: Answers) -> None:
    assert [answer["status"] for answer in answers[None][GOOD.name]] == [202]


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.name)
def test_without_the_check_the_abuse_is_accepted(abuse: Abuse, answers: Answers) -> None:
    statuses = {answer["status"] for answer in answers[abuse.check][abuse.name]}
    assert statuses == {202}, (abuse.check, answers[abuse.check][abuse.name])


def test_every_check_has_an_abuse() -> None:
    assert {abuse.check for abuse in ABUSES} == set(Check)


def test_every_check_of_a_signed_token_has_an_abuse() -> None:
    issuer = Issuer("ours", keys_of(OURS), frozenset(ROLES), re.compile(".*"))
    for _, answer in checks(Token(HEADER, CLAIMS), issuer, "firsthand", NOW):
        assert any(abuse.says in answer for abuse in ABUSES), answer


def test_there_are_at_least_40_checks_and_no_two_abuses_of_one_name() -> None:
    assert len(Check) >= 40
    assert len({abuse.name for abuse in ABUSES}) == len(ABUSES)
