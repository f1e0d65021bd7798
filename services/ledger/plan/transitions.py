"""What types do to things, as tables: which thing a type is about, and which step it takes."""

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
    """From which states a line may go, and to which."""

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
    """The thing that a *plan* type is about: what stands before its dot, strengths and needs
    being items.
    """
    return THINGS[kind.partition(".")[0]]


def name_in(kind: str, data: Json) -> str:
    """The name of the line that a *plan* type points at."""
    thing = thing_of(kind)
    return "plan" if thing == "plan" else str(data[thing])


def target(plan: Plan, kind: str, data: Json) -> Line | None:
    """The line that a *plan* type points at, if it is there and of its sort."""
    line = plan.line(thing_of(kind), name_in(kind, data))
    sort = kind.partition(".")[0]
    fits = line is not None and (sort not in ("strength", "need") or line["thing"] == sort)
    return line if fits else None


def text_member(line: Line) -> str:
    """The member of a line's data that holds its words."""
    return "what" if line["thing"] == "action" else "words"


def new_name(event: Event) -> str:
    """What a new thing is called: what its author called it, or the event's id."""
    return str(event.data.get("id", event.id))


def written_by(event: Event) -> tuple[str, str] | None:
    """The thing and name of the line that an event writes whole: a new one, or once more. None
    for what changes a line that is there, and for a rating.
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
    """A question, or a departure from an advance choice, which is one to its author."""
    found = plan.beside.get(name)
    return found if found and found["type"] in _QUESTIONS else None


_QUESTIONS = frozenset({"question.asked", "advance-choice.departed-from"})


def addressee(asked: Beside) -> str:
    """Who is to answer a question."""
    return str(asked["data"].get("to", asked["author"]))


def asker(plan: Plan, asked: Beside) -> str:
    """Who may close a question."""
    return asked["author"] if "to" in asked["data"] else plan.subject
