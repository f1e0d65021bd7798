"""Every type's examples: each earns what it says, by the rules alone, now and in seventy years."""

from collections import Counter
from datetime import datetime

import pytest

from services.intake.validation import validate_event
from services.ledger.plan.decide import Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.catalogue.examples import ACCEPTED, examples
from shared.events.catalogue.kind_beside import ENTRY
from shared.events.event import Event, Json, canonical
from shared.events.refusals import Code
from shared.events.schema_fields import parse_time
from tests.histories import history
from tests.integration.together import Door

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE.keys())
EVERY = {name: examples(row) for name, row in CATALOGUE.items()}
ALL = [each for told in EVERY.values() for each in told]
NOT_ASKED_FOR = {Code.PLAN_ERASED, Code.PLAN_FULL, Code.OUR_FAULT}
NOW, LATER = "2026-11-22T12:00:00.000Z", "2098-12-31T23:59:59.999Z"


def steps(example: Json) -> list[Json]:
    """All that is posted, the example's own event last."""
    return [*example["given"], example]


def event(step: Json, received: str) -> Event:
    """A step, as intake makes an event of it."""
    return Event.from_canonical(
        canonical(step["event"]),
        author=step["author"],
        via=step.get("via", "service:notebook"),
        issuer="local",
        received=received,
    )


def verdicts(example: Json, received: str) -> list[str]:
    """What the rules say to each step."""
    plan, told = Plan(example["event"]["subject"]), []
    for said in (event(each, received) for each in steps(example)):
        verdict = decide(plan, said)
        if isinstance(verdict, Accepted):
            evolve(plan, said)
        told.append(ACCEPTED if isinstance(verdict, Accepted) else str(verdict.code))
    return told


@ROWS
@pytest.mark.parametrize("received", [NOW, LATER])
def test_an_example_earns_its_verdict_and_what_is_given_is_accepted(
    row: EventType, received: str
) -> None:
    for each in EVERY[row.name]:
        wanted = [ACCEPTED] * len(each["given"]) + [each["verdict"]]
        assert verdicts(each, received) == wanted, each["title"]


@ROWS
def test_each_type_has_one_example_that_is_accepted_and_one_for_each_refusal(
    row: EventType,
) -> None:
    told = Counter(each["verdict"] for each in EVERY[row.name])
    assert set(told.values()) == {1}
    assert next(iter(told)) == ACCEPTED
    own = {*row.refusals}
    if row.name != "disagreement.stated":
        own -= {Code.TOO_MANY}  # hundreds of steps would stand before it
    assert {*own, Code.NOT_YOURS_TO_SAY, Code.ID_REUSED, Code.VERSION_CONFLICT} < set(told)


def test_every_code_that_can_be_asked_for_is_earned() -> None:
    assert {each["verdict"] for each in ALL} == {ACCEPTED, *set(Code) - NOT_ASKED_FOR}


def test_no_history_earns_a_type_a_refusal_that_has_no_example() -> None:
    shown = {name: {each["verdict"] for each in told} for name, told in EVERY.items()}
    earned = {
        (said.type, verdict.code)
        for seed in range(150)
        for said, verdict in history(range(seed * 1_000, seed * 1_000 + 120))
        if not isinstance(verdict, Accepted)
    }
    assert sorted((name, code) for name, code in earned if code not in shown[name]) == []


@ROWS
def test_an_examples_event_is_of_its_type_and_of_a_shape_that_intake_takes(row: EventType) -> None:
    now: datetime = parse_time(NOW)
    for example in EVERY[row.name]:
        assert example["event"]["type"] == row.name
        for step in steps(example):
            assert step["event"]["data"] is not None
            validate_event(step["event"], now)


def test_each_example_has_a_person_and_ids_of_its_own() -> None:
    assert len({each["event"]["subject"] for each in ALL}) == len(ALL)
    ids = [{step["event"]["id"] for step in steps(each)} for each in ALL]
    assert sum(map(len, ids)) == len(set().union(*ids))
    assert ENTRY not in str(ALL)
    assert {len({step["event"]["subject"] for step in steps(each)}) for each in ALL} == {1}


def test_ids_stay_as_they_are() -> None:
    """Who posted an example once may post it again, and hears the same."""
    assert [examples(row) for row in CATALOGUE.values()] == list(EVERY.values())
    assert EVERY["plan.started"][0]["event"]["subject"] == "person:ada-0220d759"


@ROWS
def test_they_are_served(row: EventType, door: Door) -> None:
    answer = door.client.get(f"/event-types/{row.name}").get_json()
    assert answer["examples"] == EVERY[row.name]
    assert all(
        each["title"].endswith(".") and len(each["title"].split()) <= 20
        for each in answer["examples"]
    )
