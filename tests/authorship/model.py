"""Who may author what, a second time: a model of the rules, from the specification alone.

It imports nothing of the ledger. Quotes are sentences of the specification (the page of events, and
version 2 of the rules). `verdict` gives a refusal's code, or None where the event is accepted;
`apply` (effects.py) is called with accepted events only. It prefers readability to speed.
"""

from shared.events.event import Event
from tests.authorship.bounds import plan_full, too_many
from tests.authorship.own_refusals import OWN_REFUSALS
from tests.authorship.standing import no_standing
from tests.authorship.state import State

Code = str | None


def verdict(state: State, event: Event, *, reused: bool = False) -> Code:
    """“General refusals first; then the type's own”, then `too-many`, then `plan-full`.

    `reused`: “same author and id with another digest” is somewhere in the log.
    """
    return (
        no_standing(state, event)
        or _id_reused(state, event, reused=reused)
        or _version_conflict(state, event)
        or OWN_REFUSALS[event.type](state, event)
        or too_many(state, event)
        or plan_full(state, event)
    )


def _id_reused(state: State, event: Event, *, reused: bool) -> Code:
    """“Or an id already borne by an accepted event in that person's stream.”"""
    return "id-reused" if reused or event.id in state.entries else None


def _version_conflict(state: State, event: Event) -> Code:
    """`expectedversion`: “the plan version the author saw”."""
    expected = event.expectedversion
    return "version-conflict" if expected not in (None, state.version) else None
