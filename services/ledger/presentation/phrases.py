"""Phrases for lines of the plan, and for suggested changes to them."""

from collections.abc import Iterator, Mapping

from services.ledger.plan import transitions
from shared.events.event import Json
from shared.terminal import CONTINUATION, safe_text

Lines = Mapping[tuple[str, str], Json]
ENDED = {  # the person's action, by the state of a line
    "paused": "let this rest for a while",
    "reached": "reached this",
    "let-go": "let this go",
    "withdrawn": "took this out",
    "done": "did this",
    "dropped": "dropped this",
    "revoked": "took this back",
    "closed": "closed this plan",
}
_STEPS = {  # suggested actions on a line
    "aspiration.paused": "Let this rest for a while",
    "aspiration.resumed": "Take this up again",
    "aspiration.reached": "Call this reached",
    "aspiration.let-go": "Let this go",
    "item.withdrawn": "Take this out",
    "action.done": "Call this done",
    "action.dropped": "Drop this",
    "advance-choice.revoked": "Take this back",
}


def line_words(line: Json) -> Iterator[str]:
    """Yield a line's words, as they were written; a safety plan has several."""
    data = line["data"]
    match line["thing"]:
        case "about-me":
            yield f"{safe_text(data['section'])}: {safe_text(data['words'])}"
        case "action":
            yield safe_text(data["what"])
        case "measure":
            yield safe_text(data["name"])
        case "safety-plan":
            for section in data["sections"]:
                yield f"{safe_text(section['heading'])}: {safe_text(section['words'])}"
            for contact in data.get("contacts", ()):
                yield f"{safe_text(contact['name'])}: {safe_text(contact['reach'])}"
        case "wording":
            yield f"“{safe_text(data['say'])}”, not “{safe_text(data['instead_of'])}”."
        case _:
            yield safe_text(str(data.get("words", "")))


def line_label(line: Json) -> str:
    """Return the words of a line that is shown alone, or what it is if it has no words."""
    match line["thing"]:
        case "plan":
            return "Your plan"
        case "ranking":
            return "The order of what you want"
        case "rating":
            words = f" {safe_text(line['data']['words'])}" if "words" in line["data"] else ""
            return f"A rating of yours: {line['data']['value']}.{words}"
        case _:
            return CONTINUATION.join(line_words(line))


def change_words(change: Json, lines: Lines) -> str:
    """Return a suggested change in words; `lines` are those of the plan, by thing and name."""
    kind, data = change["type"], change["data"]
    thing, _, step = kind.partition(".")
    if kind in ("plan.closed", "plan.reopened"):
        return "Close your plan." if step == "closed" else "Open your plan again."
    if step == "ranked":
        order = (_words_of(lines, "aspiration", name) for name in data["order"])
        return f"Put what you want in this order: {'; '.join(order)}"
    if step == "rated":
        name = _words_of(lines, "measure", data["measure"])
        words = f" {safe_text(data['words'])}" if "words" in data else ""
        return f"{name}: {data['value']}.{words}"
    if kind in _STEPS:
        return f"{_STEPS[kind]}: {_target_words(kind, data, lines)}"
    if step == "reworded" or kind == "advance-choice.revised":
        return f"{safe_text(data['words'])} Instead of: {_target_words(kind, data, lines)}"
    new = {"thing": transitions.THINGS.get(thing, thing), "data": data}
    return "; ".join(line_words(new))


def _target_words(kind: str, data: Json, lines: Lines) -> str:
    return _words_of(lines, transitions.thing_of(kind), transitions.name_in(kind, data))


def _words_of(lines: Lines, thing: str, name: str) -> str:
    """Return the words of the line that a change refers to; its name if the line is missing."""
    things = ("strength", "need") if thing == "item" else (thing,)
    matches = (lines[key, name] for key in things if (key, name) in lines)
    line = next(matches, None)
    return name if line is None else "; ".join(line_words(line))
