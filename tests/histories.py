"""Made-up histories: any number makes one event that could come next, whatever the plan is.

Everybody says everything: mostly the person, mostly about things that are there, mostly in time.
What an event says follows from its number and from the plan it meets, so a history is a list of
numbers: it can be repeated, and hypothesis shrinks it by leaving events out.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from services.ledger.plan.changes import evolve
from services.ledger.plan.model import Plan
from services.ledger.plan.rules import ACCEPTED, Verdict, decide
from shared.catalogue import CATALOGUE
from shared.event import Event, Json, timestamp
from shared.kinds import Kind
from tests.given import ADA, EVE, SAM, SHOES, TOM, event

AUTHORS = [ADA] * 11 + [SAM] * 5 + [TOM] * 2 + [EVE, SHOES, "team:north", "auditor:ann"]
OTHERS = [author for author in AUTHORS if author != ADA]
NAMES = ["a", "b", "c", "d"]
WORDS = ["I want to walk.", "Wędrówka nad morze", "海まで歩く", "\u2028\x7f😀", "Fish"]
SECTIONS = ["Food", "How I would like to be called / addressed", "Meine Katze"]
PLAN_TYPES = [name for name, row in CATALOGUE.items() if row.kind is Kind.PLAN]
TYPES = [*CATALOGUE, *["access.granted"] * 3]
OF_PERSON = [*(name for name in TYPES if CATALOGUE[name].who.person), *["proposal.accepted"] * 3]
OF_OTHERS = ["proposal.made"] * 3 + ["observation.recorded", "disagreement.stated"]
START = datetime(2026, 3, 2, 12, tzinfo=UTC)

Step = tuple[Event, Verdict]


def moment(dice: Random, place: int) -> str:
    """A moment near the event at that place of a history: before, exactly then, or after."""
    minutes = place + dice.choice([-1, 0, 1, 2, 5, 20, 200, 200, 200, 200])
    return timestamp(START + timedelta(minutes=minutes))


def one_of(dice: Random, known: Sequence[str]) -> str:
    """Mostly something that is there."""
    return dice.choice(known) if known and dice.random() < 0.93 else "missing"


def entry(dice: Random, plan: Plan) -> str:
    return one_of(dice, list(plan.entries))


def name(dice: Random) -> Json:
    return {"id": dice.choice(NAMES)} if dice.random() < 0.7 else {}


def words(dice: Random, member: str = "words") -> Json:
    """The member with somebody's words, or nothing at all."""
    return {member: dice.choice(WORDS)} if dice.random() < 0.5 else {}


def lines(plan: Plan, thing: str) -> list[str]:
    return [line["id"] for line in plan.lines.values() if line["thing"] == thing]


def planned(dice: Random, plan: Plan) -> Json:
    aim = {"aspiration": one_of(dice, lines(plan, "aspiration"))} if dice.random() < 0.4 else {}
    by = dice.choice([ADA, SAM, TOM])
    return {**name(dice), **aim, "what": dice.choice(WORDS), "by": by}


def stated(dice: Random, _plan: Plan) -> Json:
    return {**name(dice), **words(dice, "why"), "words": dice.choice(WORDS), "importance": 7}


def reworded(dice: Random, plan: Plan) -> Json:
    aim = one_of(dice, lines(plan, "aspiration"))
    return {"aspiration": aim, "words": dice.choice(WORDS)}


def written(dice: Random, _plan: Plan) -> Json:
    return {"section": dice.choice(SECTIONS), "words": dice.choice(WORDS)}


def proposed(dice: Random, plan: Plan, place: int) -> Json:
    kind = dice.choice(PLAN_TYPES)
    change = {"type": kind, "data": data_of(kind, dice, plan, place)}
    if dice.random() < 0.05:
        change = {"type": dice.choice(["access.granted", "unheard-of"]), "data": {}}
    return {"change": change, "why": "Company", "expires": moment(dice, place)}


def accepted(dice: Random, plan: Plan, place: int) -> Json:
    """An acceptance: as it was proposed, in words of one's own, or in words that do not fit."""
    proposal = one_of(dice, list(plan.beside))
    said: Json = {"proposal": proposal}
    if plan.standing_beside("proposal.made", proposal) and dice.random() < 0.4:
        kind = plan.beside[proposal]["data"]["change"]["type"]
        said["in_my_words"] = data_of(kind, dice, plan, place) if dice.random() < 0.8 else {"no": 1}
    return said


def granted(dice: Random, _plan: Plan, place: int) -> Json:
    until = moment(dice, place) if dice.random() < 0.5 else "until-withdrawn"
    scopes = dice.sample(["read", "observe", "interpret", "propose", "audit"], dice.randint(2, 4))
    said = {"to": dice.choice([SAM, SAM, TOM]), "scopes": scopes, "until": until, "purpose": "x"}
    return said | words(dice, "wording") if dice.random() < 0.5 else {**said, "wording": "Agreed."}


def observed(dice: Random, _plan: Plan) -> Json:
    seen = dice.choice(
        [{"seen_or_heard": "Walked."}, {"value": "400", "unit": "m"}, {"where": "a"}]
    )
    return {
        "who_saw": dice.choice([SAM, TOM, EVE, "a neighbour"]),
        **seen,
        **words(dice, "verbatim"),
    }


TIMELESS: dict[str, Callable[[Random, Plan], Json]] = {
    "plan.started": lambda dice, _: {"name_to_use": dice.choice(WORDS), "language": "en"},
    "about-me.written": written,
    "aspiration.stated": stated,
    "aspiration.reworded": reworded,
    "aspiration.let-go": lambda dice, plan: {
        "aspiration": one_of(dice, lines(plan, "aspiration")),
        **words(dice),
    },
    "action.planned": planned,
    "action.done": lambda dice, plan: {
        "action": one_of(dice, lines(plan, "action")),
        **words(dice),
    },
    "proposal.declined": lambda dice, plan: {
        "proposal": one_of(dice, list(plan.beside)),
        **words(dice),
    },
    "observation.recorded": observed,
    "disagreement.stated": lambda dice, plan: {"entry": entry(dice, plan), "words": "No."},
    "access.withdrawn": lambda dice, plan: {"grant": one_of(dice, list(plan.whose))},
}
TIMED: dict[str, Callable[[Random, Plan, int], Json]] = {
    "proposal.made": proposed,
    "proposal.accepted": accepted,
    "access.granted": granted,
}


def data_of(kind: str, dice: Random, plan: Plan, place: int) -> Json:
    """Data of the type's shape."""
    return TIMED[kind](dice, plan, place) if kind in TIMED else TIMELESS[kind](dice, plan)


def next_event(number: int, plan: Plan, place: int, authors: Sequence[str] = AUTHORS) -> Event:
    """The event that this number makes at this place of a history."""
    dice = Random(number)
    author = dice.choice(authors)
    fitting = OF_PERSON if author == ADA else OF_OTHERS
    kind = dice.choice(fitting if dice.random() < 0.8 else TYPES)
    if plan.state == "" and dice.random() < 0.8:
        kind, author = "plan.started", author if ADA not in authors else ADA
    posted: Json = {"type": kind, "data": data_of(kind, dice, plan, place)}
    chance = dice.random()
    if chance < 0.1:
        posted["expectedversion"] = plan.version if chance < 0.07 else dice.randint(0, 40)
    fresh = str(UUID(int=dice.getrandbits(100) * 1000 + place, version=4))
    posted["id"] = entry(dice, plan) if plan.entries and dice.random() < 0.04 else fresh
    # an intake's clock may lag behind another's
    received = timestamp(START + timedelta(minutes=place, seconds=dice.choice([0, 0, -90])))
    return event(author, posted, received=received)


def go_on(plan: Plan, numbers: Sequence[int], authors: Sequence[str] = AUTHORS) -> list[Step]:
    """Let a history happen to a plan: each event and its verdict."""
    steps, begun = [], len(plan.entries)
    for place, number in enumerate(numbers, begun):
        said = next_event(number, plan, place, authors)
        verdict = decide(plan, said)
        if verdict == ACCEPTED:
            evolve(plan, said)
        steps.append((said, verdict))
    return steps


def history(numbers: Sequence[int]) -> list[Step]:
    """A whole history of Ada's, from nothing."""
    return go_on(Plan(ADA), numbers)
