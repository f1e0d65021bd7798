"""Who may say anything here: the refusals that mean "no standing", grants, representatives."""

from collections.abc import Iterator

from services.ledger.plan.model import Beside, Plan
from shared.catalogue import CATALOGUE
from shared.event import Event
from shared.fields import UNTIL_WITHDRAWN, parse_time
from shared.kinds import Who
from shared.refusals import Code

ENDED = "ended"
_PARTNERS = ("partner:", "team:")


def standing_refusal(plan: Plan, event: Event) -> Code | None:
    """The refusals that mean: no standing here.

    What comes through a barred service is refused to the person as `not-yours-to-say`; anybody
    else hears `no-grant`, as they would where there is no plan.
    """
    who, alive = CATALOGUE[event.type].who, plan.state == "started"
    barred = alive and event.via in plan.whose
    if event.by_person or (alive and is_represented(plan, event)):
        if barred or not who.person:
            return Code.NOT_YOURS_TO_SAY
    elif not (who.named or (who.scope and event.author.startswith(_PARTNERS))):
        return Code.NOT_YOURS_TO_SAY
    elif barred or not (alive and _opened(plan, event, who)):
        return Code.NO_GRANT
    if plan.state == "" and event.type != "plan.started":
        return Code.NO_SUCH_PLAN
    return Code.PLAN_ERASED if plan.state == "erased" else None


def is_represented(plan: Plan, event: Event) -> bool:
    """True when a representative in force, whose scope names the type, speaks for the person.

    What the person may not say themselves nobody says for them: there, a partner who is also a
    representative speaks as a partner.
    """
    if event.by_person or not CATALOGUE[event.type].who.person:
        return False
    return any(
        event.type in each["data"]["scope"]
        for each in _in_force(plan, "representative.named", event.author, event.received)
    )


def voices(plan: Plan, event: Event) -> tuple[str, ...]:
    """In whose name the event is said: its author's, and through a representative the person's."""
    represented = is_represented(plan, event)
    return (event.author, plan.subject) if represented else (event.author,)


def _opened(plan: Plan, event: Event, who: Who) -> bool:
    """True if a grant, or being named in what the event points at, opens its type."""
    if who.named and event.author in plan.entries.get(event.data.get(who.named, ""), ()):
        return True
    scopes = (each["data"]["scopes"] for each in grants(plan, event.author, event.received))
    return who.scope is not None and any(who.scope in ("any", *each) for each in scopes)


def grants(plan: Plan, partner: str, received: str) -> Iterator[Beside]:
    """The grants to `partner` that are in force at `received`."""
    return _in_force(plan, "access.granted", partner, received)


def _in_force(plan: Plan, kind: str, who: str, received: str) -> Iterator[Beside]:
    """What was ended is judged by place in the log; what runs out, by `received`."""
    for each in plan.opened_to(who):
        if each["type"] == kind and "state" not in each:
            until = each["data"]["until"]
            if until == UNTIL_WITHDRAWN or not runs_out(until, received):
                yield each


def runs_out(end: str, received: str) -> bool:
    """True when `end` (RFC 3339) has come at `received`."""
    return parse_time(received) >= parse_time(end)
