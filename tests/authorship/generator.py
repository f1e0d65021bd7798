"""Random histories that reach every rule, by authors with and without a right to say something.

A history begins at a start (starts.py): nothing, a plan with people in it, or a plan grown to just
below a bound. Every event follows from the dice and from the model's state. Most are by an allowed
author, about an existing line or entry. The rest are by strangers, by partners whose grant expired
or was withdrawn, under reused ids, on stale versions, or through barred services.
"""

from collections.abc import Sequence
from random import Random

import orjson

from shared.events.event import Event, Json, canonical
from shared.events.schema_fields import UNTIL_WITHDRAWN
from shared.events.type_names import KINDS
from tests.authorship.data import (
    ADA,
    BEA,
    BEGAN,
    CLINIC,
    FAR,
    MAKE,
    NORTH,
    NOTEBOOK,
    REP,
    SAM,
    SHOES,
    STRANGERS,
    TOM,
    UMA,
    Maker,
    make_event,
    stamp,
)
from tests.authorship.standing import speaks_for_person
from tests.authorship.state import Entry, State, instant
from tests.authorship.tables import MOST_BYTES, P_ONLY, PROTECTIVE, WHO

PARTNERS = (SAM, SAM, SAM, SAM, TOM, TOM, NORTH, REP, UMA, "partner:ivy")
ENDING = ("access.granted", "representative.named", "proposal.made")
WITH_A_GRANT = ("proposal.made", "observation.recorded", "commitment.made", "question.asked")
SENT = (BEA, BEA, REP, REP, SAM)
# Extra weights: types that others refer to, and types that are seldom accepted, must be frequent.
OFTEN = {
    "proposal.accepted": 9,
    "proposal.made": 8,
    "measure.rated": 8,
    "commitment.made": 8,
    "commitment.not-kept": 8,
    "commitment.kept": 7,
    "question.answered": 6,
    "access.granted": 5,
    "representative.named": 5,
    "question.asked": 5,
    "service.unbarred": 5,
    "aspiration.resumed": 5,
    "interpretation.offered": 4,
    "aspiration.stated": 3,
    "disagreement.stated": 3,
    "entry.retracted": 3,
    "action.planned": 3,
    "measure.defined": 3,
    "question.set-aside": 3,
    "representative.ended": 3,
    "action.dropped": 2,
    "measure.revised": 2,
    "advance-choice.revised": 2,
    "observation.recorded": 2,
    "advance-choice.made": 2,
    "authorship.denied": 2,
    "aspiration.paused": 2,
    "plan.closed": 2,
    "plan.reopened": 2,
    "question.closed": 2,
    "action.done": 2,
    "advance-choice.departed-from": 2,
    "need.reworded": 2,
    "strength.reworded": 2,
    "proposal.declined": 2,
    "proposal.parked": 2,
}
TYPES = tuple(kind for kind in KINDS for _ in range(1 + OFTEN.get(kind, 0)))


class Generator:
    """Makes the next event of a history. The types in `often` are more frequent."""

    def __init__(self, dice: Random, state: State, often: Sequence[str] = ()) -> None:
        self._dice, self._state = dice, state
        self._maker = Maker.at(dice, state)
        more = tuple(often) * (2 * len(TYPES) // max(1, len(often)))
        self._types = (*TYPES, *more)
        self._refused: list[str] = []
        self._ending: list[Event] = []
        self._salt = f"{dice.getrandbits(32):08x}-0000-4000-8000"

    def next(self) -> Event:
        """Return an event that could come next."""
        self._maker.position += 1
        kind, author = self._who_says_what()
        seconds, data = self._clock(), Json()
        if self._ending and self._dice.random() < 0.04:
            kind, author, seconds, data = self._at_the_moment()
        elif kind == "proposal.accepted" and author and self._dice.random() < 0.3:
            data = self._their_own(author)
        data = data or MAKE[kind](self._maker)
        event = make_event(
            author or self._author(kind, data),
            kind,
            data,
            name=self._id(),
            seconds=seconds,
            via=self._maker.pick((NOTEBOOK,) * 6 + (SHOES, CLINIC)),
            expected=self._expected(),
        )
        return self._filling(event) if self._dice.random() < 0.05 else event

    def note(self, event: Event, *, accepted: bool) -> None:
        """Note the verdict of an event."""
        self._maker.note(event, accepted=accepted)
        ends = event.data.get("expires") or event.data.get("until", UNTIL_WITHDRAWN)
        emergency = event.data.get("to") == "emergency"  # which is no author's id
        if not accepted:
            self._refused.append(event.id)
        elif event.type in ENDING and ends not in (UNTIL_WITHDRAWN, FAR) and not emergency:
            self._ending = [*self._ending[-8:], event]

    def _filling(self, event: Event) -> Event:
        """Return the event with words that fill an account of bytes, or exceed it by one."""
        state = self._state
        for_person = speaks_for_person(state, event)
        account = (
            "others" if not for_person else "protective" if event.type in PROTECTIVE else "own"
        )
        left = MOST_BYTES[account] - (state.own_bytes if for_person else state.others_bytes)
        more = left + self._maker.pick((0, 1)) - len(event.canonical)
        if not 0 < more < 1_500 or "words" not in event.data:
            return event
        posted = orjson.loads(event.canonical)
        posted["data"]["words"] += "x" * more
        return event._replace(data=posted["data"], canonical=canonical(posted))

    def _at_the_moment(self) -> tuple[str, str, int, Json]:
        """Use a grant, a naming or a proposal exactly when it expires."""
        ending = self._maker.pick(self._ending)
        data = ending.data
        ends = instant(data.get("expires") or data["until"])
        seconds = int((ends - BEGAN).total_seconds())
        if ending.type == "proposal.made":
            return "proposal.accepted", ADA, seconds, {"proposal": ending.id}
        if ending.type == "representative.named":
            return self._maker.pick(data["scope"]), data["representative"], seconds, {}
        return self._maker.pick(WITH_A_GRANT), data["to"], seconds, {}

    def _expected(self) -> int | None:
        """Return the version that the author saw: mostly none, else mostly the current one."""
        dice, version = self._dice.random(), self._state.version
        if dice < 0.04:
            return max(0, version + self._maker.pick((-2, -1, 1)))
        return version if dice < 0.10 else None

    def _their_own(self, author: str) -> Json:
        """Return a late proposal of the author, if there is one."""
        entries = self._state.entries
        for name in reversed(self._maker.by_type.get("proposal.made", [])[-12:]):
            if entries[name].author == author:
                return {"proposal": name}
        return {}

    def _clock(self) -> int:
        """Return the clock of an intake: mostly in step, some behind, some ahead."""
        now, dice = 60 * self._maker.position, self._dice.random()
        return now + (0 if dice < 0.8 else -90 if dice < 0.9 else -3600 if dice < 0.95 else 300)

    def _id(self) -> str:
        """Return an id: mostly a new one, sometimes a used one."""
        dice = self._dice.random()
        if dice < 0.025 and self._maker.every:
            return self._maker.pick(self._maker.every)
        if dice < 0.035 and self._refused:
            return self._maker.pick(self._refused)
        return f"{self._salt}-{self._maker.position:012x}"

    def _who_says_what(self) -> tuple[str, str]:
        """Return a type and, if chosen first, its author."""
        state, maker = self._state, self._maker
        if state.phase == "" and self._dice.random() < 0.4:
            return "plan.started", ADA if self._dice.random() < 0.8 else ""
        if self._dice.random() < 0.10:
            author = maker.pick(SENT)
            types = state.types_of(author, stamp(60 * maker.position))
            if types:
                accepts = "proposal.accepted" in types and self._dice.random() < 0.4
                return "proposal.accepted" if accepts else maker.pick(sorted(types)), author
        return maker.pick(self._types), ""

    def _author(self, kind: str, data: Json) -> str:
        """Return an author: mostly one who is allowed."""
        ways, maker = WHO.get(kind, P_ONLY), self._maker
        dice = self._dice.random()
        if dice < 0.06:
            return maker.pick(STRANGERS)
        if dice < 0.12:
            return maker.pick((*PARTNERS, BEA, ADA))
        way = maker.pick(ways)
        entry = self._state.entry(data[ways[-1][2:-1]]) if ways[-1].startswith("N") else None
        fitting = _meant(kind, entry) if entry else ""
        if ":" in fitting and dice < 0.7:
            return fitting
        if way == "P":
            return ADA
        if entry and dice > 0.2:
            return maker.pick((entry.author, *sorted(name for name in entry.names if ":" in name)))
        return maker.pick(PARTNERS)


def _meant(kind: str, entry: Entry) -> str:
    """Return the addressee of a type about an entry, or its author; "" for other types."""
    if kind in ("question.answered", "commitment.kept", "commitment.not-kept"):
        return str(entry.data.get("to", entry.author))
    if kind == "question.closed":
        return ADA if entry.type == "advance-choice.departed-from" else entry.author
    return "" if kind == "disagreement.stated" else entry.author
