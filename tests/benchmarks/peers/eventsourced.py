"""The peer: the `eventsourcing` library, an aggregate for each person, an event for each line.

    python eventsourced.py SINGLES  < a JSON line for each event; the first SINGLES one by one

The library reads its settings from the environment: PERSISTENCE_MODULE and others. Nothing is
decided, encrypted, hashed or proven. SQLite and PostgreSQL sync every commit, as ours do. Prints
one JSON object: events a second saved singly, saved in batches, and replayed from the store.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

BATCH = 100


class Plan(Aggregate):
    """Stores the last event only, so that replaying does as little as possible."""

    @event("Started")
    def __init__(self) -> None:
        """Start without an event."""
        self.last: dict[str, Any] = {}

    @event("Said")
    def say(self, data: dict[str, Any]) -> None:
        """Add one event."""
        self.last = data


def rate(count: int, work: Callable[[], None]) -> float:
    """Return how many a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def save(app: Application, events: Sequence[dict[str, Any]], batch: int) -> list[Plan]:
    """Save a plan for every batch; return the plans."""
    plans = []
    for start in range(0, len(events), batch):
        plan = Plan()
        for data in events[start : start + batch - 1]:  # its Started is an event too
            plan.say(data)
        app.save(plan)
        plans.append(plan)
    return plans


def main() -> None:
    """Measure."""
    events = [json.loads(line) for line in sys.stdin]
    app, one, singles = Application(), Plan(), events[: int(sys.argv[1])]
    app.save(one)

    def singly() -> None:
        for data in singles:
            one.say(data)
            app.save(one)

    rates = {"single": rate(len(singles), singly)}
    plans: list[Plan] = []
    rates["batch"] = rate(len(events), lambda: plans.extend(save(app, events, BATCH)))

    def replay() -> None:
        for plan in plans:
            app.repository.get(plan.id)

    rates["replay"] = rate(len(events), replay)
    app.close()
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
