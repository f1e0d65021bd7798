"""Sentences for the person, in the second person and in plain words; at most 20 words each.

Sentences never contain the words of an event: those are shown separately, if at all.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from shared.errors import SettingsError
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json
from shared.events.refusals import REASONS, Code
from shared.events.schema_fields import parse_time
from shared.terminal import safe_text

DisplayNames = Mapping[str, str]
YOU = "You"
_CORRECTED = {
    "correction.requested": ("asked to correct", "what_is_wrong"),
    "correction.made": ("corrected", "words"),
    "correction.declined": ("did not correct", "reason"),
}


def read_names(path: Path | None) -> DisplayNames:
    """Read the names to show for ids, from a JSON object in a file; ids contain no names."""
    if path is None:
        return {}
    try:
        names = json.loads(path.read_text())
        return {str(name): str(shown) for name, shown in names.items()}
    except (OSError, ValueError, AttributeError) as fault:
        raise SettingsError(f"FIRSTHAND_NAMES: {path}: {fault}") from None


def name_of(names: DisplayNames, who: str) -> str:
    """Return how an author is shown: by configured name, or by the id without its role."""
    return names.get(who) or (who.partition(":")[2] or who).capitalize()


def author_of(names: DisplayNames, shown: Json) -> str:
    """Return the author's name; "Somebody in your name" if the person denied authorship."""
    return "Somebody in your name" if "struck" in shown else name_of(names, shown["author"])


def name_in_sentence(names: DisplayNames, who: str) -> str:
    """Return the name for use within a sentence, where "You" is lower case."""
    shown = name_of(names, who)
    return shown if shown != YOU else "you"


def format_day(moment: str) -> str:
    """Format a moment as a day.

    >>> format_day("2026-05-03T10:00:00.000Z")
    '3 May 2026'
    """
    return _day(parse_time(moment))


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def history_sentence(
    names: DisplayNames, event: Event, refusal: str | None, *, represented: bool = False
) -> str:
    """Return what happened, as a sentence for the person whose plan it is."""
    row, who = CATALOGUE[event.type], name_of(names, event.author)
    if refusal is not None:
        actor = "You" if event.by_person else who
        reason = "not yours to say, or not this way" if event.by_person else "only you may say this"
        reason_for_author = reason if refusal == Code.NOT_YOURS_TO_SAY else None
        explanation = reason_for_author or REASONS[Code(refusal)].replace(
            "the person has", "you have"
        )
        what = row.attempt.removesuffix(" for you") if event.by_person else row.attempt
        return f"{actor} tried to {what}; it was refused: {explanation}."
    if represented:
        return f"{who} spoke for you. {row.sentence}"
    return row.sentence if event.by_person else row.others_sentence.format(who=who)


def provenance_sentence(names: DisplayNames, line: Json, subject: str) -> str:
    """Return where a line's words come from; `names` call the person "You"."""
    origin, when = line["origin"], format_day(line["origin"]["received"])
    if "struck" in line:
        return f"This was written in your name on {when}."
    who, by_person = name_of(names, origin["author"]), origin["author"] == subject
    if "suggested_by" not in origin:
        return f"{who} wrote this {'' if by_person else 'for you '}on {when}."
    source = "your own words" if by_person else "other words"
    how = f", in {source}" if origin.get("reworded") else ""
    who = name_in_sentence(names, origin["author"])
    accepted = f"{who} accepted it {'' if by_person else 'for you '}on {when}"
    return f"{name_of(names, origin['suggested_by'])} suggested it; {accepted}{how}."


def annotation_sentences(names: DisplayNames, shown: Json) -> Iterator[str]:
    """Yield sentences for the annotations of an entry
    (services/ledger/presentation/annotations.py).
    """
    if struck := shown.get("struck"):
        yield "You said that this is not yours" + _and_words(struck)
    for mark in shown.get("disagreements", ()):
        target = " with that" if "about" in mark else ""
        yield f"{name_of(names, mark['author'])} disagreed{target}: {safe_text(mark['words'])}"
        yield from _taken_back(names, mark)
    for mark in shown.get("corrections", ()):
        verb, member = _CORRECTED[mark["type"]]
        target = "that" if "about" in mark else "this"
        yield f"{name_of(names, mark['author'])} {verb} {target}: {safe_text(mark[member])}"
        if "should_say" in mark:
            yield f"It should say: {safe_text(mark['should_say'])}"
        yield from _taken_back(names, mark)
    if retracted := shown.get("retracted"):
        yield "Its author took this back" + _and_words(retracted)


def _taken_back(names: DisplayNames, annotation: Json) -> Iterator[str]:
    if "retracted" in annotation:
        who = name_of(names, annotation["author"])
        yield f"{who} took that back{_and_words(annotation['retracted'])}"
    if "struck" in annotation:
        yield f"You said that those words are not yours{_and_words(annotation['struck'])}"


def _and_words(annotation: Json) -> str:
    return f": {safe_text(annotation['words'])}" if "words" in annotation else "."
