"""What a person is told, in the second person and in plain words; at most 20 words a sentence.

Sentences never hold the words of an event: those stand beside, where they may be shown at all.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from services.ledger.plan.model import Line, Plan
from shared.catalogue import CATALOGUE
from shared.event import Event, Json
from shared.fields import parse_time
from shared.problems import SettingsError
from shared.refusals import BECAUSE, Code

Names = Mapping[str, str]
_HEADINGS = {
    "aspiration": "What you want",
    "action": "What is to be done",
    "about-me": "About you",
}
_ENDED = {"let-go": "You let this go.", "done": "This is done."}


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


def sentence(names: Names, event: Event, refusal: str | None) -> str:
    """What happened, told to the person whose plan it is."""
    row, who = CATALOGUE[event.type], name_of(names, event.author)
    if refusal is not None:
        tried = "You" if event.by_person else who
        because = "only you may say this" if refusal == Code.NOT_YOURS_TO_SAY else None
        told = because or BECAUSE[Code(refusal)].replace("the person has", "you have")
        return f"{tried} tried to {row.attempt}; it was refused: {told}."
    return row.sentence if event.by_person else row.told.format(who=who)


def origin(names: Names, line: Line) -> str:
    """Where a line's words come from."""
    came, when = line["origin"], day(line["origin"]["received"])
    if "suggested_by" not in came:
        return f"You wrote this on {when}."
    own = ", and you put it in your own words" if came.get("reworded") else ""
    return f"{name_of(names, came['suggested_by'])} suggested it; you accepted it on {when}{own}."


def aloud(names: Names, plan: Plan, shown: Json) -> str:
    """The plan as plain text, for reading aloud."""
    start, names = plan.lines["plan/plan"]["data"], {**names, plan.subject: "You"}
    told = [f"The plan of {start['name_to_use']}. Version {plan.version}.", ""]
    for thing, heading in _HEADINGS.items():
        lines = [line for line in shown["lines"] if line["thing"] == thing]
        if lines:
            told += [heading, *(text for line in lines for text in _line(names, line)), ""]
    told += _suggested(names, shown["beside"]["proposals"])
    told += _observed(names, shown["beside"]["observations"])
    return "\n".join(told).rstrip() + "\n"


def _line(names: Names, line: Json) -> list[str]:
    data = line["data"]
    text = data.get("words") or data.get("what", "")
    if line["thing"] == "about-me":
        text = f"{data['section']}: {text}"
    more = [f"When: {data['when']}."] if "when" in data else []
    more += [f"Importance: {data['importance']} of 10."] if "importance" in data else []
    more += [_ENDED[line["state"]]] if line["state"] in _ENDED else []
    more += [data["closing_words"]] if "closing_words" in data else []
    return [" ".join([f"- {text}", *more]), f"  {origin(names, line)}", *_against(names, line)]  # type: ignore[arg-type]  # a shown line is a Line


def _suggested(names: Names, proposals: list[Json]) -> list[str]:
    told = []
    for each in proposals:
        answer = each.get("answer")
        stands = f"You {answer} this." if answer else f"Open until {day(each['data']['expires'])}."
        change = each["data"]["change"]["data"]
        text = change.get("words") or change.get("what") or each["data"]["why"]
        who = name_of(names, each["author"])
        told += [f"- {who}: {text}", f"  {stands}", *_against(names, each)]
    return ["What others suggested", *told, ""] if told else []


def _observed(names: Names, observations: list[Json]) -> list[str]:
    told = []
    for each in observations:
        data = each["data"]
        seen = data.get("seen_or_heard") or data.get("verbatim") or data.get("value", "")
        who = name_of(names, each["author"])
        told += [f"- {who}, {day(each['received'])}: {seen}", *_against(names, each)]
    return ["What was seen or heard", *told, ""] if told else []


def _against(names: Names, shown: Json) -> list[str]:
    """The disagreements that go with whatever is shown."""
    return [
        f"  {name_of(names, each['author'])} disagreed: {each['words']}"
        for each in shown.get("disagreements", ())
    ]
