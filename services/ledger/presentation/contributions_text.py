"""Contributions beside the plan as text: from others, and the access that the person granted."""

import re
from collections.abc import Callable, Iterator

from services.ledger.presentation.phrases import Lines, change_words
from services.ledger.presentation.sentences import (
    YOU,
    DisplayNames,
    annotation_sentences,
    author_of,
    format_day,
    name_in_sentence,
    name_of,
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
    """Yield each section's heading, and its text."""
    beside = shown["beside"]
    formatter = _SectionFormatter(names, shown["subject"], lines)
    shelves: tuple[tuple[str, str, Callable[[Json], Iterator[str]]], ...] = (
        ("What others suggested", "proposals", formatter.proposal),
        ("What was seen or heard", "observations", formatter.observation),
        ("What somebody makes of it", "interpretations", formatter.interpretation),
        ("What was asked", "questions", formatter.question),
        ("What was promised", "commitments", formatter.commitment),
        ("Where others did otherwise than you had chosen", "departures", formatter.departure),
        ("Whom you let in", "grants", formatter.grant),
        ("Who may speak for you", "representatives", formatter.representative),
        ("What you keep out", "barred_services", formatter.barred_service),
    )
    for heading, shelf, format_item in shelves:
        texts: list[str] = []
        for item in beside[shelf]:
            first, *more = [*format_item(item), *annotation_sentences(names, item)] or [""]
            texts += [f"- {first}", *(f"  {text}" for text in more)] if first else []
        yield heading, texts


class _SectionFormatter:
    """Formatter with a method per section: the first text begins an item, the others follow it."""

    def __init__(self, names: DisplayNames, subject: str, lines: Lines) -> None:
        self._names, self._subject, self._lines = names, subject, lines

    def _who(self, item: Json) -> str:
        return author_of(self._names, item)

    def proposal(self, item: Json) -> Iterator[str]:
        data, who = item["data"], self._who(item)
        yield f"{who}: {change_words(data['change'], self._lines)}"
        yield f"Why: {safe_text(data['why'])}"
        if "options" in data:
            yield f"Other ways: {safe_text(data['options'])}"
        if data.get("their_words"):
            yield f"{who} wrote this down as your words."
        until = format_day(data["expires"])
        deadlines = {
            "open": f"You can answer until {until}.",
            "parked": f"You can answer until {until}.",
            "lapsed": f"Its time ran out on {until}, and nothing changed.",
        }
        yield from self._answer(item)
        if item["state"] in deadlines:
            yield deadlines[item["state"]]

    def _answer(self, proposal: Json) -> Iterator[str]:
        """Yield who answered a suggestion, and how. A postponed one may be answered again."""
        if answered := proposal.get("answered"):
            who, by_person = self._who(answered), answered["author"] == self._subject
            verbs = {"accepted": "accepted this", "declined": "declined this"}
            words = (
                f": {safe_text(proposal['answer_words'])}" if "answer_words" in proposal else "."
            )
            verb = verbs.get(proposal.get("answer", ""), "set this aside")
            yield f"{who} {verb}{'' if by_person else ' for you'}{words}"
            yield from annotation_sentences(self._names, answered)

    def observation(self, item: Json) -> Iterator[str]:
        data, who = item["data"], self._who(item)
        verbatim = data.get("verbatim")
        value = (
            f"{safe_text(data['value'])} {safe_text(data.get('unit', ''))}"
            if "value" in data
            else ""
        )
        first = next(text for text in (data.get("seen_or_heard"), value.strip(), verbatim) if text)
        yield f"{who}, {format_day(item['received'])}: {safe_text(first)}"
        if value and first != value.strip():
            yield f"Measured: {value.strip()}"
        if verbatim and first != verbatim:
            yield f"In the words that were said: {safe_text(verbatim)}"
        if "where" in data:
            yield f"Where: {safe_text(data['where'])}"
        witness = data["who_saw"]
        if (
            witness_name := name_of(self._names, witness)
            if _ID.fullmatch(witness)
            else safe_text(witness)
        ) != who:
            yield f"Who saw it: {witness_name}"
        if data.get("about", self._subject) != self._subject:
            yield f"It is about: {name_of(self._names, data['about'])}."

    def interpretation(self, item: Json) -> Iterator[str]:
        data, holder = item["data"], name_of(self._names, item["data"]["holder"])
        yield f"{holder} {'think' if holder == YOU else 'thinks'}: {safe_text(data['words'])}"
        if data["holder"] != item["author"]:
            yield f"{self._who(item)} wrote this down."
        if item["state"] == "lapsed":
            yield f"This was held until {format_day(data['expires'])}."

    def question(self, item: Json) -> Iterator[str]:
        data = item["data"]
        addressee = name_in_sentence(self._names, data["to"])
        yield f"{self._who(item)} asked {addressee}: {safe_text(data['words'])}"
        if item["state"] == "overdue":
            yield _LATE
        yield from self._outcome(item)

    def commitment(self, item: Json) -> Iterator[str]:
        data = item["data"]
        until = f"{name_in_sentence(self._names, data['to'])}, by {format_day(data['due'])}"
        yield f"{self._who(item)} promised {until}: {safe_text(data['what'])}"
        if item["state"] == "overdue":
            yield _LATE
        yield from self._outcome(item)

    def departure(self, item: Json) -> Iterator[str]:
        data = item["data"]
        day = format_day(item["received"])
        yield f"{self._who(item)}, {day}: {safe_text(data['done_instead'])}"
        if choice := self._lines.get(("choice", data["choice"])):
            yield f"You had chosen: {safe_text(choice['data']['words'])}"
        yield f"Why: {safe_text(data['why'])}"
        yield from (f"Tried before: {safe_text(tried)}" for tried in data["alternatives_tried"])
        yield from self._outcome(item)

    def _outcome(self, item: Json) -> Iterator[str]:
        """Yield answers and the outcome, with their annotations."""
        for answer in item.get("answers", ()):
            yield f"{self._who(answer)} answered: {safe_text(answer['words'])}"
            basis = answer["basis"]
            yield f"It rests on: {basis['kind']}."
            yield from (f"Source: {source}" for source in basis.get("sources", ()))
            if "words" in basis:
                yield safe_text(basis["words"])
            yield from annotation_sentences(self._names, answer)
        if end := item.get("outcome"):
            words = f": {safe_text(end['words'])}" if "words" in end else "."
            verb = {
                "kept": "said that this was kept",
                "not-kept": "said that this was not kept",
                "closed": "closed this",
                "set-aside": "set this aside",
            }[item["state"]]
            yield f"{self._who(end)} {verb}{words}"
            yield from annotation_sentences(self._names, end)

    def grant(self, item: Json) -> Iterator[str]:
        """Yield a permission in force."""
        data = item["data"]
        if item["state"] == "open":
            yield f"{name_of(self._names, data['to'])}: {safe_text(data['wording'])}"
            yield f"They may: {', '.join(_MAY[scope] for scope in data['scopes'])}."
            if "parts" in data:
                yield f"Only here: {', '.join(data['parts']).replace('-', ' ')}."
            yield _until(data["until"])

    def representative(self, item: Json) -> Iterator[str]:
        """Yield a current representative, and their scope."""
        data = item["data"]
        if item["state"] == "open":
            who = name_of(self._names, data["representative"])
            yield f"{who}: {safe_text(data['authority'])}"
            yield from (f"{who} may {CATALOGUE[name].attempt}." for name in data["scope"])
            yield _until(data["until"])

    def barred_service(self, item: Json) -> Iterator[str]:
        words = f": {safe_text(item['data']['words'])}" if "words" in item["data"] else ""
        yield f"{name_of(self._names, item['data']['service'])}{words}"


def _until(end: str) -> str:
    return "Until you end it." if end == UNTIL_WITHDRAWN else f"Until {format_day(end)}."
