"""Catalogue of event types: who may author each type, its schema, its effect, its sentences.

Intake's validation, the ledger's rules, the reference page, the JSON Schemas and the served
examples all read this table. A type is never renamed or removed. A schema may only get further
members, or a new `dataschema` number beside the old one. Schemas need no plan; a few members are
optional in them because the ledger records and refuses events without them.
"""

from shared.events.catalogue import kind_beside, kind_equal, kind_plan, kind_plan_care, kind_whose
from shared.events.catalogue.event_type import EventType

__all__ = ["CATALOGUE", "TYPE_NAMES", "VERSION", "EventType"]

VERSION = 2  # of the catalogue; messages contain it, so that an older worker waits
_ROWS = (
    *kind_plan.ROWS,
    *kind_plan_care.ROWS,
    *kind_beside.ROWS,
    *kind_equal.ROWS,
    *kind_whose.ROWS,
)
CATALOGUE: dict[str, EventType] = {event_type.name: event_type for event_type in _ROWS}
TYPE_NAMES: tuple[str, ...] = tuple(CATALOGUE)
