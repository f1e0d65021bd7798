"""What changed between two of a person's plans, line by line: as data, and told to the person.

A difference goes forward: the first plan is of no later an entry than the second. Each line that
was written or ended in between has

    thing id since version origin ended?   as they stand in the second plan
    change      `added`, `changed`, or `ended`: it was not over, and now is
    was         version, origin, ended? of the first plan, where the line was there
    members     [{member, from?, to?, entry}]: what differs, `member` a pointer into the line
                (RFC 6901), `entry` the last entry that changed it
    changed_words   how many words differ, where words were changed
    entries     the entries that did it, as the history tells them

The members put into the line of the first plan (or into none), with `thing`, `id`, `since`,
`version`, `origin` and `ended`, are the line of the second plan.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from services.ledger.plan.model import Line, Plan
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.phrases import line_label, line_words
from services.ledger.presentation.sentences import YOU, format_day, spoken_of
from services.ledger.presentation.word_diff import changed_words
from services.ledger.queries.entry_replay import LineChange, ReplayedEntry
from services.ledger.queries.history_entry import HistoryFormatter
from shared.events.event import Json

_HEADINGS = {
    "added": "What is new",
    "changed": "What is different",
    "ended": "What came to rest or to an end",
}


@dataclass(slots=True)
class _Touched:
    """A line, what became of it, the entries that did it, and the last one for each member."""

    change: LineChange
    told: list[Json] = field(default_factory=list)
    by: dict[str, str] = field(default_factory=dict)

    @property
    def sort(self) -> str:
        before, after = self.change.before, self.change.after
        if before is None:
            return "added"
        return "ended" if "ended" in after and "ended" not in before else "changed"

    @property
    def changed_words(self) -> int:
        before = self.change.before
        return changed_words(_words(before), _words(self.change.after)) if before else 0


class PlanDiff:
    """What a walk goes past, from one version of a plan to another. `against` is of the plan as it
    is now: what is said of an entry stands with it.
    """

    def __init__(self, telling: HistoryFormatter, against: Annotations) -> None:
        self._telling, self._against = telling, against
        self._names = {**telling.names, telling.subject: YOU}
        self._touched: dict[str, _Touched] = {}

    def take(self, steps: Iterable[ReplayedEntry]) -> None:
        """Go past these entries."""
        for each in steps:
            if (change := each.change) is not None:
                found = self._touched.setdefault(change.key, _Touched(change))
                found.change = LineChange(change.key, found.change.before, change.after)
                told = self._telling.format(each.entry, each.index, self._against, each.event)
                found.told.append(told)
                found.by.update((member["member"], each.entry.id) for member in change.members())

    def changes(self) -> list[Json]:
        """As data: what became of each line."""
        return [self._data(each) for each in self._touched.values()]

    def _data(self, touched: _Touched) -> Json:
        before, after = touched.change.before, touched.change.after
        told: Json = {"thing": after["thing"], "id": after["id"], "change": touched.sort}
        told |= {"since": after["since"], **self._came(after)}
        if before is not None:
            told["was"] = self._came(before)
        told["members"] = [
            {**each, "entry": touched.by[each["member"]]} for each in touched.change.members()
        ]
        if count := touched.changed_words:
            told["changed_words"] = count
        return {**told, "entries": touched.told}

    def _came(self, line: Line) -> Json:
        """Where a line came from and how it ended, with what is said of these entries."""
        told: Json = {"version": line["version"]}
        for name in ("origin", "ended"):
            if name in line:
                origin = cast(Json, line)[name]
                told[name] = {**origin, **self._against.for_entry(origin["entry"])}
        return told

    def text(self, start: Plan, end: Plan) -> str:
        """Told to the person."""
        span = f"in your plan, from version {start.version} to version {end.version}."
        if not self._touched:
            return f"Nothing changed {span}\n"
        told = [f"What changed {span}", ""]
        for sort, heading in _HEADINGS.items():
            lines = [each for each in self._touched.values() if each.sort == sort]
            texts = [text for each in lines for text in self._spoken(each)]
            told += [heading, *texts, ""] if texts else []
        return "\n".join(told).rstrip() + "\n"

    def spoken(self) -> Iterator[str]:
        """The lines that were touched, without the entries that did it."""
        for each in self._touched.values():
            yield from self._line(each)

    def _spoken(self, touched: _Touched) -> Iterator[str]:
        yield from self._line(touched)
        for each in touched.told:
            yield f"  {format_day(each['received'])}: {each['sentence']}"
            yield from (f"  {note}" for note in each.get("notes", ()))

    def _line(self, touched: _Touched) -> Iterator[str]:
        before, after = touched.change.before, touched.change.after
        yield f"- {line_label(cast(Json, after))}"
        heard = {each["id"] for each in touched.told}
        yield from self._said(after, heard)
        if before is not None and (count := touched.changed_words):
            yield f"  Before: {line_label(cast(Json, before))}"
            yield from self._said(before, heard)
            yield f"  {count} {'word is' if count == 1 else 'words are'} different."

    def _said(self, line: Line, heard: set[str]) -> Iterator[str]:
        """What is said of the entries that a line shows, if they are not told of themselves."""
        came = self._came(line)
        for origin in (came[name] for name in ("origin", "ended") if name in came):
            if origin["entry"] not in heard:
                heard.add(origin["entry"])
                yield from (f"  {text}" for text in spoken_of(self._names, origin))


def _words(line: Line) -> str:
    return " ".join(line_words(cast(Json, line)))
