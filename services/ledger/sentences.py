"""What a person is told, in the second person and in plain words; at most 20 words a sentence.

Sentences never hold the words of an event: those stand beside, where they may be shown at all.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from services.ledger.plan.model import Line
from shared.catalogue import CATALOGUE
from shared.event import Event
from shared.fields import parse_time
from shared.problems import SettingsError
from shared.refusals import BECAUSE, Code

Names = Mapping[str, str]


def read_names(path: Path | None) -> Names:
    """The names to show for ids, from a JSON object in a file; ids never hold names."""
    if path is None:
        return {}
    try:
        told = json.loads(path.read_text())
        return {str(name): str(shown) for name, shown in told.items()}
    except (OSError, ValueError, AttributeError) as fault:
        raise SettingsError(f"FIRSTHAND_NAMES: {path}: {fault}") from None


def name_of(names: Names, who: str) -> str:
    """How somebody is shown: by configured name, or else by the id without its role."""
    return names.get(who) or who.partition(":")[2].capitalize()


def day(moment: str) -> str:
    """A day as people write it.

    >>> day("2026-05-03T10:00:00.000Z")
    '3 May 2026'
    """
    return _day(parse_time(moment))


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def sentence(names: Names, event: Event, refusal: str | None, *, represented: bool = False) -> str:
    """What happened, told to the person whose plan it is."""
    row, who = CATALOGUE[event.type], name_of(names, event.author)
    if refusal is not None:
        tried = "You" if event.by_person else who
        because = "only you may say this" if refusal == Code.NOT_YOURS_TO_SAY else None
        told = because or BECAUSE[Code(refusal)].replace("the person has", "you have")
        return f"{tried} tried to {row.attempt}; it was refused: {told}."
    if represented:
        return f"{who} spoke for you. {row.sentence}"
    return row.sentence if event.by_person else row.told.format(who=who)


def origin(names: Names, line: Line) -> str:
    """Where a line's words come from."""
    came, when = line["origin"], day(line["origin"]["received"])
    if "suggested_by" not in came:
        return f"{name_of(names, came['author'])} wrote this on {when}."
    own = ", and you put it in your own words" if came.get("reworded") else ""
    return f"{name_of(names, came['suggested_by'])} suggested it; you accepted it on {when}{own}."
