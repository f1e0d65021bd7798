"""Access: the person grants and withdraws it. Order decides, clocks only expire."""

import pytest

from shared.events.event import Event
from tests.given import (
    ADA,
    NOON,
    SAM,
    TOM,
    accepted,
    ada,
    again,
    at,
    beside,
    change,
    given,
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

WALK = sam.proposes(change("action.planned", what="Walk", by=SAM))
SEEN = sam.observes()
UNTIL_NOON = ada.grants(SAM, "observe", until="2026-03-02T12:00:00Z")
EARLIER = "2026-03-02T11:59:59.999Z"
IN_TEN_YEARS = "2036-03-02T12:00:00.000Z"


def test_a_grant_stands_beside_the_plan_and_changes_no_line() -> None:
    given(started).when(sam_may_propose).then(
        accepted,
        beside("whose", sam_may_propose),
        lines("plan/plan"),
        version(1),
        named_in(sam_may_propose, [ADA, SAM]),
    )


def test_a_grant_shows_the_words_that_were_agreed_to() -> None:
    given(started).when(ada.grants(SAM, "read", wording=None)).then(refused("wording-missing"))


def test_a_partner_with_the_scope_may_propose() -> None:
    given(started, sam_may_propose).when(WALK).then(accepted)


def test_a_partner_with_the_scope_may_observe() -> None:
    given(started, sam_may_observe).when(SEEN).then(accepted)


def test_one_grant_may_open_several_things() -> None:
    both = ada.grants(SAM, "observe", "propose")
    given(started, both, SEEN).when(WALK).then(accepted)


@pytest.mark.parametrize("scope", ["read", "observe", "interpret", "audit"])
def test_a_grant_for_something_else_does_not_open_proposing(scope: str) -> None:
    given(started, ada.grants(SAM, scope)).when(WALK).then(refused("no-grant"))


@pytest.mark.parametrize("scope", ["read", "propose", "interpret", "audit"])
def test_a_grant_for_something_else_does_not_open_observing(scope: str) -> None:
    given(started, ada.grants(SAM, scope)).when(SEEN).then(refused("no-grant"))


def test_a_grant_opens_nothing_to_anybody_else() -> None:
    given(started, sam_may_observe).when(tom.observes()).then(refused("no-grant"))


def test_a_grant_opens_nothing_that_came_before_it() -> None:
    given(started).when(SEEN).then(refused("no-grant"))


@pytest.mark.parametrize(
    "said",
    [
        sam.states(),
        sam.rewords("Mine."),
        sam.lets_go(),
        sam.accepts(WALK),
        sam.grants(TOM, "read"),
        sam.withdraws(sam_may_observe),
    ],
    ids=lambda said: said.type,
)
def test_no_grant_makes_a_partner_an_author_of_the_plan(said: Event) -> None:
    all_scopes = ada.grants(SAM, "read", "observe", "interpret", "propose", "audit")
    given(started, all_scopes, ada.states(), WALK).when(said).then(refused("not-yours-to-say"))


# What runs out is judged by `received`.


def test_a_grant_is_in_force_until_just_before_its_end() -> None:
    given(started, UNTIL_NOON).when(at(EARLIER, SEEN)).then(accepted)


def test_a_grant_has_run_out_exactly_at_its_end() -> None:
    given(started, UNTIL_NOON).when(at(NOON, SEEN)).then(refused("no-grant"))


@pytest.mark.parametrize(
    ("until", "in_force"),
    [
        ("2026-03-02T13:00:00+01:00", False),
        ("2026-03-02T13:00:00.001+01:00", True),
        ("2026-03-02T06:30:00-05:30", False),
        ("2026-03-02T06:30:00.001-05:30", True),
        ("2026-03-02T12:00:00-00:00", False),
        ("9999-12-31T23:59:59-23:59", True),
        ("0001-01-01T00:00:00+23:59", False),
    ],
)
def test_the_end_of_a_grant_may_be_told_in_any_offset(until: str, in_force: bool) -> None:
    grant = ada.grants(SAM, "observe", until=until)
    given(started, grant).when(SEEN).then(accepted if in_force else refused("no-grant"))


def test_a_grant_until_withdrawn_does_not_run_out() -> None:
    given(started, sam_may_observe).when(at(IN_TEN_YEARS, SEEN)).then(accepted)


def test_an_event_received_earlier_but_recorded_later_is_judged_by_received() -> None:
    late = at(IN_TEN_YEARS, ada.states())
    given(started, UNTIL_NOON, late).when(at(EARLIER, SEEN)).then(accepted)


def test_a_grant_that_ran_out_does_not_spoil_one_in_force() -> None:
    given(started, UNTIL_NOON, sam_may_observe).when(SEEN).then(accepted)


def test_a_grant_given_after_its_own_end_opens_nothing() -> None:
    over = at(IN_TEN_YEARS, UNTIL_NOON)
    given(started, over).when(at(IN_TEN_YEARS, SEEN)).then(refused("no-grant"))


# What somebody ends is judged by place.


def test_a_withdrawn_grant_opens_nothing_more() -> None:
    ended = ada.withdraws(sam_may_observe)
    given(started, sam_may_observe, ended).when(SEEN).then(refused("no-grant"))


def test_withdrawal_counts_from_its_place_whatever_the_clocks_say() -> None:
    ended = at(IN_TEN_YEARS, ada.withdraws(sam_may_observe))
    given(started, sam_may_observe, ended).when(at(EARLIER, SEEN)).then(refused("no-grant"))


def test_a_withdrawn_grant_keeps_what_it_said() -> None:
    ended = ada.withdraws(sam_may_observe)
    given(started, sam_may_observe).when(ended).then(
        accepted, beside("whose", sam_may_observe, state="withdrawn"), version(1)
    )


def test_what_was_observed_under_a_grant_stays_after_it() -> None:
    ended = ada.withdraws(sam_may_observe)
    given(started, sam_may_observe, SEEN).when(ended).then(accepted, beside("beside", SEEN))


def test_withdrawing_one_grant_leaves_the_other() -> None:
    other = again(sam_may_observe)
    ended = ada.withdraws(sam_may_observe)
    given(started, sam_may_observe, other, ended).when(SEEN).then(accepted)


def test_what_was_withdrawn_can_be_granted_anew() -> None:
    ended = ada.withdraws(sam_may_observe)
    given(started, sam_may_observe, ended, again(sam_may_observe)).when(SEEN).then(accepted)


def test_a_grant_never_given_cannot_be_withdrawn() -> None:
    given(started).when(ada.withdraws(sam_may_observe)).then(refused("unknown-target"))


def test_an_entry_of_another_type_is_no_grant() -> None:
    given(started).when(ada.withdraws(started)).then(refused("unknown-target"))


def test_a_grant_is_withdrawn_once() -> None:
    ended = ada.withdraws(sam_may_observe)
    given(started, sam_may_observe, ended).when(again(ended)).then(refused("wrong-state"))


def test_a_grant_that_ran_out_can_still_be_withdrawn() -> None:
    ended = at(IN_TEN_YEARS, ada.withdraws(UNTIL_NOON))
    given(started, UNTIL_NOON).when(ended).then(accepted)
