"""The tables beside the catalogue are complete: steps, things, match groups, references."""

from collections.abc import Iterator
from types import FunctionType
from typing import cast, get_args

import pytest

from services.ledger.plan import bounds, own, steps
from services.ledger.plan.model import Line
from shared.catalogue import CATALOGUE, TYPE_NAMES, VERSION, EventType
from shared.fields import SCOPES
from shared.kinds import KINDS, Kind, PlanType, Type
from shared.refusals import WARNINGS, Code

PLAN = set(get_args(PlanType))
REFERENCES = {"aspiration", "item", "action", "measure", "choice"}


def members(data: object) -> Iterator[str]:
    """Yield the names of the members of some data, at any depth."""
    if isinstance(data, dict):
        yield from data
        data = [*data.values()]
    for part in data if isinstance(data, list) else ():
        yield from members(part)


def refused_with(code: Code) -> set[str]:
    """Return the types of the plan that may be refused with `code`."""
    return {name for name in PLAN if code in CATALOGUE[name].refusals}


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


def test_the_steps_are_the_types_that_need_a_state() -> None:
    assert refused_with(Code.WRONG_STATE) == {*steps.STEPS, "advance-choice.revised"}


@pytest.mark.parametrize("kind", steps.STEPS)
def test_a_step_leads_somewhere_else(kind: str) -> None:
    step = steps.STEPS[kind]
    assert step.before
    assert step.after not in step.before


def test_every_state_can_be_reached() -> None:
    after = {step.after for step in steps.STEPS.values()} | {"open"}
    assert {state for step in steps.STEPS.values() for state in step.before} <= after


REWORDED = {name for name in PLAN if name.endswith(".reworded")}
POINTING = {*steps.STEPS, *REWORDED, "measure.revised", "advance-choice.revised", "measure.rated"}


@pytest.mark.parametrize("kind", sorted(POINTING))
def test_a_type_that_points_at_a_line_names_it_by_its_thing(kind: str) -> None:
    thing, data = steps.thing_of(kind), CATALOGUE[kind].example
    if thing != "plan":
        assert CATALOGUE[kind].schema.fields[thing].required
        assert steps.name_in(kind, dict(data)) == data[thing]


def test_nothing_else_points_at_a_line_it_writes() -> None:
    pointing = {
        name
        for name in PLAN
        for member, field in CATALOGUE[name].schema.fields.items()
        if member in REFERENCES and field.required
    }
    assert pointing == POINTING - {"plan.closed", "plan.reopened"}


NEW = refused_with(Code.EXISTS)


@pytest.mark.parametrize("kind", sorted(NEW))
def test_a_new_thing_may_carry_its_own_name(kind: str) -> None:
    assert "id" in CATALOGUE[kind].schema.fields
    assert steps.thing_of(kind) in steps.THINGS.values()


def test_only_new_things_carry_a_name_and_every_thing_can_be_made() -> None:
    assert {name for name, row in CATALOGUE.items() if "id" in row.schema.fields} == NEW
    assert {steps.thing_of(kind) for kind in NEW} | {"plan"} == set(steps.THINGS.values())
    assert set(steps.THINGS) == {kind.partition(".")[0] for kind in POINTING | NEW}


def test_own_refusals_that_the_code_can_give_are_those_of_the_rows() -> None:
    """Every code in own.py and bounds.py belongs to some row, or like `plan-full` to all; which to
    which, the histories show.
    """
    codes = {
        Code[name]
        for module in (own, bounds)
        for function in vars(module).values()
        if isinstance(function, FunctionType) and function.__module__ == module.__name__
        for name in function.__code__.co_names
        if name in Code.__members__
    }
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
    assert REWORDED | {"advance-choice.revised"} == refused_with(Code.UNCHANGED)
    for kind in REWORDED:
        sort = kind.partition(".")[0]
        first = next(name for name in NEW if name.startswith(sort))
        line = cast(Line, {"thing": sort})
        assert CATALOGUE[first].schema.fields[steps.text_member(line)].required


def test_every_warning_is_told_in_words() -> None:
    assert set(WARNINGS) == {"preferred-wording"}
    assert all(0 < len(said.split()) <= 12 for said in WARNINGS.values())


def test_members_of_data_are_words_that_stand_for_themselves() -> None:
    told = {
        name
        for row in CATALOGUE.values()
        for name in (*members(dict(row.example)), *row.schema.fields)
    }
    assert [
        name for name in sorted(told) if not name.replace("_", "").isalpha() or name != name.lower()
    ] == []
