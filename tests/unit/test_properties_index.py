"""What is derived from a plan is what a look at all of the plan says, after any history."""

import re
from collections.abc import Iterator
from itertools import product
from random import Random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.ledger.plan.authorization import runs_out
from services.ledger.plan.avoided_words import Avoided
from services.ledger.plan.bounds import BOUNDS, Bounds
from services.ledger.plan.decide import Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.index import ANY_GRANT, ANY_NAMING
from services.ledger.plan.model import Beside, Plan, copy_of, dump, index_of, load
from services.ledger.plan.valid_time import fold_true
from shared.events.event import Event
from shared.events.refusals import Code
from shared.events.schema_fields import SCOPES
from tests.given import ADA, BEA, EVE, NORTH, SAM, TOM
from tests.histories import SMALL, go_on
from tests.voices import at

MANY = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
NUMBER = st.integers(0, 2**40)
HISTORY = st.lists(NUMBER, max_size=9) | st.lists(NUMBER, min_size=25, max_size=70)
BOUND = st.sampled_from([BOUNDS, SMALL])
PARTIES = [SAM, TOM, NORTH, BEA, EVE, "emergency"]
CLOCKS = ["2026-03-02T%02d:%02d:00.000Z", "2026-03-03T%02d:%02d:59.999Z"]
END = "2099-01-01T00:00:00.000Z"


def moments(dice: Random) -> Iterator[str]:
    """Moments in no order, about the days of the histories."""
    while True:
        yield dice.choice(CLOCKS) % (dice.randint(11, 16), dice.randint(0, 59))


def out_of_order(numbers: list[int], dice: Random) -> list[Event]:
    """A history's events, each received at a moment that follows from nothing."""
    steps = go_on(Plan(ADA), numbers)
    return [at(clock, said) for (said, _), clock in zip(steps, moments(dice), strict=False)]


def accepted_of(plan: Plan, events: list[Event], bounds: Bounds) -> Iterator[Event]:
    """Rule on events; those that were accepted, each after it has changed the plan."""
    for said in events:
        if isinstance(decide(plan, said, bounds=bounds), Accepted):
            evolve(plan, said)
            yield said


def in_force(plan: Plan, received: str) -> list[Beside]:
    """Grants and namings in force at a moment: by looking at every one."""
    return [
        each
        for each in plan.whose.values()
        if each["type"] != "service.barred"
        and "state" not in each
        and (
            each["data"]["until"] == "until-withdrawn"
            or not runs_out(each["data"]["until"], received)
        )
    ]


def opens(each: Beside, who: str, what: str) -> bool:
    """True when a grant or a naming opens a scope or a type to somebody."""
    data = each["data"]
    if each["type"] == "access.granted":
        return bool(data["to"] == who) and what in (ANY_GRANT, *data["scopes"])
    return bool(data["representative"] == who) and what in (ANY_NAMING, *data["scope"])


@MANY
@given(HISTORY, BOUND, st.integers())
def test_a_kept_index_equals_a_new_one(numbers: list[int], bounds: Bounds, seed: int) -> None:
    plan = Plan(ADA)
    for _ in accepted_of(plan, out_of_order(numbers, Random(seed)), bounds):
        assert plan.index == index_of(plan) == index_of(load(dump(plan)))


@MANY
@given(HISTORY, BOUND, st.integers())
def test_the_same_is_decided_by_a_plan_that_was_stored_or_copied(
    numbers: list[int], bounds: Bounds, seed: int
) -> None:
    plan, other = Plan(ADA), Plan(ADA)
    for said in out_of_order(numbers, Random(seed)):
        verdict = decide(plan, said, bounds=bounds)
        assert decide(load(dump(plan)), said, bounds=bounds) == verdict
        assert decide(copy_of(plan), said, bounds=bounds) == verdict
        if isinstance(verdict, Accepted):
            evolve(plan, said)
            evolve(other := load(dump(other)), said)
    assert dump(other) == dump(plan)


@MANY
@given(HISTORY, st.integers())
def test_an_index_is_kept_also_where_events_are_left_out(numbers: list[int], seed: int) -> None:
    dice, whole = Random(seed), Plan(ADA)
    events = list(accepted_of(whole, out_of_order(numbers, dice), BOUNDS))
    for clock, _ in zip(moments(dice), range(5), strict=False):
        part = fold_true(Plan(ADA), events, clock)
        assert part.index == index_of(part)
    assert dump(fold_true(Plan(ADA), events, END)) == dump(whole)


@MANY
@given(HISTORY, st.integers())
def test_what_is_in_force_is_what_a_look_at_everything_says(numbers: list[int], seed: int) -> None:
    dice, plan = Random(seed), Plan(ADA)
    list(accepted_of(plan, out_of_order(numbers, dice), BOUNDS))
    access, wanted = plan.index.access, (ANY_GRANT, ANY_NAMING, "proposal.accepted", *SCOPES)
    ends = {each["data"]["until"] for each in in_force(plan, CLOCKS[0] % (11, 0))}
    for received in (*sorted(ends - {"until-withdrawn"}), next(moments(dice))):
        everything = in_force(plan, received)
        assert access.count(received) == len(everything)
        for who, what in product(PARTIES, wanted):
            opened = any(opens(each, who, what) for each in everything)
            assert access.in_force(who, what, received) == opened


@MANY
@given(HISTORY, BOUND, st.integers())
def test_counts_are_what_a_look_at_everything_says(
    numbers: list[int], bounds: Bounds, seed: int
) -> None:
    plan, own, others = Plan(ADA), 0, 0
    for said in out_of_order(numbers, Random(seed)):
        verdict = decide(plan, said, bounds=bounds)
        if isinstance(verdict, Accepted):
            evolve(plan, said)
            size = len(said.canonical)
            for_her = said.by_person or verdict.represented
            own, others = own + size * for_her, others + size * (not for_her)
    assert (plan.own_bytes, plan.others_bytes, plan.accepted_bytes) == (own, others, own + others)
    lines = [line for line in plan.lines.values() if line["thing"] != "rating"]
    assert plan.index.open_lines == sum(line["state"] == "open" for line in lines)
    assert plan.index.access.barred == sum(":" in name for name in plan.whose)
    for entry, several in plan.disagreements.items():
        for author in {each["author"] for each in several}:
            mine = [each for each in several if each["author"] == author]
            still_open = [each for each in mine if "retracted" not in each]
            counted = plan.index.disagreements.counts(entry, author)
            assert counted == (len(still_open), len(mine))
            assert all(plan.disagreement(each["entry"]) is each for each in several)


@MANY
@given(HISTORY, st.integers())
def test_no_plan_grows_beyond_its_bounds(numbers: list[int], seed: int) -> None:
    plan, reopened = Plan(ADA), 0
    for said in accepted_of(plan, out_of_order(numbers, Random(seed)), SMALL):
        change = (
            plan.beside[said.data["proposal"]]["data"]["change"]["type"]
            if (said.type == "proposal.accepted")
            else said.type
        )
        reopened += change in ("plan.reopened", "aspiration.resumed")
        if change in ("access.granted", "representative.named"):
            assert len(in_force(plan, said.received)) <= SMALL.in_force
        assert plan.index.open_lines <= SMALL.open_lines + reopened
        assert len(plan.avoid) <= SMALL.wordings
        assert plan.own_bytes <= SMALL.protective_bytes
        assert plan.others_bytes <= SMALL.others_bytes
    for several in plan.disagreements.values():
        for author in {each["author"] for each in several}:
            mine = [each for each in several if each["author"] == author]
            assert len(mine) <= SMALL.disagreements
            assert sum("retracted" not in each for each in mine) <= 1


@MANY
@given(HISTORY, st.integers())
def test_bounds_refuse_only_what_would_have_been_accepted(numbers: list[int], seed: int) -> None:
    plan = Plan(ADA)
    for said in out_of_order(numbers, Random(seed)):
        verdict, unbounded = decide(plan, said, bounds=SMALL), decide(plan, said)
        if verdict != unbounded:
            assert isinstance(unbounded, Accepted)
            assert not isinstance(verdict, Accepted)
            assert verdict.code in (Code.TOO_MANY, Code.PLAN_FULL)
            assert verdict.represented == unbounded.represented
        if isinstance(verdict, Accepted):
            evolve(plan, said)


# Avoided words: as one pattern of all of them would find them.

PIECES = ["a", "b", "ab", "_", "1", " ", "-", "!", "ß", "SS", "é", "\u0301", "海", "İ", "😀", "\n"]
TEXT = st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join)
WORDINGS = st.lists(TEXT.filter(str.strip), min_size=1, max_size=5)


def by_one_pattern(wordings: list[str], text: str) -> bool:
    """The rule as it reads: one pattern of all wordings, each by itself."""
    avoided = (re.escape(words.casefold()) for words in wordings)
    whole = re.compile("|".join(rf"(?<!\w){words}(?!\w)" for words in avoided))
    return whole.search(text.casefold()) is not None


@settings(max_examples=1_000, deadline=None, database=None)
@given(WORDINGS, TEXT)
@example(["!"], "a! !")
@example(["a b", "b"], "aa b_ a b")
@example(["ß"], "SS ss")
def test_avoided_words_are_found_as_one_pattern_finds_them(wordings: list[str], text: str) -> None:
    avoided = Avoided()
    for each in wordings:
        avoided.add(each)
    assert avoided.found_in(text) == by_one_pattern(wordings, text)
