"""The effects of an accepted event on the model's state."""

from collections.abc import Callable

from shared.events.event import Event
from tests.authorship.state import (
    NAMES_NOBODY,
    Entry,
    Grant,
    Key,
    Line,
    State,
    change_of,
    names_in,
    words_of,
)
from tests.authorship.tables import NEW_LINES, REWORDED, STEPS

Effect = Callable[[State, Event], None]


def apply(state: State, event: Event, *, for_person: bool) -> None:
    """“evolve(plan, entry) over accepted entries”; `for_person`: by P, or a representative."""
    size = len(event.canonical)
    if for_person:
        state.own_bytes += size
    else:
        state.others_bytes += size
    names = frozenset(names_in(event.data)) - {event.author}
    entry = Entry(event.type, event.author, event.data, names)
    state.entries[event.id] = entry
    if event.author == state.subject and event.type not in NAMES_NOBODY:
        for name in names:
            state.named.setdefault(name, []).append(entry)
    if event.type in EFFECTS:
        EFFECTS[event.type](state, event)
    else:
        _plan(state, event)


def _plan(state: State, event: Event) -> None:
    """An event of kind plan, or an accepted change: “planversion moves only when a line does”."""
    kind, data = event.type, event.data
    state.version += 1
    if kind in STEPS:
        member, _, after = STEPS[kind]
        line = state.lines[member, data.get(member, "plan")]
        line.state = after
    elif kind in REWORDED:
        member, _ = REWORDED[kind]
        _reword(state.lines[member, data[member]], event)
    elif kind == "advance-choice.revised":
        line = state.lines["choice", data["choice"]]
        when = data.get("applies_when", line.words[1])
        line.words = (data["words"], when)
    elif kind == "measure.revised":
        line = state.lines["measure", data["measure"]]
        line.version += 1
        line.low, line.high = data["min"], data["max"]
    else:
        key = key_of(event)
        state.lines[key] = _new_line(key, event)
        if event.id in state.entries:
            state.entries[event.id].line = key
    if kind == "plan.started":
        state.phase = "started"
    if kind == "wording.preferred":
        state.wordings.add(data["instead_of"])


def key_of(event: Event) -> Key:
    """Return the key of the line that an event writes.

    The key is the event's own id for the line if it has one (“absent = the event's id”). A section,
    a wording, and a line that exists once have their names as keys.
    """
    kind, data = event.type, event.data
    if kind in NEW_LINES:
        return NEW_LINES[kind], data.get("id", event.id)
    match kind:
        case "about-me.written":
            return "about-me", data["section"]
        case "wording.preferred":
            return "wording", data["instead_of"]
        case "measure.rated":
            return "rating", event.id
        case _:
            pass
    thing = {"plan.started": "plan", "aspirations.ranked": "ranking"}.get(kind, "safety-plan")
    return thing, thing


def _new_line(key: Key, event: Event) -> Line:
    kind, data = event.type, event.data
    thing = kind.removesuffix(".named") if key[0] == "item" else key[0]
    if kind == "measure.defined":
        return Line(thing, low=data["min"], high=data["max"])
    return Line(thing, words_of(kind, data) if kind in NEW_LINES else ())


def _reword(line: Line, event: Event) -> None:
    line.words = (event.data["words"],)


def _accepts(state: State, event: Event) -> None:
    proposal = state.entries[event.data["proposal"]]
    proposal.state = "accepted"
    _plan(state, change_of(proposal, event))


def _becomes(member: str, after: str) -> Effect:
    def effect(state: State, event: Event) -> None:
        state.entries[event.data[member]].state = after

    return effect


def _disagrees(state: State, event: Event) -> None:
    pinned = state.disagreements.setdefault(event.data["entry"], [])
    pinned.append(state.entries[event.id])


def _retracts(state: State, event: Event) -> None:
    state.entries[event.data["entry"]].retracted = True


def _denies(state: State, event: Event) -> None:
    """“Not mine”: the reader strikes the line; “lines are changed by plan and answer alone”."""
    state.entries[event.data["entry"]].denied = True


def _grants(state: State, event: Event) -> None:
    data = event.data
    grant = Grant(data["to"], frozenset(data["scopes"]), data["until"])
    state.grants[event.id] = grant
    state.granted.setdefault(data["to"], []).append(grant)


def _withdraws(state: State, event: Event) -> None:
    state.grants[event.data["grant"]].ended = True


def _sends(state: State, event: Event) -> None:
    data = event.data
    naming = Grant(data["representative"], frozenset(data["scope"]), data["until"])
    state.sent.setdefault(data["representative"], []).append(naming)


def _calls_back(state: State, event: Event) -> None:
    for naming in state.sent[event.data["representative"]]:
        naming.ended = True


def _bars(state: State, event: Event) -> None:
    state.barred.add(event.data["service"])


def _lets_in(state: State, event: Event) -> None:
    state.barred.discard(event.data["service"])


def _changes_nothing(state: State, event: Event) -> None:
    """Change no line and no other entry's state."""


EFFECTS: dict[str, Effect] = {
    "proposal.accepted": _accepts,
    "proposal.declined": _becomes("proposal", "declined"),
    "proposal.parked": _becomes("proposal", "parked"),
    "proposal.made": _changes_nothing,
    "observation.recorded": _changes_nothing,
    "interpretation.offered": _changes_nothing,
    "disagreement.stated": _disagrees,
    "correction.requested": _changes_nothing,
    "correction.made": _changes_nothing,
    "correction.declined": _changes_nothing,
    "entry.retracted": _retracts,
    "authorship.denied": _denies,
    "question.asked": _changes_nothing,
    "question.answered": _becomes("question", "answered"),
    "question.closed": _becomes("question", "closed"),
    "question.set-aside": _becomes("question", "set-aside"),
    "commitment.made": _changes_nothing,
    "commitment.kept": _becomes("commitment", "kept"),
    "commitment.not-kept": _becomes("commitment", "not-kept"),
    "advance-choice.departed-from": _changes_nothing,
    "access.granted": _grants,
    "access.withdrawn": _withdraws,
    "representative.named": _sends,
    "representative.ended": _calls_back,
    "service.barred": _bars,
    "service.unbarred": _lets_in,
}
