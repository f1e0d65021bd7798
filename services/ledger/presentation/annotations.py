"""Annotations of entries by later entries. They are shown wherever the entry is shown:

disagreements [{entry, author, words}], and annotations of these, with `about` corrections [{entry,
type, author, words …}]: requested, made, declined retracted {entry, words?}: its author retracted
it struck {entry, words?}: the person denied authorship
"""

from collections.abc import Iterable, Iterator

from services.ledger.plan.model import Beside, Plan
from shared.events.event import Json

_CORRECTIONS = frozenset({"correction.requested", "correction.made", "correction.declined"})
_MARKS = _CORRECTIONS | {"entry.retracted", "authorship.denied"}


def by_arrival(things: Iterable[tuple[str, Beside]]) -> list[tuple[str, Beside]]:
    """Things beside a plan in the order they came, however they were stored meanwhile."""
    return sorted(things, key=lambda item: (item[1]["received"], item[0]))


class Annotations:
    """Index of a plan's annotations by entry."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._corrections: dict[str, list[Json]] = {}
        self._marks: dict[str, Json] = {}
        for name, annotation in by_arrival(
            item for item in plan.beside.items() if item[1]["type"] in _MARKS
        ):
            self._take(name, annotation)
        self._annotated = {*plan.disagreements, *self._corrections, *self._marks}

    def _take(self, name: str, annotation: Beside) -> None:
        target, words = annotation["data"]["entry"], _without(annotation["data"], "entry")
        if annotation["type"] in _CORRECTIONS:
            correction = {
                "type": annotation["type"],
                "author": annotation["author"],
                **words,
                "entry": name,
            }
            self._corrections.setdefault(target, []).append(correction)
        else:
            mark = "retracted" if annotation["type"] == "entry.retracted" else "struck"
            self._marks.setdefault(target, {}).setdefault(mark, {"entry": name, **words})

    def for_entry(self, name: str) -> Json:
        """Return the annotations of an entry, and those of its annotations."""
        if name not in self._annotated:
            return {}
        annotations: Json = {}
        waiting = [name]
        for about in waiting:  # grows in the loop
            for shelf, annotation in self._directly(about):
                context = {} if about == name else {"about": about}
                annotations.setdefault(shelf, []).append(
                    annotation | self._marks.get(annotation["entry"], {})
                )
                annotations[shelf][-1] |= context
                waiting.append(annotation["entry"])
        return annotations | self._marks.get(name, {})

    def _directly(self, name: str) -> Iterator[tuple[str, Json]]:
        for annotation in self._plan.disagreements.get(name, ()):
            yield "disagreements", annotation
        for annotation in self._corrections.get(name, ()):
            yield "corrections", annotation

    def added_since(self, older: Plan) -> list[str]:
        """Return later entries that annotate what an older plan holds."""
        waiting = [name for name in self._annotated if name in older.entries]
        later: list[str] = []
        for about in waiting:  # grows in the loop
            names = [annotation["entry"] for _, annotation in self._directly(about)]
            names += [annotation["entry"] for annotation in self._marks.get(about, {}).values()]
            added = [name for name in names if name not in older.entries]
            later += added
            waiting += added
        return sorted(later)


def _without(data: Json, member: str) -> Json:
    return {name: value for name, value in data.items() if name != member}
