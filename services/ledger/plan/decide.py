"""Verdict on an event. Pure: the same history always yields the same verdict.

Time is the event's `received`, never a clock. General refusals come first, in the order of
`shared.events.refusals.Code`; then the type's own (services/ledger/plan/type_rules.py); then the
bounds of a plan (services/ledger/plan/bounds.py). `RULES` is the version of decide and evolve. A
change that alters a verdict or a plan byte of a golden history needs a new number. Before version
1.0 of Firsthand only the newest rules are supported.
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
_NAME = re.compile(rf"{ID_PATTERN}|[a-z-]+\.[a-z-]+")  # an id or a type, not prose


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event takes effect. Its author receives the warnings, which the entry records.

    `represented` is True if a representative spoke for the person.
    """

    warnings: tuple[str, ...] = ()
    represented: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The event changes nothing; `code` is the reason."""

    code: Code
    represented: bool = False


Verdict = Accepted | Refusal
ACCEPTED = Accepted()


def decide(plan: Plan, event: Event, *, reused: bool = False, bounds: Bounds = BOUNDS) -> Verdict:
    """Return the verdict on `event` for `plan`.

    `reused` is True if the log has an event of this author and id with another digest.
    """
    represented = is_represented(plan, event)
    by_person = event.by_person or represented
    code = (
        standing_refusal(plan, event)
        or _general(plan, event, reused)
        or type_refusal(plan, event)
        or bound_refusal(plan, event, bounds, by_person=by_person)
    )
    if code:
        return Refusal(code, represented and code.standing)
    if plan.avoid and not by_person and _uses_avoided_words(plan, event):
        return Accepted((PREFERRED_WORDING,), represented)
    return Accepted(represented=True) if represented else ACCEPTED


def _general(plan: Plan, event: Event, reused: bool) -> Code | None:
    """Return the general refusal of an author who has standing."""
    if reused or event.id in plan.entries:
        return Code.ID_REUSED
    if event.expectedversion is not None and event.expectedversion != plan.version:
        return Code.VERSION_CONFLICT
    return None


def _uses_avoided_words(plan: Plan, event: Event) -> bool:
    """Return whether the event contains wordings that the person wants to be avoided."""
    prose = (text for text in texts(event.data) if not _NAME.fullmatch(text))
    return any(map(plan.index.avoided.found_in, prose))


def texts(value: object) -> Iterator[str]:
    """Yield every string in a JSON value."""
    if isinstance(value, dict):
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)
    elif isinstance(value, str):
        yield value
