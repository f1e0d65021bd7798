"""evolve: what an accepted event does to a plan. Pure; in place, by the fold that owns it."""

import re
from collections.abc import Iterator
from typing import assert_never, cast

from services.ledger.plan.model import Beside, Origin, Plan, line_key
from services.ledger.plan.rules import change_of
from shared.event import Event, Json
from shared.kinds import PlanType, Type
from shared.fields import ID_PATTERN

_PARTY = re.compile(ID_PATTERN)


def evolve(plan: Plan, event: Event) -> Plan:
    """Apply an accepted event. Only events of kind *plan* and *answer* reach a line."""
    kind, data = cast(Type, event.type), event.data
    match kind:
        case "proposal.accepted":
            _accept(plan, event)
        case "proposal.declined":
            _answer(plan.beside[data["proposal"]], "declined", data)
        case "proposal.made" | "observation.recorded":
            plan.beside[event.id] = _beside(event)
        case "disagreement.stated":
            plan.disagreements.setdefault(data["entry"], []).append(
                {"entry": event.id, "author": event.author, "words": data["words"]}
            )
        case "access.granted":
            plan.whose[event.id] = _beside(event)
        case "access.withdrawn":
            plan.whose[data["grant"]]["state"] = "withdrawn"
        case _:
            _write(plan, event, kind, _origin(event))
    plan.entries[event.id] = _named(event)
    return plan


def _write(plan: Plan, event: Event, kind: PlanType, origin: Origin) -> None:
    """Write the line that an event of kind *plan* writes; the plan's version moves."""
    data = event.data
    plan.version += 1
    match kind:
        case "plan.started":
            plan.state = "started"
            _put(plan, "plan", "plan", data, origin)
        case "about-me.written":
            _put(plan, "about-me", data["section"], data, origin)
        case "aspiration.stated":
            _put(plan, "aspiration", data.get("id", event.id), data, origin)
        case "aspiration.reworded":
            _amend(plan, "aspiration", data["aspiration"], {"words": data["words"]}, origin)
        case "aspiration.let-go":
            _end(plan, "aspiration", data["aspiration"], "let-go", data, origin)
        case "action.planned":
            _put(plan, "action", data.get("id", event.id), data, origin)
        case "action.done":
            _end(plan, "action", data["action"], "done", data, origin)
        case _:
            assert_never(kind)


def _accept(plan: Plan, event: Event) -> None:
    """Make the proposed change; the proposal keeps its own text beside the person's."""
    proposal, change = plan.beside[event.data["proposal"]], change_of(plan, event)
    origin = _origin(event)
    origin["proposal"] = event.data["proposal"]
    origin["suggested_by"] = proposal["author"]
    origin["reworded"] = "in_my_words" in event.data
    _write(plan, change, cast(PlanType, change.type), origin)
    _answer(proposal, "accepted", event.data)


def _origin(event: Event) -> Origin:
    return {"entry": event.id, "author": event.author, "received": event.received}


def _put(plan: Plan, thing: str, name: str, data: Json, origin: Origin) -> None:
    """A new line, or a line written anew: its first version stays."""
    key = line_key(thing, name)
    old = plan.lines.get(key)
    plan.lines[key] = {
        "thing": thing,
        "id": name,
        "state": "open",
        "data": {member: value for member, value in data.items() if member != "id"},
        "origin": origin,
        "since": old["since"] if old else plan.version,
        "version": plan.version,
    }


def _amend(plan: Plan, thing: str, name: str, data: Json, origin: Origin) -> None:
    line = plan.lines[f"{thing}/{name}"]
    line["data"] |= data
    line["origin"], line["version"] = origin, plan.version


def _end(plan: Plan, thing: str, name: str, state: str, data: Json, origin: Origin) -> None:
    """End a line; what the person said about the end stands with it."""
    line = plan.lines[f"{thing}/{name}"]
    line["state"], line["ended"], line["version"] = state, origin, plan.version
    if "words" in data:
        line["data"]["closing_words"] = data["words"]


def _answer(proposal: Beside, answer: str, data: Json) -> None:
    proposal["answer"] = answer
    if "words" in data:
        proposal["answer_words"] = data["words"]


def _beside(event: Event) -> Beside:
    return {
        "type": event.type,
        "author": event.author,
        "received": event.received,
        "data": event.data,
    }


def _named(event: Event) -> list[str]:
    """Who wrote the event, then who is named in it: each id that stands alone in its data."""
    return list(dict.fromkeys([event.author, *_ids(event.data)]))


def _ids(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _ids(each)
    elif isinstance(value, str) and _PARTY.fullmatch(value):
        yield value
