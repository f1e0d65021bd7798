"""The peer: the `eventsourcing` library, an aggregate for each person, an event for each line.

    python eventsourced.py SINGLES  < a JSON line for each event; the first SINGLES one by one

Its settings come from the environment, as it says itself: PERSISTENCE_MODULE and the rest. Nothing
is judged, sealed, hashed or proven; SQLite and PostgreSQL sync every commit, as ours do. Prints one
JSON object: events a second saved singly, saved in batches, and replayed from the store.
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
    """Keeps what was said last, so that replaying does the least that it can."""

    @event("Started")
    def __init__(self) -> None:
        """Nothing was said yet."""
        self.last: dict[str, Any] = {}

    @event("Said")
    def say(self, said: dict[str, Any]) -> None:
        """Say one event."""
        self.last = said


def rate(count: int, work: Callable[[], None]) -> float:
    """How many a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def save(app: Application, said: Sequence[dict[str, Any]], batch: int) -> list[Plan]:
    """A plan for every batch, saved once; the plans."""
    plans = []
    for start in range(0, len(said), batch):
        plan = Plan()
        for each in said[start : start + batch - 1]:  # its Started is an event too
            plan.say(each)
        app.save(plan)
        plans.append(plan)
    return plans


def main() -> None:
    """Measure."""
    said = [json.loads(line) for line in sys.stdin]
    app, one, singles = Application(), Plan(), said[: int(sys.argv[1])]
    app.save(one)

    def singly() -> None:
        for each in singles:
            one.say(each)
            app.save(one)

    found = {"single": rate(len(singles), singly)}
    plans: list[Plan] = []
    found["batch"] = rate(len(said), lambda: plans.extend(save(app, said, BATCH)))

    def replay() -> None:
        for each in plans:
            app.repository.get(each.id)

    found["replay"] = rate(len(said), replay)
    app.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
