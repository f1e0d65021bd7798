"""Made-up histories: any number makes one event that could come next, whatever the plan is.

Anyone may be the author: mostly the person, mostly about existing lines, mostly in time. An event
follows from its number and from the plan, so a history is a list of numbers: it can be repeated,
and hypothesis shrinks it by leaving events out.
"""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from uuid import UUID

from services.ledger.plan.bounds import BOUNDS, Bounds
from services.ledger.plan.decide import Accepted, Verdict, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json, timestamp
from tests.made_up import START, Here, data_of
from tests.voices import ADA, BEA, EVE, NORTH, NOTEBOOK, SAM, SHOES, TOM, event

AUTHORS = [ADA] * 12 + [SAM] * 5 + [TOM] * 2 + [BEA] * 2 + [EVE, SHOES, NORTH, "auditor:ann"]
OTHERS = [author for author in AUTHORS if author != ADA]
# These come more often, because other types refer to them.
OFTEN = ["access.granted"] * 5 + ["aspiration.stated", "measure.defined", "representative.named"]
TYPES = [*CATALOGUE, *OFTEN]
OF_PERSON = [
    *(name for name in TYPES if CATALOGUE[name].who.person),
    *["proposal.accepted"] * 4,
    *["measure.rated"] * 2,
]
OF_OTHERS = [
    *(name for name, row in CATALOGUE.items() if row.who.scope or row.who.named),
    *["proposal.made"] * 6,
    *["observation.recorded", "question.asked", "commitment.made"] * 2,
]

Step = tuple[Event, Verdict]
# So low that a short history reaches all of them.
SMALL = Bounds(
    open_lines=6,
    in_force=5,
    wordings=2,
    barred=1,
    disagreements=2,
    own_bytes=6_000,
    protective_bytes=6_400,
    others_bytes=1_600,
)


def type_of(dice: Random, author: str) -> str:
    """Choose a type: mostly one that this author is allowed."""
    if dice.random() < 0.1:
        return dice.choice(TYPES)
    if author == ADA or author in (BEA, EVE):
        return dice.choice(OF_PERSON)
    return dice.choice(OF_OTHERS if dice.random() < 0.85 else OF_PERSON)


def said_by(author: str, here: Here) -> tuple[str, Json]:
    """Return a type and its data: mostly about existing lines, by an author they concern."""
    kind = type_of(here.dice, author)
    data = data_of(kind, here)
    for _ in range(3):
        if "missing" not in data.values():
            break
        kind = type_of(here.dice, author)
        data = data_of(kind, here)
    return kind, data


def next_event(number: int, plan: Plan, position: int, authors: Sequence[str] = AUTHORS) -> Event:
    """Return the event that this number makes at this position of a history."""
    dice = Random(number)
    author = dice.choice(authors)
    kind, data = said_by(author, Here(dice, plan, position))
    if plan.state == "" and dice.random() < 0.8:
        kind, author = "plan.started", author if ADA not in authors else ADA
        data = data_of(kind, Here(dice, plan, position))
    posted: Json = {"type": kind, "data": data}
    chance = dice.random()
    if chance < 0.1:
        posted["expectedversion"] = plan.version if chance < 0.07 else dice.randint(0, 40)
    fresh = str(UUID(int=dice.getrandbits(100) * 1000 + position, version=4))
    used = plan.entries and dice.random() < 0.03
    posted["id"] = dice.choice(list(plan.entries)) if used else fresh
    # an intake's clock may lag behind another's
    received = timestamp(START + timedelta(minutes=position, seconds=dice.choice([0, 0, -90])))
    via = NOTEBOOK if dice.random() < 0.85 else SHOES
    return event(author, posted, received=received, via=via)


def go_on(
    plan: Plan,
    numbers: Sequence[int],
    authors: Sequence[str] = AUTHORS,
    bounds: Bounds = BOUNDS,
) -> list[Step]:
    """Apply a history to a plan; return each event with its verdict."""
    steps, begun = [], len(plan.entries)
    for position, number in enumerate(numbers, begun):
        event = next_event(number, plan, position, authors)
        verdict = decide(plan, event, bounds=bounds)
        if isinstance(verdict, Accepted):
            evolve(plan, event)
        steps.append((event, verdict))
    return steps


def history(numbers: Sequence[int], bounds: Bounds = BOUNDS) -> list[Step]:
    """Return a whole history of Ada's plan, from its beginning."""
    return go_on(Plan(ADA), numbers, bounds=bounds)
