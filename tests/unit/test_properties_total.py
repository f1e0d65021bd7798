"""decide, evolve and the view answer everything that has the shape of its type: nothing raises.

And property 5: any output that holds a disputed entry holds its disagreement.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ledger.plan.decide import Accepted, Refusal, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, load
from services.ledger.presentation.plan_view import plan_view
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json
from shared.events.schema_fields import is_valid
from tests.given import ADA, fold
from tests.histories import AUTHORS, go_on, history
from tests.voices import event

MANY = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
NUMBER = st.integers(0, 2**40)
HISTORY = st.lists(NUMBER, max_size=9) | st.lists(NUMBER, min_size=25, max_size=60)
MOMENTS = ["2026-03-02T11:00:00.000Z", "2026-03-02T12:30:00.000Z", "2099-01-01T00:00:00.000Z"]
REFERENCES = {
    *("aspiration", "item", "action", "measure", "choice", "proposal", "question", "commitment"),
    *("grant", "entry", "about", "id"),
}


def crossed(dice: Random, plan: Plan, said: Event) -> Event:
    """The event with its references turned to whatever else the plan knows by a name."""
    known = [*plan.entries, *(line["id"] for line in plan.lines.values()), "missing"]
    data = {
        member: dice.choice(known) if member in REFERENCES else value
        for member, value in said.data.items()
    }
    posted = orjson.loads(said.canonical) | {"data": data}
    told = said.data if not is_valid(CATALOGUE[said.type].schema, data) else data
    posted["data"] = told
    author = dice.choice(AUTHORS)
    return event(author, posted, received=said.received, via=said.via)


@MANY
@given(HISTORY)
def test_every_event_of_its_shape_has_a_verdict_whatever_it_points_at(numbers: list[int]) -> None:
    plan, dice = Plan(ADA), Random(len(numbers))
    for number in numbers:
        (said, verdict), *_ = go_on(plan, [number])
        assert isinstance(verdict, Accepted | Refusal)
        other = crossed(dice, plan, said)
        assert isinstance(fold(plan, [other])[0], Accepted | Refusal)
        assert load(dump(plan)) == plan


def test_every_type_has_a_verdict_on_every_sort_of_plan_from_everybody() -> None:
    erased, closed = Plan(ADA, state="erased"), Plan(ADA)
    fold(closed, [said for said, _ in history(range(500, 560))])
    for plan in (Plan(ADA), erased, closed):
        for kind, row in CATALOGUE.items():
            for author in sorted(set(AUTHORS)):
                said = event(author, {"type": kind, "data": dict(row.example)})
                verdict, before = decide(plan, said), load(dump(plan))
                if isinstance(verdict, Accepted):
                    evolve(before, said)
                    assert before != plan


def shown_entries(shown: Json) -> Iterator[tuple[str, Json]]:
    """Every entry that a view shows, with what it shows of it."""
    for line in shown["lines"]:
        yield line["origin"]["entry"], line
        if "ended" in line:
            yield line["ended"]["entry"], line["ended"]
    for shelf in shown["beside"].values():
        for each in shelf:
            yield each["entry"], each


def against(plan: Plan, name: str) -> set[str]:
    """The disagreements with an entry, and with these, by hand."""
    found = {each["entry"] for each in plan.disagreements.get(name, ())}
    return found.union(*(against(plan, each) for each in found))


def pinned(told: Any) -> set[str]:
    """The disagreements that are shown with an entry."""
    return {each["entry"] for each in told.get("disagreements", ())}


@MANY
@given(HISTORY, st.data())
def test_whatever_shows_a_disputed_entry_shows_its_disagreements(
    numbers: list[int], data: st.DataObject
) -> None:
    plan = Plan(ADA)
    events = [said for said, _ in go_on(plan, numbers)]
    place = data.draw(st.integers(0, len(events)), label="seen as of")
    past = Plan(ADA)
    fold(past, events[:place])
    for then, current in ((plan, None), (past, plan)):
        if then.state != "started":
            continue
        before = dump(then)
        for moment in MOMENTS:
            shown = plan_view(then, moment, current)
            for name, told in shown_entries(shown):
                assert against(plan, name) <= pinned(told), name
        assert dump(then) == before, "the view changed the plan"
