"""Provenance of the words of each line, as data and as text for the person.

A line's words come from the entry that wrote them last: stated, reworded, or accepted from a
suggestion. `changed_words` counts the words that the person changed: of the suggestion, or of the
previous words (services/ledger/presentation/word_diff.py). `earlier` lists the entries that wrote
the line before, oldest first.
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
    annotation_sentences,
    format_day,
    name_in_sentence,
    name_of,
)
from services.ledger.presentation.word_diff import changed_words
from services.ledger.queries.entry_replay import ReplayedEntry
from services.ledger.queries.history_entry import HistoryFormatter
from shared.events.catalogue import CATALOGUE
from shared.events.event import Json


class Provenance:
    """The origin of every line of a plan, from a replay of all its entries."""

    def __init__(self, formatter: HistoryFormatter, annotations: Annotations) -> None:
        self._annotations = annotations
        self._subject = formatter.subject
        self._names = {**formatter.names, formatter.subject: YOU}
        self._written: dict[str, list[Json]] = {}
        self._proposed: dict[str, Json] = {}

    def take(self, steps: Iterable[ReplayedEntry]) -> None:
        """Add these entries, from the first one on."""
        for step in steps:
            if step.event.type == "proposal.made" and step.entry.verdict == ACCEPTED:
                self._proposed[step.entry.id] = step.event.data["change"]
            change = step.change
            if change is not None and change.after["origin"]["entry"] == step.entry.id:
                origin = self._origin(step, change.before, change.after)
                self._written.setdefault(change.key, []).append(origin)

    def _origin(self, replayed: ReplayedEntry, before: Line | None, after: Line) -> Json:
        """Return who wrote a line with an entry, its issuer, and how many words they changed."""
        record, origin = replayed.entry, after["origin"]
        document: Json = {**origin, "via": record.via, "issuer": record.issuer}
        if (proposed := self._proposed.get(origin.get("proposal", ""))) is not None:
            suggested: Json = proposed["data"]
            accepted: Json = replayed.event.data.get("in_my_words", suggested)
            document["changed_words"] = changed_words(
                _words(proposed["type"], suggested), _words(proposed["type"], accepted)
            )
        elif before is not None:
            document["changed_words"] = changed_words(_of(before), _of(after))
        return document | {"sentence": self._sentence(document)}

    def _sentence(self, origin: Json) -> str:
        by_person, when = origin["author"] == self._subject, format_day(origin["received"])
        who, count = name_of(self._names, origin["author"]), origin.get("changed_words", 0)
        for_you = "" if by_person else " for you"
        words = f"changed {count} {'word' if count == 1 else 'words'}{for_you}"
        if "proposal" not in origin:
            return f"{who} {words if count else f'wrote this{for_you}'} on {when}."
        suggested = f"{name_of(self._names, origin['suggested_by'])} suggested it"
        answered = name_in_sentence(self._names, origin["author"])
        if count:
            return f"{suggested}; {answered} {words}."
        rest = ", in other ways changed" if origin["reworded"] else ""
        return f"{suggested}; {answered} accepted it{for_you} on {when}{rest}."

    def lines(self, plan: Plan) -> list[Json]:
        """Return each line of the plan, with its origin and annotations."""
        return [self._line(key, line) for key, line in plan.lines.items()]

    def _line(self, key: str, line: Line) -> Json:
        *earlier, last = self._written[key]
        document: Json = {"thing": line["thing"], "id": line["id"], "state": line["state"]}
        document |= {"words": line_label(cast(Json, line)), **self._annotated(last)}
        if "ended" in line:
            document["ended"] = self._annotated(cast(Json, line["ended"]))
        return document | (
            {"earlier": [self._annotated(origin) for origin in earlier]} if earlier else {}
        )

    def _annotated(self, origin: Json) -> Json:
        document = {**origin, **self._annotations.for_entry(origin["entry"])}
        if "struck" in document and "sentence" in document:
            document["sentence"] = (
                f"This was written in your name on {format_day(origin['received'])}."
            )
        return document

    def text(self, plan: Plan) -> str:
        """Return the provenance as text for the person."""
        texts = [f"Where the words of your plan come from. Version {plan.version}.", ""]
        for line in self.lines(plan):
            texts += [f"- {line['words']}", *(f"  {text}" for text in self._line_sentences(line))]
        return "\n".join(texts) + "\n"

    def _line_sentences(self, line: Json) -> Iterator[str]:
        for origin in line.get("earlier", ()):
            yield origin["sentence"]
            yield from annotation_sentences(self._names, origin)
        yield line["sentence"]
        through, vouched = name_of(self._names, line["via"]), line["issuer"]
        yield f"It came through {through}; {vouched} vouched for who wrote it."
        yield from annotation_sentences(self._names, line)
        if "ended" in line:
            yield from annotation_sentences(self._names, line["ended"])


def _words(kind: str, data: Json) -> str:
    """Return the words in the data of a *plan* type; several texts are joined."""
    member = CATALOGUE[kind].words
    return str(data[member]) if member is not None and member in data else " ".join(texts(data))


def _of(line: Line) -> str:
    return line_label(cast(Json, line))
