"""What others make of things; corrections, taking back, and "that was not me"."""

import pytest

from services.ledger.plan.model import Plan
from shared.events.event import Event
from tests.given import (
    ADA,
    BEA,
    LATER,
    NOON,
    SAM,
    TOM,
    Check,
    accepted,
    ada,
    again,
    at,
    bea,
    beside,
    change,
    for_the_person,
    given,
    line,
    lines,
    named_in,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    started,
    tom,
    version,
)

INTERPRETING = ada.grants(SAM, "interpret")
BEGUN = (started, sam_may_observe, sam_may_propose, INTERPRETING)
SEEN = sam.observes("Walked to the gate.", who_saw=TOM)
WALK = sam.proposes(change("action.planned", id="walk", what="Walk", by=SAM))
WISH = ada.states()


def unchanged(before: Plan) -> Check:
    """No line of the plan moved."""

    def check(plan: Plan) -> None:
        assert (plan.lines, plan.version) == (before.lines, before.version)

    return check


# Interpretations.


def test_an_interpretation_rests_on_observations_and_stands_beside_the_plan() -> None:
    said = sam.interprets(SEEN, holder=TOM)
    given(*BEGUN, SEEN).when(said).then(
        accepted,
        beside("beside", said),
        lines("plan/plan"),
        version(1),
        named_in(said, [SAM, TOM]),
    )


@pytest.mark.parametrize("based_on", [None, []])
def test_an_interpretation_without_an_observation_is_refused(based_on: list[str] | None) -> None:
    bare = sam.says(
        "interpretation.offered", holder=SAM, words="x", expires=NOON, based_on=based_on
    )
    given(*BEGUN, SEEN).when(bare).then(refused("no-basis"))


@pytest.mark.parametrize("other", [WISH, WALK, sam_may_observe, ada.states("Unsaid.")])
def test_an_interpretation_rests_on_observations_alone(other: Event) -> None:
    before = given(*BEGUN, WISH, WALK, SEEN, ada.observes())
    before.when(sam.interprets(SEEN, other)).then(refused("unknown-target"))
    before.when(sam.interprets(SEEN, ada.observes())).then(accepted)


@pytest.mark.parametrize("scope", ["read", "observe", "propose", "audit"])
def test_interpreting_needs_its_own_scope(scope: str) -> None:
    seen = ada.observes()
    given(started, seen, ada.grants(SAM, scope)).when(sam.interprets(seen)).then(
        refused("no-grant")
    )


def test_an_interpretation_can_be_disagreed_with_and_taken_back() -> None:
    said = sam.interprets(SEEN)
    given(*BEGUN, SEEN, said).when(ada.disagrees(said)).then(accepted, beside("beside", said))
    back = sam.takes_back(said)
    given(*BEGUN, SEEN, said).when(back).then(accepted, beside("beside", said, retracted=back.id))


# Corrections.


def test_a_person_asks_for_a_correction_and_the_entry_stays_as_it_was() -> None:
    said = ada.asks_to_correct(SEEN)
    given(*BEGUN, SEEN).when(said).then(
        accepted, beside("beside", said), beside("beside", SEEN), version(1)
    )


def test_only_the_person_asks_for_a_correction() -> None:
    given(*BEGUN, SEEN).when(sam.asks_to_correct(SEEN)).then(refused("not-yours-to-say"))


@pytest.mark.parametrize(
    "said", [ada.asks_to_correct(SEEN), ada.corrects(SEEN), ada.takes_back(SEEN), ada.denies(SEEN)]
)
def test_what_is_not_there_cannot_be_corrected_taken_back_or_denied(said: Event) -> None:
    given(*BEGUN).when(said).then(refused("unknown-target"))


@pytest.mark.parametrize("said", [sam.corrects(SEEN), sam.keeps_as_it_is(SEEN)])
def test_the_author_corrects_or_declines_to_and_both_are_kept(said: Event) -> None:
    given(*BEGUN, SEEN).when(said).then(
        accepted, beside("beside", said), beside("beside", SEEN), version(1)
    )
    given(*BEGUN, SEEN, ada.asks_to_correct(SEEN)).when(said).then(accepted)


def test_an_entry_may_be_corrected_more_than_once_and_a_correction_too() -> None:
    first = sam.corrects(SEEN)
    given(*BEGUN, SEEN, first).when(again(first)).then(accepted)
    given(*BEGUN, SEEN, first).when(sam.corrects(first)).then(accepted)


MINE = [tom.corrects(SEEN), tom.keeps_as_it_is(SEEN), tom.takes_back(SEEN)]


@pytest.mark.parametrize("said", MINE, ids=lambda said: said.type)
def test_whoever_is_named_in_an_entry_is_not_its_author(said: Event) -> None:
    given(*BEGUN, SEEN, ada.grants(TOM, "read")).when(said).then(refused("not-its-author"))
    given(*BEGUN, SEEN).when(said).then(refused("no-grant"))


@pytest.mark.parametrize("said", MINE, ids=lambda said: said.type)
def test_whoever_is_not_named_learns_nothing(said: Event) -> None:
    own = again(sam.observes("Ran.", who_saw=SAM))
    about = sam.says(said.type, entry=own.id, words="x", reason=None)
    given(*BEGUN, SEEN, own).when(tom.says(said.type, **about.data)).then(refused("no-grant"))
    given(*BEGUN).when(said).then(refused("no-grant"))


@pytest.mark.parametrize(
    "said", [ada.corrects(SEEN), ada.keeps_as_it_is(SEEN), ada.takes_back(SEEN)]
)
def test_the_person_corrects_and_takes_back_only_what_is_their_own(said: Event) -> None:
    given(*BEGUN, SEEN).when(said).then(refused("not-its-author"))


def test_the_person_corrects_an_entry_of_their_own_and_its_line_stays_as_written() -> None:
    said = ada.corrects(WISH, "The North Sea.")
    given(started, WISH).when(said).then(
        accepted, beside("beside", said), line("aspiration/sea", version=2), version(2)
    )


def test_the_author_may_correct_after_the_grant_has_ended() -> None:
    ended = ada.withdraws(sam_may_observe)
    for said in (sam.corrects(SEEN), sam.keeps_as_it_is(SEEN), sam.takes_back(SEEN)):
        given(*BEGUN, SEEN, ended).when(said).then(accepted)


# Taking back.


def test_what_is_taken_back_stays_and_says_by_which_entry() -> None:
    back = sam.takes_back(SEEN, "That was somebody else.")
    given(*BEGUN, SEEN).when(back).then(
        accepted,
        beside("beside", SEEN, retracted=back.id),
        beside("beside", back),
        lines("plan/plan"),
        version(1),
    )


def test_what_is_taken_back_twice_says_so_once() -> None:
    back = sam.takes_back(SEEN)
    given(*BEGUN, SEEN, back).when(again(back)).then(
        accepted, beside("beside", SEEN, retracted=back.id)
    )


@pytest.mark.parametrize("said", [started, WISH, sam_may_observe])
def test_only_what_stands_beside_the_plan_can_be_taken_back(said: Event) -> None:
    given(*BEGUN, WISH).when(ada.takes_back(said)).then(refused("unknown-target"))


def test_a_grant_is_not_taken_back_by_the_partner_named_in_it() -> None:
    given(*BEGUN).when(sam.takes_back(sam_may_observe)).then(refused("unknown-target"))


def test_taking_a_proposal_back_keeps_the_persons_answer_and_the_line() -> None:
    back = sam.takes_back(WALK)
    before = given(*BEGUN, WALK, ada.accepts(WALK))
    before.when(back).then(
        accepted,
        beside("beside", WALK, answer="accepted", retracted=back.id),
        line("action/walk", state="open", origin={"suggested_by": SAM}),
        unchanged(before.plan),
    )


def test_parking_what_was_taken_back_does_not_bring_it_back() -> None:
    back = sam.takes_back(WALK)
    given(*BEGUN, WALK, back).when(ada.parks(WALK)).then(
        accepted, beside("beside", WALK, state="parked", retracted=back.id)
    )


@pytest.mark.parametrize("mark", ["kept", "not-kept"])
def test_a_promise_taken_back_stays_as_its_receiver_marked_it(mark: str) -> None:
    promise = sam.promises()
    back = sam.takes_back(promise)
    marked = ada.says(f"commitment.{mark}", commitment=promise.id)
    given(*BEGUN, promise, marked).when(back).then(
        accepted, beside("beside", promise, state=mark, retracted=back.id)
    )
    given(*BEGUN, promise, back).when(marked).then(
        accepted, beside("beside", promise, state=mark, retracted=back.id)
    )


def test_a_disagreement_is_taken_back_by_its_author_and_stays_pinned() -> None:
    no = sam.disagrees(SEEN, "No.")
    back = sam.takes_back(no)

    def marked(plan: Plan) -> None:
        told = {"entry": no.id, "author": SAM, "words": "No.", "retracted": back.id}
        assert plan.disagreements[SEEN.id] == [told]

    given(*BEGUN, SEEN, no).when(back).then(accepted, marked)
    given(*BEGUN, SEEN, no).when(ada.takes_back(no)).then(refused("not-its-author"))


# "That was not me."


def test_the_person_denies_an_entry_under_their_name_and_no_line_is_touched() -> None:
    said = ada.denies(WISH, "I was asleep then.")
    before = given(started, WISH)

    def struck(plan: Plan) -> None:
        assert plan.denied == {WISH.id: said.id}

    before.when(said).then(accepted, struck, beside("beside", said), unchanged(before.plan))


def test_what_was_denied_can_be_said_again_by_the_person() -> None:
    given(started, WISH, ada.denies(WISH)).when(ada.rewords("Mine now.")).then(
        accepted, line("aspiration/sea", data={"words": "Mine now."})
    )


@pytest.mark.parametrize("said", [SEEN, WALK])
def test_what_others_said_in_their_own_name_is_not_denied(said: Event) -> None:
    given(*BEGUN, SEEN, WALK).when(ada.denies(said)).then(refused("not-in-your-name"))


def test_nobody_else_denies_for_the_person() -> None:
    given(*BEGUN, WISH).when(sam.denies(WISH)).then(refused("not-yours-to-say"))


def test_a_representative_says_of_the_persons_entries_what_the_person_may_say() -> None:
    sent = ada.sends(BEA, "correction.made", "entry.retracted", until=LATER)
    seen = ada.observes()
    before = given(started, seen, sent)
    for said in (bea.corrects(seen), bea.takes_back(seen)):
        before.when(said).then(for_the_person)
        before.when(at(LATER, said)).then(refused("no-grant"))
    given(started, WISH, sent).when(bea.takes_back(WISH)).then(
        refused("unknown-target", represented=True)
    )
    given(*BEGUN, SEEN, sent).when(bea.corrects(SEEN)).then(
        refused("not-its-author", represented=True)
    )
    assert before.plan.entries[seen.id][0] == ADA
