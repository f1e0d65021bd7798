"""What changed between two plans, and where words come from: as data, and told to the person."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ledger.plan.model import Plan, copy_of, dump
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.word_diff import changed_words
from services.ledger.queries.diff import PlanDiff
from services.ledger.queries.history_entry import HistoryFormatter
from services.ledger.queries.provenance import Provenance
from shared.events.event import Event, Json
from tests.given import ADA, BEA, SAM, ada, change, fold, sam, started
from tests.given import given as given_events
from tests.histories import Step, go_on, history
from tests.recorded import vault, walked
from tests.voices import bea

MANY = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
NUMBER = st.integers(0, 2**40)
HISTORY = st.lists(NUMBER, max_size=9) | st.lists(NUMBER, min_size=25, max_size=60)
NAMES = {SAM: "Sam (nurse)", BEA: "Bea (sister)"}
VAULT = vault()
TELLING = HistoryFormatter(VAULT, NAMES, ADA)


def folded(steps: Sequence[Step]) -> Plan:
    plan = Plan(ADA)
    fold(plan, [said for said, _ in steps])
    return plan


def difference(steps: Sequence[Step], start: int, end: int) -> tuple[Plan, Plan, PlanDiff]:
    """From the plan after so many entries to the plan after more of them."""
    first, last = folded(steps[:start]), folded(steps[:end])
    found = PlanDiff(TELLING, Annotations(folded(steps)))
    found.take(walked(VAULT, first, steps[:end], after=start))
    return first, last, found


Named = dict[tuple[str, str], Json]


def named(lines: Sequence[Any]) -> Named:
    """Lines, or changes to them, by thing and id."""
    return {(each["thing"], each["id"]): dict(each) for each in lines}


def applied(lines: Named, changes: Sequence[Json]) -> Named:
    """Lines with changes put into them, as the reference says."""
    done = dict(lines)
    for each in changes:
        old: Json = lines.get((each["thing"], each["id"]), {"data": {}})
        whole = {f"/data/{name}": value for name, value in old["data"].items()}
        whole |= {"/state": old["state"]} if "state" in old else {}
        for member in each["members"]:
            assert whole.pop(member["member"], None) == member.get("from")
            whole |= {member["member"]: member["to"]} if "to" in member else {}
        copied = ("thing", "id", "since", "version", "origin", "ended")
        line = {name: bare(each[name]) for name in copied if name in each}
        line["state"] = whole.pop("/state")
        line["data"] = {name.removeprefix("/data/"): value for name, value in whole.items()}
        done[each["thing"], each["id"]] = line
    return done


def bare(value: Any) -> Any:
    """An origin without what is said of it."""
    pins = ("disagreements", "corrections", "retracted", "struck")
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if name not in pins}
    return value


@MANY
@given(HISTORY, st.data())
def test_a_difference_put_into_the_first_plan_gives_the_second(
    numbers: list[int], data: st.DataObject
) -> None:
    steps = go_on(Plan(ADA), numbers)
    end = data.draw(st.integers(0, len(steps)), label="to")
    start = data.draw(st.integers(0, end), label="from")
    first, last, found = difference(steps, start, end)
    assert applied(named([*first.lines.values()]), found.changes()) == named([*last.lines.values()])
    untouched = {line["version"] for line in first.lines.values()}
    assert all(each["version"] not in untouched for each in found.changes())
    ids = {each["id"] for change in found.changes() for each in change["entries"]}
    assert {m["entry"] for change in found.changes() for m in change["members"]} <= ids


@MANY
@given(HISTORY, HISTORY)
def test_a_copy_is_folded_on_and_the_other_stays(before: list[int], then: list[int]) -> None:
    plan, one_by_one = Plan(ADA), Plan(ADA)
    go_on(plan, before)
    stays, copied = dump(plan), copy_of(plan)
    assert dump(copied) == stays
    more = [said for said, _ in go_on(copied, then)]
    assert dump(plan) == stays
    go_on(one_by_one, before)
    fold(one_by_one, more)
    assert dump(one_by_one) == dump(copied)


def entries_in(told: Any) -> Iterator[tuple[str, Json]]:
    """Every entry that an answer shows, with what stands there: an origin, or an entry told."""
    if isinstance(told, list):
        for each in told:
            yield from entries_in(each)
    elif isinstance(told, dict):
        whole: Json = told
        if "author" in whole:
            yield str(whole.get("entry") or whole["id"]), whole
        for name, each in whole.items():
            if name not in ("disagreements", "corrections", "retracted", "struck"):
                yield from entries_in(each)


def disagreements(plan: Plan, name: str) -> set[str]:
    found = {each["entry"] for each in plan.disagreements.get(name, ())}
    return found.union(*(disagreements(plan, each) for each in found))


@MANY
@given(HISTORY, st.data())
def test_whatever_shows_a_disputed_entry_shows_its_disagreements(
    numbers: list[int], data: st.DataObject
) -> None:
    steps = go_on(Plan(ADA), numbers)
    end = data.draw(st.integers(0, len(steps)), label="to")
    current = folded(steps)
    _, last, found = difference(steps, data.draw(st.integers(0, end), label="from"), end)
    origins = Provenance(TELLING, Annotations(current))
    origins.take(walked(VAULT, Plan(ADA), steps[:end]))
    for told in (found.changes(), origins.lines(last)):
        for name, shown in entries_in(told):
            pinned = {each["entry"] for each in shown.get("disagreements", ())}
            assert disagreements(current, name) <= pinned


def sentences(told: Any) -> Iterator[str]:
    """The sentences in an answer."""
    if isinstance(told, list):
        for each in told:
            yield from sentences(each)
    elif isinstance(told, dict):
        yield from (each for name, each in told.items() if name == "sentence")
        for each in told.values():
            yield from sentences(each)


def test_no_sentence_has_more_than_twenty_words() -> None:
    for seed in range(15):
        steps = history(range(seed * 100, seed * 100 + 60))
        _, last, found = difference(steps, 0, len(steps))
        origins = Provenance(TELLING, Annotations(last))
        origins.take(walked(VAULT, Plan(ADA), steps))
        for text in [*sentences(found.changes()), *sentences(origins.lines(last))]:
            assert all(len(part.split()) <= 20 for part in text.split(". ")), text
            assert text.endswith(".")


def texts_of(*events: Event, start: int = 1) -> tuple[str, str]:
    """The difference and the origins of a history, told."""
    plan = given_events(*events).plan
    verdicts = fold(Plan(ADA), events)
    steps = list(zip(events, verdicts, strict=True))
    first, last, found = difference(steps, start, len(steps))
    origins = Provenance(TELLING, Annotations(plan))
    origins.take(walked(VAULT, Plan(ADA), steps))
    return found.text(first, last), origins.text(plan)


SUGGESTED = sam.proposes(change("action.planned", id="walk", what="Walk 2,000 steps.", by=ADA))
MINE = {"id": "walk", "what": "Walk to the bakery.", "by": ADA}
BEGUN = (started, ada.grants(SAM, "propose"))
THROUGH = "It came through Notebook; local vouched for who wrote it."
ORIGINS = [
    ((ada.states(),), "You wrote this on 2 March 2026."),
    (
        (ada.states(), ada.rewords("I want to swim to the sea again.")),
        "You changed 1 word on 2 Mar",
    ),
    ((SUGGESTED, ada.accepts(SUGGESTED)), "Sam (nurse) suggested it; you accepted it on 2 March"),
    ((SUGGESTED, ada.accepts(SUGGESTED, MINE)), "Sam (nurse) suggested it; you changed 3 words."),
    (
        (SUGGESTED, ada.accepts(SUGGESTED, {**MINE, "what": "Walk 2,000 steps.", "when": "Now"})),
        "you accepted it on 2 March 2026, in other ways changed.",
    ),
    (
        (ada.sends(BEA, "aspiration.stated"), bea.states()),
        "Bea (sister) wrote this for you on 2 March 2026.",
    ),
    ((said := ada.states(), ada.denies(said)), "This was written in your name on 2 March 2026."),
]


@pytest.mark.parametrize(("events", "told"), ORIGINS)
def test_each_line_says_where_its_words_come_from(events: tuple[Event, ...], told: str) -> None:
    text = texts_of(*BEGUN, *events)[1]
    assert told in text
    assert THROUGH in text


def test_a_difference_is_told_in_the_second_person() -> None:
    stated = ada.states("Walk to the sea again.")
    dispute = ada.disagrees(stated, "I never said again.")
    told, _ = texts_of(
        *(started, stated, ada.plans("Walk")),
        *(dispute, ada.rewords("Walk to the sea."), ada.does("walk", "Far."), ada.names("need")),
        start=3,
    )
    assert told == (
        "What changed in your plan, from version 3 to version 6.\n\n"
        "What is new\n"
        "- Mrs Hill.\n"
        "  2 March 2026: You named a need.\n\n"
        "What is different\n"
        "- Walk to the sea.\n"
        "  Before: Walk to the sea again.\n"
        "  You disagreed: I never said again.\n"
        "  2 words are different.\n"
        "  2 March 2026: You changed your words for what you want.\n\n"
        "What came to rest or to an end\n"
        "- Walk\n"
        "  2 March 2026: You did what you had planned.\n"
    )


def test_where_nothing_changed_it_says_so() -> None:
    assert texts_of(started, ada.states(), ada.grants(SAM, "read"), start=2)[0] == (
        "Nothing changed in your plan, from version 2 to version 2.\n"
    )


def table(before: list[str], after: list[str]) -> int:
    """Words that the longest common subsequence leaves, by the usual table."""
    rows = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, old in enumerate(before):
        for j, new in enumerate(after):
            longest = max(rows[i][j + 1], rows[i + 1][j])
            rows[i + 1][j + 1] = rows[i][j] + 1 if old == new else longest
    return max(len(before), len(after)) - rows[-1][-1]


@settings(deadline=None, database=None)
@given(st.lists(st.sampled_from("abcde"), max_size=90), st.lists(st.sampled_from("abcdef")))
def test_words_are_counted_as_the_usual_table_counts_them(old: list[str], new: list[str]) -> None:
    assert changed_words(" ".join(old), "\n".join(new)) == table(old, new)


def test_long_words_of_one_sort_are_counted_in_no_time() -> None:
    assert changed_words("a " * 10_000, "a " * 9_999 + "b") == 1
