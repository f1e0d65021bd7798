"""Tools to break rules on purpose: the real `decide`, wrapped.

It gets another event, or a changed plan, or its verdict is replaced. No source is edited.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import orjson

from services.ledger.plan.decide import ACCEPTED, Accepted, Refusal, Verdict
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump
from shared.events.event import Event, Json, timestamp
from shared.events.refusals import Code
from tests.authorship.compare import Fold, Judge, real
from tests.authorship.data import SAM
from tests.authorship.state import instant
from tests.authorship.tables import MOST, MOST_BYTES, WHO

LONG_AGO = "2020-01-01T00:00:00.000Z"
WITH_A_NAME = tuple(kind for kind, ways in WHO.items() if any("N(" in way for way in ways))
Case = Callable[[Plan, Event], bool]
Otherwise = Callable[[Plan, Event], Event]


def always(_plan: Plan, _event: Event) -> bool:
    return True


def is_(ruled: Verdict, code: Code) -> bool:
    return isinstance(ruled, Refusal) and ruled.code == code


def accepts(code: Code, case: Case = always) -> Judge:
    """In that case, accept an event that would be refused with that code."""
    return becomes(code, ACCEPTED, case)


def becomes(code: Code, otherwise: Verdict, case: Case = always) -> Judge:
    """In that case, replace that refusal by another verdict."""

    def judge(plan: Plan, event: Event, reused: bool) -> Verdict:
        ruled = real(plan, event, reused)
        return otherwise if is_(ruled, code) and case(plan, event) else ruled

    return judge


def refuses(code: Code, case: Case) -> Judge:
    """In that case, refuse an event that would be accepted."""

    def judge(plan: Plan, event: Event, reused: bool) -> Verdict:
        ruled = real(plan, event, reused)
        return Refusal(code) if isinstance(ruled, Accepted) and case(plan, event) else ruled

    return judge


def judges_as(code: Code, otherwise: Otherwise, case: Case = always) -> Judge:
    """In that case, judge an event that would be refused with that code as another event."""

    def judge(plan: Plan, event: Event, reused: bool) -> Verdict:
        ruled = real(plan, event, reused)
        applies = is_(ruled, code) and case(plan, event)
        return real(plan, otherwise(plan, event), False) if applies else ruled

    return judge


def judges_on_changed_plan(
    code: Code, change: Callable[[Json, Event], None], case: Case = always
) -> Judge:
    """In that case, judge an event that would be refused with that code on a changed plan."""

    def judge(plan: Plan, event: Event, reused: bool) -> Verdict:
        ruled = real(plan, event, reused)
        if not is_(ruled, code) or not case(plan, event):
            return ruled
        members = orjson.loads(dump(plan))
        change(members, event)
        return real(Plan(**members), event, reused)

    return judge


# Cases


def of_type(*kinds: str) -> Case:
    return lambda _, event: event.type in kinds


def role(*roles: str) -> Case:
    return lambda _, event: event.author.partition(":")[0] in roles


def both(*cases: Case) -> Case:
    return lambda plan, event: all(case(plan, event) for case in cases)


def by_person(_plan: Plan, event: Event) -> bool:
    return event.by_person


def by_another(_plan: Plan, event: Event) -> bool:
    return not event.by_person


def is_named(by_person: bool) -> Case:
    """Match an author named in the entry that the event refers to, which P wrote, or not."""

    def case(plan: Plan, event: Event) -> bool:
        (member,) = (way[2:-1] for way in WHO[event.type] if way.startswith("N("))
        wrote, *named = plan.entries.get(event.data[member], [""])
        return event.author in named and (wrote == event.subject) == by_person

    return both(of_type(*WITH_A_NAME), case)


def disagreed(plan: Plan, event: Event) -> list[Json]:
    pinned = plan.disagreements.get(event.data.get("entry", ""), [])
    return [row for row in pinned if row["author"] == event.author]


def has_open_disagreement(plan: Plan, event: Event) -> bool:
    return any("retracted" not in row for row in disagreed(plan, event))


def has_no_open_disagreement(plan: Plan, event: Event) -> bool:
    return not has_open_disagreement(plan, event)


def expects_more(plan: Plan, event: Event) -> bool:
    return event.expectedversion is not None and event.expectedversion > plan.version


def id_of_another_author(plan: Plan, event: Event) -> bool:
    return plan.entries.get(event.id, [event.author])[0] != event.author


def equal_ends(_plan: Plan, event: Event) -> bool:
    return bool(event.data["min"] == event.data["max"])


def was_parked(plan: Plan, event: Event) -> bool:
    proposal = plan.beside.get(event.data.get("proposal", ""))
    return bool(proposal and proposal.get("state") == "parked")


def own_is_beyond(plan: Plan, event: Event) -> bool:
    return plan.own_bytes + len(event.canonical) > MOST_BYTES["own"]


def many_grants_ever(plan: Plan, event: Event) -> bool:
    return len(plan.whose) > MOST["grants"] and event.type == "access.granted"


def repeats_a_wording(plan: Plan, event: Event) -> bool:
    wordings = sum(line["thing"] == "wording" for line in plan.lines.values())
    return event.type == "wording.preferred" and wordings >= MOST["wordings"]


# Replacements of the event or the plan


def as_person(_plan: Plan, event: Event) -> Event:
    return event._replace(author=event.subject)


def as_partner(_plan: Plan, event: Event) -> Event:
    return event._replace(author=SAM)


def early(_plan: Plan, event: Event) -> Event:
    return event._replace(received=LONG_AGO)


def a_moment_before(_plan: Plan, event: Event) -> Event:
    before = instant(event.received) - timedelta(milliseconds=1)
    return event._replace(received=timestamp(before))


def under_a_fresh_id(_plan: Plan, event: Event) -> Event:
    return event._replace(id="never-borne-before")


def expecting_nothing(_plan: Plan, event: Event) -> Event:
    return event._replace(expectedversion=None)


def through_another(_plan: Plan, event: Event) -> Event:
    return event._replace(via="service:never-barred")


def of_kind(kind: str, event: Event) -> Callable[[Json], bool]:
    """Match what P granted the author, of that type."""
    member = "to" if kind == "access.granted" else "representative"
    return lambda row: row["type"] == kind and row["data"][member] == event.author


def not_ended(kind: str) -> Callable[[Json, Event], None]:
    def change(plan: Json, event: Event) -> None:
        for row in filter(of_kind(kind, event), plan.get("whose", {}).values()):
            for member in ("state", "ended"):
                row.pop(member, None)

    return change


def opens(kind: str, member: str, opened: list[str]) -> Callable[[Json, Event], None]:
    def change(plan: Json, event: Event) -> None:
        for row in filter(of_kind(kind, event), plan.get("whose", {}).values()):
            row["data"][member] = opened

    return change


def emergency_to_author(plan: Json, event: Event) -> None:
    for row in plan.get("whose", {}).values():
        if row["data"].get("to") == "emergency":
            row["data"]["to"] = event.author


def proposed_by_another(plan: Json, event: Event) -> None:
    if proposal := plan.get("beside", {}).get(event.data["proposal"]):
        proposal["author"] = "partner:another"
        plan["entries"][event.data["proposal"]] = ["partner:another"]


def its_type_in_scope(plan: Json, event: Event) -> None:
    if proposal := plan.get("beside", {}).get(event.data["proposal"]):
        kind = proposal["data"].get("change", {}).get("type", "")
        for row in filter(of_kind("representative.named", event), plan["whose"].values()):
            row["data"]["scope"] = [*row["data"]["scope"], kind]


def actions_open(plan: Json, _event: Event) -> None:
    planned = plan.setdefault("planned", {})
    for line in plan.get("lines", {}).values():
        if line["thing"] == "action":
            line["state"] = "open"
            planned[line["id"]] = line["origin"]["entry"]


# Whole replacement rules


def unrecorded(plan: Plan, event: Event, reused: bool) -> Verdict:
    """Record an accepted event of a representative like anyone's."""
    ruled = real(plan, event, reused)
    return replace(ruled, represented=False) if isinstance(ruled, Accepted) else ruled


def leaves_a_trace(plan: Plan, event: Event, reused: bool) -> Verdict:
    """Store some refusals in the plan."""
    ruled = real(plan, event, reused)
    if is_(ruled, Code.WRONG_STATE):
        plan.denied[event.id] = event.author
    return ruled


def moves_a_line(plan: Plan, event: Event) -> Plan:
    """Let a partner's observation change a line of the plan."""
    if event.type == "observation.recorded" and not event.by_person:
        plan.lines["plan/plan"]["data"]["name_to_use"] = event.author
    return evolve(plan, event)


def counts_folds() -> Fold:
    """Number every fold, across all plans."""
    numbers = itertools.count()

    def fold(plan: Plan, event: Event) -> Plan:
        folded = evolve(plan, event)
        if event.type == "authorship.denied":
            folded.denied[event.data["entry"]] = str(next(numbers))
        return folded

    return fold
