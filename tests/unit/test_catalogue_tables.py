"""The tables beside the catalogue are complete: steps, things, references, words.

The examples show what a type does. mypy finds a type that a match over its group leaves out.
"""

from collections.abc import Iterator
from functools import cache
from inspect import isfunction
from typing import get_args

import pytest

from services.ledger.plan import bounds, transitions, type_rules
from services.ledger.plan.model import Plan, copy_of
from services.ledger.plan.type_rules import type_refusal
from shared.events.catalogue import CATALOGUE, TYPE_NAMES, VERSION, EventType
from shared.events.catalogue.examples import examples
from shared.events.event import Event
from shared.events.refusals import WARNINGS, Code
from shared.events.schema_fields import SCOPES
from shared.events.type_names import KINDS, Kind, PlanType, Type
from tests.given import given
from tests.voices import event

PLAN: list[PlanType] = [*get_args(PlanType)]
REFERENCES = {"aspiration", "item", "action", "measure", "choice"}


@cache
def example(kind: str) -> tuple[Plan, Event, Plan]:
    """Return the plan before the type's accepted example, its event, and the plan after it."""
    accepted = examples(CATALOGUE[kind])[0]
    posts = [*accepted["given"], accepted]
    *before, last = (event(post["author"], post["event"]) for post in posts)
    plan = given(*before, plan=Plan(last.subject)).plan
    return plan, last, given(last, plan=copy_of(plan)).plan


def refusal_of_a_repetition(kind: str) -> Code | None:
    """Return the type's own refusal of its example, once that was accepted."""
    _, last, after = example(kind)
    return type_refusal(after, last)


def refusal_without_lines(kind: str) -> Code | None:
    """Return the type's own refusal of its example's required members, if there are no lines."""
    before, last, _ = example(kind)
    plan, fields = copy_of(before), CATALOGUE[kind].schema.fields
    plan.lines.clear()
    data = {name: value for name, value in last.data.items() if fields[name].required}
    return type_refusal(plan, last._replace(data=data))


def test_there_are_54_types_in_five_kinds() -> None:
    assert (len(CATALOGUE), len(KINDS), VERSION) == (54, 54, 2)
    assert tuple(CATALOGUE) == TYPE_NAMES
    counted = {kind: sum(row.kind is kind for row in CATALOGUE.values()) for kind in Kind}
    assert counted == {
        Kind.PLAN: 28,
        Kind.ANSWER: 3,
        Kind.BESIDE: 9,
        Kind.EQUAL: 8,
        Kind.WHOSE: 6,
    }
    assert {name for group in get_args(Type) for name in get_args(group)} == set(KINDS)


def test_the_steps_are_the_types_that_change_a_state() -> None:
    changing = set()
    for kind in PLAN:
        before, _, after = example(kind)
        states = {key: line["state"] for key, line in after.lines.items() if key in before.lines}
        if states != {key: line["state"] for key, line in before.lines.items()}:
            changing.add(kind)
    assert changing == set(transitions.TRANSITIONS)


@pytest.mark.parametrize("kind", transitions.TRANSITIONS)
def test_a_step_leads_from_its_states_alone_to_another(kind: str) -> None:
    step, (before, last, after) = transitions.TRANSITIONS[kind], example(kind)
    plan = copy_of(before)
    line = transitions.target(plan, kind, last.data)
    moved = transitions.target(after, kind, last.data)
    assert line
    assert moved
    assert moved["state"] == step.after
    assert step.after not in step.before
    for state in {"open", *(other.after for other in transitions.TRANSITIONS.values())}:
        line["state"] = state
        refusal = None if state in step.before else Code.WRONG_STATE
        assert type_refusal(plan, last) is refusal


def test_every_state_can_be_reached() -> None:
    after = {step.after for step in transitions.TRANSITIONS.values()} | {"open"}
    assert {state for step in transitions.TRANSITIONS.values() for state in step.before} <= after


POINTING = {kind for kind in PLAN if refusal_without_lines(kind) is Code.UNKNOWN_TARGET}
POINTING -= {"aspirations.ranked"}  # which points at many


@pytest.mark.parametrize("kind", sorted(POINTING))
def test_a_type_that_points_at_a_line_names_it_by_its_thing(kind: str) -> None:
    thing, data = transitions.thing_of(kind), CATALOGUE[kind].example
    if thing != "plan":
        assert CATALOGUE[kind].schema.fields[thing].required
        assert transitions.name_in(kind, dict(data)) == data[thing]


def test_nothing_else_points_at_a_line_it_writes() -> None:
    pointing = {
        name
        for name in PLAN
        for member, field in CATALOGUE[name].schema.fields.items()
        if member in REFERENCES and field.required
    }
    assert pointing == POINTING - {"plan.closed", "plan.reopened"}


NEW = {kind for kind in PLAN if refusal_of_a_repetition(kind) is Code.EXISTS}


@pytest.mark.parametrize("kind", sorted(NEW))
def test_a_new_thing_may_carry_its_own_name(kind: str) -> None:
    assert "id" in CATALOGUE[kind].schema.fields
    assert Code.EXISTS in CATALOGUE[kind].refusals
    assert transitions.thing_of(kind) in transitions.THINGS.values()


def test_only_new_things_carry_a_name_and_every_thing_can_be_made() -> None:
    assert {name for name, row in CATALOGUE.items() if "id" in row.schema.fields} == NEW
    assert {transitions.thing_of(kind) for kind in NEW} | {"plan"} == set(
        transitions.THINGS.values()
    )
    assert set(transitions.THINGS) == {kind.partition(".")[0] for kind in POINTING | NEW}


def test_own_refusals_that_the_code_can_give_are_those_of_the_rows() -> None:
    """Every code in own.py and bounds.py belongs to some row, or like `plan-full` to all; which to
    which, the histories show.
    """
    rooms = {type_rules.__name__, bounds.__name__}
    known = [*vars(type_rules).values(), *vars(bounds).values()]
    functions = [thing for thing in known if isfunction(thing) and thing.__module__ in rooms]
    names = {name for function in functions for name in function.__code__.co_names}
    codes = {code for name, code in Code.__members__.items() if name in names}
    assert codes - {Code.PLAN_FULL} == {code for row in CATALOGUE.values() for code in row.refusals}


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_who_is_named_is_named_by_a_member_of_the_data(row: EventType) -> None:
    if row.who.named:
        assert row.schema.fields[row.who.named].required
        assert f"N({row.who.named})" in str(row.who)
    if row.who.scope:
        assert row.who.scope in (*SCOPES, "any")
    assert row.who.person or row.who.scope, "somebody has to be able to say it"


def test_what_is_reworded_has_its_words_in_the_member_that_made_it() -> None:
    reworded = {kind for kind in PLAN if refusal_of_a_repetition(kind) is Code.UNCHANGED}
    assert reworded == {kind for kind in PLAN if kind.endswith((".reworded", "choice.revised"))}
    for kind in reworded:
        _, last, after = example(kind)
        line = transitions.target(after, kind, last.data)
        assert line
        member = transitions.text_member(line)
        assert line["data"][member] == last.data["words"]
        first = next(name for name in NEW if name.startswith(kind.partition(".")[0]))
        assert CATALOGUE[first].schema.fields[member].required


def test_every_warning_is_told_in_words() -> None:
    assert set(WARNINGS) == {"preferred-wording"}
    assert all(0 < len(said.split()) <= 12 for said in WARNINGS.values())


def members(data: object) -> Iterator[str]:
    """Yield the names of the members of some data, at any depth."""
    if isinstance(data, dict):
        yield from data
        data = [*data.values()]
    for part in data if isinstance(data, list) else ():
        yield from members(part)


def test_members_of_data_are_words_that_stand_for_themselves() -> None:
    told = {
        name
        for row in CATALOGUE.values()
        for name in (*members(dict(row.example)), *row.schema.fields)
    }
    assert [
        name for name in sorted(told) if not name.replace("_", "").isalpha() or name != name.lower()
    ] == []
