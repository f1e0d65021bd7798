"""Plan as true at a moment: the events that happened by then, whenever they were recorded.

An event happened at its `time` or, if its author stated none, when it was received. The events
up to the moment are folded in the order of the log. They are not decided again: an accepted event
stays accepted, even if its grant or representative began later.

An event whose target is missing is skipped. Its target is missing if the type's own rule, for the
plan folded so far, refuses it with one of `MISSING`: the target is unknown, in the wrong state for
the step, or not on the scale that the event names.
"""

from collections.abc import Iterable
from datetime import datetime

import orjson

from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan
from services.ledger.plan.type_rules import type_refusal
from shared.events.event import Event
from shared.events.refusals import Code
from shared.events.schema_fields import parse_time

MISSING = frozenset(
    {Code.UNKNOWN_TARGET, Code.WRONG_STATE, Code.OUT_OF_RANGE, Code.VERSION_MISMATCH}
)


def happened(event: Event) -> datetime:
    """Return the time of an event in milliseconds, the precision of entries."""
    time = parse_time(orjson.loads(event.canonical).get("time", event.received))
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def fold_true(plan: Plan, accepted: Iterable[Event], moment: str) -> Plan:
    """Fold accepted events, in the order of the log, into the plan as true at a moment."""
    until = parse_time(moment)
    for event in accepted:
        if happened(event) <= until and type_refusal(plan, event) not in MISSING:
            evolve(plan, event)
    return plan
