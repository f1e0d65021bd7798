"""What stands beside the plan, read aloud: what others bring, and whom the person let in."""

import re
from collections.abc import Callable, Iterator

from services.ledger.presentation.phrases import Lines, change_words
from services.ledger.presentation.sentences import (
    YOU,
    DisplayNames,
    author_of,
    format_day,
    name_in_sentence,
    name_of,
    spoken_of,
)
from shared.events.catalogue import CATALOGUE
from shared.events.event import Json
from shared.events.schema_fields import ID_PATTERN, UNTIL_WITHDRAWN
from shared.terminal import safe_text

_MAY = {
    "read": "read",
    "observe": "write down what they see",
    "interpret": "say what they make of it",
    "propose": "suggest changes",
    "audit": "check the record",
}
_ID = re.compile(ID_PATTERN)
_LATE = "The day has passed, and nothing has come."


def sections(names: DisplayNames, shown: Json, lines: Lines) -> Iterator[tuple[str, list[str]]]:
    """Each shelf's heading, and its text."""
    beside = shown["beside"]
    tell = _SectionFormatter(names, shown["subject"], lines)
    told: tuple[tuple[str, str, Callable[[Json], Iterator[str]]], ...] = (
        ("What others suggested", "proposals", tell.suggested),
        ("What was seen or heard", "observations", tell.observed),
        ("What somebody makes of it", "interpretations", tell.interpreted),
        ("What was asked", "questions", tell.asked),
        ("What was promised", "commitments", tell.promised),
        ("Where others did otherwise than you had chosen", "departures", tell.departed),
        ("Whom you let in", "grants", tell.let_in),
        ("Who may speak for you", "representatives", tell.sent),
        ("What you keep out", "barred_services", tell.barred),
    )
    for heading, shelf, tell_one in told:
        texts: list[str] = []
        for each in beside[shelf]:
            first, *more = [*tell_one(each), *spoken_of(names, each)] or [""]
            texts += [f"- {first}", *(f"  {text}" for text in more)] if first else []
        yield heading, texts


class _SectionFormatter:
    """One method for each shelf: the first text begins an item, the others belong to it."""

    def __init__(self, names: DisplayNames, subject: str, lines: Lines) -> None:
        self._names, self._subject, self._lines = names, subject, lines

    def _who(self, each: Json) -> str:
        return author_of(self._names, each)

    def suggested(self, each: Json) -> Iterator[str]:
        data, who = each["data"], self._who(each)
        yield f"{who}: {change_words(data['change'], self._lines)}"
        yield f"Why: {safe_text(data['why'])}"
        if "options" in data:
            yield f"Other ways: {safe_text(data['options'])}"
        if data.get("their_words"):
            yield f"{who} wrote this down as your words."
        until = format_day(data["expires"])
        stands = {
            "open": f"You can answer until {until}.",
            "parked": f"You can answer until {until}.",
            "lapsed": f"Its time ran out on {until}, and nothing changed.",
        }
        yield from self._answered(each)
        if each["state"] in stands:
            yield stands[each["state"]]

    def _answered(self, each: Json) -> Iterator[str]:
        """Who answered a suggestion, and how; set aside is an answer, too, but not the last."""
        if answered := each.get("answered"):
            who, own = self._who(answered), answered["author"] == self._subject
            did = {"accepted": "accepted this", "declined": "declined this"}
            words = f": {safe_text(each['answer_words'])}" if "answer_words" in each else "."
            told = did.get(each.get("answer", ""), "set this aside")
            yield f"{who} {told}{'' if own else ' for you'}{words}"
            yield from spoken_of(self._names, answered)

    def observed(self, each: Json) -> Iterator[str]:
        data, who = each["data"], self._who(each)
        said = data.get("verbatim")
        value = (
            f"{safe_text(data['value'])} {safe_text(data.get('unit', ''))}"
            if "value" in data
            else ""
        )
        first = next(text for text in (data.get("seen_or_heard"), value.strip(), said) if text)
        yield f"{who}, {format_day(each['received'])}: {safe_text(first)}"
        if value and first != value.strip():
            yield f"Measured: {value.strip()}"
        if said and first != said:
            yield f"In the words that were said: {safe_text(said)}"
        if "where" in data:
            yield f"Where: {safe_text(data['where'])}"
        saw = data["who_saw"]
        if (told := name_of(self._names, saw) if _ID.fullmatch(saw) else safe_text(saw)) != who:
            yield f"Who saw it: {told}"
        if data.get("about", self._subject) != self._subject:
            yield f"It is about: {name_of(self._names, data['about'])}."

    def interpreted(self, each: Json) -> Iterator[str]:
        data, holder = each["data"], name_of(self._names, each["data"]["holder"])
        yield f"{holder} {'think' if holder == YOU else 'thinks'}: {safe_text(data['words'])}"
        if data["holder"] != each["author"]:
            yield f"{self._who(each)} wrote this down."
        if each["state"] == "lapsed":
            yield f"This was held until {format_day(data['expires'])}."

    def asked(self, each: Json) -> Iterator[str]:
        data = each["data"]
        whom = name_in_sentence(self._names, data["to"])
        yield f"{self._who(each)} asked {whom}: {safe_text(data['words'])}"
        if each["state"] == "overdue":
            yield _LATE
        yield from self._followed(each)

    def promised(self, each: Json) -> Iterator[str]:
        data = each["data"]
        until = f"{name_in_sentence(self._names, data['to'])}, by {format_day(data['due'])}"
        yield f"{self._who(each)} promised {until}: {safe_text(data['what'])}"
        if each["state"] == "overdue":
            yield _LATE
        yield from self._followed(each)

    def departed(self, each: Json) -> Iterator[str]:
        data = each["data"]
        day = format_day(each["received"])
        yield f"{self._who(each)}, {day}: {safe_text(data['done_instead'])}"
        if choice := self._lines.get(("choice", data["choice"])):
            yield f"You had chosen: {safe_text(choice['data']['words'])}"
        yield f"Why: {safe_text(data['why'])}"
        yield from (f"Tried before: {safe_text(tried)}" for tried in data["alternatives_tried"])
        yield from self._followed(each)

    def _followed(self, each: Json) -> Iterator[str]:
        """Answers, and how it ended, each with what is said of it."""
        for answer in each.get("answers", ()):
            yield f"{self._who(answer)} answered: {safe_text(answer['words'])}"
            basis = answer["basis"]
            yield f"It rests on: {basis['kind']}."
            yield from (f"Source: {source}" for source in basis.get("sources", ()))
            if "words" in basis:
                yield safe_text(basis["words"])
            yield from spoken_of(self._names, answer)
        if end := each.get("outcome"):
            words = f": {safe_text(end['words'])}" if "words" in end else "."
            did = {
                "kept": "said that this was kept",
                "not-kept": "said that this was not kept",
                "closed": "closed this",
                "set-aside": "set this aside",
            }[each["state"]]
            yield f"{self._who(end)} {did}{words}"
            yield from spoken_of(self._names, end)

    def let_in(self, each: Json) -> Iterator[str]:
        """A permission in force."""
        data = each["data"]
        if each["state"] == "open":
            yield f"{name_of(self._names, data['to'])}: {safe_text(data['wording'])}"
            yield f"They may: {', '.join(_MAY[scope] for scope in data['scopes'])}."
            if "parts" in data:
                yield f"Only here: {', '.join(data['parts']).replace('-', ' ')}."
            yield _until(data["until"])

    def sent(self, each: Json) -> Iterator[str]:
        """Somebody who speaks for the person now, and in what."""
        data = each["data"]
        if each["state"] == "open":
            who = name_of(self._names, data["representative"])
            yield f"{who}: {safe_text(data['authority'])}"
            yield from (f"{who} may {CATALOGUE[name].attempt}." for name in data["scope"])
            yield _until(data["until"])

    def barred(self, each: Json) -> Iterator[str]:
        words = f": {safe_text(each['data']['words'])}" if "words" in each["data"] else ""
        yield f"{name_of(self._names, each['data']['service'])}{words}"


def _until(end: str) -> str:
    return "Until you end it." if end == UNTIL_WITHDRAWN else f"Until {format_day(end)}."
