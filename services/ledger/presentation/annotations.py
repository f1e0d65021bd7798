"""What is said of an entry. It goes wherever the entry is shown, for good:

disagreements  [{entry, author, words}], and what is said of these, with `about`
corrections    [{entry, type, author, words …}]: asked for, made, declined
retracted      {entry, words?}: its author took it back
struck         {entry, words?}: the person said that it is not theirs
"""

from collections.abc import Iterable, Iterator

from services.ledger.plan.model import Beside, Plan
from shared.events.event import Json

_CORRECTIONS = frozenset({"correction.requested", "correction.made", "correction.declined"})
_MARKS = _CORRECTIONS | {"entry.retracted", "authorship.denied"}


def came(things: Iterable[tuple[str, Beside]]) -> list[tuple[str, Beside]]:
    """Things beside a plan in the order they came, however they were stored meanwhile."""
    return sorted(things, key=lambda each: (each[1]["received"], each[0]))


class Annotations:
    """All that one plan holds against entries, ready to be looked up."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._corrections: dict[str, list[Json]] = {}
        self._marks: dict[str, Json] = {}
        for name, each in came(each for each in plan.beside.items() if each[1]["type"] in _MARKS):
            self._take(name, each)
        self._spoken_of = {*plan.disagreements, *self._corrections, *self._marks}

    def _take(self, name: str, each: Beside) -> None:
        target, words = each["data"]["entry"], _without(each["data"], "entry")
        if each["type"] in _CORRECTIONS:
            told = {"type": each["type"], "author": each["author"], **words, "entry": name}
            self._corrections.setdefault(target, []).append(told)
        else:
            mark = "retracted" if each["type"] == "entry.retracted" else "struck"
            self._marks.setdefault(target, {}).setdefault(mark, {"entry": name, **words})

    def for_entry(self, name: str) -> Json:
        """What is said of an entry, and what is said of that."""
        if name not in self._spoken_of:
            return {}
        told: Json = {}
        waiting = [name]
        for about in waiting:  # grows as it goes
            for shelf, found in self._directly(about):
                above = {} if about == name else {"about": about}
                told.setdefault(shelf, []).append(found | self._marks.get(found["entry"], {}))
                told[shelf][-1] |= above
                waiting.append(found["entry"])
        return told | self._marks.get(name, {})

    def _directly(self, name: str) -> Iterator[tuple[str, Json]]:
        for each in self._plan.disagreements.get(name, ()):
            yield "disagreements", each
        for each in self._corrections.get(name, ()):
            yield "corrections", each

    def added_since(self, then: Plan) -> list[str]:
        """The entries that say something, later, of what an older plan holds."""
        waiting = [name for name in self._spoken_of if name in then.entries]
        later: list[str] = []
        for about in waiting:  # grows as it goes
            found = [each["entry"] for _, each in self._directly(about)]
            found += [each["entry"] for each in self._marks.get(about, {}).values()]
            news = [name for name in found if name not in then.entries]
            later += news
            waiting += news
        return sorted(later)


def _without(data: Json, member: str) -> Json:
    return {name: value for name, value in data.items() if name != member}
