"""Effects of accepted events on a plan. Pure; the fold that owns the plan modifies it in place."""

import re
from typing import assert_never, cast

from services.ledger.plan import transitions
from services.ledger.plan.authorization import is_represented
from services.ledger.plan.index import counts
from services.ledger.plan.model import Beside, Line, Origin, Plan, line_key, others_named
from services.ledger.plan.transitions import TRANSITIONS
from services.ledger.plan.type_rules import change_of
from shared.events.event import Event, Json
from shared.events.schema_fields import ID_PATTERN
from shared.events.type_names import (
    KINDS,
    AnswerType,
    BesideType,
    EqualType,
    Kind,
    PlanType,
    WhoseType,
)

_PARTY = re.compile(ID_PATTERN)
NAMING = frozenset({"to", "by", "who_saw", "about", "holder", "representative", "service"})


def evolve(plan: Plan, event: Event) -> Plan:
    """Apply an accepted event. Only events of kind *plan* and *answer* change a line."""
    by_person = event.by_person or is_represented(plan, event)
    match KINDS[event.type]:
        case Kind.PLAN:
            _write(plan, event, cast(PlanType, event.type), _origin(event))
        case Kind.ANSWER:
            _answer(plan, event, cast(AnswerType, event.type))
        case Kind.BESIDE:
            _put_beside(plan, event, cast(BesideType, event.type))
        case Kind.EQUAL:
            _put_equal(plan, event, cast(EqualType, event.type))
        case Kind.WHOSE:
            _say_whose(plan, event, cast(WhoseType, event.type))
    plan.entries[event.id] = _named(event)
    if event.by_person:
        _begin_naming(plan, event)
    if by_person:
        plan.own_bytes += len(event.canonical)
    else:
        plan.others_bytes += len(event.canonical)
    return plan


def _begin_naming(plan: Plan, event: Event) -> None:
    """Record the parties that the person names in an action or an annotation, until that ends."""
    if event.type == "action.planned" and others_named(plan, event.id):
        plan.planned[transitions.new_name(event)] = event.id
    elif event.id not in plan.beside:
        return
    plan.index.named.begin(event.id, others_named(plan, event.id))


def _end_naming(plan: Plan, entry: str) -> None:
    plan.index.named.end(entry, others_named(plan, entry))


def _write(plan: Plan, event: Event, kind: PlanType, origin: Origin) -> None:
    """Write the line of an event of kind *plan* and increment the plan's version."""
    data = event.data
    plan.version += 1
    match kind:
        case "plan.started":
            plan.state = "started"
            _put(plan, "plan", "plan", data, origin)
        case (
            "about-me.written"
            | "safety-plan.written"
            | "aspirations.ranked"
            | "aspiration.stated"
            | "action.planned"
            | "advance-choice.made"
        ):
            _put_whole(plan, event, data, origin)
        case "wording.preferred":
            _avoid(plan, data)
            _put_whole(plan, event, data, origin)
        case "strength.named" | "need.named":
            _put_whole(plan, event, data, origin)["thing"] = kind.partition(".")[0]
        case "measure.defined":
            _put_whole(plan, event, data | {"version": 1}, origin)
        case "measure.revised":
            version = plan.lines[line_key("measure", data["measure"])]["data"]["version"] + 1
            scale = {member: value for member, value in data.items() if member != "measure"}
            _put(plan, "measure", data["measure"], scale | {"version": version}, origin)
        case "measure.rated":
            _put(plan, "rating", event.id, data, origin)
        case "aspiration.reworded" | "strength.reworded" | "need.reworded" | "action.reworded":
            line = _line(plan, kind, data)
            _amend(plan, line, {transitions.text_member(line): data["words"]}, origin)
        case "advance-choice.revised":
            new = {member: value for member, value in data.items() if member != "choice"}
            _amend(plan, _line(plan, kind, data), new, origin)
        case (
            "plan.closed"
            | "plan.reopened"
            | "aspiration.paused"
            | "aspiration.resumed"
            | "aspiration.reached"
            | "aspiration.let-go"
            | "item.withdrawn"
            | "action.done"
            | "action.dropped"
            | "advance-choice.revoked"
        ):
            _transition(plan, _line(plan, kind, data), TRANSITIONS[kind].after, data, origin)
        case _:
            assert_never(kind)


def _avoid(plan: Plan, data: Json) -> None:
    """Add a wording to avoid, and its replacement."""
    if data["instead_of"] not in plan.avoid:
        plan.index.avoided.add(data["instead_of"])
    plan.avoid[data["instead_of"]] = data["say"]


def _line(plan: Plan, kind: PlanType, data: Json) -> Line:
    return plan.lines[line_key(transitions.thing_of(kind), transitions.name_in(kind, data))]


def _put_whole(plan: Plan, event: Event, data: Json, origin: Origin) -> Line:
    """Write the line that an event states in full."""
    thing, name = cast(tuple[str, str], transitions.written_by(event))
    return _put(plan, thing, name, data, origin)


def _put(plan: Plan, thing: str, name: str, data: Json, origin: Origin) -> Line:
    """Write a new line, or overwrite one; the version that created it is retained."""
    key = line_key(thing, name)
    old = plan.lines.get(key)
    was_open = old is not None and counts(thing, old["state"])
    plan.index.open_lines += counts(thing, "open") - was_open
    plan.lines[key] = {
        "thing": thing,
        "id": name,
        "state": "open",
        "data": {member: value for member, value in data.items() if member != "id"},
        "origin": origin,
        "since": old["since"] if old else plan.version,
        "version": plan.version,
    }
    return plan.lines[key]


def _amend(plan: Plan, line: Line, data: Json, origin: Origin) -> None:
    line["data"] |= data
    line["origin"], line["version"] = origin, plan.version


def _transition(plan: Plan, line: Line, state: str, data: Json, origin: Origin) -> None:
    """Change a line's state.

    The person's closing words are stored apart, so that the line's words keep their author.
    """
    plan.index.open_lines += counts(line["thing"], state) - counts(line["thing"], line["state"])
    if line["thing"] == "action" and line["id"] in plan.planned:
        _end_naming(plan, plan.planned.pop(line["id"]))
    line["state"], line["ended"], line["version"] = state, origin, plan.version
    line["data"].pop("closing_words", None)
    if state == "open":
        del line["ended"]
    elif "words" in data:
        line["data"]["closing_words"] = data["words"]


def _answer(plan: Plan, event: Event, kind: AnswerType) -> None:
    proposal = plan.beside[event.data["proposal"]]
    proposal.pop("answer_words", None)  # from an earlier "parked"
    match kind:
        case "proposal.accepted":
            _accept(plan, event, proposal)
            _close(proposal, "accepted")
        case "proposal.declined":
            _close(proposal, "declined")
        case "proposal.parked":
            proposal["state"] = "parked"
        case _:
            assert_never(kind)
    proposal["answered"] = _origin(event)
    if "words" in event.data:
        proposal["answer_words"] = event.data["words"]


def _close(proposal: Beside, answer: str) -> None:
    proposal["answer"] = answer
    proposal.pop("state", None)  # no longer parked


def _accept(plan: Plan, event: Event, proposal: Beside) -> None:
    """Apply the proposed change; the proposal retains its own text."""
    change, origin = change_of(plan, event), _origin(event)
    origin["proposal"] = event.data["proposal"]
    origin["suggested_by"] = proposal["author"]
    origin["reworded"] = "in_my_words" in event.data
    _write(plan, change, cast(PlanType, change.type), origin)


def _put_beside(plan: Plan, event: Event, kind: BesideType) -> None:
    data = event.data
    match kind:
        case "disagreement.stated":
            stated = {"entry": event.id, "author": event.author, "words": data["words"]}
            plan.index.disagreements.add(data["entry"], stated)
            plan.disagreements.setdefault(data["entry"], []).append(stated)
        case "entry.retracted":
            _retract(plan, event)
            plan.beside[event.id] = _beside(event)
        case "authorship.denied":
            plan.denied[data["entry"]] = event.id
            _end_naming(plan, data["entry"])
            plan.beside[event.id] = _beside(event)
        case (
            "proposal.made"
            | "observation.recorded"
            | "interpretation.offered"
            | "correction.requested"
            | "correction.made"
            | "correction.declined"
        ):
            plan.beside[event.id] = _beside(event)
        case _:
            assert_never(kind)


def _retract(plan: Plan, event: Event) -> None:
    """Mark an entry as retracted by its author; entries that refer to it remain."""
    name = event.data["entry"]
    if name in plan.beside:
        plan.beside[name].setdefault("retracted", event.id)
        _end_naming(plan, name)
    else:
        plan.index.disagreements.retract(name, event.id)


def _put_equal(plan: Plan, event: Event, kind: EqualType) -> None:
    data = event.data
    match kind:
        case "question.answered":
            plan.beside[data["question"]]["state"] = "answered"
        case "question.closed":
            plan.beside[data["question"]]["state"] = "closed"
            _end_naming(plan, data["question"])
        case "question.set-aside":
            plan.beside[data["question"]]["state"] = "set-aside"
            _end_naming(plan, data["question"])
        case "commitment.kept":
            plan.beside[data["commitment"]]["state"] = "kept"
        case "commitment.not-kept":
            plan.beside[data["commitment"]]["state"] = "not-kept"
        case "question.asked" | "commitment.made" | "advance-choice.departed-from":
            pass
        case _:
            assert_never(kind)
    plan.beside[event.id] = _beside(event)


def _say_whose(plan: Plan, event: Event, kind: WhoseType) -> None:
    data, access = event.data, plan.index.access
    match kind:
        case "access.granted" | "representative.named":
            access.add(event.id, kind, data)
            plan.whose[event.id] = _beside(event)
        case "access.withdrawn":
            _end_access(plan, data["grant"], "withdrawn", _origin(event))
        case "representative.ended":
            for name in tuple(access.namings(data["representative"]) or ()):
                _end_access(plan, name, "ended", _origin(event))
        case "service.barred":
            access.barred += 1
            plan.whose[data["service"]] = _beside(event)
        case "service.unbarred":
            access.barred -= 1
            del plan.whose[data["service"]]
        case _:
            assert_never(kind)


def _end_access(plan: Plan, name: str, state: str, origin: Origin) -> None:
    """End a grant, or the naming of a representative, from now on."""
    ended = plan.whose[name]
    plan.index.access.end(name, ended["type"], ended["data"])
    ended["state"], ended["ended"] = state, origin


def _beside(event: Event) -> Beside:
    return {
        "type": event.type,
        "author": event.author,
        "received": event.received,
        "data": event.data,
    }


def _origin(event: Event) -> Origin:
    return {"entry": event.id, "author": event.author, "received": event.received}


def _named(event: Event) -> list[str]:
    """Return the author of the event, then the parties named in its members."""
    named = {event.author: None}
    _name_parties(event.data, named)
    return list(named)


def _name_parties(data: Json, named: dict[str, None]) -> None:
    for member, value in data.items():
        if isinstance(value, dict):
            _name_parties(value, named)
        elif member in NAMING and isinstance(value, str) and _PARTY.fullmatch(value):
            named[value] = None
