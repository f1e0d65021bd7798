"""Lines of the plan: what the person writes, rewords, lets go of, plans and does."""

import pytest

from shared.events.event import Event
from tests.given import (
    ADA,
    NOON,
    SAM,
    SEA,
    accepted,
    ada,
    again,
    at,
    given,
    line,
    lines,
    named_in,
    refused,
    started,
    version,
)

WISH = ada.states()
WALK = ada.plans()
TOMORROW = "2026-03-03T12:00:00.000Z"


def test_a_person_starts_their_plan_and_nothing_else_is_needed_first() -> None:
    told = {"name_to_use": "Ada", "language": "en"}
    given().when(started).then(accepted, version(1), line("plan/plan", data=told, since=1))


def test_a_plan_starts_only_once() -> None:
    given(started).when(ada.starts("Countess")).then(refused("plan-exists"))


def test_a_started_plan_says_so() -> None:
    given(started).when(WISH).then(accepted, lines("plan/plan", "aspiration/sea"), version(2))


def test_a_person_writes_about_themselves() -> None:
    said = ada.writes("What is most important to me", "The sea.")
    name = "about-me/What is most important to me"
    given(started).when(said).then(accepted, line(name, data={"words": "The sea."}, version=2))


def test_a_section_of_the_persons_own_naming_is_as_good() -> None:
    said = ada.writes("My cat / my dog", "Both.")
    given(started).when(said).then(accepted, line("about-me/My cat / my dog", id="My cat / my dog"))


def test_a_section_written_again_replaces_its_words_and_keeps_its_first_version() -> None:
    first, second = ada.writes("Food", "No fish."), ada.writes("Food", "Fish, now and then.")
    now = {"words": "Fish, now and then."}
    given(started, first).when(second).then(
        accepted, line("about-me/Food", data=now, since=2, version=3, origin={"entry": second.id})
    )


def test_the_same_words_written_again_are_a_new_version() -> None:
    said = ada.writes("Food", "No fish.")
    given(started, said).when(again(said)).then(accepted, version(3))


def test_an_aspiration_is_a_line_with_its_origin() -> None:
    whence = {"entry": WISH.id, "author": ADA, "received": NOON}
    given(started).when(WISH).then(
        accepted,
        line("aspiration/sea", thing="aspiration", id="sea", state="open", origin=whence),
        line("aspiration/sea", data={"words": SEA, "id": None}, since=2, version=2),
        named_in(WISH, [ADA]),
    )


def test_why_and_importance_stand_on_the_line() -> None:
    said = ada.states(why="My mother took me there.", importance=10)
    told = {"why": "My mother took me there.", "importance": 10}
    given(started).when(said).then(accepted, line("aspiration/sea", data=told))


def test_an_aspiration_without_a_name_is_named_by_its_event() -> None:
    said = ada.states(name=None)
    given(started).when(said).then(accepted, line(f"aspiration/{said.id}", id=said.id))


def test_two_aspirations_cannot_bear_one_name() -> None:
    given(started, WISH).when(ada.states("I want a boat.")).then(refused("exists"))


def test_the_name_of_an_aspiration_let_go_is_not_free_again() -> None:
    given(started, WISH, ada.lets_go()).when(again(WISH)).then(refused("exists"))


def test_an_aspiration_and_an_action_may_bear_one_name() -> None:
    given(started, WISH).when(ada.plans(name="sea")).then(accepted, line("action/sea", id="sea"))


def test_a_person_rewords_an_aspiration() -> None:
    said = at(TOMORROW, ada.rewords("I want to swim in the sea."))
    whence = {"entry": said.id, "author": ADA, "received": TOMORROW}
    given(started, ada.states(importance=9)).when(said).then(
        accepted,
        line("aspiration/sea", data={"words": "I want to swim in the sea.", "importance": 9}),
        line("aspiration/sea", state="open", origin=whence, since=2, version=3),
    )


def test_what_was_never_stated_cannot_be_reworded() -> None:
    given(started, WISH).when(ada.rewords("No.", "moon")).then(refused("unknown-target"))


def test_an_action_is_not_an_aspiration_to_reword() -> None:
    given(started, WALK).when(ada.rewords("Run", "walk")).then(refused("unknown-target"))


def test_the_same_words_are_no_rewording() -> None:
    given(started, WISH).when(ada.rewords(SEA)).then(refused("unchanged"))


def test_words_are_the_same_only_to_the_last_code_point() -> None:
    given(started, ada.states("Café")).when(ada.rewords("Cafe\u0301")).then(accepted)


def test_words_of_before_the_last_may_come_back() -> None:
    changed = ada.rewords("I want to swim.")
    given(started, WISH, changed).when(ada.rewords(SEA)).then(
        accepted, line("aspiration/sea", data={"words": SEA}, version=4)
    )


def test_what_was_let_go_may_still_be_reworded() -> None:
    given(started, WISH, ada.lets_go()).when(ada.rewords("I wanted to swim.")).then(
        accepted, line("aspiration/sea", state="let-go", data={"words": "I wanted to swim."})
    )


def test_a_person_lets_an_aspiration_go_without_a_reason() -> None:
    given(started, WISH).when(ada.lets_go()).then(
        accepted,
        line("aspiration/sea", state="let-go", data={"words": SEA, "closing_words": None}),
        version(3),
    )


def test_a_reason_for_letting_go_stands_beside_the_words_not_in_their_place() -> None:
    said = ada.lets_go(words="The sea came to me.")
    told = {"words": SEA, "closing_words": "The sea came to me."}
    given(started, WISH).when(said).then(accepted, line("aspiration/sea", data=told))


def test_what_was_never_stated_cannot_be_let_go() -> None:
    given(started).when(ada.lets_go()).then(refused("unknown-target"))


def test_an_aspiration_is_let_go_once() -> None:
    given(started, WISH, ada.lets_go()).when(again(ada.lets_go())).then(refused("wrong-state"))


def test_a_person_plans_an_action() -> None:
    told = {"what": "Walk", "by": ADA, "when": None, "aspiration": None}
    given(started).when(WALK).then(accepted, line("action/walk", state="open", data=told))


def test_an_action_may_be_for_a_partner_and_aim_at_an_aspiration() -> None:
    said = ada.plans(by=SAM, when="Tuesdays", aspiration="sea", confidence=7)
    told = {"by": SAM, "when": "Tuesdays", "aspiration": "sea", "confidence": 7}
    given(started, WISH).when(said).then(
        accepted, line("action/walk", data=told), named_in(said, [ADA, SAM])
    )


def test_an_action_without_a_name_is_named_by_its_event() -> None:
    said = ada.plans(name=None)
    given(started).when(said).then(accepted, line(f"action/{said.id}", id=said.id))


def test_an_action_cannot_aim_at_what_was_never_stated() -> None:
    given(started).when(ada.plans(aspiration="sea")).then(refused("unknown-target"))


def test_an_action_may_aim_at_what_was_let_go() -> None:
    given(started, WISH, ada.lets_go()).when(ada.plans(aspiration="sea")).then(accepted)


def test_two_actions_cannot_bear_one_name() -> None:
    given(started, WALK).when(ada.plans("Run")).then(refused("exists"))


def test_a_missing_aim_is_told_before_a_name_that_is_taken() -> None:
    said = ada.plans("Run", aspiration="moon")
    given(started, WALK).when(said).then(refused("unknown-target"))


def test_a_person_says_that_an_action_is_done() -> None:
    told = {"what": "Walk", "closing_words": "Further than I thought."}
    given(started, WALK).when(ada.does(words="Further than I thought.")).then(
        accepted, line("action/walk", state="done", data=told, since=2, version=3)
    )


def test_an_action_that_was_never_planned_cannot_be_done() -> None:
    given(started, WISH).when(ada.does("sea")).then(refused("unknown-target"))


def test_an_action_is_done_once() -> None:
    given(started, WALK, ada.does()).when(again(ada.does())).then(refused("wrong-state"))


def test_the_end_of_an_action_does_not_take_over_the_origin_of_its_words() -> None:
    given(started, WALK).when(ada.does()).then(
        accepted, line("action/walk", state="done", origin={"entry": WALK.id})
    )


@pytest.mark.parametrize("end", [ada.lets_go(), ada.lets_go(words="Enough.")])
def test_the_end_of_a_line_has_an_origin_of_its_own(end: Event) -> None:
    whence = {"entry": end.id, "author": ADA, "received": TOMORROW}
    given(started, WISH).when(at(TOMORROW, end)).then(
        accepted, line("aspiration/sea", origin={"entry": WISH.id}, ended=whence)
    )


def test_an_action_is_reworded() -> None:
    said = ada.replans("Walk to the bridge")
    given(started, WALK).when(said).then(
        accepted,
        line("action/walk", data={"what": "Walk to the bridge", "by": ADA, "words": None}),
        line("action/walk", origin={"entry": said.id}, version=3),
    )


def test_the_same_words_for_an_action_are_no_rewording() -> None:
    given(started, WALK).when(ada.replans("Walk")).then(refused("unchanged"))


@pytest.mark.parametrize("said", [ada.replans("Run", "sea"), ada.drops("sea")])
def test_what_was_never_planned_is_not_there(said: Event) -> None:
    given(started, WISH).when(said).then(refused("unknown-target"))


def test_an_action_is_dropped_without_a_reason() -> None:
    given(started, WALK).when(ada.drops()).then(
        accepted, line("action/walk", state="dropped", data={"what": "Walk", "closing_words": None})
    )


@pytest.mark.parametrize("first", [ada.does(), ada.drops()], ids=lambda said: said.type)
@pytest.mark.parametrize("second", [ada.does(), ada.drops()], ids=lambda said: said.type)
def test_an_action_ends_once(first: Event, second: Event) -> None:
    given(started, WALK, first).when(again(second)).then(refused("wrong-state"))
