"""The pure core by itself: `python -m tests.benchmarks.micro`. It prints its figures.

- **mixed**: decide + evolve of made-up histories of all types, µs an event (aim: at most 15): as
  they come, two thirds of them refused, and of what is accepted alone.
- **growth**: what one more event costs on a plan of 10,000 events, against a plan of 10 (aim: at
  most 3 times), for the events that a person and their partners say most.
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
    """No garbage is collected meanwhile."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def take(plan: Plan, events: Iterable[Event]) -> int:
    """Rule on events as the projector does; how many were accepted."""
    count = 0
    for said in events:
        if isinstance(decide(plan, said), Accepted):
            evolve(plan, said)
            count += 1
    return count


def histories(people: int, events: int) -> list[list[Event]]:
    """Made-up histories of all types, of that many people and events each; a third is accepted."""
    dice = Random(3)
    numbers = ([dice.getrandbits(40) for _ in range(events)] for _ in range(people))
    return [[said for said, _ in history(each)] for each in numbers]


def accepted_of(told: Sequence[Event]) -> list[Event]:
    """Of a history, what is accepted: by itself, all of it is."""
    plan = Plan(ADA)
    return [said for said in told if take(plan, [said])]


def mixed(told: Sequence[Sequence[Event]]) -> float:
    """Microseconds of decide + evolve an event, over whole histories."""
    plans = [Plan(ADA) for _ in told]
    with quiet():
        began = perf_counter()
        for plan, events in zip(plans, told, strict=True):
            take(plan, events)
        took = perf_counter() - began
    return took * 1e6 / sum(map(len, told))


# A life of ten thousand events: grants now and then, ratings daily, and everything beside.


def _day(number: int) -> Iterator[Event]:
    """What happens on a day; what is wanted and planned is over in the evening, so that the plan
    holds no more open lines than it may.
    """
    name, seen = f"n{number}", sam.observes(f"Walked {number} steps.")
    asked, promise = ada.asks(SAM, f"Why {number}?"), sam.promises(what=f"Come on {number}.")
    proposal = sam.proposes(change("action.planned", id=f"p{name}", what="Walk", by=SAM))
    yield from (ada.states(f"Wish {number}", name=name), ada.plans("Walk", name=name))
    yield from (seen, ada.disagrees(seen), asked, sam.answers(asked, OPINION))
    yield from (promise, ada.says_kept(promise), proposal, ada.accepts(proposal))
    yield from (ada.does(name), ada.does(f"p{name}"), ada.reaches(name))


def life(events: int, *, grants: int = 200, namings: int = 20) -> Plan:
    """A plan after that many events, among them grants to others: half of these were withdrawn."""
    plan = Plan(ADA)
    opening = [started, ada.grants(SAM, "observe", "propose"), ada.defines(), ada.chooses()]
    take(plan, [*opening, ada.prefers("Ada", "the old lady")])
    for number in range(min(grants, events // 50)):
        given = ada.grants(f"partner:p{number}", "read")
        take(plan, [given, ada.withdraws(given)] if number % 2 else [given])
    for number in range(min(namings, events // 50)):
        take(plan, [ada.sends(f"person:r{number}", "action.done", "aspiration.stated")])
    day = 0
    while len(plan.entries) < events:
        take(plan, list(_day(day))[: events - len(plan.entries)])
        day += 1
    return load(dump(plan))


def one_more() -> dict[str, Callable[[int], Event]]:
    """The events that are added, by what they are; a number makes each a new one."""
    return {
        "aspiration.stated": lambda n: ada.states(f"More {n}", name=f"more{n}"),
        "measure.rated": lambda n: ada.rates(n % 11, words=f"Day {n}"),
        "observation.recorded": lambda n: sam.observes(f"More steps: {n}."),
        "proposal.made": lambda n: sam.proposes(change("plan.closed", words=f"{n}")),
        "question.asked": lambda n: sam.asks(ADA, f"More {n}?"),
        "refused": lambda n: Voice("partner:tom").observes(f"More {n}."),
    }


def each_more(plan: Plan, events: Sequence[Event]) -> float:
    """Microseconds for one more event; every one is taken by the plan, which hardly grows."""
    with quiet():
        began = perf_counter()
        take(plan, events)
        return (perf_counter() - began) * 1e6 / len(events)


def growth(figures: Figures, small: int, large: int, more: int) -> None:
    """Measure one more event on a small and on a large plan, in turns."""
    for name, make in one_more().items():
        events = [make(number) for number in range(more)]
        each_more(life(small), events)  # once, so that everything is warm
        for _ in range(RUNS):
            figures.add(f"{name} on {small}", each_more(life(small), events))
            figures.add(f"{name} on {large}", each_more(load(_large(large)), events))
            figures.ratio(f"{name} growth", f"{name} on {large}", f"{name} on {small}")


_kept: dict[int, bytes] = {}


def _large(events: int) -> bytes:
    if events not in _kept:
        _kept[events] = dump(life(events))
    return _kept[events]


def measure(people: int = 400, events: int = 60, large: int = 10_000, more: int = 40) -> Figures:
    """All figures; smaller numbers for a short form."""
    figures, told = Figures(), histories(people, events)
    taken = [accepted_of(each) for each in told]
    for _ in range(RUNS):
        figures.add("mixed µs/event", mixed(told))
        figures.add("mixed, accepted µs/event", mixed(taken))
    growth(figures, 10, large, more)
    return figures


def report(figures: Figures) -> Iterator[str]:
    """The table, and the aims beside what was reached."""
    yield from figures.table()
    cost = median(figures.series["mixed, accepted µs/event"])
    worst = max(median(all_) for name, all_ in figures.series.items() if name.endswith(" growth"))
    yield ""
    yield f"decide + evolve, mixed, all accepted: {cost:.1f} µs an event (aim {AIM_MICROSECONDS})"
    yield f"one more event on the large plan: at most {worst:.2f} x (aim {AIM_GROWTH})"


if __name__ == "__main__":
    for line in report(measure()):
        print(line)
