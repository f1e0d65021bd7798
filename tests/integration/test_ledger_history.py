"""Reading what happened over HTTP: history in pages and sentences, fates, and refused attempts."""

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event as on

from shared.events.event import Json
from tests.integration.together import (
    ADA,
    EVE,
    NAMES,
    SAM,
    SEA,
    STARTED,
    TOM,
    Together,
    event,
    problem,
)

REWORD = {"aspiration": "sea", "words": "Lose weight."}


# Histories.


def test_a_history_tells_everything_in_order_and_in_sentences(begun: Together) -> None:
    told = begun.history()
    assert [each["index"] for each in told] == [0, 1, 2]
    assert [each["sequence"] for each in told] == [1, 2, 3]
    assert [each["planversion"] for each in told] == [1, 2, 2]
    assert [each["sentence"] for each in told][:2] == [
        "You started your plan.",
        "You said what you want.",
    ]
    assert told[1]["words"] == SEA["words"]
    assert {each["recorded"][:16] for each in told} == {
        "2126-03-02T12:01",
        "2126-03-02T12:02",
        "2126-03-02T12:03",
    }


def test_a_history_comes_in_pages(begun: Together) -> None:
    for number in range(4):
        begun.post(ADA, "aspiration.stated", {"words": f"Wish {number}."})
    found, query, pages = [], "history?limit=3", 0
    while query:
        page = begun.get(ADA, query).get_json()
        assert (page["subject"], len(page["entries"]) <= 3) == (ADA, True)
        found += page["entries"]
        pages += 1
        query = f"history?limit=3&cursor={page['next']}" if "next" in page else ""
    assert found == begun.history()
    assert pages == 3
    assert begun.get(ADA, "history?cursor=999").get_json() == {"subject": ADA, "entries": []}


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "cursor=", "cursor=1e3", "cursor=-1"])
def test_a_page_that_makes_no_sense_is_a_422(small_house: Together, query: str) -> None:
    problem(small_house.get(ADA, f"history?{query}"), 422, "invalid-query")


def test_a_page_has_at_least_one_entry_and_a_bound(small_house: Together) -> None:
    small_house.post(ADA, "plan.started", STARTED)
    small_house.post(ADA, "aspiration.stated", SEA)
    assert len(small_house.get(ADA, "history?limit=0").get_json()["entries"]) == 1
    assert len(small_house.get(ADA, "history?limit=999999999").get_json()["entries"]) == 2


def test_a_history_has_an_etag(begun: Together) -> None:
    etag = begun.get(ADA, "history").headers["ETag"]
    assert begun.get(ADA, "history", If_None_Match=etag).status_code == 304
    begun.post(EVE, "aspiration.stated", SEA)
    assert begun.get(ADA, "history", If_None_Match=etag).status_code == 200


def test_an_attempt_before_there_is_a_plan_is_told(house: Together) -> None:
    house.post(SAM, "observation.recorded", {"who_saw": SAM, "seen_or_heard": "Walked."})
    [told] = house.history()
    assert told["refusal"] == "no-grant"
    assert "words" not in told
    assert "Walked" not in json.dumps(told)
    problem(house.get(ADA, "plan"), 404, "not-found")


# Refused attempts: nothing changes, and the person can see them.

ATTEMPTS = [
    (SAM, "aspiration.reworded", REWORD, "not-yours-to-say"),
    (EVE, "aspiration.reworded", REWORD, "not-yours-to-say"),
    (TOM, "observation.recorded", {"who_saw": TOM, "seen_or_heard": "Lose weight."}, "no-grant"),
    (
        SAM,
        "proposal.made",
        {
            "change": {"type": "aspiration.reworded", "data": REWORD},
            "why": "Lose weight.",
            "expires": "2999-01-01T00:00:00Z",
        },
        "no-grant",
    ),
    ("service:bot", "plan.started", {"name_to_use": "Lose weight.", "language": "en"}, None),
]


@pytest.mark.parametrize(("author", "kind", "data", "code"), ATTEMPTS)
def test_an_attempt_without_standing_changes_nothing_but_the_history(
    begun: Together, author: str, kind: str, data: Json, code: str | None
) -> None:
    before, history = begun.get(ADA, "plan"), begun.history()
    aloud = begun.get(ADA, "plan", Accept="text/plain")
    said = begun.post(author, kind, data)
    after = begun.get(ADA, "plan")
    assert (after.data, after.headers["ETag"]) == (before.data, before.headers["ETag"])
    assert begun.get(ADA, "plan", Accept="text/plain").data == aloud.data
    *same, told = begun.history()
    assert same == history
    assert told["refusal"] == (code or "not-yours-to-say")
    assert told["sentence"].startswith(f"{NAMES.get(author, author.split(':')[1].capitalize())} ")
    assert " tried to " in told["sentence"]
    assert "Lose weight" not in json.dumps(told)
    assert not {"words", "sequence", "planversion"} & told.keys()
    assert begun.verdict(said, author) == told["refusal"]


def test_sams_attempt_reads_as_a_sentence(begun: Together) -> None:
    begun.post(SAM, "aspiration.reworded", REWORD)
    assert begun.history()[-1]["sentence"] == (
        "Sam (nurse) tried to change your words; it was refused: only you may say this."
    )


def test_a_refusal_with_standing_keeps_her_words(begun: Together) -> None:
    before = begun.get(ADA, "plan").data
    begun.post(ADA, "aspiration.stated", {**SEA, "words": "Swim."})
    told = begun.history()[-1]
    assert (told["refusal"], told["words"], told["sequence"]) == ("exists", "Swim.", 4)
    assert begun.get(ADA, "plan").data == before


# The fate of an event.


def test_a_fate_is_for_its_author_and_the_person(begun: Together) -> None:
    seen = {"who_saw": SAM, "seen_or_heard": "Walked."}
    said = begun.post(SAM, "observation.recorded", seen)
    path = f"events/{said['id']}"
    mine, hers = begun.get(SAM, path), begun.get(ADA, path)
    assert mine.status_code == hers.status_code == 200
    assert {**hers.get_json(), "salt": mine.get_json()["salt"]} == mine.get_json()
    assert "salt" not in hers.get_json()  # with it she could test guesses at what he said
    told = mine.get_json()
    assert (told["id"], told["author"], told["verdict"]) == (said["id"], SAM, "accepted")
    assert "Walked" not in mine.text
    others = {begun.get(reader, path).data for reader in (TOM, EVE, "auditor:kim", "operator:lee")}
    absent = begun.get(ADA, f"events/{event('plan.started', {})['id']}")
    assert others == {absent.data}
    problem(absent, 404, "not-found")


def test_the_author_of_a_refused_attempt_hears_its_fate(begun: Together) -> None:
    said = begun.post(EVE, "aspiration.reworded", REWORD)
    told = begun.get(EVE, f"events/{said['id']}").get_json()
    assert (told["verdict"], told["refusal"]) == ("refused", "not-yours-to-say")
    assert told["because"]
    assert "sequence" not in told
    problem(begun.get(SAM, f"events/{said['id']}"), 404, "not-found")


def test_a_fate_says_the_same_whether_the_person_lives_or_not(begun: Together) -> None:
    seen = {"who_saw": TOM, "seen_or_heard": "Walked."}
    for person in (ADA, "person:nobody"):
        said = event("observation.recorded", seen, subject=person)
        assert begun.door.post(said, TOM).status_code == 202
        begun.drain()
        told = begun.get(TOM, f"events/{said['id']}", person).get_json()
        assert (told["refusal"], told.get("sequence")) == ("no-grant", None)


def test_two_authors_of_one_id_each_see_their_own(begun: Together) -> None:
    """Author and id name an event; who takes somebody's id gets a refusal of their own."""
    mine = begun.post(ADA, "aspiration.stated", {"words": "Sleep."})
    begun.post(EVE, "aspiration.stated", {"words": "Sleep."}, id=mine["id"])
    path = f"events/{mine['id']}"
    [refused, accepted] = [begun.get(reader, path).get_json() for reader in (EVE, ADA)]
    assert (refused["author"], refused["verdict"]) == (EVE, "refused")
    assert "also" not in refused
    assert (accepted["author"], accepted["verdict"]) == (ADA, "accepted")
    assert [each["author"] for each in accepted["also"]] == [EVE]


def test_an_event_that_is_not_there_takes_no_look_at_the_person(begun: Together) -> None:
    """Neither at their key nor at their entries: the time would tell that they have some (S20)."""
    asked = list[tuple[str, str]]()

    def note(*told: Any) -> None:
        asked.append((str(told[2]), str(told[3])))

    on.listen(begun.reader, "before_cursor_execute", note)
    try:
        paths = (f"events/{uuid4()}", f"events/{uuid4()}/receipt")
        statements = []
        for person in (ADA, "person:joe"):
            for path in paths:
                problem(begun.get(SAM, path, person), 404, "not-found")
            statements.append([each for each, _ in asked])
            assert not [values for _, values in asked if person in values]
            asked.clear()
    finally:
        on.remove(begun.reader, "before_cursor_execute", note)
    assert statements[0] == statements[1]
    assert not [each for each in statements[0] if "FROM keys" in each]


def test_what_is_not_yours_takes_no_look_at_the_persons_key(begun: Together) -> None:
    """Tom asks for what Ada said: it is there, and he hears what he would hear if it were not."""
    said = begun.post(ADA, "aspiration.stated", {"words": "Sleep."})
    asked = list[str]()

    def note(*told: Any) -> None:
        asked.append(str(told[2]))

    on.listen(begun.reader, "before_cursor_execute", note)
    try:
        for path in (f"events/{said['id']}", f"events/{said['id']}/receipt"):
            problem(begun.get(TOM, path), 404, "not-found")
    finally:
        on.remove(begun.reader, "before_cursor_execute", note)
    assert asked
    assert not [each for each in asked if "FROM keys" in each]


@pytest.mark.parametrize(
    "name",
    ["x", "%00", "a%00b", "%ff", "%ed%a0%80", "..", "'; DROP TABLE entries", "é", "a" * 5000],
)
def test_a_strange_name_is_a_name_of_nothing(house: Together, name: str) -> None:
    problem(house.get(ADA, f"events/{name}"), 404, "not-found")
    problem(house.get(EVE, f"events/{name}", f"person:{name}"), 404, "not-found")
    problem(house.get(EVE, "events/x", f"person:{name}"), 404, "not-found")
    problem(house.get(EVE, "plan", f"person:{name}"), 404, "not-found")
