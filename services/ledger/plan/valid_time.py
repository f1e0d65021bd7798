"""What was true at a moment: the events that happened until then, whenever they were recorded.

An event happened at its own `time`; where its author gave none, when it was received. Those until
the moment are folded in the order of the log, which settles everything else. They are never judged
again: what was accepted stays accepted, whatever grants or representatives had not begun by then.

One whose target is missing has no effect. Its target is missing where the type's own rule would
refuse it, in the plan so folded, with one of `MISSING`: what it points at is not there, not in a
state to take its step from, or not on the scale that it names.
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
    """When an event happened, to the millisecond, as entries write moments."""
    told = parse_time(orjson.loads(event.canonical).get("time", event.received))
    return told.replace(microsecond=told.microsecond // 1000 * 1000)


def fold_true(plan: Plan, accepted: Iterable[Event], moment: str) -> Plan:
    """Fold accepted events, in the order of the log, into what was true at a moment."""
    until = parse_time(moment)
    for each in accepted:
        if happened(each) <= until and type_refusal(plan, each) not in MISSING:
            evolve(plan, each)
    return plan
