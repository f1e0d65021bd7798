"""Example cases of single types: refusals that need a case of their own for one type."""

from dataclasses import replace
from typing import Any

from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples.building_blocks import (
    LONG_AGO,
    SCALE,
    SEEN,
    TOM,
    Case,
    ExampleEvent,
    before,
    in_a_plan,
    say,
)
from shared.events.catalogue.kind_beside import FAR
from shared.events.refusals import Code


def _case(title: str, kind: str, *then: ExampleEvent, **data: Any) -> Case:
    """Return a case: the events that must precede the type, `then`, and its event with `data`."""
    return Case(title, (*before(kind), *then), say(kind, **data))


def _less(title: str, kind: str, member: str) -> Case:
    """Return a case of a type without one member of its data."""
    event = say(kind)
    data = {name: value for name, value in event.data.items() if name != member}
    return Case(title, before(kind), replace(event, data=data))


def _accepts(title: str, change: ExampleEvent, *before: str, expires: str = FAR) -> Case:
    """Return a case in which the person accepts a proposed change."""
    proposed = {"type": change.type, "data": change.data}
    proposal = say("proposal.made", change=proposed, expires=expires)
    return Case(title, in_a_plan(*before, "access.granted", proposal), say("proposal.accepted"))


def _judges_another(kind: str) -> Case:
    """Return a case in which the person judges a promise that was made to Tom."""
    to_tom = say("commitment.made", to=TOM)
    history = in_a_plan("access.granted", say("access.granted", to=TOM), to_tom)
    return Case("It was promised to somebody else.", history, say(kind))


_MISSING = "nothing-of-that-name"
_NO_RANGE = {"min": 10, "max": 0}
TYPE_CASES: dict[tuple[str, Code], Case] = {
    ("measure.defined", Code.BAD_RANGE): _case("The scale falls.", "measure.defined", **_NO_RANGE),
    ("measure.revised", Code.BAD_RANGE): _case("The scale falls.", "measure.revised", **_NO_RANGE),
    ("measure.rated", Code.OUT_OF_RANGE): _case("The scale ends at 10.", "measure.rated", value=11),
    ("measure.rated", Code.VERSION_MISMATCH): _case(
        "The measure was changed meanwhile.", "measure.rated", say("measure.revised"), value=4
    ),
    ("advance-choice.revised", Code.WRONG_STATE): _case(
        "The choice was taken back.", "advance-choice.revised", say("advance-choice.revoked")
    ),
    ("proposal.parked", Code.ALREADY_ANSWERED): _case(
        "It was declined before.", "proposal.parked", say("proposal.declined")
    ),
    ("proposal.accepted", Code.LAPSED): _accepts(
        "Its time had run out.", say("need.named"), expires=LONG_AGO
    ),
    ("proposal.accepted", Code.INVALID_CHANGE): _case(
        "Their words have no place in it.", "proposal.accepted", in_my_words={"words": "Walk."}
    ),
    ("proposal.accepted", Code.WRONG_STATE): _accepts(
        "The plan is not closed.", say("plan.reopened")
    ),
    ("proposal.accepted", Code.EXISTS): _accepts(
        "The plan has a need of that name.", say("need.named"), "need.named"
    ),
    ("proposal.accepted", Code.UNCHANGED): _accepts(
        "The need has these words.",
        say("need.reworded", words=CATALOGUE["need.named"].example["words"]),
        "need.named",
    ),
    ("proposal.accepted", Code.BAD_RANGE): _accepts(
        "The suggested scale falls.", say("measure.defined", **_NO_RANGE), "aspiration.stated"
    ),
    ("proposal.accepted", Code.OUT_OF_RANGE): _accepts(
        "The scale ends at 10.", say("measure.rated", value=11), *SCALE
    ),
    ("proposal.accepted", Code.VERSION_MISMATCH): _accepts(
        "The measure has version 1.", say("measure.rated", version=2), *SCALE
    ),
    ("proposal.made", Code.INVALID_CHANGE): _case(
        "Nobody can suggest to start a plan.",
        "proposal.made",
        change={"type": "plan.started", "data": dict(CATALOGUE["plan.started"].example)},
    ),
    ("observation.recorded", Code.MISSING_OBSERVABLE): _less(
        "Nothing was seen or heard.", "observation.recorded", "seen_or_heard"
    ),
    ("interpretation.offered", Code.NO_BASIS): _case(
        "It names no observation.", "interpretation.offered", based_on=[]
    ),
    ("authorship.denied", Code.NOT_IN_YOUR_NAME): Case(
        "It is a partner's entry.", in_a_plan(*SEEN), say("authorship.denied")
    ),
    ("question.asked", Code.UNKNOWN_TARGET): _case(
        "It is about an entry that is not there.", "question.asked", about=_MISSING
    ),
    ("question.asked", Code.UNKNOWN_ADDRESSEE): _case(
        "Whom it asks has not been allowed.", "question.asked", to=TOM
    ),
    ("question.answered", Code.BASIS_MISSING): _less(
        "It rests on nothing.", "question.answered", "basis"
    ),
    ("commitment.made", Code.UNKNOWN_TARGET): _case(
        "It is about an action that is not there.", "commitment.made", action=_MISSING
    ),
    ("commitment.made", Code.UNKNOWN_ADDRESSEE): _case(
        "It is promised to somebody who has not been allowed.", "commitment.made", to=TOM
    ),
    ("commitment.kept", Code.WRONG_ADDRESSEE): _judges_another("commitment.kept"),
    ("commitment.not-kept", Code.WRONG_ADDRESSEE): _judges_another("commitment.not-kept"),
    ("access.granted", Code.WORDING_MISSING): _less(
        "It was not agreed in words.", "access.granted", "wording"
    ),
    ("representative.named", Code.NOT_TO_BE_HANDED_ON): _case(
        "Naming others stays the person's own.",
        "representative.named",
        scope=["representative.named"],
    ),
}
