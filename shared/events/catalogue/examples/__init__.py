"""Examples of every type: one that is accepted, and one for each refusal code of the type.

An example is data that can be posted over HTTP unchanged:

    title      what happens, in plain words
    given      the steps posted before, all of them accepted
    author     the author of the event: the token's subject; with `via`, the token's client
    event      the CloudEvent that is posted
    verdict    "accepted", or the refusal's code

A step has the members `author`, `via`? and `event`. Every example has a separate person and
separate ids. All of them may be posted repeatedly: duplicates are answered like the first time.
Expiries are long past, or in 2099; no example depends on the clock.

Limits that need hundreds of steps have no example: `plan-full`, and `too-many` of anything but
disagreements.

>>> from shared.events.catalogue import CATALOGUE
>>> [example["verdict"] for example in examples(CATALOGUE["about-me.written"])]
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
from shared.events.catalogue.examples.type_examples import TYPE_CASES
from shared.events.catalogue.kind_beside import ENTRY
from shared.events.event import Json
from shared.events.refusals import Code

ACCEPTED = "accepted"


def examples(row: EventType) -> list[Json]:
    """Return the examples of a type: first the accepted one, then its refusals in check order."""
    accepted = Case(row.effect, before(row.name), say(row.name))
    cases = [
        (TYPE_CASES.get((row.name, code)) or _common_case(row, code), code)
        for code in refusals(row)
    ]
    return [_as_json(accepted, ACCEPTED), *(_as_json(case, code) for case, code in cases)]


def refusals(row: EventType) -> Iterator[Code]:
    """Yield the refusal codes of a type that have an example.

    `plan-erased` and `our-fault` have none, nor have most limits, which need hundreds of steps.
    """
    yield Code.NOT_YOURS_TO_SAY
    if row.who.scope or row.who.named:
        yield Code.NO_GRANT
    if row.who.person and row.name != "plan.started":
        yield Code.NO_SUCH_PLAN
    yield from (Code.ID_REUSED, Code.VERSION_CONFLICT)
    short = row.name == "disagreement.stated"
    yield from (code for code in row.refusals if short or code is not Code.TOO_MANY)


def _common_case(row: EventType, code: Code) -> Case:
    """Return a case that any type is refused for with this code."""
    history, event = before(row.name), say(row.name)
    match code:
        case Code.NOT_YOURS_TO_SAY:
            return _unauthorized(row, history, event)
        case Code.NO_GRANT:
            title = "Somebody whom the person has not allowed says it."
            return Case(title, history, replace(event, author=TOM))
        case Code.NO_SUCH_PLAN:
            return Case("The person has not started a plan.", (), replace(event, author=ADA))
        case Code.ID_REUSED:
            first = replace(event, name="twice")
            event = replace(first, more={"time": LONG_AGO})
            return Case("Something else is said under the same id.", (*history, first), event)
        case Code.VERSION_CONFLICT:
            event = replace(event, more={"expectedversion": 0 if history else 1})
            return Case("The author saw another version of the plan.", history, event)
        case Code.UNKNOWN_TARGET:
            grants = [kind for kind in BEFORE[row.name][:-1] if kind == "access.granted"]
            author = ADA if row.who.person else event.author
            title = "It points at what is not there."
            return Case(
                title, (say("plan.started"), *map(say, grants)), replace(event, author=author)
            )
        case Code.NOT_ITS_AUTHOR | Code.OWN_PROMISE | Code.WRONG_ADDRESSEE:
            author = SAM if event.author == ADA else ADA
            return Case("The other of the two says it.", history, replace(event, author=author))
        case _:
            return Case("The same is said once more.", (*history, event), event)


def _unauthorized(row: EventType, history: tuple[ExampleEvent, ...], event: ExampleEvent) -> Case:
    """Return a case in which the author may not post the type."""
    if not row.who.person:
        return Case("The person says what partners say.", history, replace(event, author=ADA))
    if row.who.scope:
        return Case("Another person says it.", history, replace(event, author=EVE))
    if not row.who.named:
        return Case("A partner says what the person says.", history, replace(event, author=SAM))
    event = replace(event, author=ADA, via=COMMAND)
    barred = (*history, say("service.barred", service=COMMAND))
    return Case("It comes through a service that the person barred.", barred, event)


def _as_json(case: Case, verdict: str) -> Json:
    """Return the served example, with ids and a person that no other example has."""
    namespace = uuid5(NAMESPACE_URL, f"urn:firsthand:{case.event.type}:{verdict}")
    person = f"{ADA}-{namespace.hex[:8]}"
    events = (*case.history, case.event)
    steps = [_step(namespace, position, event) for position, event in enumerate(events)]
    example = {"title": case.title, "given": steps[:-1], **steps[-1], "verdict": verdict}
    text = orjson.dumps(example).decode().replace(ADA, person)
    return dict(orjson.loads(text.replace(ENTRY, str(uuid5(namespace, TARGET)))))


def _step(namespace: UUID, position: int, event: ExampleEvent) -> Json:
    cloud_event = {
        "specversion": "1.0",
        "id": str(uuid5(namespace, event.name or str(position))),
        "source": "/examples",
        "type": event.type,
        "subject": ADA,
        **event.more,
        "data": event.data,
    }
    via = {"via": event.via} if event.via else {}
    return {"author": event.author, **via, "event": cloud_event}
