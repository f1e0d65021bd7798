"""How much a plan may hold: a count is refused as `too-many`, bytes as `plan-full`."""

from collections.abc import Callable

import pytest

from services.ledger.plan.bounds import BOUNDS, PROTECTIVE
from services.ledger.plan.model import Plan, dump, load
from services.ledger.plan.type_rules import type_refusal
from shared.events.catalogue import CATALOGUE
from shared.events.event import MAX_EVENT_BYTES, Event
from tests.given import (
    ADA,
    BEA,
    NEXT_YEAR,
    SAM,
    TOM,
    Check,
    Given,
    accepted,
    ada,
    again,
    at,
    bea,
    change,
    for_the_person,
    given,
    line,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    started,
    tom,
    version,
)

too_many, plan_full = refused("too-many"), refused("plan-full")
SEEN = sam.observes(who_saw=TOM)


def holding(plan: Plan, number: int, make: Callable[[int], Event]) -> Plan:
    """A plan to which that many events came, each of them accepted."""
    given(*(make(each) for each in range(number)), plan=plan)
    return plan


def copied(plan: Plan) -> Plan:
    """The same plan, for a test to go on with."""
    return load(dump(plan))


# Open lines.

FULL = holding(
    given(started, ada.states(), ada.chooses(), ada.defines(), sam_may_propose).plan,
    BOUNDS.open_lines - 4,
    lambda number: ada.names("need", name=f"need-{number}"),
)
NEW_LINES = [
    ada.writes("Food", "Fish."),
    ada.states("Dance.", name="dance"),
    ada.names("strength"),
    ada.names("need"),
    ada.plans(),
    ada.defines(name="sleep"),
    ada.chooses(name="abroad"),
    ada.writes_safety_plan(),
    ada.ranks("sea"),
    ada.prefers("Ada", "the old lady"),
]
NO_NEW_LINES = [
    ada.rewords("Dance."),
    ada.rates(7),
    ada.revises(),
    ada.observes("Slept."),
    ada.grants(TOM, "read"),
    ada.pauses(),
]


def test_a_plan_holds_2000_open_lines() -> None:
    still_open = [line for line in FULL.lines.values() if line["state"] == "open"]
    assert len(still_open) == FULL.index.open_lines == 2_000


@pytest.mark.parametrize("said", NEW_LINES, ids=lambda said: said.type)
def test_a_line_more_than_a_plan_may_hold_is_refused(said: Event) -> None:
    given(plan=FULL).when(said).then(too_many)
    given(ada.takes_out("need-1"), plan=copied(FULL)).when(said).then(accepted)


def test_every_type_that_writes_a_new_line_is_bounded() -> None:
    bounded = {name for name, row in CATALOGUE.items() if "too-many" in row.refusals}
    others = {"access.granted", "representative.named", "service.barred", "disagreement.stated"}
    assert {said.type for said in NEW_LINES} == bounded - others - {"proposal.accepted"}


@pytest.mark.parametrize("said", NO_NEW_LINES, ids=lambda said: said.type)
def test_what_adds_no_open_line_is_not_refused_for_their_number(said: Event) -> None:
    given(plan=FULL).when(said).then(accepted)


def test_a_line_written_once_more_is_no_new_one() -> None:
    plan = copied(FULL)
    given(ada.takes_out("need-1"), ada.writes("Food", "Fish."), plan=plan)
    given(plan=plan).when(ada.writes("Food", "Rice.")).then(
        accepted, line("about-me/Food", data={"words": "Rice."})
    )
    given(plan=plan).when(ada.writes("Cats", "Two.")).then(too_many)


def test_ratings_are_not_counted() -> None:
    rated = holding(
        given(started, ada.defines()).plan, 30, lambda n: ada.rates(n % 11, words=f"{n}")
    )
    assert (rated.index.open_lines, len(rated.lines)) == (2, 32)


def test_an_accepted_proposal_writes_no_line_too_many_either() -> None:
    new = sam.proposes(change("need.named", words="A rail."))
    old = sam.proposes(change("aspiration.reworded", aspiration="sea", words="Dance."))
    before = given(new, old, plan=copied(FULL))
    before.when(ada.accepts(new)).then(too_many)
    before.when(ada.accepts(new, {"words": "A rail here."})).then(too_many)
    before.when(ada.accepts(old)).then(accepted)
    before.when(ada.declines(new)).then(accepted)


def test_what_rests_or_was_closed_can_be_taken_up_again() -> None:
    plan = copied(FULL)
    given(ada.pauses(), ada.closes(), ada.names("need"), ada.names("need", name="one"), plan=plan)
    given(plan=plan).when(ada.names("need", name="two")).then(too_many)
    given(plan=plan).when(ada.resumes()).then(accepted, line("aspiration/sea", state="open"))
    given(plan=plan).when(ada.reopens()).then(accepted, line("plan/plan", state="open"))


def test_own_refusals_come_before_too_many() -> None:
    given(plan=FULL).when(again(ada.states())).then(refused("exists"))
    given(plan=FULL).when(ada.plans(aspiration="moon")).then(refused("unknown-target"))
    given(plan=FULL).when(ada.defines(name="b", min=9, max=1)).then(refused("bad-range"))


# Grants and namings in force.


def opened(until: str) -> Plan:
    """A plan with as many grants and namings in force as there may be."""
    plan = holding(
        given(started).plan,
        BOUNDS.in_force - 100,
        lambda number: ada.grants(f"partner:p{number}", "read", until=until),
    )
    return holding(
        plan, 100, lambda number: ada.sends(f"person:r{number}", "action.done", until=until)
    )


OPENED = opened(NEXT_YEAR)
OPENING = [ada.grants(SAM, "read"), ada.sends(BEA, "action.done")]


@pytest.mark.parametrize("said", OPENING, ids=lambda said: said.type)
def test_a_grant_or_naming_beyond_500_is_refused(said: Event) -> None:
    assert OPENED.index.access.count(said.received) == 500
    given(plan=OPENED).when(said).then(too_many)
    given(plan=OPENED).when(at("2027-03-02T12:00:00.000Z", said)).then(accepted)
    given(plan=OPENED).when(at("2027-03-02T11:59:59.999Z", said)).then(too_many)


@pytest.mark.parametrize("said", OPENING, ids=lambda said: said.type)
def test_what_is_ended_makes_room_for_another(said: Event) -> None:
    grant = next(name for name, each in OPENED.whose.items() if "to" in each["data"])
    for end in (ada.says("access.withdrawn", grant=grant), ada.calls_back("person:r7")):
        given(end, plan=copied(OPENED)).when(said).then(accepted)


def test_what_has_run_out_already_adds_none_and_counts_for_none() -> None:
    past = ada.grants(SAM, "read", until="2020-01-01T00:00:00Z")
    given(plan=OPENED).when(past).then(accepted)
    run_out = holding(
        given(started).plan,
        BOUNDS.in_force + 10,
        lambda number: ada.grants(f"partner:p{number}", "read", until="2020-01-01T00:00:00Z"),
    )
    given(plan=run_out).when(ada.grants(SAM, "read")).then(accepted)


def test_in_force_is_counted_by_when_an_event_was_received_whatever_came_before() -> None:
    later = at("2027-03-02T12:00:00.000Z", ada.grants(SAM, "read"))
    before = given(later, plan=copied(OPENED))
    before.when(ada.grants(TOM, "read")).then(too_many)
    before.when(at("2027-03-02T12:00:00.000Z", ada.grants(TOM, "read"))).then(accepted)


def test_a_representative_is_bounded_like_the_person() -> None:
    plan = opened(NEXT_YEAR)
    grant = next(name for name, each in plan.whose.items() if "to" in each["data"])
    given(
        ada.says("access.withdrawn", grant=grant), ada.sends(BEA, "access.granted"), plan=plan
    ).when(bea.grants(SAM, "read")).then(refused("too-many", represented=True))


# Wordings and barred services.


def test_a_wording_beyond_200_is_refused() -> None:
    plan = holding(given(started).plan, 200, lambda number: ada.prefers("Ada", f"word {number}"))
    given(plan=plan).when(ada.prefers("Ada", "the old lady")).then(too_many)
    given(plan=plan).when(ada.prefers("Zoë", "word 7")).then(accepted)


def test_a_service_beyond_500_is_barred_when_another_was_let_in_again() -> None:
    plan = holding(given(started).plan, 500, lambda number: ada.bars(f"service:s{number}"))
    given(plan=plan).when(ada.bars("service:shoes")).then(too_many)
    given(plan=plan).when(again(ada.bars("service:s7"))).then(refused("wrong-state"))
    given(ada.unbars("service:s7"), plan=plan).when(ada.bars("service:shoes")).then(accepted)


# Disagreements of one author with one entry.

NO, STILL_NO = ada.disagrees(SEEN, "No."), ada.disagrees(SEEN, "Still no.")
BEGUN = (started, sam_may_observe, SEEN)


def test_an_author_has_one_open_disagreement_with_an_entry() -> None:
    given(*BEGUN, NO).when(STILL_NO).then(too_many)
    given(*BEGUN, NO, ada.takes_back(NO)).when(STILL_NO).then(accepted)
    given(*BEGUN, NO).when(ada.disagrees(started)).then(accepted)
    given(*BEGUN, NO).when(sam.disagrees(SEEN)).then(accepted)
    given(*BEGUN, sam.disagrees(SEEN)).when(sam.disagrees(SEEN, "No!")).then(too_many)


def test_an_author_states_five_disagreements_with_an_entry_in_all() -> None:
    said: list[Event] = []
    for number in range(5):
        no = ada.disagrees(SEEN, f"No, {number}.")
        given(*BEGUN, *said).when(no).then(accepted)
        said += (no, ada.takes_back(no))
    given(*BEGUN, *said).when(STILL_NO).then(too_many)
    given(*BEGUN, *said).when(sam.disagrees(SEEN)).then(accepted)


def test_taking_a_disagreement_back_twice_makes_room_for_one() -> None:
    twice = (ada.takes_back(NO), again(ada.takes_back(NO)))
    given(*BEGUN, NO, *twice, STILL_NO).when(ada.disagrees(SEEN, "Never.")).then(too_many)


def test_a_representatives_disagreements_are_their_own() -> None:
    sent = ada.sends(BEA, "disagreement.stated")
    before = given(*BEGUN, sent, NO)
    before.when(bea.disagrees(SEEN)).then(for_the_person)
    given(bea.disagrees(SEEN), plan=before.plan).when(bea.disagrees(SEEN, "No.")).then(
        refused("too-many", represented=True)
    )


def test_who_may_not_disagree_is_not_told_how_many_there_are() -> None:
    reads, no = ada.grants(TOM, "read"), tom.disagrees(SEEN)
    before = given(*BEGUN, reads, no)
    before.when(tom.disagrees(SEEN, "No!")).then(too_many)
    given(ada.withdraws(reads), plan=before.plan).when(tom.disagrees(SEEN, "No!")).then(
        refused("no-grant")
    )


# Bytes.

SIZE = len(ada.observes("Slept.").canonical)


def full(own: int = 0, others: int = 0) -> Given:
    """A plan to which events of that many bytes came."""
    plan = given(started, sam_may_observe, sam_may_propose, SEEN, ada.chooses()).plan
    plan.own_bytes, plan.others_bytes = own, others
    return Given(plan)


def holds(own: int, others: int) -> Check:
    """The plan counts so many bytes."""

    def check(plan: Plan) -> None:
        assert (plan.own_bytes, plan.others_bytes) == (own, others)
        assert plan.accepted_bytes == own + others

    return check


def test_the_bytes_of_what_was_accepted_are_counted_as_they_were_posted() -> None:
    seen, sent, said = sam.observes(), ada.sends(BEA, "aspiration.stated"), bea.states()
    own = sum(len(each.canonical) for each in (started, sam_may_observe, sent))
    before = given(started, sam_may_observe, sent, seen)
    before.when(said).then(for_the_person, holds(own + len(said.canonical), len(seen.canonical)))
    before.when(tom.observes()).then(refused("no-grant"), holds(own, len(seen.canonical)))


def test_a_plan_without_bytes_of_others_stores_none() -> None:
    assert b"others_bytes" not in dump(given(started).plan)


def test_others_have_2_mib_of_their_own() -> None:
    said = sam.observes("More.")
    size = len(said.canonical)
    full(others=2_097_152 - size).when(said).then(accepted)
    full(others=2_097_152 - size + 1).when(said).then(plan_full)
    full(others=2_097_152).when(ada.observes("Slept.")).then(accepted)
    full(own=7_340_032).when(said).then(accepted)
    full(others=2_097_152).when(sam.takes_back(SEEN)).then(plan_full)


def test_the_person_has_6_mib() -> None:
    said = ada.observes("Slept.")
    full(own=6_291_456 - SIZE).when(said).then(accepted)
    full(own=6_291_456 - SIZE + 1).when(said).then(plan_full)


ENDING = {
    "access.withdrawn": ada.withdraws(sam_may_observe),
    "representative.ended": ada.calls_back(BEA),
    "service.barred": ada.bars("service:shoes"),
    "authorship.denied": ada.denies(started),
    "plan.closed": ada.closes(),
    "entry.retracted": ada.takes_back(ada.observes("Slept.")),
    "question.set-aside": ada.sets_aside(sam.asks(ADA)),
    "proposal.declined": ada.declines(sam.proposes(change("plan.closed"))),
    "advance-choice.revoked": ada.revokes(),
}


@pytest.mark.parametrize("kind", sorted(PROTECTIVE))
def test_what_protects_the_person_has_1_mib_more(kind: str) -> None:
    said, plan = ENDING[kind], full().plan
    pointed_at = (ada.observes("Slept."), sam.asks(ADA), ada.sends(BEA, "action.done"))
    given(*pointed_at, sam.proposes(change("plan.closed")), plan=plan)
    plan.own_bytes = 7_340_032 - len(said.canonical)
    given(plan=plan).when(said).then(accepted)
    plan.own_bytes += 1
    given(plan=plan).when(said).then(plan_full)


def test_a_representative_uses_up_what_the_person_has() -> None:
    before = full(own=6_291_456).plan
    given(plan=before).when(bea.states()).then(refused("not-yours-to-say"))
    before.own_bytes = 0
    sent = given(ada.sends(BEA, "aspiration.stated"), plan=before).plan
    sent.own_bytes = 6_291_456
    given(plan=sent).when(bea.states()).then(refused("plan-full", represented=True))


def test_every_type_can_find_the_plan_full() -> None:
    given(plan=full(own=8_000_000).plan).when(ada.grants(TOM, "read")).then(plan_full)
    given(plan=full(own=8_000_000).plan).when(ada.bars("service:shoes")).then(plan_full)
    given(plan=full(own=8_000_000).plan).when(ada.disagrees(SEEN)).then(plan_full)


def test_too_many_comes_before_a_full_plan_and_all_else_before_both() -> None:
    plan = copied(FULL)
    plan.own_bytes = 8_000_000
    given(plan=plan).when(ada.names("need")).then(too_many)
    given(plan=plan).when(again(ada.states())).then(refused("exists"))
    given(plan=plan).when(ada.rates(7)).then(plan_full)
    given(plan=plan).when(ada.rates(11)).then(refused("out-of-range"))
    given(plan=plan).when(tom.observes()).then(refused("no-grant"))


def test_a_refusal_for_want_of_room_leaves_the_plan_as_it_was() -> None:
    full(own=8_000_000).when(ada.rewords("x")).then(refused("unknown-target"))
    full(own=8_000_000).when(ada.states()).then(plan_full, version(2))


def test_a_plan_as_large_as_it_may_be_holds_a_hundred_largest_events_and_more() -> None:
    assert BOUNDS.own_bytes > 170 * MAX_EVENT_BYTES
    assert BOUNDS.others_bytes > 56 * MAX_EVENT_BYTES


def test_bounds_are_no_own_refusal_so_that_the_past_is_not_judged_by_them() -> None:
    plan = copied(FULL)
    plan.own_bytes = 8_000_000
    assert type_refusal(plan, ada.names("need")) is None


# Lengths are a matter of shape.


def errors(said: Event) -> list[str]:
    """The members of an event's data that have not their shape."""
    return sorted(CATALOGUE[said.type].schema.validate(said.data))


def test_a_disagreement_has_at_most_2000_characters() -> None:
    assert errors(ada.disagrees(SEEN, "海" * 2_000)) == []
    assert errors(ada.disagrees(SEEN, "海" * 2_001)) == ["words"]


def test_a_wording_has_at_most_100_characters() -> None:
    assert errors(ada.prefers("x" * 100, "y" * 100)) == []
    assert errors(ada.prefers("x" * 101, "y" * 101)) == ["instead_of", "say"]
    long = sam.proposes(change("wording.preferred", say="Ada", instead_of="y" * 101))
    given(started, sam_may_propose).when(long).then(refused("invalid-change"))
