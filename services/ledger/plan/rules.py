"""decide: may this event take effect? Pure; the same history gives the same verdict for ever.

Time is the event's `received`, never a clock. General refusals come first, in the order of
`shared.refusals.Code`; then the type's own (services/ledger/plan/own.py). `RULES` is the version
of decide and evolve: a change that alters one verdict or one plan byte of a golden history is a
new number, and the old one stays runnable beside it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.ledger.plan.model import Plan
from services.ledger.plan.own import own_refusal
from services.ledger.plan.standing import is_represented, standing_refusal
from shared.event import Event
from shared.fields import ID_PATTERN
from shared.refusals import Code

RULES = 1
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


def decide(plan: Plan, event: Event, *, reused: bool = False) -> Verdict:
    """The verdict on `event` for `plan`.

    `reused`: the author and id already stand in this log, with another digest.
    """
    code = (
        standing_refusal(plan, event) or _general(plan, event, reused) or own_refusal(plan, event)
    )
    represented = is_represented(plan, event)
    if code:
        return Refusal(code, represented and code.standing)
    if plan.avoid and not (event.by_person or represented) and _uses_avoided_words(plan, event):
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
    said = [text.casefold() for text in texts(event.data) if not _NAME.fullmatch(text)]
    avoided = (re.escape(words.casefold()) for words in plan.avoid)
    whole = re.compile("|".join(rf"(?<!\w){words}(?!\w)" for words in avoided))
    return any(whole.search(text) for text in said)


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
