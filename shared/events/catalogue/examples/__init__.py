"""Examples of every type: one that is accepted, and one for each refusal that the type can earn.

An example is data that can be replayed over HTTP as it stands:

    title      what happens, in plain words
    given      what was posted before: steps, each accepted
    author     who posts the event: the token's subject; with `via`, the token's client
    event      the CloudEvent that is posted
    verdict    "accepted", or the refusal's code

A step has the members `author`, `via`? and `event`. Each example has a person and ids of its
own, and every one of them may be posted as often as one likes: what was recorded once is
answered the same. What runs out has run out long ago, or does in 2099; no example needs a clock.

The bounds of a plan are not shown where hundreds of steps would stand before them: `plan-full`,
and `too-many` of anything but disagreements.

>>> from shared.events.catalogue import CATALOGUE
>>> [each["verdict"] for each in examples(CATALOGUE["about-me.written"])]
['accepted', 'not-yours-to-say', 'no-such-plan', 'id-reused', 'version-conflict']
"""

from collections.abc import Iterator
from dataclasses import replace
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from shared.events.catalogue import EventType
from shared.events.catalogue.examples.building_blocks import (
    ADA,
    BEFORE,
    COMMAND,
    EVE,
    LONG_AGO,
    SAM,
    TARGET,
    TOM,
    Case,
    ExampleEvent,
    before,
    say,
)
from shared.events.catalogue.examples.type_examples import OWN
from shared.events.catalogue.kind_beside import ENTRY
from shared.events.event import Json
from shared.events.refusals import Code

ACCEPTED = "accepted"


def examples(row: EventType) -> list[Json]:
    """The type's examples: the accepted one first, then its refusals in the order of the rules."""
    accepted = Case(row.effect, before(row.name), say(row.name))
    return [
        _told(accepted, ACCEPTED),
        *(_told(OWN.get((row.name, code)) or _any(row, code), code) for code in refusals(row)),
    ]


def refusals(row: EventType) -> Iterator[Code]:
    """The codes that a type can earn and that an example shows: none asks for `plan-erased` and
    `our-fault`, and hundreds of steps would stand before most bounds.
    """
    yield Code.NOT_YOURS_TO_SAY
    if row.who.scope or row.who.named:
        yield Code.NO_GRANT
    if row.who.person and row.name != "plan.started":
        yield Code.NO_SUCH_PLAN
    yield from (Code.ID_REUSED, Code.VERSION_CONFLICT)
    few = row.name == "disagreement.stated"
    yield from (code for code in row.refusals if few or code is not Code.TOO_MANY)


def _any(row: EventType, code: Code) -> Case:
    """What earns the refusal from any type."""
    given, said = before(row.name), say(row.name)
    match code:
        case Code.NOT_YOURS_TO_SAY:
            return _not_theirs(row, given, said)
        case Code.NO_GRANT:
            title = "Somebody whom the person has not allowed says it."
            return Case(title, given, replace(said, author=TOM))
        case Code.NO_SUCH_PLAN:
            return Case("The person has not started a plan.", (), replace(said, author=ADA))
        case Code.ID_REUSED:
            said = replace(said, name="twice")
            event = replace(said, more={"time": LONG_AGO})
            return Case("Something else is said under the same id.", (*given, said), event)
        case Code.VERSION_CONFLICT:
            event = replace(said, more={"expectedversion": 0 if given else 1})
            return Case("The author saw another version of the plan.", given, event)
        case Code.UNKNOWN_TARGET:
            allowed = [each for each in BEFORE[row.name][:-1] if each == "access.granted"]
            author = ADA if row.who.person else said.author
            title = "It points at what is not there."
            return Case(
                title, (say("plan.started"), *map(say, allowed)), replace(said, author=author)
            )
        case Code.NOT_ITS_AUTHOR | Code.OWN_PROMISE | Code.WRONG_ADDRESSEE:
            author = SAM if said.author == ADA else ADA
            return Case("The other of the two says it.", given, replace(said, author=author))
        case _:
            return Case("The same is said once more.", (*given, said), said)


def _not_theirs(row: EventType, given: tuple[ExampleEvent, ...], said: ExampleEvent) -> Case:
    """Somebody says what is not theirs to say."""
    if not row.who.person:
        return Case("The person says what partners say.", given, replace(said, author=ADA))
    if row.who.scope:
        return Case("Another person says it.", given, replace(said, author=EVE))
    if not row.who.named:
        return Case("A partner says what the person says.", given, replace(said, author=SAM))
    event = replace(said, author=ADA, via=COMMAND)
    barred = (*given, say("service.barred", service=COMMAND))
    return Case("It comes through a service that the person barred.", barred, event)


def _told(case: Case, verdict: str) -> Json:
    """The example as it is served: with ids, and a person, of its own."""
    own = uuid5(NAMESPACE_URL, f"urn:firsthand:{case.event.type}:{verdict}")
    person = f"{ADA}-{own.hex[:8]}"
    steps = [_step(own, place, said) for place, said in enumerate((*case.given, case.event))]
    told = {"title": case.title, "given": steps[:-1], **steps[-1], "verdict": verdict}
    text = orjson.dumps(told).decode().replace(ADA, person)
    return dict(orjson.loads(text.replace(ENTRY, str(uuid5(own, TARGET)))))


def _step(own: UUID, place: int, said: ExampleEvent) -> Json:
    event = {
        "specversion": "1.0",
        "id": str(uuid5(own, said.name or str(place))),
        "source": "/examples",
        "type": said.type,
        "subject": ADA,
        **said.more,
        "data": said.data,
    }
    return {"author": said.author, **({"via": said.via} if said.via else {}), "event": event}
