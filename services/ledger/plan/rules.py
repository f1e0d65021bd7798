"""decide: may this event take effect? Pure; the same history gives the same verdict for ever.

Time is the event's `received`, never a clock. General refusals come first, in the order of
`shared.refusals.Code`; then the type's own. `RULES` is the version of decide and evolve: a
change that alters one verdict or one plan byte of a golden history is a new number, and the old
one stays runnable beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never, cast

from services.ledger.plan.model import Beside, Plan
from shared.catalogue import CATALOGUE
from shared.event import Event
from shared.kinds import Kind, Type, Who
from shared.refusals import Code
from shared.fields import UNTIL_WITHDRAWN, fits, parse_time

RULES = 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event takes effect."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The event changes nothing; `code` says why."""

    code: Code


Verdict = Accepted | Refusal
ACCEPTED = Accepted()


def decide(plan: Plan, event: Event, *, reused: bool = False) -> Verdict:
    """The verdict on `event` for `plan`.

    `reused`: the author and id already stand in this log, with another digest.
    """
    code = _standing(plan, event) or _general(plan, event, reused) or own_refusal(plan, event)
    return Refusal(code) if code else ACCEPTED


def _standing(plan: Plan, event: Event) -> Code | None:
    """The refusals that mean: no standing here."""
    who = CATALOGUE[event.type].who
    if event.by_person:
        if not who.person:
            return Code.NOT_YOURS_TO_SAY
    elif who is Who.P or (who.scope and not event.author.startswith("partner:")):
        return Code.NOT_YOURS_TO_SAY
    elif not _has_grant(plan, event, who):
        return Code.NO_GRANT
    if plan.state == "" and event.type != "plan.started":
        return Code.NO_SUCH_PLAN
    return Code.PLAN_ERASED if plan.state == "erased" else None


def _general(plan: Plan, event: Event, reused: bool) -> Code | None:
    """The general refusals of an author who has standing."""
    if reused or event.id in plan.entries:
        return Code.ID_REUSED
    if event.expectedversion is not None and event.expectedversion != plan.version:
        return Code.VERSION_CONFLICT
    return None


def _has_grant(plan: Plan, event: Event, who: Who) -> bool:
    if plan.state != "started":
        return False
    if who is Who.P_OR_NAMED:
        return event.author in plan.entries.get(event.data.get("entry", ""), ())
    return any(
        who.scope in grant["data"]["scopes"]
        for grant in in_force(plan, event.author, event.received)
    )


def in_force(plan: Plan, partner: str, received: str) -> Iterator[Beside]:
    """The grants to `partner` that are in force at `received`."""
    for grant in plan.whose.values():
        if grant["data"]["to"] == partner and grant.get("state") != "withdrawn":
            until = grant["data"]["until"]
            if until == UNTIL_WITHDRAWN or not runs_out(until, received):
                yield grant


def runs_out(end: str, received: str) -> bool:
    """True when `end` (RFC 3339) has come at `received`."""
    return parse_time(received) >= parse_time(end)


def own_refusal(plan: Plan, event: Event) -> Code | None:
    """The type's own refusals, in the order of the catalogue."""
    data, kind = event.data, cast(Type, event.type)
    match kind:
        case "plan.started":
            return Code.PLAN_EXISTS if plan.state == "started" else None
        case "about-me.written":
            return None
        case "aspiration.stated":
            return _new(plan, "aspiration", event)
        case "aspiration.reworded":
            line = plan.line("aspiration", data["aspiration"])
            if line is None:
                return Code.UNKNOWN_TARGET
            return Code.UNCHANGED if line["data"]["words"] == data["words"] else None
        case "aspiration.let-go":
            return _open(plan, "aspiration", data["aspiration"])
        case "action.planned":
            aimed = data.get("aspiration")
            if aimed is not None and plan.line("aspiration", aimed) is None:
                return Code.UNKNOWN_TARGET
            return _new(plan, "action", event)
        case "action.done":
            return _open(plan, "action", data["action"])
        case "proposal.made":
            change = data["change"]
            return None if _is_change(change["type"], change["data"]) else Code.INVALID_CHANGE
        case "proposal.accepted":
            return _acceptance(plan, event)
        case "proposal.declined":
            proposal = plan.standing_beside("proposal.made", data["proposal"])
            if proposal is None:
                return Code.UNKNOWN_TARGET
            return Code.ALREADY_ANSWERED if "answer" in proposal else None
        case "observation.recorded":
            seen = data.keys() & {"seen_or_heard", "verbatim", "value"}
            return None if seen else Code.MISSING_OBSERVABLE
        case "disagreement.stated":
            return None if data["entry"] in plan.entries else Code.UNKNOWN_TARGET
        case "access.granted":
            return None if "wording" in data else Code.WORDING_MISSING
        case "access.withdrawn":
            grant = plan.whose.get(data["grant"])
            if grant is None:
                return Code.UNKNOWN_TARGET
            return Code.WRONG_STATE if grant.get("state") == "withdrawn" else None
        case _:
            assert_never(kind)


def _new(plan: Plan, thing: str, event: Event) -> Code | None:
    return Code.EXISTS if plan.line(thing, event.data.get("id", event.id)) else None


def _open(plan: Plan, thing: str, name: str) -> Code | None:
    line = plan.line(thing, name)
    if line is None:
        return Code.UNKNOWN_TARGET
    return None if line["state"] == "open" else Code.WRONG_STATE


def _is_change(name: str, data: object) -> bool:
    """A change is an event of kind *plan*, with the data of its type."""
    row = CATALOGUE.get(name)
    if row is None or row.kind is not Kind.PLAN or name == "plan.started":
        return False
    return isinstance(data, dict) and fits(row.schema, data)


def change_of(plan: Plan, event: Event) -> Event:
    """The plan event that a `proposal.accepted` makes: the change, or the person's own words."""
    change = plan.beside[event.data["proposal"]]["data"]["change"]
    data = event.data.get("in_my_words", change["data"])
    return replace(event, type=change["type"], data=data)


def _acceptance(plan: Plan, event: Event) -> Code | None:
    proposal = plan.standing_beside("proposal.made", event.data["proposal"])
    if proposal is None:
        return Code.UNKNOWN_TARGET
    if runs_out(proposal["data"]["expires"], event.received):
        return Code.LAPSED
    if "answer" in proposal:
        return Code.ALREADY_ANSWERED
    change = change_of(plan, event)
    return (
        own_refusal(plan, change) if _is_change(change.type, change.data) else Code.INVALID_CHANGE
    )
