"""The plan as plain text, for reading aloud: lines first, in the person's words."""

from collections.abc import Callable, Iterator

from services.ledger.plan.model import Line, Plan
from services.ledger.sentences import Names, day, name_of, origin
from shared.event import Json

_HEADINGS = {
    "aspiration": "What you want",
    "strength": "What you can count on",
    "need": "What you need",
    "action": "What is to be done",
    "measure": "What you measure",
    "rating": "How you rated it",
    "safety-plan": "Your safety plan",
    "choice": "What you chose in advance",
    "about-me": "About you",
    "wording": "How you want to be spoken of",
}
_ENDED = {
    "paused": "This rests for a while.",
    "reached": "You reached this.",
    "let-go": "You let this go.",
    "withdrawn": "You took this out.",
    "done": "This is done.",
    "dropped": "You dropped this.",
    "revoked": "You took this back.",
}
_STATES = {
    "accepted": "You accepted this.",
    "declined": "You declined this.",
    "parked": "You set this aside for later.",
    "lapsed": "Its time ran out, and nothing changed.",
    "kept": "This was kept.",
    "not-kept": "This was not kept.",
    "overdue": "The day has passed, and nothing has come.",
    "answered": "",
    "closed": "This is closed.",
    "set-aside": "You set this aside.",
    "retracted": "Its author took this back.",
    "open": "",
}


def aloud(names: Names, plan: Plan, shown: Json) -> str:
    """The plan that `view` shows, as text."""
    start, names = plan.lines["plan/plan"]["data"], {**names, plan.subject: "You"}
    closed = " It is closed." if shown["state"] == "closed" else ""
    told = [f"The plan of {start['name_to_use']}. Version {plan.version}.{closed}", ""]
    for thing, heading in _HEADINGS.items():
        lines = [line for line in shown["lines"] if line["thing"] == thing]
        told += _section(heading, [text for line in lines for text in _line(names, line)])
    beside = shown["beside"]
    for heading, shelf, tell in _SHELVES:
        told += _section(heading, [text for each in beside[shelf] for text in tell(names, each)])
    return "\n".join(told).rstrip() + "\n"


def _section(heading: str, lines: list[str]) -> list[str]:
    return [heading, *lines, ""] if lines else []


def _line(names: Names, line: Json) -> Iterator[str]:
    text = _text(line)
    data = line["data"]
    more = [f"When: {data['when']}."] if "when" in data else []
    more += [f"Importance: {data['importance']} of 10."] if "importance" in data else []
    more += [_ENDED[line["state"]]] if line["state"] in _ENDED else []
    more += [data["closing_words"]] if "closing_words" in data else []
    more += ["You said that this is not from you."] if line.get("struck") else []
    yield " ".join([f"- {text}", *more])
    yield f"  {origin(names, _as_line(line))}"
    for each in line.get("promised", ()):
        late = " It is overdue." if each["state"] == "overdue" else ""
        yield f"  {name_of(names, each['by'])} promised to help by {day(each['due'])}.{late}"
    yield from _against(names, line)


def _as_line(shown: Json) -> Line:
    return {
        "thing": shown["thing"],
        "id": shown["id"],
        "state": shown["state"],
        "data": shown["data"],
        "origin": shown["origin"],
        "since": shown["since"],
        "version": shown["version"],
    }


def _text(line: Json) -> str:
    """A line in words."""
    data = line["data"]
    match line["thing"]:
        case "about-me":
            return f"{data['section']}: {data['words']}"
        case "action":
            return str(data["what"])
        case "measure":
            scale = f"from {data['min']} ({data['low']}) to {data['max']} ({data['high']})"
            return f"{data['name']}, {scale}."
        case "rating":
            words = f" {data['words']}" if "words" in data else ""
            return f"{data['measure']}: {data['value']}.{words}"
        case "safety-plan":
            told = [f"{each['heading']}: {each['words']}" for each in data["sections"]]
            reach = [f"{each['name']}: {each['reach']}." for each in data.get("contacts", ())]
            return " ".join([*told, *reach])
        case "choice":
            return f"{data['words']} It applies: {data['applies_when']}"
        case "wording":
            return f"“{data['say']}”, not “{data['instead_of']}”."
        case _:
            return str(data.get("words", ""))


def _suggested(names: Names, each: Json) -> Iterator[str]:
    change = each["data"]["change"]["data"]
    text = change.get("words") or change.get("what") or each["data"]["why"]
    stands = _STATES[each["state"]] or f"You can answer until {day(each['data']['expires'])}."
    yield f"- {name_of(names, each['author'])}: {text}"
    yield f"  {stands}"
    yield from _against(names, each)


def _observed(names: Names, each: Json) -> Iterator[str]:
    data = each["data"]
    seen = data.get("seen_or_heard") or data.get("verbatim") or data.get("value", "")
    yield f"- {name_of(names, each['author'])}, {day(each['received'])}: {seen}"
    yield from _against(names, each)


def _interpreted(names: Names, each: Json) -> Iterator[str]:
    holder = name_of(names, each["data"]["holder"])
    yield f"- {holder} thinks: {each['data']['words']} {_STATES[each['state']]}".rstrip()
    yield from _against(names, each)


def _asked(names: Names, each: Json) -> Iterator[str]:
    data = each["data"]
    who, whom = name_of(names, each["author"]), name_of(names, data["to"])
    yield f"- {who} asked {whom}: {data['words']} {_STATES[each['state']]}".rstrip()
    for answer in each.get("answers", ()):
        yield f"  {name_of(names, answer['author'])} answered: {answer['words']}"
    yield from _against(names, each)


def _promised(names: Names, each: Json) -> Iterator[str]:
    data = each["data"]
    until = f"{name_of(names, each['author'])} promised by {day(data['due'])}"
    yield f"- {until}: {data['what']} {_STATES[each['state']]}".rstrip()
    yield from _against(names, each)


def _departed(names: Names, each: Json) -> Iterator[str]:
    data = each["data"]
    yield f"- {name_of(names, each['author'])}: {data['done_instead']} Why: {data['why']}"
    for answer in each.get("answers", ()):
        yield f"  {name_of(names, answer['author'])} answered: {answer['words']}"
    yield from _against(names, each)


def _spoken_for(names: Names, each: Json) -> Iterator[str]:
    if each["state"] == "open":
        yield f"- {name_of(names, each['data']['representative'])}: {each['data']['authority']}"


def _against(names: Names, shown: Json) -> Iterator[str]:
    """What is said of an entry goes wherever the entry is shown."""
    for each in shown.get("disagreements", ()):
        yield f"  {name_of(names, each['author'])} disagreed: {each['words']}"
    for each in shown.get("corrections", ()):
        who = name_of(names, each["author"])
        text = each.get("words") or each.get("reason") or each.get("what_is_wrong", "")
        did = {"correction.made": "corrected it", "correction.declined": "did not correct it"}
        yield f"  {who} {did.get(each['type'], 'asked for a correction')}: {text}"
    if shown.get("retracted") and shown.get("state") != "retracted":
        yield "  Its author took this back."


_SHELVES: tuple[tuple[str, str, Callable[[Names, Json], Iterator[str]]], ...] = (
    ("What others suggested", "proposals", _suggested),
    ("What was seen or heard", "observations", _observed),
    ("What somebody makes of it", "interpretations", _interpreted),
    ("What was asked", "questions", _asked),
    ("What was promised", "commitments", _promised),
    ("Where others did otherwise than you had chosen", "departures", _departed),
    ("Who may speak for you", "representatives", _spoken_for),
)
