"""Rules in three lines: `given(*events).when(event).then(...)`.

An event is made by the voice that says it: `ada.states("I want to walk to the sea.")`. Ids and
times are fixed: the same words by the same voice are the same event, `again` is a second event
with the same words, `at` moves an event to another moment, `seeing` gives it the version that
its author saw. Whatever is `given` must have been accepted.

A refusal is always checked to leave every byte of the plan as it was; an acceptance to move the
version exactly when it moves a line, and to survive a dump and a load.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson

from services.ledger.plan.changes import evolve
from services.ledger.plan.model import Plan, dump, load
from services.ledger.plan.rules import ACCEPTED, Refusal, Verdict, decide
from shared.event import Event, Json, canonical
from shared.refusals import Code

NOON = "2026-03-02T12:00:00.000Z"
LATER = "2026-03-02T12:00:00.001Z"
NEXT_YEAR = "2027-03-02T12:00:00Z"
ADA, EVE, SAM, TOM = "person:ada", "person:eve", "partner:sam", "partner:tom"
SHOES = "service:shoes"
SEA = "I want to walk to the sea again."

Check = Callable[[Plan], None]


def event(
    author: str,
    posted: Json,
    *,
    received: str = NOON,
    subject: str = ADA,
) -> Event:
    """An event as the ledger sees it; its id follows from who says what, unless it has one."""
    attributes = {"specversion": "1.0", "source": "/tests", "subject": subject, **posted}
    said = canonical(attributes) + author.encode()
    attributes.setdefault("id", str(uuid5(NAMESPACE_OID, said.hex())))
    return Event.of(
        canonical(attributes),
        author=author,
        via="service:notebook",
        issuer="local",
        received=received,
    )


def _retold(said: Event, *, author: str = "", received: str = "", **attributes: Any) -> Event:
    """The event with some attributes changed; its canonical bytes follow."""
    posted = orjson.loads(said.canonical) | attributes
    return event(
        author or said.author, posted, received=received or said.received, subject=posted["subject"]
    )


def again(said: Event) -> Event:
    """The same words in a second event."""
    return _retold(said, id=str(uuid5(NAMESPACE_OID, said.id)))


def at(received: str, said: Event) -> Event:
    """The event, received at another moment."""
    return _retold(said, received=received)


def seeing(version: int, said: Event) -> Event:
    """The event of an author who saw that version of the plan."""
    return _retold(said, expectedversion=version)


def under_the_id_of(other: Event, said: Event) -> Event:
    """The event, bearing the id of another one."""
    return _retold(said, id=other.id)


def about(subject: str, said: Event) -> Event:
    """The event, said about another person."""
    return _retold(said, subject=subject)


def change(kind: str, **data: Any) -> Json:
    """A change, as a proposal holds it."""
    return {"type": kind, "data": data}


@dataclass(frozen=True)
class Voice:
    """Somebody who can say every type of the catalogue, whether or not they may."""

    id: str

    def says(self, kind: str, **data: Any) -> Event:
        """An event of any type; members that are None are left out."""
        told = {member: value for member, value in data.items() if value is not None}
        return event(self.id, {"type": kind, "data": told})

    def starts(self, name: str = "Ada") -> Event:
        return self.says("plan.started", name_to_use=name, language="en")

    def writes(self, section: str, words: str) -> Event:
        return self.says("about-me.written", section=section, words=words)

    def states(self, words: str = SEA, *, name: str | None = "sea", **more: Any) -> Event:
        return self.says("aspiration.stated", id=name, words=words, **more)

    def rewords(self, words: str, aspiration: str = "sea") -> Event:
        return self.says("aspiration.reworded", aspiration=aspiration, words=words)

    def lets_go(self, aspiration: str = "sea", words: str | None = None) -> Event:
        return self.says("aspiration.let-go", aspiration=aspiration, words=words)

    def plans(self, what: str = "Walk", *, name: str | None = "walk", **more: Any) -> Event:
        return self.says("action.planned", id=name, what=what, **{"by": ADA, **more})

    def does(self, action: str = "walk", words: str | None = None) -> Event:
        return self.says("action.done", action=action, words=words)

    def proposes(self, suggested: Json, *, expires: str = NEXT_YEAR, **more: Any) -> Event:
        told = {"why": "You said company helps.", "expires": expires, **more}
        return self.says("proposal.made", change=suggested, **told)

    def accepts(self, proposal: Event, in_my_words: Json | None = None) -> Event:
        return self.says("proposal.accepted", proposal=proposal.id, in_my_words=in_my_words)

    def declines(self, proposal: Event, words: str | None = None) -> Event:
        return self.says("proposal.declined", proposal=proposal.id, words=words)

    def observes(self, seen: str | None = "Walked.", *, who_saw: str = SAM, **more: Any) -> Event:
        return self.says("observation.recorded", seen_or_heard=seen, who_saw=who_saw, **more)

    def disagrees(self, entry: Event, words: str = "It was not so.") -> Event:
        return self.says("disagreement.stated", entry=entry.id, words=words)

    def grants(
        self,
        to: str,
        *scopes: str,
        until: str = "until-withdrawn",
        wording: str | None = "Sam may do this.",
    ) -> Event:
        told = {"scopes": list(scopes), "until": until, "purpose": "Walking", "wording": wording}
        return self.says("access.granted", to=to, **told)

    def withdraws(self, grant: Event) -> Event:
        return self.says("access.withdrawn", grant=grant.id)


ada, eve, sam, tom, shoes = Voice(ADA), Voice(EVE), Voice(SAM), Voice(TOM), Voice(SHOES)
started = ada.starts()
sam_may_propose = ada.grants(SAM, "propose")
sam_may_observe = ada.grants(SAM, "observe")


def fold(plan: Plan, events: Iterable[Event]) -> list[Verdict]:
    """Rule on events as the projector does, changing the plan; the verdicts."""
    verdicts = []
    for each in events:
        verdicts.append(decide(plan, each))
        if verdicts[-1] == ACCEPTED:
            evolve(plan, each)
    return verdicts


@dataclass(frozen=True)
class When:
    """A plan and the event that meets it."""

    plan: Plan
    event: Event
    reused: bool = False

    def then(self, verdict: Verdict, *checks: Check) -> None:
        """Compare the verdict, hold what every verdict promises, and look at the plan after."""
        plan, before = load(dump(self.plan)), dump(self.plan)
        said = deepcopy(self.event)
        assert decide(plan, said, reused=self.reused) == verdict
        assert dump(plan) == before, "decide changed the plan"
        if verdict == ACCEPTED:
            assert evolve(plan, said) is plan
            assert (plan.version != self.plan.version) == (plan.lines != self.plan.lines)
            assert load(dump(plan)) == plan
        assert said == self.event, "the event was changed"
        for check in checks:
            check(plan)


@dataclass(frozen=True)
class Given:
    """A plan, whatever made it."""

    plan: Plan

    def when(self, said: Event, *, reused: bool = False) -> When:
        """An event comes. `reused`: its author and id stand in the log with another digest."""
        return When(self.plan, said, reused)


def given(*events: Event, plan: Plan | None = None) -> Given:
    """What was accepted before."""
    plan = plan or Plan(ADA)
    verdicts = fold(plan, events)
    assert verdicts == [ACCEPTED] * len(events), "what is given must have been accepted"
    return Given(plan)


accepted = ACCEPTED


def refused(code: str) -> Refusal:
    """A refusal by its code."""
    return Refusal(Code(code))


def line(name: str, **members: Any) -> Check:
    """The line of that name has these members; `data` and `origin` at least what is told."""

    def check(plan: Plan) -> None:
        found: Json = {**plan.lines[name]}
        for member, told in members.items():
            whole = found[member]
            part = {each: whole.get(each) for each in told} if isinstance(told, dict) else whole
            assert part == told, f"{name}.{member}"

    return check


def lines(*names: str) -> Check:
    """The plan has exactly these lines."""

    def check(plan: Plan) -> None:
        assert sorted(plan.lines) == sorted(names)

    return check


def version(number: int) -> Check:
    """The plan has this version."""

    def check(plan: Plan) -> None:
        assert plan.version == number

    return check


def beside(shelf: str, said: Event, **members: Any) -> Check:
    """What the event put on that shelf beside the plan: as it was said, and with these members."""

    def check(plan: Plan) -> None:
        put = getattr(plan, shelf)[said.id]
        told = {
            "type": said.type,
            "author": said.author,
            "received": said.received,
            "data": said.data,
        }
        assert put == told | members

    return check


def named_in(said: Event, names: Sequence[str]) -> Check:
    """The plan remembers who wrote that event, then who is named in it."""

    def check(plan: Plan) -> None:
        assert plan.entries[said.id] == list(names)

    return check
