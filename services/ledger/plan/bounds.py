"""How much a plan may hold: the refusals `too-many` and `plan-full`, which come after all others.

What was accepted is never judged by these again: a view of what was true at a moment leaves out
what has no target (services/ledger/plan/valid_time.py), and nothing for its number.
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
# What the person can say also when they can say nothing else: it ends, denies or takes back.
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
    """The most that a plan may hold.

    `in_force` counts grants and namings of representatives; `disagreements` those of one author
    with one entry, of which one may be open. Bytes are those of accepted events, as they were
    posted: of the person or a representative, and of everybody else.
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


def bound_refusal(plan: Plan, event: Event, bounds: Bounds, *, own: bool) -> Code | None:
    """The refusal of what goes beyond a bound. `own`: by the person, or in their name."""
    if event.type in _COUNTED and _too_many(plan, event, bounds):
        return Code.TOO_MANY
    size = len(event.canonical)
    if not own:
        return Code.PLAN_FULL if plan.others_bytes + size > bounds.others_bytes else None
    most = bounds.protective_bytes if event.type in PROTECTIVE else bounds.own_bytes
    return Code.PLAN_FULL if plan.own_bytes + size > most else None


def _too_many(plan: Plan, event: Event, bounds: Bounds) -> bool:
    """True when the event would add one to as many as there may be."""
    data, index = event.data, plan.index
    match event.type:
        case "access.granted" | "representative.named":
            adds = moment(data["until"]) > moment(event.received)
            return adds and index.access.count(event.received) >= bounds.in_force
        case "service.barred":
            return index.access.barred >= bounds.barred
        case "disagreement.stated":
            still_open, every = index.disagreements.counts(data["entry"], event.author)
            return still_open > 0 or every >= bounds.disagreements
        case "proposal.accepted":
            return _too_many_lines(plan, change_of(plan, event), bounds)
        case _:
            return _too_many_lines(plan, event, bounds)


def _too_many_lines(plan: Plan, event: Event, bounds: Bounds) -> bool:
    """True when the event would write a new line, or a new wording, and may not."""
    written = transitions.written_by(event)
    if written is None or plan.line(*written) is not None:
        return False
    if plan.index.open_lines >= bounds.open_lines:
        return True
    return event.type == "wording.preferred" and len(plan.avoid) >= bounds.wordings
