"""Who may say anything here: the refusals that mean "no standing", grants, representatives."""

from services.ledger.plan.index import ANY_GRANT, ANY_NAMING
from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from shared.events.refusals import Code
from shared.events.schema_fields import parse_time
from shared.events.type_names import Who

_PARTNERS = ("partner:", "team:")
# What only its author says of an entry: it needs no grant.
_OF_ITS_AUTHOR = frozenset(
    {"correction.made", "correction.declined", "entry.retracted", "question.closed"}
)


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
    """True when a representative in force speaks for the person: one of their namings has the type
    in its scope.

    To accept a proposal, one has the type of the change in its scope too, and the proposal is
    somebody else's: what a representative may not write they cannot suggest to themselves. What
    the person may not say nobody says for them: there, a partner who is also a representative
    speaks as a partner.
    """
    if event.by_person or not CATALOGUE[event.type].who.person:
        return False
    if not _in_scope(plan, event, event.type):
        return False
    if event.type != "proposal.accepted":
        return True
    proposal = plan.standing_beside("proposal.made", event.data["proposal"])
    if proposal is None:
        return True  # who may accept is answered that there is no such proposal
    others = proposal["author"] != event.author
    return others and _in_scope(plan, event, proposal["data"]["change"]["type"])


def _in_scope(plan: Plan, event: Event, kind: str) -> bool:
    return plan.index.access.in_force(event.author, kind, event.received)


def voices(plan: Plan, event: Event) -> tuple[str, ...]:
    """In whose name the event is said: its author's, and through a representative the person's."""
    represented = is_represented(plan, event)
    return (event.author, plan.subject) if represented else (event.author,)


def _opened(plan: Plan, event: Event, who: Who) -> bool:
    """True if a grant, or being named in what the event points at, opens its type."""
    if who.named and _named(plan, event, event.data.get(who.named, "")):
        return True
    wanted = ANY_GRANT if who.scope == "any" else who.scope
    return wanted is not None and plan.index.access.in_force(event.author, wanted, event.received)


def _named(plan: Plan, event: Event, entry: str) -> bool:
    """True if the author of an entry, or somebody who is named in it, may speak of it.

    Being named in somebody else's words alone opens nothing. Who is named by the person speaks
    of it while they take part: by a grant, as a representative, or by a naming that lasts.
    """
    author, names = event.author, plan.entries.get(entry, [])
    if author not in names:
        return False
    if author == names[0] and event.type in _OF_ITS_AUTHOR:
        return True
    if has_grant(plan, author, event.received):
        return True
    by_the_person = names[0] == plan.subject
    return by_the_person and (author in plan.index.named or _represents(plan, event))


def has_grant(plan: Plan, partner: str, received: str) -> bool:
    """True when a grant of any scope to `partner` is in force at `received`."""
    return plan.index.access.in_force(partner, ANY_GRANT, received)


def _represents(plan: Plan, event: Event) -> bool:
    return plan.index.access.in_force(event.author, ANY_NAMING, event.received)


def runs_out(end: str, received: str) -> bool:
    """True when `end` (RFC 3339) has come at `received`."""
    return parse_time(received) >= parse_time(end)
