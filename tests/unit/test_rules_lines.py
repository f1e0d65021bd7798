"""More lines: what rests, is reached, ranked, named, taken out, reworded and dropped."""

import pytest

from shared.events.event import Event
from tests.given import (
    ADA,
    NOON,
    SEA,
    Given,
    accepted,
    ada,
    again,
    at,
    change,
    given,
    line,
    lines,
    refused,
    sam,
    sam_may_propose,
    started,
    version,
)

WISH = ada.states()
WALK = ada.plans()
HILL = ada.names("strength")
RAIL = ada.names("need", "A rail.", "rail")
TOMORROW = "2026-03-03T12:00:00.000Z"


# The plan itself.


def test_a_plan_is_closed_and_its_lines_stay() -> None:
    said = at(TOMORROW, ada.closes("I am well."))
    whence = {"entry": said.id, "author": ADA, "received": TOMORROW}
    given(started, WISH).when(said).then(
        accepted,
        line("plan/plan", state="closed", ended=whence, since=1, version=3),
        line("plan/plan", data={"name_to_use": "Ada", "closing_words": "I am well."}),
        line("aspiration/sea", state="open", version=2),
    )


def test_a_closed_plan_is_opened_again() -> None:
    given(started, ada.closes("I am well.")).when(ada.reopens()).then(
        accepted, line("plan/plan", state="open", data={"name_to_use": "Ada"}, version=3)
    )


def test_what_was_said_when_closing_goes_when_it_is_opened_again() -> None:
    plan = given(started, ada.closes("I am well."), ada.reopens()).plan
    assert plan.lines["plan/plan"]["data"] == {"name_to_use": "Ada", "language": "en"}
    assert "ended" not in plan.lines["plan/plan"]


@pytest.mark.parametrize("before", [(), (ada.closes(), ada.reopens())])
def test_an_open_plan_cannot_be_opened(before: tuple[Event, ...]) -> None:
    given(started, *before).when(again(again(ada.reopens()))).then(refused("wrong-state"))


def test_a_plan_is_closed_once() -> None:
    given(started, ada.closes()).when(again(ada.closes())).then(refused("wrong-state"))


def test_a_closed_plan_is_not_started_anew() -> None:
    given(started, ada.closes()).when(again(started)).then(refused("plan-exists"))


def test_a_person_may_go_on_writing_in_a_closed_plan() -> None:
    given(started, ada.closes()).when(WISH).then(accepted, line("aspiration/sea", state="open"))


# Aspirations rest, go on, are reached. From each state, each step.

PAUSE, RESUME, REACH, LET_GO = ada.pauses(), ada.resumes(), ada.reaches(), ada.lets_go()
BEFORE: dict[str, tuple[Event, ...]] = {
    "open": (WISH,),
    "paused": (WISH, PAUSE),
    "reached": (WISH, REACH),
    "let-go": (WISH, LET_GO),
}
MAY = {
    ("open", PAUSE.type): "paused",
    ("open", REACH.type): "reached",
    ("open", LET_GO.type): "let-go",
    ("paused", RESUME.type): "open",
    ("paused", REACH.type): "reached",
    ("paused", LET_GO.type): "let-go",
}


@pytest.mark.parametrize("state", BEFORE)
@pytest.mark.parametrize("step", [PAUSE, RESUME, REACH, LET_GO], ids=lambda said: said.type)
def test_the_steps_of_an_aspiration(state: str, step: Event) -> None:
    now = given(started, *BEFORE[state])
    if (state, step.type) in MAY:
        after = line("aspiration/sea", state=MAY[state, step.type], data={"words": SEA})
        now.when(again(step)).then(accepted, after)
    else:
        now.when(again(step)).then(refused("wrong-state"))


@pytest.mark.parametrize("step", [PAUSE, RESUME, REACH, LET_GO], ids=lambda said: said.type)
def test_what_was_never_stated_takes_no_step(step: Event) -> None:
    given(started, ada.plans(name="sea")).when(step).then(refused("unknown-target"))


def test_words_of_a_pause_stand_beside_the_aspirations_and_go_when_it_goes_on() -> None:
    paused = given(started, WISH, ada.pauses(words="After the winter."))
    told = {"words": SEA, "closing_words": "After the winter."}
    assert paused.plan.lines["aspiration/sea"]["data"] == told
    paused.when(RESUME).then(accepted, line("aspiration/sea", data={"closing_words": None}))
    paused.when(REACH).then(accepted, line("aspiration/sea", data={"closing_words": None}))


def test_a_resting_aspiration_can_be_reworded() -> None:
    given(started, WISH, PAUSE).when(ada.rewords("To swim.")).then(
        accepted, line("aspiration/sea", state="paused", data={"words": "To swim."})
    )


def test_reaching_is_the_persons_judgement_and_has_an_origin_of_its_own() -> None:
    said = at(TOMORROW, ada.reaches(words="I was there."))
    whence = {"entry": said.id, "author": ADA, "received": TOMORROW}
    given(started, WISH).when(said).then(
        accepted,
        line("aspiration/sea", state="reached", ended=whence, origin={"entry": WISH.id}),
        line("aspiration/sea", data={"words": SEA, "closing_words": "I was there."}),
    )


# Ranking.

HOUSE, BOAT = ada.states("A house.", name="house"), ada.states("A boat.", name="boat")
RANKED = given(started, WISH, HOUSE, BOAT)
ASPIRATIONS = ("aspiration/sea", "aspiration/house", "aspiration/boat")


def test_an_order_is_a_line_of_its_own_and_moves_no_other() -> None:
    said = ada.ranks("boat", "sea")
    whence = {"entry": said.id, "author": ADA, "received": NOON}
    RANKED.when(said).then(
        accepted,
        line("ranking/aspirations", data={"order": ["boat", "sea"]}, origin=whence),
        lines("plan/plan", *ASPIRATIONS, "ranking/aspirations"),
        version(5),
    )


def test_a_new_order_takes_the_place_of_the_old() -> None:
    given(started, WISH, HOUSE, ada.ranks("sea", "house")).when(ada.ranks("house")).then(
        accepted, line("ranking/aspirations", data={"order": ["house"]}, since=4, version=5)
    )


def test_only_what_was_stated_can_be_ranked() -> None:
    RANKED.when(ada.ranks("sea", "moon")).then(refused("unknown-target"))


def test_what_was_let_go_may_still_be_ranked() -> None:
    given(started, WISH, LET_GO).when(ada.ranks("sea")).then(accepted)


# Strengths and needs.


@pytest.mark.parametrize("thing", ["strength", "need"])
def test_a_strength_or_need_is_a_line_of_its_sort(thing: str) -> None:
    said = ada.names(thing)
    given(started).when(said).then(
        accepted,
        line("item/hill", thing=thing, id="hill", state="open", data={"words": "Mrs Hill."}),
        line("item/hill", origin={"entry": said.id, "author": ADA}, since=2, version=2),
    )


@pytest.mark.parametrize("thing", ["strength", "need"])
def test_a_strength_or_need_without_a_name_is_named_by_its_event(thing: str) -> None:
    said = ada.names(thing, name=None)
    given(started).when(said).then(accepted, line(f"item/{said.id}", id=said.id))


@pytest.mark.parametrize("first", [HILL, ada.names("need")])
@pytest.mark.parametrize("second", ["strength", "need"])
def test_strengths_and_needs_share_their_names(first: Event, second: str) -> None:
    given(started, first).when(ada.names(second, "Another.")).then(refused("exists"))


def test_a_strength_and_an_aspiration_may_bear_one_name() -> None:
    given(started, WISH).when(ada.names("strength", name="sea")).then(accepted)


def test_a_strength_is_reworded() -> None:
    said = ada.renames("strength", "Mrs Hill, daily.")
    given(started, HILL).when(said).then(
        accepted,
        line("item/hill", thing="strength", data={"words": "Mrs Hill, daily."}, version=3),
        line("item/hill", origin={"entry": said.id}),
    )


def test_a_need_is_reworded() -> None:
    said = ada.renames("need", "Two rails.", "rail")
    given(started, RAIL).when(said).then(
        accepted, line("item/rail", thing="need", data={"words": "Two rails."})
    )


@pytest.mark.parametrize(("thing", "name"), [("need", "hill"), ("strength", "rail")])
def test_a_strength_is_no_need_and_a_need_no_strength(thing: str, name: str) -> None:
    given(started, HILL, RAIL).when(ada.renames(thing, "Other.", name)).then(
        refused("unknown-target")
    )


@pytest.mark.parametrize("thing", ["strength", "need"])
def test_what_was_never_named_cannot_be_reworded(thing: str) -> None:
    given(started).when(ada.renames(thing, "Other.")).then(refused("unknown-target"))


def test_the_same_words_for_a_strength_are_no_rewording() -> None:
    given(started, HILL).when(ada.renames("strength", "Mrs Hill.")).then(refused("unchanged"))
    given(started, RAIL).when(ada.renames("need", "A rail.", "rail")).then(refused("unchanged"))


@pytest.mark.parametrize(("item", "name"), [(HILL, "hill"), (RAIL, "rail")])
def test_a_strength_or_a_need_is_taken_out_once_and_stays_in_the_history(
    item: Event, name: str
) -> None:
    out = ada.takes_out(name)
    given(started, item).when(out).then(accepted, line(f"item/{name}", state="withdrawn"))
    given(started, item, out).when(again(out)).then(refused("wrong-state"))
    given(started, item, out).when(again(item)).then(refused("exists"))


def test_what_was_never_named_cannot_be_taken_out() -> None:
    given(started, WISH).when(ada.takes_out("sea")).then(refused("unknown-target"))


# Whatever is a line can be suggested.

SUGGESTED: list[tuple[Given, dict[str, object], str]] = [
    (given(started, sam_may_propose), change("plan.closed", words="Well."), "plan/plan"),
    (
        given(started, sam_may_propose, WISH),
        change("aspiration.paused", aspiration="sea"),
        "aspiration/sea",
    ),
    (
        given(started, sam_may_propose, WISH),
        change("aspirations.ranked", order=["sea"]),
        "ranking/aspirations",
    ),
    (
        given(started, sam_may_propose),
        change("need.named", id="rail", words="A rail."),
        "item/rail",
    ),
    (
        given(started, sam_may_propose, HILL),
        change("strength.reworded", item="hill", words="Friends."),
        "item/hill",
    ),
    (given(started, sam_may_propose, HILL), change("item.withdrawn", item="hill"), "item/hill"),
    (given(started, sam_may_propose, WALK), change("action.dropped", action="walk"), "action/walk"),
]


@pytest.mark.parametrize(("before", "suggested", "name"), SUGGESTED)
def test_any_line_can_be_suggested_and_is_written_only_when_it_is_accepted(
    before: Given, suggested: dict[str, object], name: str
) -> None:
    proposal = sam.proposes(suggested)
    before.when(proposal).then(accepted, version(before.plan.version))
    number = before.plan.version + 1
    given(proposal, plan=before.plan).when(ada.accepts(proposal)).then(
        accepted, line(name, version=number), version(number)
    )
