"""The persons and partners of the tests, and the events they author.

An event is made by the voice that authors it: `ada.states("I want to walk to the sea.")`. Ids and
times are fixed: the same words by the same voice are the same event. `again` makes a second event
with the same words, `at` changes the time, `seeing` sets the version that the author saw, and
`through` the service that posted it.
"""

from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson

from shared.events.event import Event, Json, canonical

NOON = "2026-03-02T12:00:00.000Z"
LATER = "2026-03-02T12:00:00.001Z"
NEXT_YEAR = "2027-03-02T12:00:00Z"
ADA, EVE, BEA = "person:ada", "person:eve", "person:bea"
SAM, TOM, NORTH = "partner:sam", "partner:tom", "team:north"
SHOES, NOTEBOOK = "service:shoes", "service:notebook"
SEA = "I want to walk to the sea again."


def event(
    author: str,
    posted: Json,
    *,
    received: str = NOON,
    subject: str = ADA,
    via: str = NOTEBOOK,
) -> Event:
    """Return an event as the ledger sees it; its id is derived from its content by default."""
    attributes = {"specversion": "1.0", "source": "/tests", "subject": subject, **posted}
    content = canonical(attributes) + author.encode()
    attributes.setdefault("id", str(uuid5(NAMESPACE_OID, content.hex())))
    return Event.from_canonical(
        canonical(attributes),
        author=author,
        via=via,
        issuer="local",
        received=received,
    )


def _changed(original: Event, *, received: str = "", via: str = "", **attributes: Any) -> Event:
    """Return the event with some attributes changed; its canonical bytes follow."""
    posted = orjson.loads(original.canonical) | attributes
    return event(
        original.author,
        posted,
        received=received or original.received,
        subject=posted["subject"],
        via=via or original.via,
    )


def again(original: Event) -> Event:
    """Return a second event with the same words."""
    return _changed(original, id=str(uuid5(NAMESPACE_OID, original.id)))


def at(received: str, original: Event) -> Event:
    """Return the event, received at another time."""
    return _changed(original, received=received)


def happening(moment: str, original: Event) -> Event:
    """Return the same event with the time when it happened."""
    return _changed(original, time=moment, id=original.id)


def seeing(version: int, original: Event) -> Event:
    """Return the event as by an author who saw that version of the plan."""
    return _changed(original, expectedversion=version)


def under_the_id_of(other: Event, original: Event) -> Event:
    """Return the event with the id of another one."""
    return _changed(original, id=other.id)


def through(service: str, original: Event) -> Event:
    """Return the event as posted by a service."""
    return _changed(original, via=service)


def about(subject: str, original: Event) -> Event:
    """Return the event with another subject."""
    return _changed(original, subject=subject)


def change(kind: str, **data: Any) -> Json:
    """Return a change, as a proposal holds it."""
    return {"type": kind, "data": data}


SCALE: Json = {"name": "Steady", "min": 0, "max": 10, "low": "A boat", "high": "A rock"}
OPINION: Json = {"kind": "opinion"}


@dataclass(frozen=True)
class Voice:
    """Someone who can author every type of the catalogue, allowed or not."""

    id: str

    def says(self, kind: str, **data: Any) -> Event:
        """Return an event of any type; members that are None are left out."""
        present = {member: value for member, value in data.items() if value is not None}
        return event(self.id, {"type": kind, "data": present})

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
        terms = {"why": "You said company helps.", "expires": expires, **more}
        return self.says("proposal.made", change=suggested, **terms)

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
        terms = {"scopes": list(scopes), "until": until, "purpose": "Walking", "wording": wording}
        return self.says("access.granted", to=to, **terms)

    def withdraws(self, grant: Event) -> Event:
        return self.says("access.withdrawn", grant=grant.id)

    # the person

    def closes(self, words: str | None = None) -> Event:
        return self.says("plan.closed", words=words)

    def reopens(self) -> Event:
        return self.says("plan.reopened")

    def pauses(self, aspiration: str = "sea", words: str | None = None) -> Event:
        return self.says("aspiration.paused", aspiration=aspiration, words=words)

    def resumes(self, aspiration: str = "sea") -> Event:
        return self.says("aspiration.resumed", aspiration=aspiration)

    def reaches(self, aspiration: str = "sea", words: str | None = None) -> Event:
        return self.says("aspiration.reached", aspiration=aspiration, words=words)

    def ranks(self, *order: str) -> Event:
        return self.says("aspirations.ranked", order=list(order))

    def names(self, thing: str, words: str = "Mrs Hill.", name: str | None = "hill") -> Event:
        return self.says(f"{thing}.named", id=name, words=words)

    def renames(self, thing: str, words: str, item: str = "hill") -> Event:
        return self.says(f"{thing}.reworded", item=item, words=words)

    def takes_out(self, item: str = "hill") -> Event:
        return self.says("item.withdrawn", item=item)

    def replans(self, words: str, action: str = "walk") -> Event:
        return self.says("action.reworded", action=action, words=words)

    def drops(self, action: str = "walk", words: str | None = None) -> Event:
        return self.says("action.dropped", action=action, words=words)

    def defines(self, *, name: str | None = "steady", **more: Any) -> Event:
        return self.says("measure.defined", id=name, **(SCALE | more))

    def revises(self, measure: str = "steady", **more: Any) -> Event:
        return self.says("measure.revised", measure=measure, **(SCALE | more))

    def rates(self, value: int, *, under: int = 1, measure: str = "steady", **more: Any) -> Event:
        return self.says("measure.rated", measure=measure, version=under, value=value, **more)

    def writes_safety_plan(self, heading: str = "What helps", **more: Any) -> Event:
        sections = [{"heading": heading, "words": "The sea."}]
        return self.says("safety-plan.written", sections=sections, **more)

    def chooses(self, words: str = "Let me stay.", name: str | None = "home") -> Event:
        return self.says("advance-choice.made", id=name, words=words, applies_when="At night.")

    def revises_choice(self, words: str, choice: str = "home", when: str | None = None) -> Event:
        return self.says("advance-choice.revised", choice=choice, words=words, applies_when=when)

    def revokes(self, choice: str = "home", words: str | None = None) -> Event:
        return self.says("advance-choice.revoked", choice=choice, words=words)

    def prefers(self, say: str, instead_of: str) -> Event:
        return self.says("wording.preferred", say=say, instead_of=instead_of)

    def parks(self, proposal: Event, words: str | None = None) -> Event:
        return self.says("proposal.parked", proposal=proposal.id, words=words)

    # beside the plan

    def interprets(self, *seen: Event, **more: Any) -> Event:
        terms = {"holder": self.id, "words": "Company helps.", "expires": NEXT_YEAR, **more}
        return self.says("interpretation.offered", based_on=[event.id for event in seen], **terms)

    def asks_to_correct(self, entry: Event, wrong: str = "It was shorter.") -> Event:
        return self.says("correction.requested", entry=entry.id, what_is_wrong=wrong)

    def corrects(self, entry: Event, words: str = "It was shorter.") -> Event:
        return self.says("correction.made", entry=entry.id, words=words)

    def keeps_as_it_is(self, entry: Event, reason: str = "I looked twice.") -> Event:
        return self.says("correction.declined", entry=entry.id, reason=reason)

    def takes_back(self, entry: Event, words: str | None = None) -> Event:
        return self.says("entry.retracted", entry=entry.id, words=words)

    def denies(self, entry: Event, words: str | None = None) -> Event:
        return self.says("authorship.denied", entry=entry.id, words=words)

    # questions and promises

    def asks(self, to: str, words: str = "Why?", **more: Any) -> Event:
        return self.says("question.asked", to=to, words=words, **more)

    def answers(self, question: Event, basis: Json | None = OPINION, words: str = "So.") -> Event:
        return self.says("question.answered", question=question.id, words=words, basis=basis)

    def closes_question(self, question: Event) -> Event:
        return self.says("question.closed", question=question.id)

    def sets_aside(self, question: Event) -> Event:
        return self.says("question.set-aside", question=question.id)

    def promises(self, to: str = ADA, what: str = "Bring the frame.", **more: Any) -> Event:
        return self.says("commitment.made", to=to, what=what, **{"due": NEXT_YEAR, **more})

    def says_kept(self, promise: Event, words: str | None = None) -> Event:
        return self.says("commitment.kept", commitment=promise.id, words=words)

    def says_not_kept(self, promise: Event, words: str | None = None) -> Event:
        return self.says("commitment.not-kept", commitment=promise.id, words=words)

    def departs(self, choice: str = "home") -> Event:
        reasons = {"done_instead": "We drove.", "why": "Nobody could stay."}
        tried = ["Mrs Hill was asked."]
        return self.says(
            "advance-choice.departed-from", choice=choice, alternatives_tried=tried, **reasons
        )

    # whose it is

    def sends(self, representative: str, *scope: str, until: str = "until-withdrawn") -> Event:
        terms = {"scope": list(scope), "authority": "My sister.", "until": until}
        return self.says("representative.named", representative=representative, **terms)

    def calls_back(self, representative: str) -> Event:
        return self.says("representative.ended", representative=representative)

    def bars(self, service: str, words: str | None = None) -> Event:
        return self.says("service.barred", service=service, words=words)

    def unbars(self, service: str) -> Event:
        return self.says("service.unbarred", service=service)


ada, eve, bea = Voice(ADA), Voice(EVE), Voice(BEA)
sam, tom, north, shoes = Voice(SAM), Voice(TOM), Voice(NORTH), Voice(SHOES)
started = ada.starts()
sam_may_propose = ada.grants(SAM, "propose")
sam_may_observe = ada.grants(SAM, "observe")
