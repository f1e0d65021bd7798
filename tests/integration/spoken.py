"""A plan as it is read aloud at noon, for the tests of what is said."""

from services.ledger.plan.model import Plan
from services.ledger.presentation.plan_text import plan_text
from services.ledger.presentation.plan_view import plan_view
from shared.events.event import Event
from tests.given import NOON, NORTH, SAM, TOM, ada, given, started

NAMES = {SAM: "Sam (nurse)", NORTH: "The north team", "service:notebook": "Notebook"}
IN_FORCE = (ada.grants(SAM, "observe", "interpret", "propose"), ada.grants(TOM, "observe"))


def plan_of(*events: Event) -> Plan:
    return given(started, *events).plan


def text_of(*events: Event) -> str:
    return plan_text(NAMES, plan_view(plan_of(*events), NOON))


def section(text: str, heading: str) -> list[str]:
    """The lines below a heading."""
    return text.split(f"\n{heading}\n")[1].split("\n\n", maxsplit=1)[0].splitlines()
