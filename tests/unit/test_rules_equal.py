"""Questions and promises: clocks run on partners only, and a promise is judged by its receiver."""

import pytest

from shared.events.event import Event, Json
from tests.given import (
    ADA,
    BEA,
    EVE,
    LATER,
    NOON,
    OPINION,
    SAM,
    TOM,
    Voice,
    accepted,
    ada,
    again,
    at,
    bea,
    beside,
    change,
    eve,
    for_the_person,
    given,
    lines,
    named_in,
    refused,
    sam,
    started,
    tom,
    version,
)

SAM_READS, TOM_READS = ada.grants(SAM, "read"), ada.grants(TOM, "audit")
BEGUN = (started, SAM_READS, TOM_READS)
ASKED = ada.asks(SAM, "Why three times a week?")
BACK = sam.asks(ADA, "What helps?")
PROMISE = sam.promises()
HOME = ada.chooses()
LEFT = sam.departs()

# Questions.


def test_a_person_asks_a_partner_and_no_line_moves() -> None:
    given(*BEGUN).when(ASKED).then(
        accepted,
        beside("beside", ASKED),
        lines("plan/plan"),
        version(1),
        named_in(ASKED, [ADA, SAM]),
    )


@pytest.mark.parametrize("scope", ["read", "observe", "interpret", "propose", "audit"])
def test_any_grant_lets_a_partner_ask_and_promise(scope: str) -> None:
    before = given(started, ada.grants(SAM, scope), HOME)
    for said in (BACK, PROMISE, LEFT):
        before.when(said).then(accepted)


@pytest.mark.parametrize("said", [BACK, PROMISE, LEFT])
def test_without_a_grant_nobody_asks_or_promises(said: Event) -> None:
    given(started, HOME).when(said).then(refused("no-grant"))
    given(*BEGUN, HOME, ada.withdraws(SAM_READS)).when(said).then(refused("no-grant"))


@pytest.mark.parametrize("to", [EVE, BEA, "partner:zoe"])
def test_a_question_is_put_to_somebody_who_takes_part(to: str) -> None:
    given(*BEGUN).when(ada.asks(to)).then(refused("unknown-addressee"))


def test_a_partner_whose_grant_has_ended_takes_no_part() -> None:
    ending = ada.grants(SAM, "read", until=LATER)
    given(started, ending).when(ASKED).then(accepted)
    given(started, ending).when(at(LATER, ASKED)).then(refused("unknown-addressee"))
    given(*BEGUN, ada.withdraws(SAM_READS)).when(ASKED).then(refused("unknown-addressee"))


def test_partners_may_ask_each_other() -> None:
    given(*BEGUN).when(sam.asks(TOM)).then(accepted)


def test_a_question_is_about_an_entry_that_is_there() -> None:
    given(*BEGUN).when(ada.asks(SAM, about=started.id)).then(accepted)
    given(*BEGUN).when(ada.asks(SAM, about=HOME.id)).then(refused("unknown-target"))
    given(*BEGUN).when(ada.asks(EVE, about=HOME.id)).then(refused("unknown-target"))


def test_a_question_past_its_date_is_still_open() -> None:
    asked = ada.asks(SAM, due=NOON)
    given(*BEGUN, asked).when(at(LATER, sam.answers(asked))).then(
        accepted, beside("beside", asked, state="answered")
    )


def test_the_addressee_answers() -> None:
    said = sam.answers(ASKED)
    given(*BEGUN, ASKED).when(said).then(
        accepted, beside("beside", ASKED, state="answered"), beside("beside", said), version(1)
    )


def test_the_person_answers_what_was_put_to_them_and_owes_nothing() -> None:
    given(*BEGUN, BACK).when(ada.answers(BACK)).then(accepted)
    given(*BEGUN, BACK).when(ada.sets_aside(BACK)).then(
        accepted, beside("beside", BACK, state="set-aside")
    )


def test_an_addressee_answers_also_after_the_grant_has_ended() -> None:
    given(*BEGUN, ASKED, ada.withdraws(SAM_READS)).when(sam.answers(ASKED)).then(accepted)


@pytest.mark.parametrize(
    ("asked", "voice", "code"),
    [
        (ASKED, ada, "wrong-addressee"),
        (BACK, sam, "wrong-addressee"),
        (ASKED, tom, "no-grant"),
        (ASKED, eve, "no-grant"),
    ],
)
def test_nobody_else_answers(asked: Event, voice: Voice, code: str) -> None:
    given(*BEGUN, asked).when(voice.answers(asked)).then(refused(code))


@pytest.mark.parametrize(
    "end", [sam.answers(ASKED), ada.closes_question(ASKED), ada.sets_aside(ASKED)]
)
def test_what_is_no_longer_open_is_not_answered(end: Event) -> None:
    given(*BEGUN, ASKED, end).when(again(sam.answers(ASKED))).then(refused("wrong-state"))


BASES: list[tuple[Json | None, bool]] = [
    ({"kind": "observation"}, True),
    ({"kind": "opinion", "words": "It is mine."}, True),
    ({"kind": "evidence", "sources": ["https://example.org/a"]}, True),
    ({"kind": "opinion", "sources": []}, True),
    ({"kind": "evidence"}, False),
    ({"kind": "evidence", "sources": []}, False),
    ({"sources": ["https://example.org/a"]}, False),
    ({}, False),
    (None, False),
]


@pytest.mark.parametrize(("basis", "enough"), BASES)
def test_an_answer_says_on_what_it_rests(basis: Json | None, enough: bool) -> None:
    verdict = accepted if enough else refused("basis-missing")
    given(*BEGUN, ASKED).when(sam.answers(ASKED, basis)).then(verdict)


def test_what_is_wrong_with_an_answer_is_told_in_order() -> None:
    given(*BEGUN).when(ada.answers(ASKED, None)).then(refused("unknown-target"))
    done = given(*BEGUN, ASKED, ada.sets_aside(ASKED))
    done.when(ada.answers(ASKED, None)).then(refused("wrong-addressee"))
    done.when(sam.answers(ASKED, None)).then(refused("wrong-state"))


@pytest.mark.parametrize(("asked", "asker", "other"), [(ASKED, ada, sam), (BACK, sam, ada)])
def test_only_the_asker_closes_a_question(asked: Event, asker: Voice, other: Voice) -> None:
    before = given(*BEGUN, asked)
    before.when(asker.closes_question(asked)).then(
        accepted, beside("beside", asked, state="closed")
    )
    before.when(other.closes_question(asked)).then(refused("not-its-author"))


def test_a_question_is_closed_also_after_its_answer_and_only_once() -> None:
    closed = ada.closes_question(ASKED)
    given(*BEGUN, ASKED, sam.answers(ASKED)).when(closed).then(accepted)
    given(*BEGUN, ASKED, closed).when(again(closed)).then(refused("wrong-state"))
    given(*BEGUN, ASKED, closed).when(ada.sets_aside(ASKED)).then(refused("wrong-state"))
    given(*BEGUN, BACK, ada.sets_aside(BACK)).when(sam.closes_question(BACK)).then(
        refused("wrong-state")
    )


def test_only_the_person_sets_a_question_aside() -> None:
    given(*BEGUN, BACK).when(sam.sets_aside(BACK)).then(refused("not-yours-to-say"))


@pytest.mark.parametrize(
    "said", [ada.answers(PROMISE), ada.closes_question(PROMISE), ada.sets_aside(PROMISE)]
)
def test_what_is_no_question_is_not_there(said: Event) -> None:
    given(*BEGUN, PROMISE).when(said).then(refused("unknown-target"))


# Promises.


def test_a_partner_promises_and_no_line_moves() -> None:
    said = sam.promises(action="walk")
    given(*BEGUN, ada.plans(by=SAM)).when(said).then(accepted, beside("beside", said), version(2))


def test_a_promise_is_about_an_action_that_is_there_and_to_somebody_who_takes_part() -> None:
    given(*BEGUN).when(sam.promises(action="walk")).then(refused("unknown-target"))
    given(*BEGUN).when(sam.promises(EVE, action="walk")).then(refused("unknown-target"))
    given(*BEGUN).when(sam.promises(EVE)).then(refused("unknown-addressee"))
    given(*BEGUN).when(sam.promises(TOM)).then(accepted)


def test_the_person_makes_no_promises_here_that_others_mark() -> None:
    given(*BEGUN).when(ada.promises(SAM)).then(refused("not-yours-to-say"))
    given(*BEGUN).when(sam.proposes(change("commitment.made"))).then(refused("no-grant"))


KEPT, NOT_KEPT = ada.says_kept(PROMISE), ada.says_not_kept(PROMISE)


@pytest.mark.parametrize(("said", "state"), [(KEPT, "kept"), (NOT_KEPT, "not-kept")])
def test_only_its_receiver_says_whether_a_promise_was_kept(said: Event, state: str) -> None:
    before = given(*BEGUN, PROMISE)
    before.when(said).then(accepted, beside("beside", PROMISE, state=state), version(1))
    before.when(sam.says(said.type, **said.data)).then(refused("own-promise"))
    before.when(tom.says(said.type, **said.data)).then(refused("no-grant"))


def test_the_person_does_not_judge_what_was_promised_to_somebody_else() -> None:
    promise = sam.promises(TOM)
    before = given(*BEGUN, promise)
    before.when(ada.says_kept(promise)).then(refused("wrong-addressee"))
    before.when(tom.says_kept(promise)).then(accepted)
    before.when(sam.says_not_kept(promise)).then(refused("own-promise"))


@pytest.mark.parametrize("first", [KEPT, NOT_KEPT], ids=lambda said: said.type)
@pytest.mark.parametrize("second", [KEPT, NOT_KEPT], ids=lambda said: said.type)
def test_a_promise_is_judged_once(first: Event, second: Event) -> None:
    given(*BEGUN, PROMISE, first).when(again(second)).then(refused("wrong-state"))


def test_a_promise_past_its_date_is_for_its_receiver_to_judge() -> None:
    promise = sam.promises(due=NOON)
    given(*BEGUN, promise).when(at(LATER, ada.says_kept(promise))).then(accepted)


@pytest.mark.parametrize("said", [KEPT, NOT_KEPT, ada.says_kept(ASKED)])
def test_what_was_never_promised_is_not_there(said: Event) -> None:
    given(*BEGUN, ASKED).when(said).then(refused("unknown-target"))


# Departures from a choice in advance.


def test_a_departure_owns_up_and_opens_a_question_to_its_author() -> None:
    given(*BEGUN, HOME).when(LEFT).then(accepted, beside("beside", LEFT), version(2))
    given(*BEGUN, HOME, LEFT).when(sam.answers(LEFT)).then(
        accepted, beside("beside", LEFT, state="answered")
    )


def test_the_question_of_a_departure_is_the_persons_to_close() -> None:
    before = given(*BEGUN, HOME, LEFT)
    before.when(sam.closes_question(LEFT)).then(refused("not-its-author"))
    before.when(ada.closes_question(LEFT)).then(accepted, beside("beside", LEFT, state="closed"))
    before.when(ada.answers(LEFT)).then(refused("wrong-addressee"))
    before.when(ada.sets_aside(LEFT)).then(accepted)
    before.when(tom.answers(LEFT, OPINION)).then(refused("no-grant"))


def test_a_departure_is_from_a_choice_that_was_made_also_if_it_was_revoked() -> None:
    given(*BEGUN).when(LEFT).then(refused("unknown-target"))
    given(*BEGUN, HOME, ada.revokes()).when(LEFT).then(accepted)


# A representative speaks for the person also here.


def test_a_representative_answers_closes_and_judges_for_the_person() -> None:
    types = ("question.answered", "question.closed", "commitment.kept", "question.asked")
    before = given(*BEGUN, ada.sends(BEA, *types), ASKED, BACK, PROMISE)
    for said in (bea.answers(BACK), bea.closes_question(ASKED), bea.says_kept(PROMISE)):
        before.when(said).then(for_the_person)
    before.when(bea.asks(SAM)).then(for_the_person)
    before.when(bea.answers(ASKED)).then(refused("wrong-addressee", represented=True))
    before.when(bea.says_not_kept(PROMISE)).then(refused("no-grant"))


def test_a_partner_who_represents_the_person_judges_no_promise_of_their_own() -> None:
    before = given(*BEGUN, ada.sends(SAM, "commitment.kept", "question.answered"), PROMISE, ASKED)
    before.when(sam.says_kept(PROMISE)).then(refused("own-promise", represented=True))
    before.when(sam.answers(ASKED)).then(for_the_person)  # it was put to Sam
