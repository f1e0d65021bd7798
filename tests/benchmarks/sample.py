"""The events that every side of a benchmark gets: about 300 bytes, 60 of them in words."""

import random
import uuid
from collections.abc import Iterator
from typing import Any

import orjson

Json = dict[str, Any]
WORDS = "I want to walk to the sea again, slowly, and to sit there..."  # 60 bytes
SOURCE = "urn:firsthand:bench"
TIME = "2026-01-02T03:04:05.678Z"
NEVER = "2099-01-01T00:00:00Z"


def person(number: int) -> str:
    """Return the id of a person."""
    return f"person:p{number:05d}"


def partner(number: int) -> str:
    """Return the id of a person's partner."""
    return f"partner:w{number:05d}"


class Maker:
    """Makes events with ids that are unique but the same in every run with the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def event(self, kind: str, subject: str, data: Json) -> Json:
        """Return one CloudEvent in structured form."""
        return {
            "specversion": "1.0",
            "id": self.fresh(),
            "source": SOURCE,
            "type": kind,
            "subject": subject,
            "time": TIME,
            "data": data,
        }

    def fresh(self) -> str:
        """Return a UUID."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def statement(self, subject: str) -> Json:
        """Return an aspiration of about 60 bytes."""
        return self.event("aspiration.stated", subject, {"words": WORDS, "importance": 7})

    def day(self, number: int) -> Iterator[tuple[str, Json]]:
        """Yield (author, event): a short story in one person's plan, of ten events of ten types."""
        who, helper = person(number), partner(number)
        aspiration, action = self.statement(who), self.fresh()
        proposal = self.event(
            "proposal.made",
            who,
            {
                "change": {"type": "action.planned", "data": {"what": WORDS[:40], "by": helper}},
                "why": WORDS[:20],
                "expires": NEVER,
            },
        )
        grant = {"to": helper, "scopes": ["observe", "propose"], "until": "until-withdrawn"}
        yield who, self.event("about-me.written", who, {"section": "My day", "words": WORDS})
        yield who, self.event("access.granted", who, {**grant, "purpose": "x", "wording": WORDS})
        yield who, aspiration
        yield who, self._reword(who, aspiration)
        planned = {"id": action, "what": WORDS, "by": who, "aspiration": aspiration["id"]}
        yield who, self.event("action.planned", who, planned)
        yield (
            helper,
            self.event("observation.recorded", who, {"seen_or_heard": WORDS, "who_saw": helper}),
        )
        yield helper, proposal
        yield helper, self._reword(who, aspiration)  # refused: only the author may edit their words
        yield who, self.event("proposal.declined", who, {"proposal": proposal["id"]})
        yield who, self.event("action.done", who, {"action": action, "words": WORDS})

    def _reword(self, subject: str, aspiration: Json) -> Json:
        data = {"aspiration": aspiration["id"], "words": WORDS[:-3] + "!!!"}
        return self.event("aspiration.reworded", subject, data)


def statements(people: int, count: int, seed: int) -> list[tuple[str, bytes]]:
    """Return (author, body) of `count` aspirations, by the people in turn."""
    maker = Maker(seed)
    return [
        (who, orjson.dumps(maker.statement(who)))
        for who in (person(number % people) for number in range(count))
    ]


def story(people: int, count: int, seed: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Return (author, body): every person starts a plan; then all people's events, interleaved.

    The people are numbered from `first`.
    """
    maker, numbers = Maker(seed), range(first, first + people)
    started = [
        (who, maker.event("plan.started", who, {"name_to_use": "Ada", "language": "en"}))
        for who in map(person, numbers)
    ]
    posts = [(who, orjson.dumps(event)) for who, event in started]
    days: list[Iterator[tuple[str, Json]]] = []
    while len(posts) < count:
        days = days or [maker.day(number) for number in numbers]
        for day in list(days):
            authored = next(day, None)
            if authored is None:
                days.remove(day)
            else:
                posts.append((authored[0], orjson.dumps(authored[1])))
    return posts[:count]
