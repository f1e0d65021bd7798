"""The plan as it is shown, in JSON and aloud: what is joined when it is read, and its marks."""

from typing import Any

import pytest

from services.ledger.plan.model import Plan
from services.ledger.presentation.plan_text import plan_text
from services.ledger.presentation.plan_view import plan_view
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json
from tests.given import ADA, BEA, NEXT_YEAR, SAM, TOM, ada, change, fold, given, sam, started

NAMES = {SAM: "Sam (nurse)", BEA: "Bea"}
DAY = "2026-03-09T12:00:00Z"
BEFORE, THEN = "2026-03-09T11:59:59.999Z", "2026-03-09T12:00:00.000Z"
BEGUN = (
    started,
    ada.states(),
    ada.plans(),
    ada.grants(SAM, "observe", "interpret", "propose"),
)


def plan_of(*events: Event) -> Plan:
    return given(*BEGUN, *events).plan


def text_of(plan: Plan, moment: str = BEFORE, current: Plan | None = None) -> str:
    return plan_text(NAMES, plan_view(plan, moment, current))


def on(shelf: str, plan: Plan, moment: str = BEFORE) -> Json:
    """The one thing on a shelf."""
    [found] = plan_view(plan, moment)["beside"][shelf]
    return dict(found)


def line_of(plan: Plan, thing: str, moment: str = BEFORE) -> Json:
    [found] = (line for line in plan_view(plan, moment)["lines"] if line["thing"] == thing)
    return dict(found)


# What runs out does so at the moment, not before and not after.

walk = change("action.planned", what="Walk more.", by=ADA)
suggestion = sam.proposes(walk, expires=DAY)
seen = sam.observes("Stopped at the gate.")
LAPSING = [
    ("proposals", (suggestion,), "open", "Its time ran out on 9 March 2026, and nothing changed."),
    (
        "proposals",
        (suggestion, ada.parks(suggestion)),
        "parked",
        "Its time ran out on 9 March 2026, and nothing changed.",
    ),
    (
        "interpretations",
        (seen, sam.interprets(seen, expires=DAY)),
        "open",
        "This was held until 9 March 2026.",
    ),
]


@pytest.mark.parametrize(("shelf", "events", "before", "told"), LAPSING)
def test_it_lapses_at_the_moment(
    shelf: str, events: tuple[Event, ...], before: str, told: str
) -> None:
    plan = plan_of(*events)
    assert [on(shelf, plan, moment)["state"] for moment in (BEFORE, THEN)] == [before, "lapsed"]
    assert told not in text_of(plan, BEFORE)
    assert told in text_of(plan, THEN)


def test_permissions_and_representatives_lapse_and_are_then_no_longer_read_out() -> None:
    plan = given(
        started,
        ada.grants(SAM, "read", until=DAY, wording="Sam may look."),
        ada.sends(BEA, "aspiration.stated", until=DAY),
    ).plan
    assert {on(each, plan, BEFORE)["state"] for each in ("grants", "representatives")} == {"open"}
    assert {on(each, plan, THEN)["state"] for each in ("grants", "representatives")} == {"lapsed"}
    told = text_of(plan, BEFORE)
    assert "- Sam (nurse): Sam may look.\n  They may: read.\n  Until 9 March 2026." in told
    assert "- Bea: My sister.\n  Bea may state what you want.\n  Until 9 March 2026." in told
    assert "Sam may look." not in text_of(plan, THEN)
    assert "My sister." not in text_of(plan, THEN)


@pytest.mark.parametrize("answer", [ada.accepts(suggestion), ada.declines(suggestion)])
def test_what_was_answered_never_lapses(answer: Event) -> None:
    plan = plan_of(suggestion, answer)
    state = answer.type.partition(".")[2]
    assert on("proposals", plan, NEXT_YEAR)["state"] == state
    assert f"You {state} this." in text_of(plan, NEXT_YEAR)


question = ada.asks(SAM, due=DAY)
promise = sam.promises(due=DAY, action="walk")
LATE = "The day has passed, and nothing has come."


@pytest.mark.parametrize(("shelf", "said"), [("questions", question), ("commitments", promise)])
def test_it_is_overdue_at_the_moment(shelf: str, said: Event) -> None:
    plan = plan_of(said)
    assert [on(shelf, plan, moment)["state"] for moment in (BEFORE, THEN)] == ["open", "overdue"]
    assert (LATE in text_of(plan, BEFORE), LATE in text_of(plan, THEN)) == (False, True)


def test_a_promise_stands_with_its_action_and_the_line_stays_as_written() -> None:
    plan = plan_of(promise)
    for moment, state in ((BEFORE, "open"), (THEN, "overdue")):
        line = line_of(plan, "action", moment)
        assert line["promised"] == [
            {"entry": promise.id, "by": SAM, "due": DAY, "state": state},
        ]
        written = plan.lines["action/walk"]
        assert {name: line[name] for name in written} == written
    assert (
        "- Walk\n  You wrote this on 2 March 2026.\n"
        "  There is a promise about this, by Sam (nurse), for 9 March 2026.\n"
    ) in text_of(plan)


ENDS = [
    (question, sam.answers(question), "questions", "answered"),
    (question, ada.closes_question(question), "questions", "closed"),
    (promise, ada.says_kept(promise), "commitments", "kept"),
    (promise, ada.says_not_kept(promise), "commitments", "not-kept"),
]


@pytest.mark.parametrize(("said", "end", "shelf", "state"), ENDS)
def test_what_has_ended_is_never_overdue(said: Event, end: Event, shelf: str, state: str) -> None:
    plan = plan_of(said, end)
    assert on(shelf, plan, NEXT_YEAR)["state"] == state
    assert LATE not in text_of(plan, NEXT_YEAR)


def test_no_clock_runs_on_the_person() -> None:
    plan = plan_of(sam.asks(ADA, due=DAY))
    assert on("questions", plan, NEXT_YEAR)["state"] == "open"
    assert "- Sam (nurse) asked you: Why?" in text_of(plan, NEXT_YEAR)
    assert LATE not in text_of(plan, NEXT_YEAR)


# Whatever is said of an entry goes wherever the entry is shown.

answered = sam.answers(question, words="Because.")
kept = ada.says_kept(promise, "On the day.")
chosen = ada.chooses("Let me stay.")
departed = sam.departs()
measure = ada.defines()
SHOWN = {
    "observation": ([], seen, "Stopped at the gate."),
    "proposal": ([], suggestion, "Walk more."),
    "interpretation": ([seen], sam.interprets(seen), "Company helps."),
    "question": ([], ada.asks(SAM, words="Why a stick?"), "Why a stick?"),
    "answer": ([question], answered, "Because."),
    "promise": ([], promise, "Bring the frame."),
    "departure": ([chosen], departed, "We drove."),
    "grant": ([], ada.grants(TOM, "propose", wording="Tom may suggest."), "Tom may suggest."),
    "representative": ([], ada.sends(BEA, "plan.closed"), "My sister."),
    "aspiration": ([], ada.states("Dance.", name="dance"), "Dance."),
    "reworded aspiration": ([], ada.rewords("Run."), "Run."),
    "action let go of": ([], ada.drops(words="Too far."), "Too far."),
    "rating": ([measure], ada.rates(6, words="Better."), "Better."),
    "outcome": ([promise], kept, "On the day."),
    "ranking": ([], ada.ranks("sea"), "The order of what you want:"),
    "closing": ([], ada.closes("I am well."), "I am well."),
    "proposal accepted": ([suggestion], ada.accepts(suggestion), "Walk more."),
}


def marks(said: Event) -> list[tuple[str, Event, str]]:
    """What may be said of an entry: the member it is shown in, the event, and what is heard."""
    author = ada if said.author == ADA else sam
    told = [
        ("disagreements", ada.disagrees(said, "Not so."), "You disagreed: Not so."),
        ("corrections", ada.asks_to_correct(said, "It was me."), "asked to correct this: It was"),
        ("corrections", author.corrects(said, "It was two."), "corrected this: It was two."),
        ("corrections", author.keeps_as_it_is(said), "did not correct this: I looked twice."),
    ]
    if CATALOGUE[said.type].kind in ("beside", "equal"):
        told.append(("retracted", author.takes_back(said, "By mistake."), "took this back: By mis"))
    if said.author == ADA:
        told.append(("struck", ada.denies(said, "I slept."), "this is not yours: I slept."))
    return told


CASES = [
    pytest.param(before, said, words, *mark, id=f"{name}: {mark[1].type}")
    for name, (before, said, words) in SHOWN.items()
    for mark in marks(said)
]


def holders(told: object, entry: str) -> list[Json]:
    """Every part of what is shown that shows an entry, by its id."""
    found = [each for part in parts(told) for each in holders(part, entry)]
    if isinstance(told, dict):
        whole: Json = told
        origin = whole.get("origin") or {}
        if entry in (whole.get("entry"), origin.get("entry")):
            found.append(whole)
    return found


def parts(told: object) -> list[Any]:
    if isinstance(told, dict):
        return [value for name, value in told.items() if name != "origin"]
    return told if isinstance(told, list) else []


@pytest.mark.parametrize(("before", "said", "words", "member", "mark", "heard"), CASES)
def test_an_entry_is_never_shown_without_what_is_said_of_it(
    before: list[Event], said: Event, words: str, member: str, mark: Event, heard: str
) -> None:
    plan = plan_of(*before, said, mark)
    showing = holders(plan_view(plan, BEFORE), said.id)
    assert showing, "the entry is shown somewhere"
    for each in showing:
        pinned = each[member]
        first = pinned[0] if isinstance(pinned, list) else pinned
        assert first["entry"] == mark.id
    told = text_of(plan)
    assert heard in told[told.index(words) :]


def test_what_is_said_of_that_stands_there_too() -> None:
    correction = sam.corrects(seen, "For half a minute.")
    dispute = ada.disagrees(correction, "Not even that.")
    plan = plan_of(seen, correction, dispute, ada.takes_back(dispute, "Let it be."))
    shown = on("observations", plan)
    assert [each["entry"] for each in shown["corrections"]] == [correction.id]
    [pinned] = shown["disagreements"]
    assert (pinned["about"], pinned["entry"]) == (correction.id, dispute.id)
    assert pinned["retracted"]["words"] == "Let it be."
    told = text_of(plan)
    for said in ("You disagreed with that: Not even that.", "You took that back: Let it be."):
        assert said in told


def test_a_partner_who_is_named_may_disagree_too() -> None:
    planned = ada.plans("Walk together", name="two", by=SAM)
    plan = plan_of(planned, sam.disagrees(planned, "Not me."))
    assert "  Sam (nurse) disagreed: Not me." in text_of(plan)


def test_a_long_chain_is_shown_whole() -> None:
    chain = [seen]
    for number in range(1500):
        chain.append(ada.disagrees(chain[-1], f"No {number}."))
    plan = plan_of(*chain)
    assert len(on("observations", plan)["disagreements"]) == 1500
    assert "You disagreed with that: No 1499." in text_of(plan)


# Views of the past.


def test_a_view_of_the_past_names_what_was_said_since() -> None:
    then, now = plan_of(seen), plan_of(seen)
    dispute, correction = ada.disagrees(seen, "Not so."), sam.corrects(seen, "A moment.")
    later = [dispute, correction, ada.disagrees(dispute, "It was."), sam.takes_back(seen)]
    fold(now, [*later, sam.observes("Walked on.")])
    shown = plan_view(then, BEFORE, now)
    assert shown["since"] == sorted(each.id for each in later)
    [observed] = shown["beside"]["observations"]
    assert {"disagreements", "corrections", "retracted"} <= observed.keys()
    told = text_of(then, BEFORE, now)
    assert "More has been said of this since then. It stands with what it is about.\n" in told
    for said in ("You disagreed: Not so.", "You disagreed with that: It was.", "A moment."):
        assert said in told
    assert "Walked on." not in told


def test_nothing_said_since_is_nothing_named() -> None:
    then, now = plan_of(seen, ada.disagrees(seen)), plan_of(seen, ada.disagrees(seen))
    assert "since" not in plan_view(then, BEFORE, now)
    assert "since" not in plan_view(then, BEFORE)
    assert "since then" not in text_of(then, BEFORE, now)


def test_a_line_that_is_denied_later_is_struck_in_the_past_too() -> None:
    said = ada.states("Move out.", name="out")
    then, now = plan_of(said), plan_of(said, ada.denies(said))
    shown = plan_view(then, BEFORE, now)
    assert [line["id"] for line in shown["lines"] if "struck" in line] == ["out"]
    assert "You said that this is not yours." in text_of(then, BEFORE, now)
