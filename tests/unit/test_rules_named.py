"""Who is named in an entry speaks of it while the person lets them take part, and no longer."""

import pytest

from services.ledger.plan.model import Plan
from shared.events.event import Event
from tests.given import (
    ADA,
    BEA,
    EVE,
    LATER,
    NORTH,
    TOM,
    Check,
    accepted,
    ada,
    again,
    at,
    bea,
    change,
    eve,
    for_the_person,
    given,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    started,
    tom,
)

READS = ada.grants(TOM, "read")
WALK = ada.plans(by=TOM)  # the person names Tom
RUN = ada.plans("Run", name="run", by=TOM)
SAW = ada.observes("I saw Tom.", who_saw=TOM)
ASKED = ada.asks(TOM)
SEEN = sam.observes("Walked.", who_saw=TOM)  # a partner names Tom
BEGUN = (started, sam_may_observe)
no_grant = refused("no-grant")

# Named by the person.


@pytest.mark.parametrize("named", [WALK, SAW], ids=lambda said: said.type)
def test_whom_the_person_names_may_disagree(named: Event) -> None:
    given(started, named).when(tom.disagrees(named)).then(accepted)
    given(started, named).when(eve.disagrees(named)).then(no_grant)


ENDS = [
    (WALK, ada.does()),
    (WALK, ada.drops()),
    (WALK, ada.denies(WALK)),
    (SAW, ada.takes_back(SAW)),
    (SAW, ada.denies(SAW)),
]


@pytest.mark.parametrize(("named", "end"), ENDS, ids=lambda said: said.type)
def test_a_naming_ends_when_what_it_named_somebody_for_ends(named: Event, end: Event) -> None:
    given(started, named, end).when(tom.disagrees(named)).then(no_grant)


QUESTION_ENDS = [
    ada.closes_question(ASKED),
    ada.sets_aside(ASKED),
    ada.takes_back(ASKED),
    ada.denies(ASKED),
]


@pytest.mark.parametrize("end", QUESTION_ENDS, ids=lambda said: said.type)
def test_who_is_asked_may_disagree_until_the_question_is_over(end: Event) -> None:
    before = (started, READS, ASKED, ada.withdraws(READS))
    given(*before).when(tom.disagrees(ASKED)).then(accepted)
    given(*before, tom.answers(ASKED)).when(tom.disagrees(ASKED)).then(accepted)
    given(*before, end).when(tom.disagrees(ASKED)).then(no_grant)


def test_rewording_an_action_does_not_end_whom_it_names() -> None:
    given(started, WALK, ada.replans("Walk slowly")).when(tom.disagrees(WALK)).then(accepted)
    done = (ada.replans("Walk slowly"), ada.does())
    given(started, WALK, *done).when(tom.disagrees(WALK)).then(no_grant)


def test_a_change_that_ends_the_action_ends_the_naming_too() -> None:
    done = sam.proposes({"type": "action.done", "data": {"action": "walk"}})
    before = (started, sam_may_propose, WALK, done)
    given(*before).when(tom.disagrees(WALK)).then(accepted)
    given(*before, ada.accepts(done)).when(tom.disagrees(WALK)).then(no_grant)


OTHERS = [
    (RUN,),
    (READS,),
    (ada.sends(TOM, "action.done"),),
]


@pytest.mark.parametrize("other", OTHERS, ids=lambda said: said[0].type)
def test_who_still_takes_part_may_speak_of_what_was_done(other: tuple[Event, ...]) -> None:
    given(started, WALK, ada.does(), *other).when(tom.disagrees(WALK)).then(accepted)


def test_when_the_last_of_all_has_ended_nothing_is_left() -> None:
    sent = ada.sends(TOM, "action.done")
    ends = (ada.does("run"), ada.withdraws(READS), ada.calls_back(TOM))
    opened = (started, WALK, RUN, READS, sent, ada.does())
    given(*opened, *ends[:2]).when(tom.disagrees(WALK)).then(accepted)
    given(*opened, *ends[1:]).when(tom.disagrees(WALK)).then(accepted)
    given(*opened, ends[0], ends[2]).when(tom.disagrees(WALK)).then(accepted)
    ended = given(*opened, *ends)
    for entry in (WALK, RUN, READS, sent):
        ended.when(tom.disagrees(entry)).then(no_grant)


def test_a_grant_or_a_naming_that_ran_out_is_none() -> None:
    for runs_out in (
        ada.grants(TOM, "read", until=LATER),
        ada.sends(TOM, "action.done", until=LATER),
    ):
        before = given(started, WALK, ada.does(), runs_out)
        before.when(tom.disagrees(WALK)).then(accepted)
        before.when(at(LATER, tom.disagrees(WALK))).then(no_grant)


def test_being_let_in_and_out_names_nobody() -> None:
    """Entries of kind *whose* name somebody for no longer than what they open is in force."""
    given(started, READS, ada.withdraws(READS)).when(tom.disagrees(READS)).then(no_grant)
    sent = ada.sends(BEA, "action.done")
    given(started, sent).when(bea.disagrees(sent)).then(accepted)
    given(started, sent, ada.calls_back(BEA)).when(bea.disagrees(sent)).then(no_grant)


def test_accepting_a_proposal_names_nobody() -> None:
    walk = sam.proposes(change("action.planned", id="walk", what="Walk", by=TOM))
    for mine in (None, {"id": "walk", "what": "Walk", "by": TOM}):
        said = ada.accepts(walk, mine)
        before = given(started, sam_may_propose, walk, said)
        before.when(tom.disagrees(said)).then(no_grant)
        before.when(tom.disagrees(walk)).then(no_grant)


# Named by somebody else.


def test_whom_a_partner_names_has_no_standing_by_that() -> None:
    given(*BEGUN, SEEN).when(tom.disagrees(SEEN)).then(no_grant)
    given(*BEGUN, SEEN, READS).when(tom.disagrees(SEEN)).then(accepted)
    given(*BEGUN, SEEN, READS, ada.withdraws(READS)).when(tom.disagrees(SEEN)).then(no_grant)


def test_being_named_by_the_person_elsewhere_opens_no_entry_of_a_partner() -> None:
    given(*BEGUN, SEEN, WALK).when(tom.disagrees(SEEN)).then(no_grant)


def test_whom_a_representative_names_has_no_standing_by_that() -> None:
    said = bea.plans(by=TOM)
    before = (started, ada.sends(BEA, "action.planned"), said)
    given(*before).when(tom.disagrees(said)).then(no_grant)
    given(*before, READS).when(tom.disagrees(said)).then(accepted)


def test_a_partner_cannot_let_in_somebody_by_a_promise() -> None:
    promise = sam.promises(TOM)
    before = (started, sam_may_observe, READS, promise)
    given(*before).when(tom.says_kept(promise)).then(accepted)
    given(*before, ada.withdraws(READS)).when(tom.says_kept(promise)).then(no_grant)


def test_a_team_is_named_as_a_partner_is() -> None:
    said = ada.observes("The team came.", who_saw=NORTH)
    north_disagrees = tom.disagrees(said)._replace(author=NORTH)
    given(started, said).when(north_disagrees).then(accepted)
    given(started, said, ada.takes_back(said)).when(north_disagrees).then(no_grant)


# What an entry's author says of it.


def test_an_author_takes_back_and_corrects_without_a_grant() -> None:
    asked = sam.asks(ADA)
    before = given(*BEGUN, SEEN, asked, ada.withdraws(sam_may_observe))
    own = (sam.takes_back(SEEN), sam.corrects(SEEN), sam.keeps_as_it_is(SEEN))
    for said in (*own, sam.closes_question(asked)):
        before.when(said).then(accepted)


def test_an_author_adds_nothing_more_without_a_grant() -> None:
    before = given(*BEGUN, SEEN, ada.withdraws(sam_may_observe))
    before.when(sam.disagrees(SEEN)).then(no_grant)
    given(started, sam_may_observe, SEEN).when(sam.disagrees(SEEN)).then(accepted)


def test_who_spoke_for_the_person_may_take_back_what_they_said() -> None:
    seen = bea.observes("Slept.", who_saw=EVE)
    sent = ada.sends(BEA, "observation.recorded", "entry.retracted")
    given(started, sent, seen).when(bea.takes_back(seen)).then(for_the_person)
    given(started, sent, seen, ada.calls_back(BEA)).when(bea.takes_back(seen)).then(accepted)


def test_a_question_is_answered_by_who_was_asked_as_long_as_it_is_open() -> None:
    before = (started, READS, ASKED, ada.withdraws(READS))
    given(*before).when(tom.answers(ASKED)).then(accepted)
    given(*before, ada.sets_aside(ASKED)).when(tom.answers(ASKED)).then(no_grant)
    given(*before, READS_AGAIN, ada.sets_aside(ASKED)).when(tom.answers(ASKED)).then(
        refused("wrong-state")
    )


READS_AGAIN = again(READS)


def test_a_plan_keeps_which_action_names_whom_only_while_it_is_open() -> None:
    def keeps(**planned: Event) -> Check:
        def check(plan: Plan) -> None:
            assert plan.planned == {name: said.id for name, said in planned.items()}

        return check

    given(started).when(WALK).then(accepted, keeps(walk=WALK))
    given(started).when(ada.plans()).then(accepted, keeps())
    given(started, WALK, RUN).when(ada.does()).then(accepted, keeps(run=RUN))
