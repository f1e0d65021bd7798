"""Abuses of tokens: the real build refuses each, and without the one check each is taken.

That a build without the check takes it proves two things: that the check is what holds it, and
that nothing else is wrong with it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.issuers import ROLES
from shared.transit import Transit
from tests.given import ADA
from tests.hostile.abuses import ABUSES, Abuse
from tests.hostile.builds import Cut, build, judge
from tests.hostile.forgery import ISSUERS, ours
from tests.integration.together import MEDIA_TYPE, STARTED, event
from tests.servers import RedisLikeServer
from tests.tokens import NOW

pytestmark = pytest.mark.xdist_group("tokens")
Answers = dict[tuple[Cut | None, str], list[dict[str, Any]]]
GOOD = Abuse("nothing wrong", ours, "", ABUSES[0].cut)
CUTS = list(dict.fromkeys(each.cut for each in ABUSES))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key folder with all issuers."""
    folder = tmp_path_factory.mktemp("keys")
    listed = []
    for number, (iss, told) in enumerate(ISSUERS.items()):
        name = f"{number}.jwks"
        (folder / name).write_text(json.dumps({"keys": told["keys"]}))
        more = {"roles": told.get("roles", ROLES), "subjects": told.get("subjects", "(?s).*")}
        listed.append({"name": str(number), "iss": iss, "jwks": name, **more})
    (folder / "issuers.json").write_text(json.dumps(listed))
    Transit.make(folder)
    return folder


def steps(abuse: Abuse, keys: Path, queue: str) -> Iterator[dict[str, Any]]:
    """The requests of an abuse: one, or the same one again later."""
    bearer = abuse.make()
    query, headers = "", {"Content-Type": MEDIA_TYPE}
    if abuse.place.startswith("?"):
        query = abuse.place.format(bearer)
    elif abuse.place.startswith("Cookie: "):
        headers["Cookie"] = abuse.place.removeprefix("Cookie: ").format(bearer)
    else:
        headers["Authorization"] = abuse.place.format(bearer)
    body = json.dumps(event("plan.started", STARTED, ADA))
    told = {"keys": str(keys), "queue": queue, "query": query, "headers": headers, "body": body}
    if abuse.again_after is not None:
        yield {**told, "now": NOW}
    yield {**told, "now": NOW + (abuse.again_after or 0)}


@pytest.fixture(scope="module")
def answers(
    keys: Path, valkey_process: RedisLikeServer, tmp_path_factory: pytest.TempPathFactory
) -> Answers:
    """What each build answers to the abuses that it is held against: the real one to all."""
    folder, asked = tmp_path_factory.mktemp("builds"), dict[Path, list[tuple[str, Any]]]()
    abuses: dict[Cut | None, list[Abuse]] = {None: [GOOD, *ABUSES]}
    abuses |= {cut: [each for each in ABUSES if each.cut == cut] for cut in CUTS}
    builds = {cut: build(folder / str(n), cut) for n, cut in enumerate(abuses)}
    for cut, listed in abuses.items():
        asked[builds[cut]] = [
            (each.name, step) for each in listed for step in steps(each, keys, valkey_process.url)
        ]
    told = judge({place: [step for _, step in each] for place, each in asked.items()})
    found: Answers = {}
    for cut, place in builds.items():
        for (name, _), answer in zip(asked[place], told[place], strict=True):
            found.setdefault((cut, name), []).append(answer)
    return found


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda each: each.name)
def test_the_abuse_is_refused_and_the_answer_says_why(abuse: Abuse, answers: Answers) -> None:
    *before, told = answers[None, abuse.name]
    assert [each["status"] for each in before] == [202] * len(before)
    assert told["status"] == abuse.status, told
    slug = {401: "unauthorised", 403: "forbidden"}[abuse.status]
    assert told["body"]["type"] == f"/problems/{slug}"
    assert abuse.says in told["body"]["detail"]


def test_without_an_abuse_it_is_taken(answers: Answers) -> None:
    assert [each["status"] for each in answers[None, GOOD.name]] == [202]


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda each: each.name)
def test_without_the_check_the_abuse_is_taken(abuse: Abuse, answers: Answers) -> None:
    told = answers[abuse.cut, abuse.name]
    assert {each["status"] for each in told} == {202}, (abuse.cut.check, told)


def test_the_table_is_long_and_says_nothing_twice() -> None:
    assert len(ABUSES) >= 40
    assert len({each.name for each in ABUSES}) == len(ABUSES)
    assert len({each.cut for each in ABUSES}) >= 40
    assert len({each.cut.check for each in ABUSES}) == len(CUTS)
