"""Starts of histories: nothing, a plan with people in it, plans grown to just below each bound.

Each start is made of events that the rules and the model both accept. A plan is grown by posting
events, not by setting a number.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from services.ledger.plan.decide import Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, copy_of
from shared.events.event import Json
from tests.authorship.data import ADA, BEA, FAR, REP, SAM, TOM, UMA, make_event
from tests.authorship.effects import apply
from tests.authorship.model import verdict
from tests.authorship.standing import speaks_for_person
from tests.authorship.state import State
from tests.authorship.tables import MOST, MOST_BYTES, NEW_LINES, PROTECTIVE

WIDE = "\u6d77" * 10_000  # 30,000 bytes
ROOM = 3_000  # bytes that remain in an account
LINES = (*NEW_LINES, "about-me.written", "action.done", "item.withdrawn", "proposal.accepted")
DISPUTES = ("disagreement.stated", "entry.retracted", "question.answered", "commitment.kept")
GRANTS = ("access.granted", "representative.named", "access.withdrawn", "representative.ended")


class NotAcceptedError(Exception):
    """An event of a start was not accepted by the rules, or not by the model."""


@dataclass(frozen=True)
class Start:
    """A plan and the model's state of it, both to be copied.

    The types in `often` are more frequent in a history that begins here. Of 50 histories, `share`
    begin here.
    """

    name: str
    plan: Plan
    state: bytes
    often: tuple[str, ...] = ()
    share: int = 1

    def fresh(self) -> tuple[Plan, State]:
        """Return copies of the plan and the state."""
        state: State = pickle.loads(self.state)  # noqa: S301 - these bytes are our own
        return copy_of(self.plan), state


@dataclass
class Growing:
    """A plan under construction: every event must be accepted."""

    name: str
    plan: Plan = field(default_factory=lambda: Plan(ADA))
    state: State = field(default_factory=lambda: State(ADA))

    def say(self, author: str, kind: str, data: Json) -> str:
        """Post an event; return its id."""
        name = f"{self.name}-{len(self.state.entries)}"
        event = make_event(author, kind, data, name=name, seconds=-7200)
        ruling = decide(self.plan, event), verdict(self.state, event)
        if not isinstance(ruling[0], Accepted) or ruling[1] is not None:
            raise NotAcceptedError(f"{name}: {author} {kind} {data}: {ruling}")
        for_person = speaks_for_person(self.state, event)
        evolve(self.plan, event)
        apply(self.state, event, for_person=for_person)
        return name

    def room(self, account: str) -> str:
        """Return words that fill an account, but for a few small events; none if it is full."""
        used = self.state.others_bytes if account == "others" else self.state.own_bytes
        left = MOST_BYTES[account] - used - ROOM - 400
        return WIDE[: max(0, left // 3)]

    def grant(self, to: str, *scopes: str, until: str = "until-withdrawn") -> None:
        members = {"to": to, "scopes": [*scopes], "until": until, "purpose": "x", "wording": "y"}
        self.say(ADA, "access.granted", members)

    def send(self, to: str, *scope: str) -> None:
        members = {"representative": to, "scope": [*scope], "authority": "x", "until": FAR}
        self.say(ADA, "representative.named", members)

    def disagree(self, author: str, entry: str, *, times: int) -> None:
        """Disagree with an entry and retract that, several times."""
        for _ in range(times):
            disagreement = self.say(author, "disagreement.stated", {"entry": entry, "words": "No."})
            self.say(author, "entry.retracted", {"entry": disagreement})


def furnished(plan: Growing) -> None:
    """Lines, grants, representatives, an entry with many disagreements, a completed action."""
    plan.say(ADA, "plan.started", {"name_to_use": "Ada", "language": "en"})
    plan.grant(SAM, "observe", "interpret", "propose")
    plan.grant(TOM, "propose", until=FAR)
    plan.grant(REP, "propose")
    plan.send(BEA, "proposal.accepted", "aspiration.stated", "need.named", "entry.retracted")
    plan.send(REP, "proposal.accepted", "strength.named", "disagreement.stated")
    plan.say(ADA, "aspiration.stated", {"id": "name-a", "words": "Walk to the sea."})
    plan.say(ADA, "action.planned", {"id": "name-a", "what": "Walk", "by": UMA})
    plan.say(ADA, "action.planned", {"id": "name-b", "what": "Talk", "by": TOM})
    seen = plan.say(SAM, "observation.recorded", {"who_saw": UMA, "seen_or_heard": "Walked."})
    plan.disagree(ADA, seen, times=5)
    plan.disagree(SAM, seen, times=4)
    plan.say(ADA, "action.planned", {"id": "name-c", "what": "Swim", "by": "partner:ivy"})
    plan.say(ADA, "action.done", {"action": "name-c"})


def left(plan: Growing) -> None:
    """Partners whose grants have ended, and who are named in answers, acceptances and actions."""
    plan.say(ADA, "plan.started", {"name_to_use": "Ada", "language": "en"})
    plan.grant(SAM, "propose", "observe")
    plan.grant(TOM, "propose")
    for who in (SAM, TOM):
        question = plan.say(ADA, "question.asked", {"to": who, "words": "Why?"})
        members = {"question": question, "words": "So.", "basis": {"kind": "opinion"}}
        plan.say(who, "question.answered", members)
    data = {"id": "name-a", "what": "Walk", "by": UMA}
    members = {"change": {"type": "action.planned", "data": data}, "why": "x", "expires": FAR}
    made = plan.say(SAM, "proposal.made", members)
    words = {"id": "name-a", "what": "Run", "by": "partner:ivy"}
    plan.say(ADA, "proposal.accepted", {"proposal": made, "in_my_words": words})
    plan.say(ADA, "action.planned", {"id": "name-b", "what": "Swim", "by": "partner:ivy"})
    plan.say(ADA, "action.dropped", {"action": "name-b"})
    seen = plan.say(ADA, "observation.recorded", {"who_saw": UMA, "seen_or_heard": "Walked."})
    plan.say(ADA, "authorship.denied", {"entry": seen})
    for grant in [*plan.state.grants]:
        plan.say(ADA, "access.withdrawn", {"grant": grant})


def many_lines(plan: Growing) -> None:
    """Just below 2,000 open lines."""
    furnished(plan)
    for number in range(MOST["lines"] - plan.state.open_lines() - 12):
        if number % 2:
            plan.say(ADA, "action.planned", {"what": "x", "by": UMA})
        else:
            plan.say(ADA, "need.named", {"words": "x"})


def many_grants(plan: Growing) -> None:
    """Just below 500 grants and namings of representatives."""
    furnished(plan)
    for number in range(MOST["grants"] - plan.state.allowed("2026-03-02T10:00:00Z") - 8):
        to = f"partner:p{number}"
        if number % 3:
            plan.grant(to, "observe")
        else:
            plan.send(to, "plan.closed")


def many_wordings(plan: Growing) -> None:
    """Just below 200 wordings."""
    furnished(plan)
    for number in range(MOST["wordings"] - 6):
        plan.say(ADA, "wording.preferred", {"say": "Ada", "instead_of": f"w{number}"})


def many_barred(plan: Growing) -> None:
    """Just below 500 barred services."""
    furnished(plan)
    for number in range(MOST["barred"] - 2):
        plan.say(ADA, "service.barred", {"service": f"service:b{number}"})


def full_of_own(plan: Growing) -> None:
    """Room for a few small events of the person."""
    furnished(plan)
    for _ in range(40):
        plan.say(ADA, "advance-choice.made", {"words": "Stay.", "applies_when": "At night."})
    while words := plan.room("own"):
        plan.say(ADA, "about-me.written", {"section": "Food", "words": words})


def full_of_protective(plan: Growing) -> None:
    """Room for a few small events of types that protect the person only."""
    full_of_own(plan)
    choices = iter([name for space, name in plan.state.lines if space == "choice"])
    while words := plan.room("protective"):
        plan.say(ADA, "advance-choice.revoked", {"choice": next(choices), "words": words})


def full_of_others(plan: Growing) -> None:
    """Room for a few small events of all other authors."""
    furnished(plan)
    seen = plan.say(SAM, "observation.recorded", {"who_saw": SAM, "seen_or_heard": "Walked."})
    while words := plan.room("others"):
        plan.say(SAM, "correction.declined", {"entry": seen, "reason": words})


GROWN: tuple[tuple[Callable[[Growing], None], tuple[str, ...], int], ...] = (
    (furnished, (), 11),
    (left, (*DISPUTES, "question.closed", "authorship.denied"), 2),
    (many_lines, LINES, 1),
    (many_grants, GRANTS, 2),
    (many_wordings, ("wording.preferred", "authorship.denied", "proposal.made"), 1),
    (many_barred, ("service.barred", "service.unbarred"), 1),
    (full_of_own, (), 1),
    (full_of_protective, tuple(sorted(PROTECTIVE)), 1),
    (full_of_others, ("observation.recorded", "proposal.made", "question.asked"), 1),
)


@cache
def starts() -> tuple[Start, ...]:
    """Return every start. Growing them takes a few seconds, once per process."""
    made = [
        Start("nothing", Plan(ADA), pickle.dumps(State(ADA)), (), 28),
        Start("erased", Plan(ADA, "erased"), pickle.dumps(State(ADA, "erased")), (), 1),
    ]
    for grow, often, share in GROWN:
        plan = Growing(grow.__name__)
        grow(plan)
        made.append(Start(grow.__name__, plan.plan, pickle.dumps(plan.state), often, share))
    return tuple(made)
