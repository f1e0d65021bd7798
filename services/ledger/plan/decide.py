"""decide: may this event take effect? Pure; the same history gives the same verdict for ever.

Time is the event's `received`, never a clock. General refusals come first, in the order of
`shared.events.refusals.Code`; then the type's own (services/ledger/plan/type_rules.py); then the
bounds of a plan (services/ledger/plan/bounds.py). `RULES` is the version of decide and evolve: a
change that alters one verdict or one plan byte of a golden history is a new number. Before version
1.0 of Firsthand only the newest rules are kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.ledger.plan.authorization import is_represented, standing_refusal
from services.ledger.plan.bounds import BOUNDS, Bounds, bound_refusal
from services.ledger.plan.model import Plan
from services.ledger.plan.type_rules import type_refusal
from shared.events.event import Event
from shared.events.refusals import Code
from shared.events.schema_fields import ID_PATTERN

RULES = 2
PREFERRED_WORDING = "preferred-wording"
_NAME = re.compile(rf"{ID_PATTERN}|[a-z-]+\.[a-z-]+")  # an id or a type: nobody's words


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event takes effect. A warning is told to its author and stands on the entry.

    `represented`: a representative spoke for the person.
    """

    warnings: tuple[str, ...] = ()
    represented: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The event changes nothing; `code` says why."""

    code: Code
    represented: bool = False


Verdict = Accepted | Refusal
ACCEPTED = Accepted()


def decide(plan: Plan, event: Event, *, reused: bool = False, bounds: Bounds = BOUNDS) -> Verdict:
    """The verdict on `event` for `plan`.

    `reused`: the author and id already stand in this log, with another digest.
    """
    represented = is_represented(plan, event)
    own = event.by_person or represented
    code = (
        standing_refusal(plan, event)
        or _general(plan, event, reused)
        or type_refusal(plan, event)
        or bound_refusal(plan, event, bounds, own=own)
    )
    if code:
        return Refusal(code, represented and code.standing)
    if plan.avoid and not own and _uses_avoided_words(plan, event):
        return Accepted((PREFERRED_WORDING,), represented)
    return Accepted(represented=True) if represented else ACCEPTED


def _general(plan: Plan, event: Event, reused: bool) -> Code | None:
    """The general refusals of an author who has standing."""
    if reused or event.id in plan.entries:
        return Code.ID_REUSED
    if event.expectedversion is not None and event.expectedversion != plan.version:
        return Code.VERSION_CONFLICT
    return None


def _uses_avoided_words(plan: Plan, event: Event) -> bool:
    """True when it holds words that the person asked not to hear about themselves."""
    said = (text for text in texts(event.data) if not _NAME.fullmatch(text))
    return any(map(plan.index.avoided.found_in, said))


def texts(value: object) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value
