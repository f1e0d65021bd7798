"""Made-up data of every type: mostly about existing lines and entries, sometimes not.

The data follows from the dice and from the model's state. Ids are recorded as events are
decided.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from random import Random
from typing import TypeVar

from shared.events.event import Event, Json, canonical, timestamp
from shared.events.type_names import KINDS, Kind
from tests.authorship.state import State
from tests.authorship.tables import P_ONLY, QUESTIONS, WHO

T = TypeVar("T")
ADA, BEA, EVE, BOB = "person:ada", "person:bea", "person:eve", "person:bob"
SAM, TOM, UMA, REP = "partner:sam", "partner:tom", "partner:uma", "partner:rep"
NORTH = "team:north"
NOTEBOOK, SHOES, CLINIC = "service:notebook", "service:shoes", "service:clinic"
SERVICES = (NOTEBOOK, SHOES, SHOES, SHOES, CLINIC, CLINIC, CLINIC, "service:s1", "service:s2")
STRANGERS = (EVE, BOB, SHOES, "auditor:ann", "operator:olga", "person:Ada", "team:Ada", UMA)
PARTIES = (ADA, ADA, ADA, ADA, ADA, SAM, SAM, SAM, TOM, REP, UMA, BEA, EVE)
REPRESENTATIVES = (BEA, BEA, REP, REP, SAM, EVE)
SCOPES = ("read", "observe", "interpret", "propose", "audit")
PLAN_TYPES = tuple(name for name, kind in KINDS.items() if kind is Kind.PLAN)
PERSONS_TYPES = tuple(name for name in KINDS if "P" in WHO.get(name, P_ONLY))
NAMES = tuple(f"name-{letter}" for letter in "abcde")
WORDS = (
    "Walk to the sea.",
    "Sleep.",
    "\u6d77\u307e\u3067\u6b69\u304f",
    "\u2028\x7f\U0001f600",
    "Fish",
)
SECTIONS = ("Food", "My day", "Meine Katze")
OLD_WORDS = ("old lady", "case", "difficult")
BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONES = (UTC, timezone(timedelta(hours=1)), timezone(-timedelta(hours=9, minutes=30)))
FAR = "2031-01-31T18:00:00Z"


@lru_cache(maxsize=100_000)
def stamp(seconds: int) -> str:
    """Return intake's clock, so many seconds after the start."""
    return timestamp(BEGAN + timedelta(seconds=seconds))


def make_event(
    author: str,
    kind: str,
    data: Json,
    *,
    name: str,
    seconds: int = 0,
    via: str = NOTEBOOK,
    expected: int | None = None,
) -> Event:
    """Return an event about Ada, as the ledger sees it."""
    posted: Json = {
        "specversion": "1.0",
        "id": name,
        "source": "/tests",
        "type": kind,
        "subject": ADA,
        "data": data,
    }
    if expected is not None:
        posted["expectedversion"] = expected
    return Event.from_canonical(
        canonical(posted), posted, author=author, via=via, issuer="local", received=stamp(seconds)
    )


@dataclass(slots=True)
class Maker:
    """A position in a history: the dice, the model's state, and the ids of accepted events."""

    dice: Random
    state: State
    position: int = 0
    by_type: dict[str, list[str]] = field(default_factory=dict)
    spaces: dict[str, list[str]] = field(default_factory=dict)
    every: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=lambda: ["missing"])

    @classmethod
    def at(cls, dice: Random, state: State) -> "Maker":
        """Return a maker that knows the content of a plan."""
        made = cls(dice, state)
        for name, entry in state.entries.items():
            made.by_type.setdefault(entry.type, []).append(name)
            made.every.append(name)
        for space, name in state.lines:
            made.spaces.setdefault(space, []).append(name)
        return made

    def note(self, event: Event, *, accepted: bool) -> None:
        """Record what later events may refer to."""
        if not accepted:
            self.foreign.append(event.id)
            return
        self.by_type.setdefault(event.type, []).append(event.id)
        self.every.append(event.id)
        if line := self.state.entries[event.id].line:
            self.spaces.setdefault(line[0], []).append(line[1])

    def chance(self, likely: float) -> bool:
        return self.dice.random() < likely

    def pick(self, among: Sequence[T]) -> T:
        return among[int(self.dice.random() * len(among))]

    def among(self, known: Sequence[str] | None) -> str:
        """Return one of these, mostly a recent one; sometimes one that does not exist."""
        dice = self.dice.random()
        if not known or dice < 0.05:
            return (
                self.pick(self.foreign) if dice < 0.03 or not self.every else self.pick(self.every)
            )
        if dice < 0.55:
            return known[-1 - int(self.dice.random() * min(4, len(known)))]
        return self.pick(known)

    def line(self, space: str) -> str:
        return self.among(self.spaces.get(space))

    def entry(self, *kinds: str) -> str:
        known = [kind for kind in kinds if kind in self.by_type]
        return self.among(self.by_type[self.pick(known)] if known else self.every)

    def open_entry(self, *kinds: str) -> str:
        """Return a proposal, a question or a commitment, mostly one that is open."""
        name = self.entry(*kinds)
        for _ in range(2):
            entry = self.state.entries.get(name)
            if entry is None or entry.state == "open":
                break
            name = self.entry(*kinds)
        return name

    def words(self) -> str:
        return self.pick(WORDS)

    def maybe(self, likely: float = 0.3, /, **members: object) -> Json:
        return members if self.chance(likely) else {}

    def name(self) -> Json:
        """Return a new item's id: a new one, a common one, or none."""
        dice = self.dice.random()
        if dice < 0.25:
            return {}
        return {"id": f"n{self.position}" if dice < 0.6 else self.pick(NAMES)}

    def moment(self) -> str:
        """Return a moment near this position: before, equal, after; with any offset."""
        seconds = 60 * (self.position + int(self.dice.random() * 14) - 3)
        if self.chance(0.5):
            return stamp(seconds)
        zone = self.pick(ZONES)
        digits = self.pick(("auto", "milliseconds", "microseconds"))
        return (BEGAN + timedelta(seconds=seconds)).astimezone(zone).isoformat(timespec=digits)

    def until(self) -> str:
        dice = self.dice.random()
        return "until-withdrawn" if dice < 0.4 else FAR if dice < 0.55 else self.moment()


def _planned(here: Maker) -> Json:
    aim = here.maybe(aspiration=here.line("aspiration"))
    by = here.pick((ADA, SAM, SAM, TOM, UMA, BEA, EVE))
    return {**here.name(), **aim, "what": here.words(), "by": by}


def _scale(here: Maker) -> Json:
    low, high = here.pick(((0, 10), (0, 10), (0, 10), (5, 10), (-3, 3), (5, 5), (10, 0)))
    ends = {"min": low, "max": high, "low": "no", "high": "yes"}
    return {"name": here.words(), **ends, **here.maybe(aspiration=here.line("aspiration"))}


def _rated(here: Maker) -> Json:
    measure = here.line("measure")
    line = here.state.line("measure", measure)
    version = line.version if line and here.chance(0.75) else here.pick((1, 2, 3))
    value = here.pick((-4, -3, 0, 1, 5, 6, 7, 10, 11))
    return {"measure": measure, "version": version, "value": value, **here.maybe(words="So.")}


def _change(here: Maker) -> Json:
    kind = here.pick(PLAN_TYPES)
    data = MAKE[kind](here)
    dice = here.dice.random()
    if dice < 0.03:
        data = {**data, "no-such-member": 1}
    elif dice < 0.06:
        data = dict(list(data.items())[1:])
    elif dice < 0.10:
        kind = here.pick(("access.granted", "plan.started", "unheard-of", "proposal.accepted"))
    elif dice < 0.12:
        kind, data = "wording.preferred", {"say": "x" * 101, "instead_of": "y"}
    return {"type": kind, "data": data}


def _proposed(here: Maker) -> Json:
    expires = here.moment() if here.chance(0.3) else FAR
    members = {"change": _change(here), "why": "Company helps.", "expires": expires}
    return members | here.maybe(0.2, their_words=True)


def _accepts(here: Maker) -> Json:
    """An acceptance: as proposed, in the author's own words, or in words that do not fit."""
    name = here.open_entry("proposal.made")
    data: Json = {"proposal": name}
    proposal = here.state.entry(name, "proposal.made")
    if proposal and here.chance(0.4):
        kind = proposal.data["change"]["type"]
        fits = kind in MAKE and here.chance(0.85)
        data["in_my_words"] = MAKE[kind](here) if fits else {"no": 1}
    return data


def _answers(here: Maker) -> Json:
    return {"proposal": here.open_entry("proposal.made"), **here.maybe(words="Not now.")}


def _observed(here: Maker) -> Json:
    seen = here.pick(
        (
            {"seen_or_heard": "Walked."},
            {"seen_or_heard": "Walked."},
            {"value": "400", "unit": "m"},
            {"value": "400"},
            {"unit": "m"},
            {"verbatim": "I walked."},
            {"where": "At the gate."},
        )
    )
    who = here.pick((ADA, SAM, TOM, UMA, EVE, "Sam and Tom"))
    about = here.maybe(about=here.pick((ADA, SAM, UMA, NORTH, SHOES)))
    return {"who_saw": who, **seen, **about}


def _interpreted(here: Maker) -> Json:
    seen = [here.entry("observation.recorded") for _ in range(here.pick((0, 1, 1, 2)))]
    members = {"holder": here.pick(PARTIES), "words": here.words(), "expires": here.moment()}
    return members | here.maybe(0.9, based_on=seen)


def _asked(here: Maker) -> Json:
    about = here.maybe(about=here.entry())
    return {
        "to": here.pick(PARTIES),
        "words": here.words(),
        **about,
        **here.maybe(due=here.moment()),
    }


def _answered(here: Maker) -> Json:
    sources = here.maybe(0.4, sources=here.pick((["https://example.org/a"], [])))
    kind = here.pick(("opinion", "observation", "evidence"))
    basis = here.maybe(0.85, basis={"kind": kind, **sources})
    return {"question": here.open_entry(*QUESTIONS), "words": here.words(), **basis}


def _promised(here: Maker) -> Json:
    action = here.maybe(action=here.line("action"))
    return {"what": here.words(), "due": here.moment(), "to": here.pick(PARTIES), **action}


def _granted(here: Maker) -> Json:
    to = here.pick((SAM, SAM, SAM, TOM, TOM, UMA, REP, REP, NORTH, "emergency"))
    scopes = here.dice.sample(SCOPES, 1 + int(here.dice.random() * 4))
    members = {"to": to, "scopes": scopes, "until": here.until(), "purpose": "Walking"}
    return members | here.maybe(0.9, wording="Sam may do this.")


def _sent(here: Maker) -> Json:
    scope = here.dice.sample(PERSONS_TYPES, 2 + int(here.dice.random() * 14))
    if here.chance(0.85):
        scope = [name for name in scope if not name.startswith("representative.")]
    if here.chance(0.5):
        scope.append("proposal.accepted")
    if here.chance(0.1):
        scope.append("proposal.made")
    members = {"scope": scope or ["plan.closed"], "authority": "My wish.", "until": here.until()}
    return {"representative": here.pick(REPRESENTATIVES), **members}


def _of_line(member: str) -> Callable[[Maker], Json]:
    return lambda here: {member: here.line(member), **here.maybe(words=here.words())}


def _reworded(member: str) -> Callable[[Maker], Json]:
    return lambda here: {member: here.line(member), "words": here.words()}


def _named(here: Maker) -> Json:
    return {**here.name(), "words": here.words()}


def _of_entry(member: str, *kinds: str) -> Callable[[Maker], Json]:
    def make(here: Maker) -> Json:
        among = kinds if kinds and here.chance(0.8) else ()
        return {"entry": here.entry(*among), member: here.words()}

    return make


def _of(member: str, *kinds: str) -> Callable[[Maker], Json]:
    return lambda here: {member: here.open_entry(*kinds), **here.maybe(words=here.words())}


DISPUTED = ("observation.recorded", "action.planned", "question.asked", "proposal.made")
BESIDE = ("observation.recorded", "disagreement.stated", "question.asked", "proposal.made")
MAKE: dict[str, Callable[[Maker], Json]] = {
    "plan.started": lambda here: {"name_to_use": here.words(), "language": "en"},
    "plan.closed": lambda here: here.maybe(words=here.words()),
    "plan.reopened": lambda here: here.maybe(words=here.words()),
    "about-me.written": lambda here: {
        "section": here.pick(SECTIONS) if here.chance(0.8) else f"Section {here.position}",
        "words": here.words(),
    },
    "aspiration.stated": lambda here: {**_named(here), **here.maybe(importance=7)},
    "aspiration.reworded": _reworded("aspiration"),
    "aspiration.paused": _of_line("aspiration"),
    "aspiration.resumed": _of_line("aspiration"),
    "aspiration.reached": _of_line("aspiration"),
    "aspiration.let-go": _of_line("aspiration"),
    "aspirations.ranked": lambda here: {
        "order": [here.line("aspiration") for _ in range(here.pick((1, 1, 2, 3)))]
    },
    "strength.named": _named,
    "strength.reworded": _reworded("item"),
    "need.named": _named,
    "need.reworded": _reworded("item"),
    "item.withdrawn": lambda here: {"item": here.line("item")},
    "action.planned": _planned,
    "action.reworded": _reworded("action"),
    "action.done": _of_line("action"),
    "action.dropped": _of_line("action"),
    "measure.defined": lambda here: {**here.name(), **_scale(here)},
    "measure.revised": lambda here: {"measure": here.line("measure"), **_scale(here)},
    "measure.rated": _rated,
    "safety-plan.written": lambda here: {
        "sections": [{"heading": "What helps", "words": here.words()}]
    },
    "advance-choice.made": lambda here: {**_named(here), "applies_when": "At night."},
    "advance-choice.revised": lambda here: {
        **_reworded("choice")(here),
        **here.maybe(0.5, applies_when=here.pick(("At night.", "By day."))),
    },
    "advance-choice.revoked": _of_line("choice"),
    "wording.preferred": lambda here: {
        "say": "Ada",
        "instead_of": here.pick(OLD_WORDS) if here.chance(0.6) else f"word {here.position}",
    },
    "proposal.accepted": _accepts,
    "proposal.declined": _answers,
    "proposal.parked": _answers,
    "proposal.made": _proposed,
    "observation.recorded": _observed,
    "interpretation.offered": _interpreted,
    "disagreement.stated": _of_entry("words", *DISPUTED),
    "correction.requested": _of_entry("what_is_wrong"),
    "correction.made": _of_entry("words", *DISPUTED),
    "correction.declined": _of_entry("reason", *DISPUTED),
    "entry.retracted": _of_entry("words", *BESIDE),
    "authorship.denied": _of_entry("words", *DISPUTED, *PLAN_TYPES),
    "question.asked": _asked,
    "question.answered": _answered,
    "question.closed": _of("question", *QUESTIONS),
    "question.set-aside": _of("question", *QUESTIONS),
    "commitment.made": _promised,
    "commitment.kept": _of("commitment", "commitment.made"),
    "commitment.not-kept": _of("commitment", "commitment.made"),
    "advance-choice.departed-from": lambda here: {
        "choice": here.line("choice"),
        "done_instead": "We drove.",
        "why": "Nobody could stay.",
        "alternatives_tried": ["Mrs Hill was asked."],
    },
    "access.granted": _granted,
    "access.withdrawn": lambda here: {"grant": here.entry("access.granted")},
    "representative.named": _sent,
    "representative.ended": lambda here: {"representative": here.pick((*REPRESENTATIVES, TOM))},
    "service.barred": lambda here: {"service": here.pick(SERVICES)},
    "service.unbarred": lambda here: {"service": here.pick(SERVICES)},
}
