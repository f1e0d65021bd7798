"""Standing: the first four refusals, for authors without a right to be heard."""

from shared.events.event import Event
from tests.authorship.state import Entry, State
from tests.authorship.tables import AUTHOR_ALONE, P_ONLY, WHO

Code = str | None


def speaks_for_person(state: State, event: Event) -> bool:
    """Return whether the author is P, or a representative who speaks for P with this event.

    “A representative speaks for P with an event of type T when T is in the union of the scopes of
    their namings in force. For proposal.accepted, and the pointed-at proposal exists: also the type
    of the proposed change must be in that union, and the proposal's author must not be the
    representative.”
    """
    if event.author == state.subject:
        return True
    types = state.types_of(event.author, event.received)
    if event.type not in types or "P" not in WHO.get(event.type, P_ONLY):
        return False
    if event.type == "proposal.accepted":
        proposal = state.entry(event.data["proposal"], "proposal.made")
        if proposal is not None:
            theirs = proposal.author == event.author
            return proposal.data["change"]["type"] in types and not theirs
    return True


def voices(state: State, event: Event) -> set[str]:
    """“P: the subject, or a representative within scope”: a representative is themself, and P."""
    represents = speaks_for_person(state, event)
    return {event.author, state.subject} if represents else {event.author}


def no_standing(state: State, event: Event) -> Code:
    """“The first four mean no standing: anyone but P hears the same no-grant whether the person
    lives, was erased or never was (P hears the true one).” What comes through a barred service is
    `not-yours-to-say` to P or a representative, and `no-grant` to any other author with a way.
    """
    ways = WHO.get(event.type, P_ONLY)
    barred = event.via in state.barred
    if event.author == state.subject:
        if "P" not in ways or barred:
            return "not-yours-to-say"
        if state.phase == "" and event.type != "plan.started":
            return "no-such-plan"
        return "plan-erased" if state.phase == "erased" else None
    if speaks_for_person(state, event):
        return "not-yours-to-say" if barred else None
    if not any(_role_fits(way, event.author) for way in ways):
        return "not-yours-to-say"
    if state.phase != "started" or barred:
        return "no-grant"
    return None if any(_is_open(state, event, way) for way in ways) else "no-grant"


def _role_fits(way: str, author: str) -> bool:
    """W is “a partner to whom P has granted”, or a team; anybody can be named."""
    role = author.partition(":")[0]
    return way.startswith("N(") or (way.startswith("W(") and role in ("partner", "team"))


def _is_open(state: State, event: Event, way: str) -> bool:
    """A way that is open to an author who doesn't speak for P."""
    if way.startswith("W("):
        scope = way[2:-1]
        grants = state.grants_in_force(event.author, event.received)
        return any(scope == "any" or scope in grant.opens for grant in grants)
    if way.startswith("N("):
        return _named(state, event, state.entry(event.data[way[2:-1]]))
    return False


def _named(state: State, event: Event, entry: Entry | None) -> bool:
    """The N way, for “the accepted entry that the member points at”, in its three cases."""
    if entry is None:
        return False
    author, received = event.author, event.received
    # 1. "A is E's author, and the type is what only an entry's author may say; it needs no grant."
    if entry.author == author and event.type in AUTHOR_ALONE:
        return True
    granted = bool(state.grants_in_force(author, received))
    # 2. "A is E's author or is named in E, and a grant from P to A is in force (any scope)."
    if granted and (entry.author == author or author in entry.names):
        return True
    # 3. "A is named in E, E's author is P herself, and A is still engaged: at least one grant to A,
    #    one naming of A as representative, or one naming of A by P is in force."
    if author in entry.names and entry.author == state.subject:
        represents = bool(state.types_of(author, received))
        return granted or represents or state.names_in_force(author)
    return False
