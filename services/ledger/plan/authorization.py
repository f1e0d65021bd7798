"""Authorization: refusals that mean "no standing", grants and representatives."""

from services.ledger.plan.index import ANY_GRANT, ANY_NAMING
from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from shared.events.refusals import Code
from shared.events.schema_fields import parse_time
from shared.events.type_names import Who

_PARTNERS = ("partner:", "team:")
# Types that only an entry's author may post about it; they need no grant.
_OF_ITS_AUTHOR = frozenset(
    {"correction.made", "correction.declined", "entry.retracted", "question.closed"}
)


def standing_refusal(plan: Plan, event: Event) -> Code | None:
    """Return the refusal if the author has no standing.

    Events through a barred service are refused as `not-yours-to-say` if the person is the author.
    Other authors get `no-grant`, exactly as if there were no plan.
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
    """Return whether a representative in force speaks for the person.

    The type must be in the scope of one of the representative's namings. To accept a proposal, the
    type of its change must be in the scope too, and another author must have made the proposal, so
    that representatives cannot propose to themselves what they may not write. A representative
    cannot author types that the person cannot author; for those, they act as a partner.
    """
    if event.by_person or not CATALOGUE[event.type].who.person:
        return False
    if not _in_scope(plan, event, event.type):
        return False
    if event.type != "proposal.accepted":
        return True
    proposal = plan.annotation_of_type("proposal.made", event.data["proposal"])
    if proposal is None:
        return True  # the type's own rule then refuses the unknown proposal
    others = proposal["author"] != event.author
    return others and _in_scope(plan, event, proposal["data"]["change"]["type"])


def _in_scope(plan: Plan, event: Event, kind: str) -> bool:
    return plan.index.access.in_force(event.author, kind, event.received)


def voices(plan: Plan, event: Event) -> tuple[str, ...]:
    """Return the parties in whose name the event is posted.

    This is the author and, if a representative posts it, the person.
    """
    represented = is_represented(plan, event)
    return (event.author, plan.subject) if represented else (event.author,)


def _opened(plan: Plan, event: Event, who: Who) -> bool:
    """Return whether a grant, or being named in the target entry, opens the type."""
    if who.named and _named(plan, event, event.data.get(who.named, "")):
        return True
    scope = ANY_GRANT if who.scope == "any" else who.scope
    return scope is not None and plan.index.access.in_force(event.author, scope, event.received)


def _named(plan: Plan, event: Event, entry: str) -> bool:
    """Return whether the event's author wrote the entry or is named in it, and may post about it.

    Being named by another party grants nothing. A party named by the person may post about the
    entry while they take part: by a grant, as a representative, or by a naming in force.
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
    """Return whether `partner` has a grant of any scope in force at `received`."""
    return plan.index.access.in_force(partner, ANY_GRANT, received)


def _represents(plan: Plan, event: Event) -> bool:
    return plan.index.access.in_force(event.author, ANY_NAMING, event.received)


def runs_out(end: str, received: str) -> bool:
    """Return whether `end` (RFC 3339) has been reached at `received`."""
    return parse_time(received) >= parse_time(end)
