"""The bounds of a plan: “last in check order, after every own refusal of the type”."""

from shared.events.event import Event
from tests.authorship.effects import key_of
from tests.authorship.standing import speaks_for_person
from tests.authorship.state import State, change_of, is_past
from tests.authorship.tables import MOST, MOST_BYTES, MOST_DISAGREEMENTS, NEW_LINES, PROTECTIVE

Code = str | None


def too_many(state: State, event: Event) -> Code:
    """`too-many`, “judged when an event would add one” of what is counted."""
    if event.type == "proposal.accepted":
        proposal = state.entries[event.data["proposal"]]
        return too_many(state, change_of(proposal, event))
    kind, data = event.type, event.data
    if kind in ("access.granted", "representative.named"):
        adds = not is_past(data["until"], event.received)  # or it adds none that is in force
        full = adds and state.allowed(event.received) >= MOST["grants"]
    elif kind == "service.barred":
        full = len(state.barred) >= MOST["barred"]
    elif kind == "disagreement.stated":
        full = _disagreed_enough(state, event)
    else:
        wordings = {*state.wordings, data["instead_of"]} if kind == "wording.preferred" else ()
        full = len(wordings) > MOST["wordings"] or (
            _opens_a_line(state, event) and state.open_lines() >= MOST["lines"]
        )
    return "too-many" if full else None


def _disagreed_enough(state: State, event: Event) -> bool:
    """“An author may have one open disagreement per entry, and state at most 5 per entry in all.
    Open = not retracted. Applies to P too.”
    """
    pinned = state.disagreements.get(event.data["entry"], ())
    theirs = [disagreement for disagreement in pinned if disagreement.author == event.author]
    still = sum(not disagreement.retracted for disagreement in theirs)
    return still >= MOST_DISAGREEMENTS["open"] or len(theirs) >= MOST_DISAGREEMENTS["in all"]


WRITES = {
    *NEW_LINES,
    "plan.started",
    "about-me.written",
    "aspirations.ranked",
    "safety-plan.written",
    "wording.preferred",
}


def _opens_a_line(state: State, event: Event) -> bool:
    """“An event that would write a new open line”; events that reopen are not counted against."""
    return event.type in WRITES and key_of(event) not in state.lines


def plan_full(state: State, event: Event) -> Code:
    """`plan-full`: an account of bytes of accepted events, “own” and “others”, would go beyond."""
    size = len(event.canonical)
    if not speaks_for_person(state, event):
        return "plan-full" if state.others_bytes + size > MOST_BYTES["others"] else None
    most = MOST_BYTES["protective" if event.type in PROTECTIVE else "own"]
    return "plan-full" if state.own_bytes + size > most else None
