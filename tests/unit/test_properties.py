"""What holds for every history: properties 1 to 4 of the design, and what can be decided of 5."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ledger.plan.bounds import BOUNDS
from services.ledger.plan.decide import Accepted, Refusal, Verdict
from services.ledger.plan.model import Plan, dump, load
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, canonical
from shared.events.refusals import NO_STANDING, Code
from shared.events.schema_fields import is_valid
from shared.events.type_names import Kind
from tests.given import ADA, fold
from tests.histories import OTHERS, SMALL, go_on, history

ROOT = Path(__file__).resolve().parents[2]
# Hypothesis finds the corners; the long run below takes care of the numbers.
MANY = settings(
    max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
NUMBER = st.integers(0, 2**40)
HISTORY = st.lists(NUMBER, max_size=9) | st.lists(NUMBER, min_size=25, max_size=70)
GENERAL = {*NO_STANDING, Code.ID_REUSED, Code.VERSION_CONFLICT, Code.PLAN_FULL}
UNREACHABLE = {Code.PLAN_ERASED, Code.OUR_FAULT}  # erasure is not built; ours are not decide's


def took_effect(events: list[Event], verdicts: list[Verdict]) -> dict[str, tuple[Event, Verdict]]:
    """The accepted events by their ids."""
    return {
        said.id: (said, verdict)
        for said, verdict in zip(events, verdicts, strict=True)
        if isinstance(verdict, Accepted)
    }


def folded(numbers: list[int]) -> tuple[Plan, list[Event], list[Verdict]]:
    """A history: the plan it ends in, its events, their verdicts."""
    plan = Plan(ADA)
    steps = go_on(plan, numbers)
    return plan, [said for said, _ in steps], [verdict for _, verdict in steps]


# 1. No sequence of events by anyone but P changes any line: P, or whom P sent to speak for them.


@MANY
@given(HISTORY, HISTORY)
def test_nobody_else_changes_any_line(before: list[int], then: list[int]) -> None:
    _, events, _ = folded(before)
    plan = Plan(ADA)
    fold(plan, [said for said in events if said.type != "representative.named"])
    lines, version, state = canonical(plan.lines), plan.version, plan.state
    steps = go_on(plan, then, OTHERS)
    assert all(said.author != ADA for said, _ in steps)
    assert not any(verdict.represented for _, verdict in steps)
    assert (canonical(plan.lines), plan.version, plan.state) == (lines, version, state)


def sent_by_the_person(events: list[Event], speaks: Event) -> bool:
    """True if what the person said before lets the author speak: by hand, from the events alone."""
    sent: list[Event] = []
    for said in events:
        if said.by_person and said.type == "representative.named":
            sent.append(said)
        if said.by_person and said.type == "representative.ended":
            ended = said.data["representative"]
            sent = [each for each in sent if each.data["representative"] != ended]
    return any(
        each.data["representative"] == speaks.author
        and speaks.type in each.data["scope"]
        and (each.data["until"] == "until-withdrawn" or speaks.received < each.data["until"])
        for each in sent
    )


@MANY
@given(HISTORY)
def test_whoever_speaks_for_the_person_was_sent_by_the_person(numbers: list[int]) -> None:
    _, events, verdicts = folded(numbers)
    plan, heard = Plan(ADA), list[Event]()
    for said, verdict in zip(events, verdicts, strict=True):
        lines, shared = canonical(plan.lines), canonical(plan.whose)
        fold(plan, [said])
        moved = canonical(plan.lines) != lines or canonical(plan.whose) != shared
        if moved or verdict.represented:
            assert said.by_person != verdict.represented
        if verdict.represented:
            assert sent_by_the_person(heard, said)
            assert CATALOGUE[said.type].who.person
        if isinstance(verdict, Accepted):
            heard.append(said)


@MANY
@given(HISTORY)
def test_without_answers_the_lines_are_what_the_person_alone_would_have_written(
    numbers: list[int],
) -> None:
    _, events, _ = folded(numbers)
    firsts = {said.id: said for said in reversed(events)}.values()
    unanswered = [said for said in reversed(firsts) if CATALOGUE[said.type].kind is not Kind.ANSWER]
    among_others, alone = Plan(ADA), Plan(ADA)
    verdicts = fold(among_others, unanswered)
    heard = zip(unanswered, verdicts, strict=True)
    fold(alone, [said for said, verdict in heard if said.by_person or verdict.represented])
    assert canonical(among_others.lines) == canonical(alone.lines)
    assert among_others.version == alone.version


# 2. Every line was written or accepted by P.


@MANY
@given(HISTORY)
def test_every_line_was_written_or_accepted_by_the_person(numbers: list[int]) -> None:
    plan, events, verdicts = folded(numbers)
    heard = took_effect(events, verdicts)
    for line in plan.lines.values():
        origin = line["origin"]
        said, verdict = heard[origin["entry"]]
        assert origin["author"] == said.author == plan.entries[said.id][0]
        assert said.by_person != verdict.represented
        assert origin["received"] == said.received
        assert CATALOGUE[said.type].kind in (Kind.PLAN, Kind.ANSWER)
        suggested = CATALOGUE[said.type].kind is Kind.ANSWER
        assert suggested == ("suggested_by" in origin)
        if suggested:
            assert origin["suggested_by"] == heard[origin["proposal"]][0].author != ADA
        if "ended" in line:
            by = heard[line["ended"]["entry"]]
            assert by[0].by_person != by[1].represented


# 3. Replaying twice, elsewhere, or from any snapshot gives the same bytes and verdicts.


@MANY
@given(HISTORY)
def test_replaying_gives_the_same_bytes_and_the_same_verdicts(numbers: list[int]) -> None:
    plan, events, verdicts = folded(numbers)
    again = Plan(ADA)
    assert fold(again, [Event.from_message(said.message()) for said in events]) == verdicts
    assert dump(again) == dump(plan)


@MANY
@given(HISTORY, st.data())
def test_replaying_from_any_snapshot_gives_the_same(
    numbers: list[int], data: st.DataObject
) -> None:
    plan, events, verdicts = folded(numbers)
    place = data.draw(st.integers(0, len(events)), label="snapshot at")
    early = Plan(ADA)
    assert fold(early, events[:place]) == verdicts[:place]
    snapshot = dump(early)
    late = load(snapshot)
    assert dump(late) == snapshot
    assert fold(late, deepcopy(events[place:])) == verdicts[place:]
    assert dump(late) == dump(plan)


@MANY
@given(HISTORY)
def test_a_snapshot_after_every_event_changes_nothing(numbers: list[int]) -> None:
    plan, events, verdicts = folded(numbers)
    other = Plan(ADA)
    for said, verdict in zip(events, verdicts, strict=True):
        assert fold(other, [said]) == [verdict]
        other = load(dump(other))
    assert dump(other) == dump(plan)


@MANY
@given(HISTORY)
def test_folding_leaves_the_events_as_they_were(numbers: list[int]) -> None:
    _, events, _ = folded(numbers)
    for said in events:
        assert Event.from_message(said.message()) == said


def fingerprint() -> str:
    """One number for what many histories come to; run by itself in other processes too."""
    dice, whole = Random(2026), hashlib.sha256()
    for _ in range(100):
        plan, _, verdicts = folded([dice.getrandbits(40) for _ in range(60)])
        whole.update(dump(plan) + repr(verdicts).encode())
    return whole.hexdigest()


def test_replaying_in_another_process_gives_the_same() -> None:
    code = (
        "from tests.unit.test_properties import fingerprint as f; import sys; sys.stdout.write(f())"
    )
    here = fingerprint()
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/St_Johns")):
        elsewhere = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        command = [sys.executable, "-c", code]
        assert subprocess.check_output(command, env=elsewhere, cwd=ROOT).decode() == here


# 4. Refused events change nothing but the history.


@MANY
@given(HISTORY)
def test_a_refused_event_leaves_every_byte_of_the_plan(numbers: list[int]) -> None:
    _, events, _ = folded(numbers)
    plan = Plan(ADA)
    for said in events:
        before = dump(plan)
        if isinstance(fold(plan, [said])[0], Refusal):
            assert dump(plan) == before


@MANY
@given(HISTORY)
def test_leaving_out_refused_events_comes_to_the_same_plan(numbers: list[int]) -> None:
    plan, events, verdicts = folded(numbers)
    heard = took_effect(events, verdicts)
    short = Plan(ADA)
    assert fold(short, [said for said, _ in heard.values()]) == [each for _, each in heard.values()]
    assert dump(short) == dump(plan)


@MANY
@given(HISTORY)
def test_the_version_moves_exactly_when_a_line_does(numbers: list[int]) -> None:
    _, events, _ = folded(numbers)
    plan = Plan(ADA)
    for said in events:
        version, lines = plan.version, deepcopy(plan.lines)
        fold(plan, [said])
        moved = {name for name, line in plan.lines.items() if lines.get(name) != line}
        assert lines.keys() <= plan.lines.keys()
        assert plan.version - version == len(moved) <= 1
        assert all(plan.lines[name]["version"] == plan.version for name in moved)


# 5, as far as a plan can hold it: a disagreement stays with its entry for good.


@MANY
@given(HISTORY)
def test_a_disagreement_stays_with_its_entry(numbers: list[int]) -> None:
    plan, events, verdicts = folded(numbers)
    stated = [
        (said.data["entry"], said.id, said.author, said.data["words"])
        for said, _ in took_effect(events, verdicts).values()
        if said.type == "disagreement.stated"
    ]
    pinned = [
        (entry, each["entry"], each["author"], each["words"])
        for entry, several in plan.disagreements.items()
        for each in several
    ]
    assert sorted(pinned) == sorted(stated)
    assert plan.disagreements.keys() <= plan.entries.keys()


# What the histories reach. (Own refusals of every type: each is earned.)


def test_many_histories_reach_every_type_and_every_refusal() -> None:
    dice, seen, more = Random(1), Counter[tuple[str, str]](), Counter[str]()
    for number in range(1600):  # every fourth under bounds that it comes to
        bounds = SMALL if number % 4 == 0 else BOUNDS
        for said, verdict in history([dice.getrandbits(40) for _ in range(80)], bounds):
            seen[said.type, verdict.code if isinstance(verdict, Refusal) else "accepted"] += 1
            more["represented"] += verdict.represented
            more["warned"] += isinstance(verdict, Accepted) and bool(verdict.warnings)
    for kind, row in CATALOGUE.items():
        told = {code for name, code in seen if name == kind}
        own = {*row.refusals, "accepted"}
        assert own <= told, f"{kind}: no history earned {own - told}"
        assert told <= own | GENERAL, f"{kind} is refused for what the catalogue does not say"
    assert {code for _, code in seen} == {"accepted", *set(Code) - UNREACHABLE}
    taken = sum(count for (_, code), count in seen.items() if code == "accepted")
    assert min(more["represented"], more["warned"]) > 200
    assert 0.2 < taken / seen.total() < 0.8, "histories are neither all refused nor all accepted"


def test_what_is_made_up_has_the_shape_of_its_type() -> None:
    dice, tried = Random(2), Counter[str]()
    for _ in range(150):
        for said, _ in history([dice.getrandbits(40) for _ in range(60)]):
            assert is_valid(CATALOGUE[said.type].schema, said.data), (said.type, said.data)
            tried[said.type] += 1
    assert set(tried) == set(CATALOGUE)
