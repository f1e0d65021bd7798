"""Made-up data of every type: valid in shape, mostly about existing lines.

The data follows from the dice, from the plan, and from the position in its history.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Json, timestamp
from shared.events.schema_fields import SCOPES
from shared.events.type_names import Kind
from tests.voices import ADA, BEA, EVE, NORTH, NOTEBOOK, SAM, SHOES, TOM

NAMES = ["a", "b", "c", "d"]
WORDS = ["I want to walk.", "Wędrówka nad morze", "海まで歩く", "\u2028\x7f😀", "Fish"]
SECTIONS = ["Food", "How I would like to be called / addressed", "Meine Katze"]
PLAN_TYPES = [name for name, row in CATALOGUE.items() if row.kind is Kind.PLAN]
PERSONS_TYPES = [name for name, row in CATALOGUE.items() if row.who.person]
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass(slots=True)
class Here:
    """A position in a history: the plan at that point, and the dice."""

    dice: Random
    plan: Plan
    position: int

    def one_of(self, known: Sequence[str]) -> str:
        """Return one of the known names, sometimes a missing one."""
        return self.dice.choice(known) if known and self.dice.random() < 0.93 else "missing"

    def line(self, *things: str) -> str:
        """Return the name of a line of these sorts, sometimes a missing one."""
        named = [line["id"] for line in self.plan.lines.values() if line["thing"] in things]
        return self.one_of(named)

    def put(self, *kinds: str) -> str:
        """Return an item of these types beside the plan, sometimes one of another type."""
        every = self.dice.random() < 0.03
        return self.one_of(
            [n for n, row in self.plan.beside.items() if every or row["type"] in kinds]
        )

    def entry(self) -> str:
        """Return an entry, mostly one beside the plan."""
        among = self.plan.beside if self.dice.random() < 0.6 else self.plan.entries
        return self.one_of(list(among))

    def maybe(self, chance: float = 0.5, /, **members: Any) -> Json:
        """Return the members, or none."""
        return members if self.dice.random() < chance else {}

    def name(self) -> Json:
        return self.maybe(0.7, id=self.dice.choice(NAMES))

    def words(self) -> str:
        return self.dice.choice(WORDS)

    def words_if_any(self, member: str = "words") -> Json:
        return self.maybe(**{member: self.words()})

    def moment(self) -> str:
        """Return a moment near this position of the history: before, equal, or after."""
        minutes = self.position + self.dice.choice([-1, 0, 1, 2, 5, 20, 200, 200, 200, 200])
        return timestamp(START + timedelta(minutes=minutes))

    def until(self) -> str:
        return self.moment() if self.dice.random() < 0.5 else "until-withdrawn"

    def party(self) -> str:
        return self.dice.choice([ADA, ADA, SAM, SAM, TOM, EVE])


def _planned(here: Here) -> Json:
    aim = here.maybe(0.4, aspiration=here.line("aspiration"))
    by = here.dice.choice([ADA, SAM, TOM])
    return {**here.name(), **aim, "what": here.words(), "by": by}


def _scale(here: Here) -> Json:
    low = here.dice.choice([0, 0, 0, 5, 10])
    ends = {"min": low, "max": 10 if here.dice.random() < 0.8 else 5, "low": "no", "high": "yes"}
    aim = here.maybe(0.3, aspiration=here.line("aspiration"))
    return {"name": here.words(), **ends, **aim, **here.words_if_any("rhythm")}


def _rated(here: Here) -> Json:
    measure = here.line("measure")
    line = here.plan.line("measure", measure)
    version = line["data"]["version"] if line and here.dice.random() < 0.8 else 2
    return {
        "measure": measure,
        "version": version,
        "value": here.dice.randint(-1, 11),
    } | here.words_if_any()


def _proposed(here: Here) -> Json:
    kind = here.dice.choice([*PLAN_TYPES, *["measure.rated"] * 2])
    change = {"type": kind, "data": data_of(kind, here)}
    if here.dice.random() < 0.05:
        change = {"type": here.dice.choice(["access.granted", "unheard-of"]), "data": {}}
    expires = here.moment() if here.dice.random() < 0.3 else "2027-03-02T12:00:00+01:00"
    return {"change": change, "why": "Company", "expires": expires}


def _accepted(here: Here) -> Json:
    """An acceptance: as proposed, in the person's own words, or in words that do not fit."""
    proposal = here.put("proposal.made")
    data: Json = {"proposal": proposal}
    if here.plan.annotation_of_type("proposal.made", proposal) and here.dice.random() < 0.4:
        kind = here.plan.beside[proposal]["data"]["change"]["type"]
        data["in_my_words"] = data_of(kind, here) if here.dice.random() < 0.8 else {"no": 1}
    return data


def _answer(here: Here) -> Json:
    return {"proposal": here.put("proposal.made"), **here.words_if_any()}


def _observed(here: Here) -> Json:
    seen = here.dice.choice([{"seen_or_heard": "Walked."}, {"value": "400"}, {"where": "a"}])
    who = here.dice.choice([SAM, TOM, EVE, "a neighbour"])
    return {"who_saw": who, **seen, **here.words_if_any("verbatim")}


def _interpreted(here: Here) -> Json:
    seen = [here.put("observation.recorded") for _ in range(here.dice.randint(0, 2))]
    data = {"holder": here.party(), "words": here.words(), "expires": here.moment()}
    return data | here.maybe(0.9, based_on=seen)


def _asked(here: Here) -> Json:
    about = here.maybe(0.3, about=here.entry())
    due = here.maybe(0.3, due=here.moment())
    return {"to": here.party(), "words": here.words(), **about, **due}


def _answered(here: Here) -> Json:
    kind = here.dice.choice(["opinion", "opinion", "observation", "evidence"])
    sources = here.maybe(sources=["https://example.org/a"])
    basis = here.maybe(0.8, basis={"kind": kind} | sources)
    return {"question": here.put(*QUESTIONS), "words": here.words(), **basis}


def _promised(here: Here) -> Json:
    action = here.maybe(0.3, action=here.line("action"))
    return {"what": here.words(), "due": here.moment(), "to": here.party(), **action}


def _granted(here: Here) -> Json:
    to = here.dice.choice([SAM, SAM, SAM, TOM, TOM, NORTH, "emergency"])
    scopes = here.dice.sample(SCOPES, here.dice.randint(2, 4))
    data = {"to": to, "scopes": scopes, "until": here.until(), "purpose": "x"}
    return data | here.maybe(0.9, wording=here.words())


def _named(here: Here) -> Json:
    scope = here.dice.sample(PERSONS_TYPES, here.dice.randint(1, 12))
    if here.dice.random() < 0.85:
        scope = [name for name in scope if not name.startswith("representative.")] or [
            "action.done"
        ]
    data = {"scope": scope, "authority": "x", "until": here.until()}
    return {"representative": here.dice.choice([BEA, BEA, SAM, EVE]), **data}


def _of_line(member: str, *things: str) -> Callable[[Here], Json]:
    return lambda here: {member: here.line(*things), **here.words_if_any()}


def _reworded(member: str, *things: str) -> Callable[[Here], Json]:
    return lambda here: {member: here.line(*things), "words": here.words()}


def _named_words(here: Here) -> Json:
    return {**here.name(), "words": here.words()}


def _of_entry(member: str) -> Callable[[Here], Json]:
    return lambda here: {"entry": here.entry(), member: here.words()}


def _of_question(here: Here) -> Json:
    return {"question": here.put(*QUESTIONS), **here.words_if_any()}


def _of_promise(here: Here) -> Json:
    return {"commitment": here.put("commitment.made"), **here.words_if_any()}


QUESTIONS = ("question.asked", "advance-choice.departed-from")
MAKE: dict[str, Callable[[Here], Json]] = {
    "plan.started": lambda here: {"name_to_use": here.words(), "language": "en"},
    "plan.closed": Here.words_if_any,
    "plan.reopened": Here.words_if_any,
    "about-me.written": lambda here: {
        "section": here.dice.choice(SECTIONS),
        "words": here.words(),
    },
    "aspiration.stated": lambda here: (
        _named_words(here) | here.words_if_any("why") | {"importance": 7}
    ),
    "aspiration.reworded": _reworded("aspiration", "aspiration"),
    "aspiration.paused": _of_line("aspiration", "aspiration"),
    "aspiration.resumed": _of_line("aspiration", "aspiration"),
    "aspiration.reached": _of_line("aspiration", "aspiration"),
    "aspiration.let-go": _of_line("aspiration", "aspiration"),
    "aspirations.ranked": lambda here: {
        "order": [here.line("aspiration") for _ in range(here.dice.randint(1, 3))]
    },
    "strength.named": _named_words,
    "strength.reworded": _reworded("item", "strength", "strength", "need"),
    "need.named": _named_words,
    "need.reworded": _reworded("item", "need", "need", "strength"),
    "item.withdrawn": lambda here: {"item": here.line("strength", "need")},
    "action.planned": _planned,
    "action.reworded": _reworded("action", "action"),
    "action.done": _of_line("action", "action"),
    "action.dropped": _of_line("action", "action"),
    "measure.defined": lambda here: {**here.name(), **_scale(here)},
    "measure.revised": lambda here: {"measure": here.line("measure"), **_scale(here)},
    "measure.rated": _rated,
    "safety-plan.written": lambda here: {
        "sections": [{"heading": "What helps", "words": here.words()}]
    },
    "advance-choice.made": lambda here: {**_named_words(here), "applies_when": "At night."},
    "advance-choice.revised": lambda here: {
        "choice": here.line("choice"),
        "words": here.words(),
        **here.words_if_any("applies_when"),
    },
    "advance-choice.revoked": _of_line("choice", "choice"),
    "wording.preferred": lambda here: {"say": "Ada", "instead_of": here.words()},
    "proposal.accepted": _accepted,
    "proposal.declined": _answer,
    "proposal.parked": _answer,
    "proposal.made": _proposed,
    "observation.recorded": _observed,
    "interpretation.offered": _interpreted,
    "disagreement.stated": _of_entry("words"),
    "correction.requested": _of_entry("what_is_wrong"),
    "correction.made": _of_entry("words"),
    "correction.declined": _of_entry("reason"),
    "entry.retracted": _of_entry("words"),
    "authorship.denied": _of_entry("words"),
    "question.asked": _asked,
    "question.answered": _answered,
    "question.closed": _of_question,
    "question.set-aside": _of_question,
    "commitment.made": _promised,
    "commitment.kept": _of_promise,
    "commitment.not-kept": _of_promise,
    "advance-choice.departed-from": lambda here: {
        "choice": here.line("choice"),
        "done_instead": here.words(),
        "why": here.words(),
        "alternatives_tried": ["x"],
    },
    "access.granted": _granted,
    "access.withdrawn": lambda here: {
        "grant": here.one_of([name for name in here.plan.whose if ":" not in name])
    },
    "representative.named": _named,
    "representative.ended": lambda here: {"representative": here.dice.choice([BEA, BEA, BEA, TOM])},
    "service.barred": lambda here: {"service": here.dice.choice([SHOES] * 15 + [NOTEBOOK])},
    "service.unbarred": lambda here: {"service": here.dice.choice([SHOES, NOTEBOOK])},
}


def data_of(kind: str, here: Here) -> Json:
    """Return data of the type's shape."""
    return MAKE[kind](here)
