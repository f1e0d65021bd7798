"""Every event type in one table: who may author it, its shape, its effect, its sentences.

Intake's shape check, the ledger's rules, the reference page, the JSON Schemas and the served
examples all read this table. A type is never renamed or removed; a shape only grows, or gets a
new `dataschema` number beside the old one. Shapes need no plan; a few members are optional in
them because the ledger refuses their absence on the record.
"""

from shared.events.catalogue import kind_beside, kind_equal, kind_plan, kind_plan_care, kind_whose
from shared.events.catalogue.event_type import EventType

__all__ = ["CATALOGUE", "TYPE_NAMES", "VERSION", "EventType"]

VERSION = 2  # of the catalogue; sealed messages carry it, so an older worker knows to wait
_ROWS = (
    *kind_plan.ROWS,
    *kind_plan_care.ROWS,
    *kind_beside.ROWS,
    *kind_equal.ROWS,
    *kind_whose.ROWS,
)
CATALOGUE: dict[str, EventType] = {each.name: each for each in _ROWS}
TYPE_NAMES: tuple[str, ...] = tuple(CATALOGUE)
