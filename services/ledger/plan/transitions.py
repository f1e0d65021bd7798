"""State transitions and targets of event types: which thing a type is about, and its step."""

from typing import NamedTuple

from services.ledger.plan.model import Beside, Line, Plan
from shared.events.event import Event, Json

THINGS = {
    "plan": "plan",
    "aspiration": "aspiration",
    "strength": "item",
    "need": "item",
    "item": "item",
    "action": "action",
    "measure": "measure",
    "advance-choice": "choice",
}


class Transition(NamedTuple):
    """The states that a line may leave, and the state it enters."""

    before: frozenset[str]
    after: str


OPEN = frozenset({"open"})
TRANSITIONS = {
    "plan.closed": Transition(OPEN, "closed"),
    "plan.reopened": Transition(frozenset({"closed"}), "open"),
    "aspiration.paused": Transition(OPEN, "paused"),
    "aspiration.resumed": Transition(frozenset({"paused"}), "open"),
    "aspiration.reached": Transition(frozenset({"open", "paused"}), "reached"),
    "aspiration.let-go": Transition(frozenset({"open", "paused"}), "let-go"),
    "item.withdrawn": Transition(OPEN, "withdrawn"),
    "action.done": Transition(OPEN, "done"),
    "action.dropped": Transition(OPEN, "dropped"),
    "advance-choice.revoked": Transition(OPEN, "revoked"),
}


def thing_of(kind: str) -> str:
    """Return the thing that a *plan* type is about; strengths and needs are items."""
    return THINGS[kind.partition(".")[0]]


def name_in(kind: str, data: Json) -> str:
    """Return the name of the line that a *plan* type refers to."""
    thing = thing_of(kind)
    return "plan" if thing == "plan" else str(data[thing])


def target(plan: Plan, kind: str, data: Json) -> Line | None:
    """Return the line that a *plan* type refers to, or None if it is missing or another thing."""
    line = plan.line(thing_of(kind), name_in(kind, data))
    sort = kind.partition(".")[0]
    fits = line is not None and (sort not in ("strength", "need") or line["thing"] == sort)
    return line if fits else None


def text_member(line: Line) -> str:
    """Return the member of a line's data that holds its words."""
    return "what" if line["thing"] == "action" else "words"


def new_name(event: Event) -> str:
    """Return the name of a new thing: the author's choice, or else the event's id."""
    return str(event.data.get("id", event.id))


def written_by(event: Event) -> tuple[str, str] | None:
    """Return thing and name of the line that an event writes in full, new or again.

    None for events that change an existing line, and for ratings.
    """
    match event.type:
        case "about-me.written":
            return "about-me", event.data["section"]
        case "safety-plan.written":
            return "safety-plan", "safety-plan"
        case "wording.preferred":
            return "wording", event.data["instead_of"]
        case "aspirations.ranked":
            return "ranking", "aspirations"
        case (
            "aspiration.stated"
            | "strength.named"
            | "need.named"
            | "action.planned"
            | "measure.defined"
            | "advance-choice.made"
        ):
            return thing_of(event.type), new_name(event)
        case _:
            return None


def question(plan: Plan, name: str) -> Beside | None:
    """Return a question, or a departure from an advance choice, which counts as one."""
    annotation = plan.beside.get(name)
    return annotation if annotation and annotation["type"] in _QUESTIONS else None


_QUESTIONS = frozenset({"question.asked", "advance-choice.departed-from"})


def addressee(question: Beside) -> str:
    """Return the party that is to answer a question."""
    return str(question["data"].get("to", question["author"]))


def asker(plan: Plan, question: Beside) -> str:
    """Return the party that may close a question."""
    return question["author"] if "to" in question["data"] else plan.subject
