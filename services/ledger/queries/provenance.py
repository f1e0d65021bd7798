"""Where the present words of each line come from, as data and told to the person.

A line's words are those of the entry that wrote them last: stated, reworded, or accepted as
somebody suggested them. `changed_words` counts the words that the person changed: of what was
suggested to them, or of what stood there before (services/ledger/presentation/word_diff.py).
`earlier` names the entries that wrote the line before that, oldest first.
"""

from collections.abc import Iterable, Iterator
from typing import cast

from services.ledger.log.entry import ACCEPTED
from services.ledger.plan.decide import texts
from services.ledger.plan.model import Line, Plan
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.phrases import line_label
from services.ledger.presentation.sentences import (
    YOU,
    format_day,
    name_in_sentence,
    name_of,
    spoken_of,
)
from services.ledger.presentation.word_diff import changed_words
from services.ledger.queries.entry_replay import ReplayedEntry
from services.ledger.queries.history_entry import HistoryFormatter
from shared.events.catalogue import CATALOGUE
from shared.events.event import Json


class Provenance:
    """The origin of every line of a plan, from a walk over all its entries."""

    def __init__(self, telling: HistoryFormatter, against: Annotations) -> None:
        self._against = against
        self._subject = telling.subject
        self._names = {**telling.names, telling.subject: YOU}
        self._written: dict[str, list[Json]] = {}
        self._proposed: dict[str, Json] = {}

    def take(self, steps: Iterable[ReplayedEntry]) -> None:
        """Go past these entries, from the first one on."""
        for each in steps:
            if each.event.type == "proposal.made" and each.entry.verdict == ACCEPTED:
                self._proposed[each.entry.id] = each.event.data["change"]
            change = each.change
            if change is not None and change.after["origin"]["entry"] == each.entry.id:
                told = self._told(each, change.before, change.after)
                self._written.setdefault(change.key, []).append(told)

    def _told(self, passed: ReplayedEntry, before: Line | None, after: Line) -> Json:
        """Who wrote a line by an entry, who vouched for that, and how many words they changed."""
        each, origin = passed.entry, after["origin"]
        told: Json = {**origin, "via": each.via, "issuer": each.issuer}
        if (proposed := self._proposed.get(origin.get("proposal", ""))) is not None:
            theirs: Json = proposed["data"]
            own: Json = passed.event.data.get("in_my_words", theirs)
            told["changed_words"] = changed_words(
                _words(proposed["type"], theirs), _words(proposed["type"], own)
            )
        elif before is not None:
            told["changed_words"] = changed_words(_of(before), _of(after))
        return told | {"sentence": self._sentence(told)}

    def _sentence(self, told: Json) -> str:
        own, when = told["author"] == self._subject, format_day(told["received"])
        who, count = name_of(self._names, told["author"]), told.get("changed_words", 0)
        for_you = "" if own else " for you"
        words = f"changed {count} {'word' if count == 1 else 'words'}{for_you}"
        if "proposal" not in told:
            return f"{who} {words if count else f'wrote this{for_you}'} on {when}."
        suggested = f"{name_of(self._names, told['suggested_by'])} suggested it"
        answered = name_in_sentence(self._names, told["author"])
        if count:
            return f"{suggested}; {answered} {words}."
        rest = ", in other ways changed" if told["reworded"] else ""
        return f"{suggested}; {answered} accepted it{for_you} on {when}{rest}."

    def lines(self, plan: Plan) -> list[Json]:
        """Each line of the plan, with its origin and what is said of that."""
        return [self._line(key, line) for key, line in plan.lines.items()]

    def _line(self, key: str, line: Line) -> Json:
        *earlier, last = self._written[key]
        told: Json = {"thing": line["thing"], "id": line["id"], "state": line["state"]}
        told |= {"words": line_label(cast(Json, line)), **self._pinned(last)}
        if "ended" in line:
            told["ended"] = self._pinned(cast(Json, line["ended"]))
        return told | ({"earlier": [self._pinned(each) for each in earlier]} if earlier else {})

    def _pinned(self, origin: Json) -> Json:
        told = {**origin, **self._against.for_entry(origin["entry"])}
        if "struck" in told and "sentence" in told:
            told["sentence"] = f"This was written in your name on {format_day(origin['received'])}."
        return told

    def text(self, plan: Plan) -> str:
        """Told to the person."""
        told = [f"Where the words of your plan come from. Version {plan.version}.", ""]
        for each in self.lines(plan):
            told += [f"- {each['words']}", *(f"  {text}" for text in self._spoken(each))]
        return "\n".join(told) + "\n"

    def _spoken(self, told: Json) -> Iterator[str]:
        for each in told.get("earlier", ()):
            yield each["sentence"]
            yield from spoken_of(self._names, each)
        yield told["sentence"]
        through, vouched = name_of(self._names, told["via"]), told["issuer"]
        yield f"It came through {through}; {vouched} vouched for who wrote it."
        yield from spoken_of(self._names, told)
        if "ended" in told:
            yield from spoken_of(self._names, told["ended"])


def _words(kind: str, data: Json) -> str:
    """The words in the data of a *plan* type; of several, one after another."""
    member = CATALOGUE[kind].words
    return str(data[member]) if member is not None and member in data else " ".join(texts(data))


def _of(line: Line) -> str:
    return line_label(cast(Json, line))
