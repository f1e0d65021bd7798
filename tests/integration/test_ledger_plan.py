"""Reading a plan over HTTP: now, at a version, as of a moment; as JSON and aloud. Both stores."""

from datetime import timedelta
from typing import Any

import pytest

from services.ledger.presentation.plan_view import SHELVES
from shared.events.event import Json
from tests.integration.together import (
    ADA,
    EVE,
    SAM,
    SEA,
    STARTED,
    TOM,
    Together,
    body,
    event,
    pointers,
    problem,
)

GRANT = {
    "to": SAM,
    "scopes": ["observe", "propose"],
    "until": "until-withdrawn",
    "purpose": "Walking",
    "wording": "Sam may.",
}


def begun(house: Together) -> Together:
    """Ada has a plan, says what she wants, and changes her words. A minute lies between."""
    house.post(ADA, "plan.started", STARTED)  # recorded at 12:01
    house.post(ADA, "aspiration.stated", SEA)  # 12:02
    house.post(ADA, "aspiration.reworded", {"aspiration": "sea", "words": "Walk there alone."})
    return house


def words(plan: Json) -> list[str]:
    """The words of a plan's aspirations."""
    return [line["data"]["words"] for line in plan["lines"] if line["thing"] == "aspiration"]


def test_the_plan_as_json(house: Together) -> None:
    told = begun(house).plan()
    assert (told["subject"], told["version"]) == (ADA, 3)
    assert [line["thing"] for line in told["lines"]] == ["plan", "aspiration"]
    assert words(told) == ["Walk there alone."]
    assert told["lines"][1]["origin"]["author"] == ADA
    assert told["beside"] == {shelf: [] for shelf in SHELVES}


def test_the_plan_aloud(house: Together) -> None:
    answer = begun(house).get(ADA, "plan", Accept="text/plain")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines()[0] == "The plan of Ada. Version 3."
    assert "What you want" in answer.text
    assert "Walk there alone." in answer.text
    assert "You wrote this on 2 March 2126." in answer.text


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/*", "text/plain"),
        ("text/plain;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, text/plain", "text/plain"),
        ("text/html, text/plain;q=0.9", "text/plain"),
        ("image/png", "application/json"),
    ],
)
def test_who_asks_chooses_the_form(small_house: Together, accept: str, media_type: str) -> None:
    small_house.post(ADA, "plan.started", STARTED)
    answer = small_house.get(ADA, "plan", Accept=accept)
    assert (answer.status_code, answer.mimetype) == (200, media_type)
    assert "Accept" in answer.headers["Vary"]
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_an_etag_names_the_bytes(house: Together) -> None:
    first = begun(house).get(ADA, "plan")
    etag = first.headers["ETag"]
    again = house.get(ADA, "plan", If_None_Match=etag)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert house.get(ADA, "plan", If_None_Match='"other"').data == first.data
    aloud = house.get(ADA, "plan", Accept="text/plain", If_None_Match=etag)
    assert (aloud.status_code, aloud.headers["ETag"] != etag) == (200, True)
    house.post(ADA, "aspiration.let-go", {"aspiration": "sea"})
    changed = house.get(ADA, "plan", If_None_Match=etag)
    assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)


def test_a_version_is_the_plan_as_it_was(house: Together) -> None:
    begun(house)
    assert [words(house.plan(f"?version={number}")) for number in (1, 2, 3)] == [
        [],
        [SEA["words"]],
        ["Walk there alone."],
    ]
    assert house.plan("?version=3") == house.plan()


def test_what_stands_beside_moves_no_version_and_belongs_to_the_last(house: Together) -> None:
    begun(house).post(ADA, "access.granted", GRANT)
    house.post(SAM, "observation.recorded", {"who_saw": SAM, "seen_or_heard": "Walked."})
    assert house.plan()["version"] == 3
    assert len(house.plan("?version=3")["beside"]["observations"]) == 1
    assert house.plan("?version=2")["beside"]["observations"] == []


@pytest.mark.parametrize("version", ["0", "4", "999999999999999"])
def test_a_version_that_never_was_is_a_404(house: Together, version: str) -> None:
    problem(begun(house).get(ADA, f"plan?version={version}"), 404, "not-found")


def test_as_of_a_moment_is_what_was_known_then(house: Together) -> None:
    begun(house)
    asked = ("12:01:00Z", "12:01:59.999Z", "12:02:00Z", "12:03:00.000Z", "13:00:00Z")
    told = [words(house.plan(f"?as-of=2126-03-02T{moment}")) for moment in asked]
    assert told == [[], [], [SEA["words"]], ["Walk there alone."], ["Walk there alone."]]
    problem(house.get(ADA, "plan?as-of=2126-03-02T12:00:59Z"), 404, "not-found")


def test_a_version_is_shown_as_it_stood_and_not_by_todays_clock(house: Together) -> None:
    """A suggestion that was accepted in time never reads as lapsed."""
    begun(house).post(ADA, "access.granted", GRANT)  # 12:04
    change: Json = {"type": "aspiration.stated", "data": {"words": "Rest."}}
    made: Json = {"change": change, "why": "Why not?", "expires": "2126-03-02T12:07:00Z"}
    one, two = (house.post(SAM, "proposal.made", made) for _ in range(2))  # 12:05, 12:06
    house.post(ADA, "proposal.accepted", {"proposal": one["id"]})  # 12:07, received before
    house.now += timedelta(hours=1)
    states = [
        [each["state"] for each in house.plan(query)["beside"]["proposals"]]
        for query in ("?version=3", "?version=4", "", "?as-of=2126-03-02T12:06:59.999Z")
    ]
    lapsed = ["accepted", "lapsed"]
    assert states == [["open", "open"], lapsed, lapsed, ["open", "open"]]
    assert one["id"] != two["id"]


def test_as_of_takes_any_offset(house: Together) -> None:
    begun(house)
    assert words(house.plan("?as-of=2126-03-02T13:02:30%2B01:00")) == [SEA["words"]]
    assert words(house.plan("?as-of=2126-03-02T07:02:30-05:00")) == [SEA["words"]]


def test_a_plus_that_became_a_space_is_explained(house: Together) -> None:
    answer = begun(house).get(ADA, "plan?as-of=2126-03-02T13:02:30+01:00")
    told = problem(answer, 422, "invalid-query")
    assert "%2B" in told["errors"][0]["detail"]
    assert "as-of" in pointers(told)[0]


def test_nothing_is_said_of_addresses_where_a_moment_is_simply_wrong(small_house: Together) -> None:
    """The command line, too, hands on what is said."""
    small_house.post(ADA, "plan.started", STARTED)
    for query in ("plan?as-of=2126-03-02%2013:02", "diff?from=yesterday"):
        told = problem(small_house.get(ADA, query), 422, "invalid-query")
        assert told["errors"][0]["detail"].endswith("with offset, such as 2026-05-03T10:00:00Z.")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("plan?version=1&version=2", "version"),
        ("plan?version=1&version=1", "version"),
        ("diff?from=0&to=1&to=2126-03-02T12:05:00Z", "to"),
        ("history?limit=1&cursor=0&limit=2", "limit"),
    ],
)
def test_a_parameter_given_twice_is_a_422(small_house: Together, path: str, name: str) -> None:
    small_house.post(ADA, "plan.started", STARTED)
    told = problem(small_house.get(ADA, path), 422, "invalid-query")
    assert pointers(told) == [f"/{name}"]
    assert told["errors"][0]["detail"] == "Must not be repeated."


@pytest.mark.parametrize(
    "query",
    [
        "version=",
        "version=-1",
        "version=1.0",
        "version=one",
        "version=%C2%B2",
        "version=9999999999999999",
        "as-of=",
        "as-of=yesterday",
        "as-of=2126-03-02",
        "as-of=2126-02-30T00:00:00Z",
        "as-of=2126-03-02T12:00:00",
        "as-of=2126-03-02T12:00:00Z%00",
        "version=1&as-of=2126-03-02T12:05:00Z",
    ],
)
def test_a_query_that_makes_no_sense_is_a_422(small_house: Together, query: str) -> None:
    small_house.post(ADA, "plan.started", STARTED)
    problem(small_house.get(ADA, f"plan?{query}"), 422, "invalid-query")


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("0001-01-01T00:00:00Z", 404),
        ("0001-01-01T00:00:00%2B23:59", 422),
        ("9999-12-31T23:59:59Z", 200),
        ("9999-12-31T23:59:59-23:59", 422),
    ],
)
def test_the_first_and_last_moments_are_moments_too(
    small_house: Together, moment: str, status: int
) -> None:
    small_house.post(ADA, "plan.started", STARTED)
    assert small_house.get(ADA, f"plan?as-of={moment}").status_code == status


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_what_runs_out_at_the_edge_of_time_is_judged_and_read(house: Together, until: str) -> None:
    begun(house).post(ADA, "access.granted", {**GRANT, "until": until})
    change: dict[str, Any] = {"type": "aspiration.stated", "data": {"words": "Rest."}}
    house.post(ADA, "access.granted", GRANT)
    made = {"change": change, "why": "Why not?", "expires": until}
    proposal = house.post(SAM, "proposal.made", made)
    accepted = house.post(ADA, "proposal.accepted", {"proposal": proposal["id"]})
    assert house.verdict(accepted, ADA) == ("accepted" if until[0] == "9" else "lapsed")
    assert house.get(ADA, "plan", Accept="text/plain").status_code == 200


# Whose it is.


@pytest.mark.parametrize(
    "path", ["plan", "history", "plan?version=1", "events/x", "plan?version=x"]
)
def test_without_a_token_it_is_a_401(small_house: Together, path: str) -> None:
    small_house.post(ADA, "plan.started", STARTED)
    problem(small_house.get(ADA, path, Authorization=""), 401, "unauthorized")
    problem(small_house.get(ADA, path, Authorization="Bearer x"), 401, "unauthorized")


@pytest.mark.parametrize("path", ["plan", "history", "events/x"])
def test_a_token_that_may_not_read_is_a_403(small_house: Together, path: str) -> None:
    bearer = small_house.door.bearer(ADA, "write share")
    problem(small_house.get(ADA, path, Authorization=bearer), 403, "forbidden")


@pytest.mark.parametrize("path", ["plan", "history", "plan?version=1", "plan?as-of=nonsense"])
def test_what_is_not_yours_looks_as_if_it_were_not(house: Together, path: str) -> None:
    begun(house).post(ADA, "access.granted", {**GRANT, "scopes": ["read"]})
    answers = [
        house.get(reader, path, person)
        for reader, person in (
            (EVE, ADA),
            (SAM, ADA),
            (TOM, ADA),
            ("operator:lee", ADA),
            ("auditor:kim", ADA),
            (EVE, "person:nobody"),
            (EVE, "nonsense"),
        )
    ]
    bodies = {answer.data for answer in answers}
    assert len(bodies) == 1
    problem(answers[0], 404, "not-found")
    if "?" not in path and path == "plan":
        assert house.get(EVE, path, EVE).data in bodies  # Eve has no plan


def test_there_is_no_way_to_write(small_house: Together) -> None:
    for path in ("plan", "history", "events/x"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = small_house.ledger.open(f"/people/{ADA}/{path}", method=method, data=body({}))
            problem(answer, 405, "method-not-allowed")
            assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {
                "GET",
                "HEAD",
                "OPTIONS",
            }


def test_it_lives_and_is_ready(house: Together) -> None:
    assert house.ledger.get("/livez").status_code == 200
    recording = {"messages": 0, "stalled_seconds": 0.0, "waits": {}}
    assert house.ledger.get("/readyz").get_json() == {"ready": True, "recording": recording}
    problem(house.ledger.get("/people/"), 404, "not-found")
    assert house.post(ADA, "plan.started", STARTED)["type"] == event("plan.started", {})["type"]
