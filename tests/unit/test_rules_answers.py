"""Proposals: what a partner suggests, and what the person answers. Silence is never yes."""

import pytest

from services.ledger.plan.model import Plan
from shared.events.event import Event
from tests.given import (
    ADA,
    LATER,
    NOON,
    SAM,
    SEA,
    Check,
    accepted,
    ada,
    again,
    at,
    beside,
    change,
    given,
    line,
    lines,
    named_in,
    refused,
    sam,
    sam_may_propose,
    seeing,
    started,
    version,
)

TUESDAYS = {"what": "Walk on Tuesdays", "by": SAM}
BEGUN = (started, sam_may_propose, ada.states())
WALK = sam.proposes(change("action.planned", id="walk", **TUESDAYS))
REWORD = sam.proposes(change("aspiration.reworded", aspiration="sea", words="I want to swim."))


def answered(answer: str, words: str | None = None) -> Check:
    """Sam's walk stands beside the plan with this answer, its own text as Sam wrote it."""

    def check(plan: Plan) -> None:
        proposal = plan.beside[WALK.id]
        assert (proposal["answer"], proposal.get("answer_words")) == (answer, words)
        assert proposal["data"] == WALK.data

    return check


def test_a_proposal_stands_beside_the_plan_and_changes_no_line() -> None:
    given(*BEGUN).when(WALK).then(
        accepted,
        beside("beside", WALK),
        lines("plan/plan", "aspiration/sea"),
        version(2),
        named_in(WALK, [SAM]),
    )


@pytest.mark.parametrize(
    "suggested",
    [
        change("plan.started", name_to_use="Ada", language="en"),
        change("proposal.declined", proposal="a"),
        change("observation.recorded", who_saw=SAM, seen_or_heard="Ran."),
        change("access.granted", to=SAM, scopes=["read"], until=NOON, purpose="x"),
        change("plan.ended"),
        change("aspiration.paused", aspiration="sea", until="May"),
        change("measure.rated", measure="steady", version=0, value=3),
        change("question.asked", to=ADA, words="Why?"),
        change("representative.named", representative=SAM, scope=["action.done"], until=NOON),
        change("nonsense"),
        change("action.planned", what="Walk"),
        change("action.planned", what="Walk", by=SAM, colour="red"),
        change("action.planned", what="  ", by=SAM),
        change("action.planned", what="Walk", by="service:shoes"),
        change("aspiration.stated", words=SEA, importance="9"),
        change("aspiration.stated", words=None),
    ],
)
def test_a_proposal_holds_a_change_that_a_plan_can_hold(suggested: dict[str, object]) -> None:
    given(*BEGUN).when(sam.proposes(suggested)).then(refused("invalid-change"))


def test_whether_a_change_fits_the_plan_is_not_asked_before_it_is_accepted() -> None:
    lost = sam.proposes(change("aspiration.reworded", aspiration="moon", words="Fly."))
    given(*BEGUN).when(lost).then(accepted)


def test_an_accepted_change_is_a_line_that_says_who_suggested_it() -> None:
    yes = at(LATER, ada.accepts(WALK))
    whence = {"entry": yes.id, "author": ADA, "received": LATER, "proposal": WALK.id}
    given(*BEGUN, WALK).when(yes).then(
        accepted,
        line("action/walk", data=TUESDAYS, state="open", since=3, version=3),
        line("action/walk", origin={**whence, "suggested_by": SAM, "reworded": False}),
        answered("accepted"),
        version(3),
    )


def test_a_change_without_a_name_is_named_by_the_acceptance() -> None:
    walk = sam.proposes(change("action.planned", **TUESDAYS))
    yes = ada.accepts(walk)
    given(*BEGUN, walk).when(yes).then(accepted, line(f"action/{yes.id}", id=yes.id))


def test_in_my_words_keeps_both_texts() -> None:
    mine = {"id": "walk", "what": "Walk when it is dry", "by": SAM}
    yes = ada.accepts(WALK, mine)
    given(*BEGUN, WALK).when(yes).then(
        accepted,
        line("action/walk", data={"what": "Walk when it is dry"}),
        line("action/walk", origin={"author": ADA, "suggested_by": SAM, "reworded": True}),
        answered("accepted"),
    )


def test_in_my_words_may_choose_another_name() -> None:
    yes = ada.accepts(WALK, {"id": "stroll", **TUESDAYS})
    given(*BEGUN, WALK).when(yes).then(
        accepted, lines("plan/plan", "aspiration/sea", "action/stroll")
    )


@pytest.mark.parametrize("mine", [{}, {"what": ""}, {"what": "Walk", "by": SAM, "colour": "red"}])
def test_in_my_words_must_still_be_that_change(mine: dict[str, object]) -> None:
    given(*BEGUN, WALK).when(ada.accepts(WALK, mine)).then(refused("invalid-change"))


def test_an_accepted_rewording_gives_the_line_its_new_origin() -> None:
    whence = {"suggested_by": SAM, "reworded": False}
    given(*BEGUN, REWORD).when(ada.accepts(REWORD)).then(
        accepted, line("aspiration/sea", data={"words": "I want to swim."}, origin=whence)
    )


def test_words_of_the_persons_own_afterwards_owe_nothing_to_the_proposal() -> None:
    mine = ada.rewords("I want to dive.")
    given(*BEGUN, REWORD, ada.accepts(REWORD)).when(mine).then(
        accepted, line("aspiration/sea", origin={"suggested_by": None, "proposal": None})
    )


def test_a_proposal_of_letting_go_can_be_accepted() -> None:
    let_go = sam.proposes(change("aspiration.let-go", aspiration="sea", words="Too far."))
    given(*BEGUN, let_go).when(ada.accepts(let_go)).then(
        accepted, line("aspiration/sea", state="let-go", data={"closing_words": "Too far."})
    )


def test_a_proposal_about_the_person_can_be_accepted() -> None:
    section = sam.proposes(
        change("about-me.written", section="Food", words="No fish."), their_words=True
    )
    given(*BEGUN, section).when(ada.accepts(section)).then(
        accepted, line("about-me/Food", data={"words": "No fish."}, origin={"author": ADA})
    )


def test_a_proposal_never_made_cannot_be_accepted() -> None:
    given(*BEGUN).when(ada.accepts(WALK)).then(refused("unknown-target"))


def test_an_event_of_another_type_is_no_proposal() -> None:
    given(*BEGUN).when(ada.accepts(sam_may_propose)).then(refused("unknown-target"))


@pytest.mark.parametrize(
    ("expires", "received", "lapsed"),
    [
        ("2026-03-02T12:00:00.001Z", NOON, False),
        ("2026-03-02T12:00:00Z", NOON, True),
        ("2026-03-02T12:00:00.000000001Z", NOON, True),  # digits past microseconds are cut off
        ("2026-03-02T11:59:59.999Z", NOON, True),
        ("2026-03-02T13:00:00+01:00", NOON, True),
        ("2026-03-02T13:00:00.001+01:00", NOON, False),
        ("2026-03-02T07:00:00-05:30", NOON, False),
    ],
)
def test_a_proposal_lapses_exactly_at_expires(expires: str, received: str, lapsed: bool) -> None:
    walk = sam.proposes(change("action.planned", **TUESDAYS), expires=expires)
    yes = at(received, ada.accepts(walk))
    given(*BEGUN, walk).when(yes).then(refused("lapsed") if lapsed else accepted)


@pytest.mark.parametrize("first", [ada.accepts(WALK), ada.declines(WALK)])
@pytest.mark.parametrize("second", [again(ada.accepts(WALK)), again(ada.declines(WALK))])
def test_a_proposal_is_answered_once(first: Event, second: Event) -> None:
    given(*BEGUN, WALK, first).when(second).then(refused("already-answered"))


def test_that_it_lapsed_is_told_before_that_it_was_answered() -> None:
    walk = sam.proposes(change("action.planned", **TUESDAYS), expires=LATER)
    late = at(LATER, again(ada.accepts(walk)))
    given(*BEGUN, walk, ada.accepts(walk)).when(late).then(refused("lapsed"))


def test_that_it_was_answered_is_told_before_what_is_wrong_with_the_words() -> None:
    given(*BEGUN, WALK, ada.declines(WALK)).when(ada.accepts(WALK, {})).then(
        refused("already-answered")
    )


@pytest.mark.parametrize(
    ("suggested", "code"),
    [
        (change("aspiration.reworded", aspiration="moon", words="Fly."), "unknown-target"),
        (change("aspiration.reworded", aspiration="sea", words=SEA), "unchanged"),
        (change("aspiration.stated", id="sea", words="Swim."), "exists"),
        (change("aspiration.let-go", aspiration="moon"), "unknown-target"),
        (change("aspiration.let-go", aspiration="sea"), None),
        (change("action.planned", id="a", aspiration="moon", **TUESDAYS), "unknown-target"),
        (change("action.done", action="walk"), "unknown-target"),
    ],
)
def test_an_acceptance_earns_the_refusals_of_its_change(
    suggested: dict[str, object], code: str | None
) -> None:
    proposal = sam.proposes(suggested)
    given(*BEGUN, proposal).when(ada.accepts(proposal)).then(refused(code) if code else accepted)


def test_a_change_overtaken_by_the_person_is_refused_when_accepted() -> None:
    let_go = sam.proposes(change("aspiration.let-go", aspiration="sea"))
    given(*BEGUN, let_go, ada.lets_go()).when(ada.accepts(let_go)).then(refused("wrong-state"))


def test_a_refused_acceptance_leaves_the_proposal_open() -> None:
    lost = sam.proposes(change("aspiration.let-go", aspiration="moon"))
    given(*BEGUN, lost).when(ada.declines(lost)).then(accepted)


def test_a_person_declines_without_a_reason() -> None:
    given(*BEGUN, WALK).when(ada.declines(WALK)).then(
        accepted, answered("declined"), version(2), lines("plan/plan", "aspiration/sea")
    )


def test_the_words_of_a_declining_stand_with_the_proposal() -> None:
    given(*BEGUN, WALK).when(ada.declines(WALK, "Not now.")).then(
        accepted, answered("declined", "Not now.")
    )


def test_a_proposal_never_made_cannot_be_declined() -> None:
    given(*BEGUN).when(ada.declines(WALK)).then(refused("unknown-target"))


def test_a_lapsed_proposal_may_still_be_declined() -> None:
    walk = sam.proposes(change("action.planned", **TUESDAYS), expires=NOON)
    given(*BEGUN, walk).when(at(LATER, ada.declines(walk))).then(accepted)


def test_a_proposal_outlives_the_grant_it_was_made_under() -> None:
    given(*BEGUN, WALK, ada.withdraws(sam_may_propose)).when(ada.accepts(WALK)).then(accepted)


def test_an_acceptance_of_a_plan_that_moved_meanwhile_is_a_conflict() -> None:
    given(*BEGUN, WALK).when(seeing(1, ada.accepts(WALK))).then(refused("version-conflict"))


def test_a_line_that_was_suggested_says_so_after_its_end() -> None:
    given(*BEGUN, WALK, ada.accepts(WALK)).when(ada.does()).then(
        accepted, line("action/walk", state="done", origin={"suggested_by": SAM})
    )
