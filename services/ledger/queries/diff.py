"""Diff of two plans of a person, line by line: as data, and as text for the person.

The first plan must not be later than the second. Each line that was written or ended in between has

    thing id since version origin ended?   as in the second plan
    change      `added`, `changed` or `ended` (in between)
    was         version, origin, ended? of the first plan, if it has the line
    members     [{member, from?, to?, entry}]: what differs, `member` a pointer into the line
                (RFC 6901), `entry` the last entry that changed it
    changed_words   how many words differ, if words were changed
    entries     the entries that changed it, formatted as in the history

Setting the members, `thing`, `id`, `since`, `version`, `origin` and `ended` in the line of the
first plan (or in an empty one) results in the line of the second plan.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from services.ledger.plan.model import Line, Plan
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.phrases import line_label, line_words
from services.ledger.presentation.sentences import YOU, annotation_sentences, format_day
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
    """A changed line, the entries that changed it, and the last entry for each member."""

    change: LineChange
    entries: list[Json] = field(default_factory=list)
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
    """Diff that is built from replayed entries.

    `annotations` are of the current plan, so that later annotations of an entry are included.
    """

    def __init__(self, formatter: HistoryFormatter, annotations: Annotations) -> None:
        self._formatter, self._annotations = formatter, annotations
        self._names = {**formatter.names, formatter.subject: YOU}
        self._touched: dict[str, _Touched] = {}

    def take(self, steps: Iterable[ReplayedEntry]) -> None:
        """Add these entries."""
        for step in steps:
            if (change := step.change) is not None:
                touched = self._touched.setdefault(change.key, _Touched(change))
                touched.change = LineChange(change.key, touched.change.before, change.after)
                document = self._formatter.format(
                    step.entry, step.index, self._annotations, step.event
                )
                touched.entries.append(document)
                touched.by.update((member["member"], step.entry.id) for member in change.members())

    def changes(self) -> list[Json]:
        """Return the change of each line, as data."""
        return [self._data(touched) for touched in self._touched.values()]

    def _data(self, touched: _Touched) -> Json:
        before, after = touched.change.before, touched.change.after
        document: Json = {"thing": after["thing"], "id": after["id"], "change": touched.sort}
        document |= {"since": after["since"], **self._origins(after)}
        if before is not None:
            document["was"] = self._origins(before)
        document["members"] = [
            {**member, "entry": touched.by[member["member"]]} for member in touched.change.members()
        ]
        if count := touched.changed_words:
            document["changed_words"] = count
        return {**document, "entries": touched.entries}

    def _origins(self, line: Line) -> Json:
        """Return a line's origin and end, with the annotations of these entries."""
        members: Json = {"version": line["version"]}
        for name in ("origin", "ended"):
            if name in line:
                origin = cast(Json, line)[name]
                members[name] = {**origin, **self._annotations.for_entry(origin["entry"])}
        return members

    def text(self, start: Plan, end: Plan) -> str:
        """Return the diff as text for the person."""
        span = f"in your plan, from version {start.version} to version {end.version}."
        if not self._touched:
            return f"Nothing changed {span}\n"
        texts = [f"What changed {span}", ""]
        for sort, heading in _HEADINGS.items():
            lines = [touched for touched in self._touched.values() if touched.sort == sort]
            section = [text for touched in lines for text in self._line_with_entries(touched)]
            texts += [heading, *section, ""] if section else []
        return "\n".join(texts).rstrip() + "\n"

    def line_texts(self) -> Iterator[str]:
        """Yield the changed lines as text, without the entries that changed them."""
        for touched in self._touched.values():
            yield from self._line(touched)

    def _line_with_entries(self, touched: _Touched) -> Iterator[str]:
        yield from self._line(touched)
        for entry in touched.entries:
            yield f"  {format_day(entry['received'])}: {entry['sentence']}"
            yield from (f"  {note}" for note in entry.get("notes", ()))

    def _line(self, touched: _Touched) -> Iterator[str]:
        before, after = touched.change.before, touched.change.after
        yield f"- {line_label(cast(Json, after))}"
        listed = {entry["id"] for entry in touched.entries}
        yield from self._unlisted_annotations(after, listed)
        if before is not None and (count := touched.changed_words):
            yield f"  Before: {line_label(cast(Json, before))}"
            yield from self._unlisted_annotations(before, listed)
            yield f"  {count} {'word is' if count == 1 else 'words are'} different."

    def _unlisted_annotations(self, line: Line, listed: set[str]) -> Iterator[str]:
        """Yield annotations of the entries that a line shows, unless those entries are listed
        themselves.
        """
        shown = self._origins(line)
        for origin in (shown[name] for name in ("origin", "ended") if name in shown):
            if origin["entry"] not in listed:
                listed.add(origin["entry"])
                yield from (f"  {text}" for text in annotation_sentences(self._names, origin))


def _words(line: Line) -> str:
    return " ".join(line_words(cast(Json, line)))
