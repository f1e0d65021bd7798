"""Whose it is: teams, emergencies, representatives, and services that are barred."""

import pytest

from services.ledger.plan.decide import Accepted
from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from tests.given import (
    ADA,
    BEA,
    EVE,
    LATER,
    NOON,
    NORTH,
    NOTEBOOK,
    SAM,
    SHOES,
    Voice,
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
    north,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    seeing,
    shoes,
    started,
    through,
    tom,
    under_the_id_of,
    version,
)

ALL = ("read", "observe", "interpret", "propose", "audit")
EARLIER = "2026-03-02T11:59:59.999Z"
WISH = ada.states()
WALK = sam.proposes(change("action.planned", id="walk", what="Walk", by=SAM))

# Teams, and anybody in an emergency.


def test_a_team_with_a_grant_speaks_as_the_team() -> None:
    team = ada.grants(NORTH, "observe", "propose")
    before = given(started, team)
    before.when(north.observes()).then(accepted, beside("beside", north.observes()))
    before.when(north.proposes(change("plan.closed"))).then(accepted)
    before.when(north.asks(ADA)).then(accepted)
    before.when(north.interprets(north.observes())).then(refused("no-grant"))
    before.when(north.disagrees(team)).then(accepted)


def test_a_grant_to_a_team_opens_nothing_to_a_partner_by_themselves() -> None:
    given(started, ada.grants(NORTH, *ALL)).when(sam.observes()).then(refused("no-grant"))


def test_a_team_writes_no_line_either() -> None:
    given(started, ada.grants(NORTH, *ALL), WISH).when(north.rewords("Sit.")).then(
        refused("not-yours-to-say")
    )


BY_SCOPE = [name for name, row in CATALOGUE.items() if row.who.scope]


@pytest.mark.parametrize("kind", BY_SCOPE)
@pytest.mark.parametrize("author", [SAM, NORTH, "partner:emergency", "team:emergency"])
def test_a_grant_for_emergencies_opens_nothing_to_write(kind: str, author: str) -> None:
    grant = ada.grants("emergency", *ALL)
    said = Voice(author).says(kind, **CATALOGUE[kind].example)
    given(started, grant).when(said).then(refused("no-grant"))


def test_a_grant_for_emergencies_stands_as_it_was_said_and_can_be_withdrawn() -> None:
    grant = ada.grants("emergency", "read")
    given(started).when(grant).then(accepted, beside("whose", grant), named_in(grant, [ADA]))
    given(started, grant).when(ada.withdraws(grant)).then(
        accepted, beside("whose", grant, state="withdrawn")
    )


def test_parts_of_a_grant_stand_with_it() -> None:
    told = {"scopes": ["read"], "parts": ["actions"], "until": "until-withdrawn"}
    grant = ada.says("access.granted", to=SAM, purpose="Walking", wording="Sam reads.", **told)
    given(started).when(grant).then(accepted, beside("whose", grant))


# Representatives.

SENT = ada.sends(BEA, "aspiration.stated", "access.granted", "proposal.accepted")


def test_naming_a_representative_changes_no_line() -> None:
    given(started).when(SENT).then(
        accepted, beside("whose", SENT), lines("plan/plan"), version(1), named_in(SENT, [ADA, BEA])
    )


def test_a_representative_speaks_for_the_person_within_scope() -> None:
    said = bea.states()
    given(started, SENT).when(said).then(
        for_the_person, line("aspiration/sea", origin={"entry": said.id, "author": BEA}), version(2)
    )


def test_a_representative_may_share_and_accept_where_the_scope_says_so() -> None:
    before = given(started, SENT, ada.sends(BEA, "action.planned"), sam_may_propose, WALK)
    before.when(bea.grants(SAM, "observe")).then(for_the_person)
    before.when(bea.accepts(WALK)).then(
        for_the_person, line("action/walk", origin={"author": BEA, "suggested_by": SAM})
    )
    given(bea.grants(SAM, "observe"), plan=before.plan).when(sam.observes()).then(accepted)


@pytest.mark.parametrize(
    "said", [bea.lets_go(), bea.plans(), bea.declines(WALK), bea.withdraws(sam_may_propose)]
)
def test_out_of_scope_a_representative_is_anybody(said: Event) -> None:
    given(started, SENT, WISH).when(said).then(refused("not-yours-to-say"))
    given(started, SENT).when(bea.observes()).then(refused("not-yours-to-say"))


def test_nobody_else_speaks_through_anothers_naming() -> None:
    for voice in (sam, tom, Voice(EVE), shoes):
        given(started, SENT).when(voice.states()).then(refused("not-yours-to-say"))


def test_before_being_named_a_representative_is_anybody() -> None:
    given(started).when(bea.states()).then(refused("not-yours-to-say"))
    given().when(bea.starts()).then(refused("not-yours-to-say"))


def test_a_representative_earns_the_refusals_of_the_person() -> None:
    before = given(started, SENT, WISH)
    before.when(bea.states("Other.")).then(refused("exists", represented=True))
    before.when(seeing(1, bea.states())).then(refused("version-conflict", represented=True))
    before.when(under_the_id_of(started, bea.states())).then(refused("id-reused", represented=True))


@pytest.mark.parametrize(
    ("until", "received", "may"),
    [
        ("2026-03-02T12:00:00.001Z", NOON, True),
        ("2026-03-02T12:00:00Z", NOON, False),
        ("2026-03-02T12:00:00Z", EARLIER, True),
        ("2026-03-02T13:00:00+01:00", NOON, False),
        ("2026-03-02T13:00:00.001+01:00", NOON, True),
        ("until-withdrawn", "2036-03-02T12:00:00.000Z", True),
    ],
)
def test_a_representation_runs_out_exactly_at_its_end(until: str, received: str, may: bool) -> None:
    sent = ada.sends(BEA, "aspiration.stated", until=until)
    said = at(received, bea.states())
    given(started, sent).when(said).then(for_the_person if may else refused("not-yours-to-say"))


def test_what_is_ended_is_ended_from_its_place_whatever_the_clocks_say() -> None:
    ended = at("2036-03-02T12:00:00.000Z", ada.calls_back(BEA))
    given(started, SENT).when(ended).then(accepted, beside("whose", SENT, state="ended"))
    given(started, SENT, ended).when(at(EARLIER, bea.states())).then(refused("not-yours-to-say"))


def test_ending_ends_every_naming_of_that_representative_and_nobody_elses() -> None:
    second, other = ada.sends(BEA, "action.done"), ada.sends(EVE, "aspiration.stated")
    before = given(started, SENT, second, other, ada.calls_back(BEA))
    before.when(bea.states()).then(refused("not-yours-to-say"))
    before.when(bea.does()).then(refused("not-yours-to-say"))
    before.when(Voice(EVE).states()).then(for_the_person)


def test_a_representative_who_was_ended_can_be_named_anew() -> None:
    ended = ada.calls_back(BEA)
    before = given(started, SENT, ended, again(SENT))
    before.when(bea.states()).then(for_the_person)
    before.when(again(ended)).then(accepted)


def test_who_was_never_named_cannot_be_ended_and_nobody_twice() -> None:
    ended = ada.calls_back(BEA)
    given(started, sam_may_observe).when(ada.calls_back(SAM)).then(refused("unknown-target"))
    given(started, SENT, ended).when(again(ended)).then(refused("wrong-state"))


def test_what_a_representative_wrote_stays_when_they_are_ended() -> None:
    given(started, SENT, bea.states()).when(ada.calls_back(BEA)).then(
        accepted, line("aspiration/sea", state="open", origin={"author": BEA})
    )


@pytest.mark.parametrize("kind", ["representative.named", "representative.ended"])
def test_naming_representatives_is_never_handed_on(kind: str) -> None:
    sent = ada.sends(BEA, "aspiration.stated", kind)
    given(started).when(sent).then(refused("not-to-be-handed-on"))


@pytest.mark.parametrize("said", [bea.sends(EVE, "action.done"), bea.calls_back(BEA)])
def test_a_representative_names_and_ends_nobody(said: Event) -> None:
    every = [name for name in CATALOGUE if not name.startswith("representative.")]
    given(started, ada.sends(BEA, *every)).when(said).then(refused("not-yours-to-say"))


ONLY_OTHERS = [name for name, row in CATALOGUE.items() if not row.who.person]


@pytest.mark.parametrize("kind", ONLY_OTHERS)
def test_what_the_person_may_not_say_no_representative_says_for_them(kind: str) -> None:
    sent = ada.sends(BEA, *ONLY_OTHERS)
    said = bea.says(kind, **CATALOGUE[kind].example)
    given(started, sent).when(said).then(refused("not-yours-to-say"))


def test_a_partner_who_is_also_a_representative_still_speaks_as_a_partner() -> None:
    sent = ada.sends(SAM, "proposal.made", "aspiration.stated")
    before = given(started, sam_may_propose, sent)
    before.when(WALK).then(accepted)
    before.when(sam.states()).then(for_the_person)
    given(started, sent).when(WALK).then(refused("no-grant"))


# Services.

BARRED = ada.bars(SHOES, "It posted in my name.")
SHUT = given(started, sam_may_observe, SENT, BARRED)


def test_barring_a_service_changes_no_line() -> None:
    def stands(plan: Plan) -> None:
        assert plan.whose[SHOES]["data"] == BARRED.data

    given(started).when(BARRED).then(accepted, stands, lines("plan/plan"), version(1))


def test_through_a_barred_service_the_person_says_nothing() -> None:
    SHUT.when(through(SHOES, WISH)).then(refused("not-yours-to-say"))
    SHUT.when(through(SHOES, bea.states())).then(refused("not-yours-to-say"))
    SHUT.when(through(SHOES, ada.unbars(SHOES))).then(refused("not-yours-to-say"))


def test_through_a_barred_service_others_have_no_grant() -> None:
    seen = sam.observes()
    SHUT.when(through(SHOES, seen)).then(refused("no-grant"))
    SHUT.when(through(SHOES, sam.disagrees(sam_may_observe))).then(refused("no-grant"))
    SHUT.when(through(SHOES, sam.rewords("No."))).then(refused("not-yours-to-say"))


def test_through_another_service_all_is_as_it_was() -> None:
    SHUT.when(WISH).then(accepted)
    SHUT.when(sam.observes()).then(accepted)
    SHUT.when(bea.states()).then(Accepted(represented=True))


def test_a_service_is_barred_once_and_let_in_again() -> None:
    SHUT.when(again(BARRED)).then(refused("wrong-state"))
    SHUT.when(ada.unbars(SHOES)).then(accepted, lines("plan/plan"))
    opened = given(started, BARRED, ada.unbars(SHOES))
    opened.when(through(SHOES, WISH)).then(accepted)
    opened.when(again(ada.unbars(SHOES))).then(refused("wrong-state"))
    opened.when(again(BARRED)).then(accepted)


def test_a_service_that_is_not_barred_cannot_be_let_in() -> None:
    given(started).when(ada.unbars(SHOES)).then(refused("wrong-state"))


def test_a_person_may_bar_the_service_through_which_they_speak() -> None:
    shut = given(started, ada.bars(NOTEBOOK))
    shut.when(WISH).then(refused("not-yours-to-say"))
    shut.when(through(SHOES, ada.unbars(NOTEBOOK))).then(accepted)


def test_what_came_through_a_service_before_stays() -> None:
    given(started, through(SHOES, WISH)).when(BARRED).then(
        accepted, line("aspiration/sea", state="open")
    )


def test_nobody_else_bars_a_service() -> None:
    given(started, ada.grants(SAM, *ALL)).when(sam.bars(SHOES)).then(refused("not-yours-to-say"))


def test_nobody_learns_from_a_barred_service_whether_there_is_a_plan() -> None:
    shut = given(started, ada.bars(SHOES)).plan
    for plan in (Plan(ADA), shut, Plan(ADA, state="erased")):
        given(plan=plan).when(through(SHOES, sam.observes())).then(refused("no-grant"))
    given().when(at(LATER, through(SHOES, ada.states()))).then(refused("no-such-plan"))
