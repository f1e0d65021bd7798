"""Plan as plain text, for reading aloud: lines first, in the person's words.

Words are printed as they were written, on a line that begins with "- ". Facts about them follow,
one sentence per line. Ended lines come last: a listener should not hear a choice before hearing
that it was revoked.
"""

from collections.abc import Iterator

from services.ledger.presentation.contributions_text import sections
from services.ledger.presentation.phrases import ENDED, line_words
from services.ledger.presentation.sentences import (
    YOU,
    DisplayNames,
    annotation_sentences,
    author_of,
    format_day,
    name_in_sentence,
    name_of,
    provenance_sentence,
)
from shared.events.event import Json
from shared.terminal import safe_text

_HEADINGS = {
    "aspiration": "What you want",
    "strength": "What you can count on",
    "need": "What you need",
    "action": "What is to be done",
    "measure": "What you measure",
    "safety-plan": "Your safety plan",
    "choice": "What you chose in advance",
    "about-me": "About you",
    "wording": "How you want to be spoken of",
}
_BEHIND = "What lies behind you"
_OVER = frozenset({"reached", "let-go", "done", "dropped", "revoked"})
_RATINGS = 7  # in the text; all of them are in the lines and the history


def plan_text(names: DisplayNames, shown: Json) -> str:
    """Return the plan that `plan_view` shows, as text."""
    return _PlanText({**names, shown["subject"]: YOU}, shown).text()


class _PlanText:
    def __init__(self, names: DisplayNames, shown: Json) -> None:
        self._names, self._shown = names, shown
        self._subject = shown["subject"]
        self._lines = {(line["thing"], line["id"]): line for line in shown["lines"]}
        self._author_of = {
            proposal["entry"]: proposal["author"] for proposal in shown["beside"]["proposals"]
        }
        self._ratings: dict[str, list[Json]] = {}
        for line in shown["lines"]:
            if line["thing"] == "rating":
                self._ratings.setdefault(line["data"]["measure"], []).append(line)

    def text(self) -> str:
        """Return the whole text: the head, a section per thing, then the contributions."""
        output = [*self._head(), ""]
        by_heading: dict[str, list[str]] = {
            heading: [] for heading in (*_HEADINGS.values(), _BEHIND)
        }
        for line in self._shown["lines"]:
            if heading := _BEHIND if line["state"] in _OVER else _HEADINGS.get(line["thing"]):
                by_heading[heading] += () if _is_taken_out(line) else self._line(line)
        for heading, texts in by_heading.items():
            output += _section(heading, texts)
        for heading, texts in sections(self._names, self._shown, self._lines):
            output += _section(heading, texts)
        return "\n".join(output).rstrip() + "\n"

    def _head(self) -> Iterator[str]:
        start, ranking = self._lines["plan", "plan"], self._lines.get(("ranking", "aspirations"))
        closed = " It is closed." if self._shown["state"] == "closed" else ""
        name = safe_text(start["data"]["name_to_use"])
        yield f"The plan of {name}. Version {self._shown['version']}.{closed}"
        if "since" in self._shown:
            yield "More has been said of this since then. It stands with what it is about."
        yield from (text.strip() for text in (*self._ended(start), *self._annotations(start)))
        for text in self._annotations(ranking) if ranking else ():
            yield f"The order of what you want: {text.strip()}"

    def _line(self, line: Json) -> Iterator[str]:
        yield from (f"- {words}" for words in line_words(line))
        yield from (f"  {text}" for text in self._facts(line))
        for name in line.get("suggested", ()):
            who = name_of(self._names, self._author_of[name])
            yield f"  {who} suggests a change to this; it stands below."
        yield f"  {provenance_sentence(self._names, line, self._subject)}"
        yield from self._annotations(line)
        yield from self._ended(line)
        yield from (text for promise in line.get("promised", ()) for text in self._promise(promise))
        yield from self._rated(line)

    def _facts(self, line: Json) -> Iterator[str]:
        """Yield the other members of a line."""
        data, thing = line["data"], line["thing"]
        if "importance" in data:
            yield f"How much it matters to you: {data['importance']} of 10."
        if "why" in data:
            yield f"Why: {safe_text(data['why'])}"
        if thing == "choice":
            yield f"It applies: {safe_text(data['applies_when'])}"
        if thing == "measure":
            yield f"{data['min']} means: {safe_text(data['low'])}"
            yield f"{data['max']} means: {safe_text(data['high'])}"
        for member, label in (("when", "When"), ("rhythm", "How often")):
            if member in data:
                yield f"{label}: {safe_text(data[member])}"
        if data.get("by", self._subject) != self._subject:
            yield f"Who does it: {name_of(self._names, data['by'])}."
        if (aim := self._lines.get(("aspiration", data.get("aspiration", "")))) is not None:
            yield f"It is for: {safe_text(aim['data']['words'])}"
        if "confidence" in data:
            yield f"How sure you are of it: {data['confidence']} of 10."

    def _ended(self, line: Json) -> Iterator[str]:
        """Yield how a line was paused or ended, and the words then."""
        if "ended" not in line:
            return
        ended, did = line["ended"], ENDED[line["state"]]
        who, when = name_of(self._names, ended["author"]), format_day(ended["received"])
        if "struck" in ended:
            yield f"  In your name it was said on {when}: you {did}."
        elif who == YOU:
            yield f"  You {did} on {when}."
        else:
            yield f"  {who} said for you on {when}: you {did}."
        if "suggested_by" in ended:
            yield f"  {name_of(self._names, ended['suggested_by'])} had suggested that."
        if "closing_words" in line["data"]:
            speaker = "It was said" if "struck" in ended else f"{who} said"
            yield f"  {speaker}: {safe_text(line['data']['closing_words'])}"
        yield from self._annotations(ended)

    def _promise(self, promise: Json) -> Iterator[str]:
        late = " The day has passed, and nothing has come." if promise["state"] == "overdue" else ""
        outcome = {"kept": " It was kept.", "not-kept": " It was not kept."}.get(
            promise["state"], ""
        )
        who = name_in_sentence(self._names, promise["by"])
        day = format_day(promise["due"])
        yield f"  There is a promise about this, by {who}, for {day}.{late}{outcome}"
        yield from self._annotations(promise)

    def _rated(self, measure: Json) -> Iterator[str]:
        """Yield a measure's ratings, as the person gave them, without interpretation."""
        ratings = self._ratings.get(measure["id"], []) if measure["thing"] == "measure" else []
        if len(ratings) > _RATINGS:
            yield "  Older ratings are in your history."
        for line in ratings[-_RATINGS:]:
            data, origin = line["data"], line["origin"]
            who = author_of(self._names, {**line, "author": origin["author"]})
            earlier_scale = data["version"] != measure["data"]["version"]
            scale = ", on the scale it had then" if earlier_scale else ""
            rated = f"{format_day(origin['received'])}: {data['value']}{scale}."
            words = f" {safe_text(data['words'])}" if "words" in data else ""
            by_person = origin["author"] == self._subject
            yield f"  {who if by_person else f'{who}, for you'}, on {rated}{words}"
            yield from self._annotations(line)

    def _annotations(self, shown: Json) -> Iterator[str]:
        return (f"  {text}" for text in annotation_sentences(self._names, shown))


def _is_taken_out(line: Json) -> bool:
    """Return True for a withdrawn line, unless the person denied the withdrawal."""
    return line["state"] == "withdrawn" and "struck" not in line["ended"]


def _section(heading: str, lines: list[str]) -> list[str]:
    return [heading, *lines, ""] if lines else []
