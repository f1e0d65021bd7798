"""The pure core alone: `python -m tests.benchmarks.micro`. It prints its figures.

- **mixed**: decide + evolve of made-up histories of all types, µs an event (aim: at most 15): with
  two thirds of the events refused, and with the accepted events alone.
- **growth**: the cost of one more event on a plan of 10,000 events, compared with a plan of 10
  (aim: at most 3 times), for the most frequent events of a person and their partners.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from statistics import median
from time import perf_counter

from services.ledger.plan.decide import Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, load
from shared.events.event import Event
from tests.benchmarks.figures import Figures
from tests.histories import history
from tests.voices import ADA, OPINION, SAM, Voice, ada, change, sam, started

AIM_MICROSECONDS, AIM_GROWTH = 15.0, 3.0
RUNS = 7


@contextmanager
def quiet() -> Iterator[None]:
    """Suspend garbage collection."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def take(plan: Plan, events: Iterable[Event]) -> int:
    """Decide events as the projector does; return how many were accepted."""
    count = 0
    for event in events:
        if isinstance(decide(plan, event), Accepted):
            evolve(plan, event)
            count += 1
    return count


def histories(people: int, events: int) -> list[list[Event]]:
    """Return made-up histories of all types; a third of the events is accepted."""
    dice = Random(3)
    numbers = ([dice.getrandbits(40) for _ in range(events)] for _ in range(people))
    return [[event for event, _ in history(seeds)] for seeds in numbers]


def accepted_of(events: Sequence[Event]) -> list[Event]:
    """Return the accepted events of a history; all of them are accepted alone, too."""
    plan = Plan(ADA)
    return [event for event in events if take(plan, [event])]


def mixed(all_events: Sequence[Sequence[Event]]) -> float:
    """Return microseconds of decide + evolve per event, over whole histories."""
    plans = [Plan(ADA) for _ in all_events]
    with quiet():
        began = perf_counter()
        for plan, of_plan in zip(plans, all_events, strict=True):
            take(plan, of_plan)
        took = perf_counter() - began
    return took * 1e6 / sum(map(len, all_events))


# A plan of ten thousand events: some grants, daily ratings, and all other types.


def _day(number: int) -> Iterator[Event]:
    """Yield the events of a day.

    Wishes and actions are completed in the evening, so that the plan never exceeds its limit of
    open lines.
    """
    name, seen = f"n{number}", sam.observes(f"Walked {number} steps.")
    question, promise = ada.asks(SAM, f"Why {number}?"), sam.promises(what=f"Come on {number}.")
    proposal = sam.proposes(change("action.planned", id=f"p{name}", what="Walk", by=SAM))
    yield from (ada.states(f"Wish {number}", name=name), ada.plans("Walk", name=name))
    yield from (seen, ada.disagrees(seen), question, sam.answers(question, OPINION))
    yield from (promise, ada.says_kept(promise), proposal, ada.accepts(proposal))
    yield from (ada.does(name), ada.does(f"p{name}"), ada.reaches(name))


def life(events: int, *, grants: int = 200, namings: int = 20) -> Plan:
    """Return a plan after that many events; half of its grants to others are withdrawn."""
    plan = Plan(ADA)
    opening = [started, ada.grants(SAM, "observe", "propose"), ada.defines(), ada.chooses()]
    take(plan, [*opening, ada.prefers("Ada", "the old lady")])
    for number in range(min(grants, events // 50)):
        grant = ada.grants(f"partner:p{number}", "read")
        take(plan, [grant, ada.withdraws(grant)] if number % 2 else [grant])
    for number in range(min(namings, events // 50)):
        take(plan, [ada.sends(f"person:r{number}", "action.done", "aspiration.stated")])
    day = 0
    while len(plan.entries) < events:
        take(plan, list(_day(day))[: events - len(plan.entries)])
        day += 1
    return load(dump(plan))


def one_more() -> dict[str, Callable[[int], Event]]:
    """Return the added events, by their type; a number makes each a new one."""
    return {
        "aspiration.stated": lambda n: ada.states(f"More {n}", name=f"more{n}"),
        "measure.rated": lambda n: ada.rates(n % 11, words=f"Day {n}"),
        "observation.recorded": lambda n: sam.observes(f"More steps: {n}."),
        "proposal.made": lambda n: sam.proposes(change("plan.closed", words=f"{n}")),
        "question.asked": lambda n: sam.asks(ADA, f"More {n}?"),
        "refused": lambda n: Voice("partner:tom").observes(f"More {n}."),
    }


def per_event(plan: Plan, events: Sequence[Event]) -> float:
    """Return microseconds for one more event; the plan hardly grows."""
    with quiet():
        began = perf_counter()
        take(plan, events)
        return (perf_counter() - began) * 1e6 / len(events)


def growth(figures: Figures, small: int, large: int, more: int) -> None:
    """Measure one more event on a small and on a large plan, in turns."""
    for name, make in one_more().items():
        events = [make(number) for number in range(more)]
        per_event(life(small), events)  # warm up
        for _ in range(RUNS):
            figures.add(f"{name} on {small}", per_event(life(small), events))
            figures.add(f"{name} on {large}", per_event(load(_large(large)), events))
            figures.ratio(f"{name} growth", f"{name} on {large}", f"{name} on {small}")


_dumps: dict[int, bytes] = {}


def _large(events: int) -> bytes:
    if events not in _dumps:
        _dumps[events] = dump(life(events))
    return _dumps[events]


def measure(people: int = 400, events: int = 60, large: int = 10_000, more: int = 40) -> Figures:
    """Return all figures; smaller numbers for a short form."""
    figures, made_up = Figures(), histories(people, events)
    accepted = [accepted_of(of_person) for of_person in made_up]
    for _ in range(RUNS):
        figures.add("mixed µs/event", mixed(made_up))
        figures.add("mixed, accepted µs/event", mixed(accepted))
    growth(figures, 10, large, more)
    return figures


def report(figures: Figures) -> Iterator[str]:
    """Yield the table, and the results next to the aims."""
    yield from figures.table()
    cost = median(figures.series["mixed, accepted µs/event"])
    worst = max(median(all_) for name, all_ in figures.series.items() if name.endswith(" growth"))
    yield ""
    yield f"decide + evolve, mixed, all accepted: {cost:.1f} µs an event (aim {AIM_MICROSECONDS})"
    yield f"one more event on the large plan: at most {worst:.2f} x (aim {AIM_GROWTH})"


if __name__ == "__main__":
    for line in report(measure()):
        print(line)
