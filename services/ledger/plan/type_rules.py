"""Refusals of each event type, in the order of the catalogue."""

from typing import assert_never, cast

from services.ledger.plan import transitions
from services.ledger.plan.authorization import has_grant, runs_out, voices
from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json
from shared.events.refusals import Code
from shared.events.schema_fields import is_valid
from shared.events.type_names import (
    AnswerType,
    BesideType,
    EqualType,
    Kind,
    PlanType,
    Type,
    WhoseType,
)

NEVER_HANDED_ON = ("representative.", "key.", "signatures.", "erasure.")


def type_refusal(plan: Plan, event: Event) -> Code | None:
    """Return the type's own refusal, or None."""
    kind = cast(Type, event.type)
    match CATALOGUE[kind].kind:
        case Kind.PLAN:
            return _of_plan(plan, event, cast(PlanType, kind))
        case Kind.ANSWER:
            return _of_answer(plan, event, cast(AnswerType, kind))
        case Kind.BESIDE:
            return _of_beside(plan, event, cast(BesideType, kind))
        case Kind.EQUAL:
            return _of_equal(plan, event, cast(EqualType, kind))
        case Kind.WHOSE:
            return _of_whose(plan, event, cast(WhoseType, kind))


def _of_plan(plan: Plan, event: Event, kind: PlanType) -> Code | None:
    data = event.data
    match kind:
        case "plan.started":
            return Code.PLAN_EXISTS if plan.state == "started" else None
        case "about-me.written" | "safety-plan.written" | "wording.preferred":
            return None
        case "aspiration.stated" | "strength.named" | "need.named" | "advance-choice.made":
            return _new(plan, kind, event)
        case "action.planned":
            return _no_aspiration(plan, data) or _new(plan, kind, event)
        case "measure.defined":
            return _no_aspiration(plan, data) or _new(plan, kind, event) or _range(data)
        case "measure.revised":
            missing = Code.UNKNOWN_TARGET if transitions.target(plan, kind, data) is None else None
            return missing or _no_aspiration(plan, data) or _range(data)
        case "measure.rated":
            return _rating(plan, data)
        case "aspiration.reworded" | "strength.reworded" | "need.reworded" | "action.reworded":
            return _reworded(plan, kind, data)
        case "advance-choice.revised":
            return _revised(plan, kind, data)
        case "aspirations.ranked":
            all_known = all(plan.line("aspiration", name) for name in data["order"])
            return None if all_known else Code.UNKNOWN_TARGET
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
            return _step(plan, kind, data)
        case _:
            assert_never(kind)


def _new(plan: Plan, kind: PlanType, event: Event) -> Code | None:
    return (
        Code.EXISTS if plan.line(transitions.thing_of(kind), transitions.new_name(event)) else None
    )


def _no_aspiration(plan: Plan, data: Json) -> Code | None:
    aspiration = data.get("aspiration")
    is_known = aspiration is None or plan.line("aspiration", aspiration) is not None
    return None if is_known else Code.UNKNOWN_TARGET


def _range(data: Json) -> Code | None:
    return None if data["min"] < data["max"] else Code.BAD_RANGE


def _rating(plan: Plan, data: Json) -> Code | None:
    line = plan.line("measure", data["measure"])
    if line is None:
        return Code.UNKNOWN_TARGET
    if not line["data"]["min"] <= data["value"] <= line["data"]["max"]:
        return Code.OUT_OF_RANGE
    return None if data["version"] == line["data"]["version"] else Code.VERSION_MISMATCH


def _reworded(plan: Plan, kind: PlanType, data: Json) -> Code | None:
    line = transitions.target(plan, kind, data)
    if line is None:
        return Code.UNKNOWN_TARGET
    same = line["data"][transitions.text_member(line)] == data["words"]
    return Code.UNCHANGED if same else None


def _revised(plan: Plan, kind: PlanType, data: Json) -> Code | None:
    line = transitions.target(plan, kind, data)
    if line is None:
        return Code.UNKNOWN_TARGET
    if line["state"] != "open":
        return Code.WRONG_STATE
    new = {name: data[name] for name in ("words", "applies_when") if name in data}
    return Code.UNCHANGED if line["data"] == line["data"] | new else None


def _step(plan: Plan, kind: PlanType, data: Json) -> Code | None:
    line = transitions.target(plan, kind, data)
    if line is None:
        return Code.UNKNOWN_TARGET
    return None if line["state"] in transitions.TRANSITIONS[kind].before else Code.WRONG_STATE


def _of_answer(plan: Plan, event: Event, kind: AnswerType) -> Code | None:
    proposal = plan.annotation_of_type("proposal.made", event.data["proposal"])
    if proposal is None:
        return Code.UNKNOWN_TARGET
    accepts = kind == "proposal.accepted"
    if accepts and runs_out(proposal["data"]["expires"], event.received):
        return Code.LAPSED
    if "answer" in proposal:
        return Code.ALREADY_ANSWERED
    if not accepts:
        return None
    change = change_of(plan, event)
    return (
        type_refusal(plan, change) if _is_change(change.type, change.data) else Code.INVALID_CHANGE
    )


def _is_change(name: str, data: object) -> bool:
    """Return whether a change is an event of kind *plan* with valid data of its type."""
    row = CATALOGUE.get(name)
    if row is None or row.kind is not Kind.PLAN or name == "plan.started":
        return False
    return isinstance(data, dict) and is_valid(row.schema, data)


def change_of(plan: Plan, event: Event) -> Event:
    """Return the plan event that a `proposal.accepted` applies, reworded if the person did so."""
    change = plan.beside[event.data["proposal"]]["data"]["change"]
    data = event.data.get("in_my_words", change["data"])
    return event._replace(type=change["type"], data=data)


def _of_beside(plan: Plan, event: Event, kind: BesideType) -> Code | None:
    data = event.data
    match kind:
        case "proposal.made":
            change = data["change"]
            return None if _is_change(change["type"], change["data"]) else Code.INVALID_CHANGE
        case "observation.recorded":
            observable = data.keys() & {"seen_or_heard", "verbatim", "value"}
            return None if observable else Code.MISSING_OBSERVABLE
        case "interpretation.offered":
            return _basis(plan, data)
        case "disagreement.stated" | "correction.requested":
            return None if data["entry"] in plan.entries else Code.UNKNOWN_TARGET
        case "correction.made" | "correction.declined" | "entry.retracted" | "authorship.denied":
            return _of_its_author(plan, event, kind)
        case _:
            assert_never(kind)


def _basis(plan: Plan, data: Json) -> Code | None:
    observations = data.get("based_on")
    if not observations:
        return Code.NO_BASIS
    all_known = all(plan.annotation_of_type("observation.recorded", name) for name in observations)
    return None if all_known else Code.UNKNOWN_TARGET


def _of_its_author(plan: Plan, event: Event, kind: BesideType) -> Code | None:
    """Return the refusal of an event that only the author of the target entry may post."""
    name = event.data["entry"]
    if name not in plan.entries or (kind == "entry.retracted" and not plan.is_retractable(name)):
        return Code.UNKNOWN_TARGET
    author = plan.entries[name][0]
    if kind == "authorship.denied":
        return None if author == plan.subject else Code.NOT_IN_YOUR_NAME
    return None if author in voices(plan, event) else Code.NOT_ITS_AUTHOR


def _of_equal(plan: Plan, event: Event, kind: EqualType) -> Code | None:
    data = event.data
    match kind:
        case "question.asked":
            unknown = "about" in data and data["about"] not in plan.entries
            return Code.UNKNOWN_TARGET if unknown else _addressee(plan, event)
        case "question.answered":
            return _answer(plan, event)
        case "question.closed" | "question.set-aside":
            return _closing(plan, event, kind)
        case "commitment.made":
            unknown = "action" in data and plan.line("action", data["action"]) is None
            return Code.UNKNOWN_TARGET if unknown else _addressee(plan, event)
        case "commitment.kept" | "commitment.not-kept":
            return _promise(plan, event)
        case "advance-choice.departed-from":
            return None if plan.line("choice", data["choice"]) else Code.UNKNOWN_TARGET
        case _:
            assert_never(kind)


def _addressee(plan: Plan, event: Event) -> Code | None:
    """Return the refusal if the addressee is neither the person nor has a grant."""
    to = event.data["to"]
    takes_part = to == plan.subject or has_grant(plan, to, event.received)
    return None if takes_part else Code.UNKNOWN_ADDRESSEE


def _answer(plan: Plan, event: Event) -> Code | None:
    question = transitions.question(plan, event.data["question"])
    if question is None:
        return Code.UNKNOWN_TARGET
    if transitions.addressee(question) not in voices(plan, event):
        return Code.WRONG_ADDRESSEE
    if "state" in question:
        return Code.WRONG_STATE
    basis = event.data.get("basis", {})
    no_sources = basis.get("kind") == "evidence" and not basis.get("sources")
    return Code.BASIS_MISSING if "kind" not in basis or no_sources else None


def _closing(plan: Plan, event: Event, kind: EqualType) -> Code | None:
    question = transitions.question(plan, event.data["question"])
    if question is None:
        return Code.UNKNOWN_TARGET
    if kind == "question.closed" and transitions.asker(plan, question) not in voices(plan, event):
        return Code.NOT_ITS_AUTHOR
    return Code.WRONG_STATE if question.get("state") in ("closed", "set-aside") else None


def _promise(plan: Plan, event: Event) -> Code | None:
    promise = plan.annotation_of_type("commitment.made", event.data["commitment"])
    if promise is None:
        return Code.UNKNOWN_TARGET
    if promise["author"] == event.author:
        return Code.OWN_PROMISE
    if promise["data"]["to"] not in voices(plan, event):
        return Code.WRONG_ADDRESSEE
    return Code.WRONG_STATE if "state" in promise else None


def _of_whose(plan: Plan, event: Event, kind: WhoseType) -> Code | None:
    data = event.data
    match kind:
        case "access.granted":
            return None if "wording" in data else Code.WORDING_MISSING
        case "access.withdrawn":
            grant = plan.whose.get(data["grant"])
            if grant is None or grant["type"] != "access.granted":
                return Code.UNKNOWN_TARGET
            return Code.WRONG_STATE if "state" in grant else None
        case "representative.named":
            handed_on = any(name.startswith(NEVER_HANDED_ON) for name in data["scope"])
            return Code.NOT_TO_BE_HANDED_ON if handed_on else None
        case "representative.ended":
            namings = plan.index.access.namings(data["representative"])
            if namings is None:
                return Code.UNKNOWN_TARGET
            return None if namings else Code.WRONG_STATE
        case "service.barred":
            return Code.WRONG_STATE if data["service"] in plan.whose else None
        case "service.unbarred":
            return None if data["service"] in plan.whose else Code.WRONG_STATE
        case _:
            assert_never(kind)
