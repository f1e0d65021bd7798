"""The tables beside the catalogue are complete: steps, things, match groups, references."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import cast, get_args

import pytest

from services.ledger.plan import bounds, changes, own, steps
from services.ledger.plan.model import Line
from shared.catalogue import CATALOGUE, TYPE_NAMES, VERSION, EventType
from shared.fields import SCOPES
from shared.kinds import KINDS, AnswerType, BesideType, EqualType, Kind, PlanType, Type, WhoseType
from shared.refusals import WARNINGS, Code

PLAN = set(get_args(PlanType))
REFERENCES = {"aspiration", "item", "action", "measure", "choice"}
GROUPS: list[tuple[ModuleType, str, object]] = [
    (own, "_of_plan", PlanType),
    (own, "_of_beside", BesideType),
    (own, "_of_equal", EqualType),
    (own, "_of_whose", WhoseType),
    (changes, "_write", PlanType),
    (changes, "_answer", AnswerType),
    (changes, "_put_beside", BesideType),
    (changes, "_put_equal", EqualType),
    (changes, "_say_whose", WhoseType),
]


def members(data: object) -> Iterator[str]:
    """Yield the names of the members of some data, at any depth."""
    if isinstance(data, dict):
        yield from data
        data = [*data.values()]
    for part in data if isinstance(data, list) else ():
        yield from members(part)


def cases(module: ModuleType, function: str) -> Iterator[tuple[set[str], set[str]]]:
    """Of each case of a function's match: the types it takes, and what it calls."""
    tree = ast.parse(inspect.getsource(module))
    (found,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == function
    )
    for case in (node for node in ast.walk(found) if isinstance(node, ast.match_case)):
        constants = (node for node in ast.walk(case.pattern) if isinstance(node, ast.Constant))
        calls = (
            node.func for part in case.body for node in ast.walk(part) if isinstance(node, ast.Call)
        )
        named = {getattr(call, "id", getattr(call, "attr", "")) for call in calls}
        yield {str(each.value) for each in constants}, named


def taking(module: ModuleType, function: str, called: str) -> set[str]:
    """The types in whose case something is called."""
    return {name for names, calls in cases(module, function) if called in calls for name in names}


@pytest.mark.parametrize(("module", "function", "group"), GROUPS)
def test_each_match_takes_each_type_of_its_group_once(
    module: ModuleType, function: str, group: object
) -> None:
    told = [name for names, _ in cases(module, function) for name in sorted(names)]
    assert sorted(told) == sorted(get_args(group))


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


def test_the_steps_are_the_types_that_take_one() -> None:
    assert taking(own, "_of_plan", "_step") == set(steps.STEPS) <= PLAN
    assert taking(changes, "_write", "_step") == set(steps.STEPS)


@pytest.mark.parametrize("kind", steps.STEPS)
def test_a_step_leads_somewhere_else(kind: str) -> None:
    step = steps.STEPS[kind]
    assert step.before
    assert step.after not in step.before


def test_every_state_can_be_reached() -> None:
    after = {step.after for step in steps.STEPS.values()} | {"open"}
    assert {state for step in steps.STEPS.values() for state in step.before} <= after


POINTING = taking(own, "_of_plan", "_step") | taking(own, "_of_plan", "_reworded")
POINTING |= {"measure.revised", "advance-choice.revised", "measure.rated"}


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


NEW = taking(own, "_of_plan", "_new")


@pytest.mark.parametrize("kind", sorted(NEW))
def test_a_new_thing_may_carry_its_own_name(kind: str) -> None:
    assert "id" in CATALOGUE[kind].schema.fields
    assert Code.EXISTS in CATALOGUE[kind].refusals
    assert steps.thing_of(kind) in steps.THINGS.values()


def test_only_new_things_carry_a_name_and_every_thing_can_be_made() -> None:
    assert {name for name, row in CATALOGUE.items() if "id" in row.schema.fields} == NEW
    assert {steps.thing_of(kind) for kind in NEW} | {"plan"} == set(steps.THINGS.values())
    assert set(steps.THINGS) == {kind.partition(".")[0] for kind in POINTING | NEW}


def test_own_refusals_that_the_code_can_give_are_those_of_the_rows() -> None:
    """Every code in own.py and bounds.py belongs to some row, or like `plan-full` to all; which to
    which, the histories show.
    """
    told = {
        Code[node.attr]
        for module in (own, bounds)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Code"
    }
    assert told - {Code.PLAN_FULL} == {code for row in CATALOGUE.values() for code in row.refusals}


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_who_is_named_is_named_by_a_member_of_the_data(row: EventType) -> None:
    if row.who.named:
        assert row.schema.fields[row.who.named].required
        assert f"N({row.who.named})" in str(row.who)
    if row.who.scope:
        assert row.who.scope in (*SCOPES, "any")
    assert row.who.person or row.who.scope, "somebody has to be able to say it"


def test_what_is_reworded_has_its_words_in_the_member_that_made_it() -> None:
    reworded = taking(changes, "_write", "text_member")
    assert reworded == taking(own, "_of_plan", "_reworded")
    for kind in reworded:
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
