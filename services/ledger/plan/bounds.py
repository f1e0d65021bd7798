"""Bounds of a plan: the refusals `too-many` and `plan-full`, which are checked last.

Accepted events are never checked against them again. A view of what was true at a moment skips
events without a target (services/ledger/plan/valid_time.py), but none because of a bound.
"""

from typing import NamedTuple

from services.ledger.plan import transitions
from services.ledger.plan.index import moment
from services.ledger.plan.model import Plan
from services.ledger.plan.type_rules import change_of
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from shared.events.refusals import Code

MIB = 2**20
# Types that the person can post even to a full plan: they end, deny or retract.
PROTECTIVE = frozenset(
    {
        "access.withdrawn",
        "representative.ended",
        "service.barred",
        "authorship.denied",
        "plan.closed",
        "entry.retracted",
        "question.set-aside",
        "proposal.declined",
        "advance-choice.revoked",
    }
)


class Bounds(NamedTuple):
    """The limits of a plan.

    `in_force` limits grants and namings of representatives. `disagreements` limits those of one
    author with one entry, of which one may be open. The byte limits count accepted events as
    posted: those of the person or a representative, and those of all other authors.
    """

    open_lines: int = 2_000
    in_force: int = 500
    wordings: int = 200
    barred: int = 500
    disagreements: int = 5
    own_bytes: int = 6 * MIB
    protective_bytes: int = 7 * MIB
    others_bytes: int = 2 * MIB


BOUNDS = Bounds()
_COUNTED = frozenset(name for name, row in CATALOGUE.items() if Code.TOO_MANY in row.refusals)


def bound_refusal(plan: Plan, event: Event, bounds: Bounds, *, by_person: bool) -> Code | None:
    """Return the refusal if the event exceeds a bound.

    `by_person` is True if the person or a representative is the author.
    """
    if event.type in _COUNTED and _too_many(plan, event, bounds):
        return Code.TOO_MANY
    size = len(event.canonical)
    if not by_person:
        return Code.PLAN_FULL if plan.others_bytes + size > bounds.others_bytes else None
    limit = bounds.protective_bytes if event.type in PROTECTIVE else bounds.own_bytes
    return Code.PLAN_FULL if plan.own_bytes + size > limit else None


def _too_many(plan: Plan, event: Event, bounds: Bounds) -> bool:
    """Return whether the event would add an item beyond its limit."""
    data, index = event.data, plan.index
    match event.type:
        case "access.granted" | "representative.named":
            adds = moment(data["until"]) > moment(event.received)
            return adds and index.access.count(event.received) >= bounds.in_force
        case "service.barred":
            return index.access.barred >= bounds.barred
        case "disagreement.stated":
            still_open, total = index.disagreements.counts(data["entry"], event.author)
            return still_open > 0 or total >= bounds.disagreements
        case "proposal.accepted":
            return _too_many_lines(plan, change_of(plan, event), bounds)
        case _:
            return _too_many_lines(plan, event, bounds)


def _too_many_lines(plan: Plan, event: Event, bounds: Bounds) -> bool:
    """Return whether the event would write a new line or wording beyond the limit."""
    written = transitions.written_by(event)
    if written is None or plan.line(*written) is not None:
        return False
    if plan.index.open_lines >= bounds.open_lines:
        return True
    return event.type == "wording.preferred" and len(plan.avoid) >= bounds.wordings
