"""What a person is told, in the second person and in plain words; at most 20 words a sentence.

Sentences never hold the words of an event: those stand beside, where they may be shown at all.
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
    """The names to show for ids, from a JSON object in a file; ids never hold names."""
    if path is None:
        return {}
    try:
        told = json.loads(path.read_text())
        return {str(name): str(shown) for name, shown in told.items()}
    except (OSError, ValueError, AttributeError) as fault:
        raise SettingsError(f"FIRSTHAND_NAMES: {path}: {fault}") from None


def name_of(names: DisplayNames, who: str) -> str:
    """How somebody is shown: by configured name, or else by the id without its role."""
    return names.get(who) or (who.partition(":")[2] or who).capitalize()


def author_of(names: DisplayNames, said: Json) -> str:
    """Who said something; of what the person denied, somebody in their name."""
    return "Somebody in your name" if "struck" in said else name_of(names, said["author"])


def name_in_sentence(names: DisplayNames, who: str) -> str:
    """The same within a sentence, where "You" is small."""
    shown = name_of(names, who)
    return shown if shown != YOU else "you"


def format_day(moment: str) -> str:
    """A day as people write it.

    >>> format_day("2026-05-03T10:00:00.000Z")
    '3 May 2026'
    """
    return _day(parse_time(moment))


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def history_sentence(
    names: DisplayNames, event: Event, refusal: str | None, *, represented: bool = False
) -> str:
    """What happened, told to the person whose plan it is."""
    row, who = CATALOGUE[event.type], name_of(names, event.author)
    if refusal is not None:
        tried = "You" if event.by_person else who
        own = "not yours to say, or not this way" if event.by_person else "only you may say this"
        because = own if refusal == Code.NOT_YOURS_TO_SAY else None
        told = because or REASONS[Code(refusal)].replace("the person has", "you have")
        what = row.attempt.removesuffix(" for you") if event.by_person else row.attempt
        return f"{tried} tried to {what}; it was refused: {told}."
    if represented:
        return f"{who} spoke for you. {row.sentence}"
    return row.sentence if event.by_person else row.told.format(who=who)


def provenance_sentence(names: DisplayNames, line: Json, subject: str) -> str:
    """Where a line's words come from, told to the person: `names` call them "You"."""
    came, when = line["origin"], format_day(line["origin"]["received"])
    if "struck" in line:
        return f"This was written in your name on {when}."
    who, own = name_of(names, came["author"]), came["author"] == subject
    if "suggested_by" not in came:
        return f"{who} wrote this {'' if own else 'for you '}on {when}."
    anew = "your own words" if own else "other words"
    how = f", in {anew}" if came.get("reworded") else ""
    who = name_in_sentence(names, came["author"])
    accepted = f"{who} accepted it {'' if own else 'for you '}on {when}"
    return f"{name_of(names, came['suggested_by'])} suggested it; {accepted}{how}."


def spoken_of(names: DisplayNames, shown: Json) -> Iterator[str]:
    """What is said of an entry that is shown (services/ledger/presentation/annotations.py)."""
    if struck := shown.get("struck"):
        yield "You said that this is not yours" + _and_words(struck)
    for each in shown.get("disagreements", ()):
        it = " with that" if "about" in each else ""
        yield f"{name_of(names, each['author'])} disagreed{it}: {safe_text(each['words'])}"
        yield from _taken_back(names, each)
    for each in shown.get("corrections", ()):
        did, member = _CORRECTED[each["type"]]
        it = "that" if "about" in each else "this"
        yield f"{name_of(names, each['author'])} {did} {it}: {safe_text(each[member])}"
        if "should_say" in each:
            yield f"It should say: {safe_text(each['should_say'])}"
        yield from _taken_back(names, each)
    if retracted := shown.get("retracted"):
        yield "Its author took this back" + _and_words(retracted)


def _taken_back(names: DisplayNames, said: Json) -> Iterator[str]:
    if "retracted" in said:
        yield f"{name_of(names, said['author'])} took that back{_and_words(said['retracted'])}"
    if "struck" in said:
        yield f"You said that those words are not yours{_and_words(said['struck'])}"


def _and_words(said: Json) -> str:
    return f": {safe_text(said['words'])}" if "words" in said else "."
