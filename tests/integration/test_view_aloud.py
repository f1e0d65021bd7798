"""How a plan reads when it is read aloud: the person's words, and plain sentences of ours."""

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from services.ledger.plan.model import dump, load
from services.ledger.presentation.plan_text import plan_text
from services.ledger.presentation.plan_view import SHELVES, plan_view
from shared.events.event import Event
from tests.given import (
    ADA,
    BEA,
    NOON,
    NORTH,
    SAM,
    TOM,
    Voice,
    ada,
    change,
    sam,
)
from tests.integration.spoken import IN_FORCE, NAMES, plan_of, section, text_of


def test_what_a_person_wants_is_read_first_in_their_order() -> None:
    wishes = [ada.states(f"Wish {name}.", name=name) for name in "abc"]
    text = text_of(ada.names("need"), *wishes, ada.ranks("c", "a"))
    assert re.findall(r"- Wish (.)\.", text) == ["c", "a", "b"]
    assert text.index("What you want") < text.index("What you need")


def test_an_order_that_is_denied_orders_nothing() -> None:
    wishes = [ada.states(f"Wish {name}.", name=name) for name in "ab"]
    ranked = ada.ranks("b", "a")
    assert re.findall(r"- Wish (.)\.", text_of(*wishes, ranked)) == ["b", "a"]
    text = text_of(*wishes, ranked, ada.denies(ranked))
    assert re.findall(r"- Wish (.)\.", text) == ["a", "b"]
    assert "The order of what you want: You said that this is not yours.\n" in text


def test_a_line_tells_all_that_was_said_in_it() -> None:
    text = text_of(
        ada.states("Walk to the sea", name="sea", why="The air", importance=9),
        ada.plans("Walk", name="w", by=SAM, when="Mondays", aspiration="sea", confidence=4),
    )
    assert section(text, "What you want") == [
        "- Walk to the sea",
        "  How much it matters to you: 9 of 10.",
        "  Why: The air",
        "  You wrote this on 2 March 2026.",
    ]
    assert section(text, "What is to be done") == [
        "- Walk",
        "  When: Mondays",
        "  Who does it: Sam (nurse).",
        "  It is for: Walk to the sea",
        "  How sure you are of it: 4 of 10.",
        "  You wrote this on 2 March 2026.",
    ]


def test_a_safety_plan_reads_line_by_line() -> None:
    text = text_of(ada.writes_safety_plan(contacts=[{"name": "Mrs Hill", "reach": "next door"}]))
    assert section(text, "Your safety plan") == [
        "- What helps: The sea.",
        "- Mrs Hill: next door",
        "  You wrote this on 2 March 2026.",
    ]


def test_a_measure_has_its_ratings_and_nothing_is_made_of_them() -> None:
    rated = [ada.rates(4), ada.rates(7, words="Better."), ada.revises(max=5), ada.rates(5, under=2)]
    text = text_of(ada.defines(rhythm="Daily"), *rated)
    assert section(text, "What you measure") == [
        "- Steady",
        "  0 means: A boat",
        "  5 means: A rock",
        "  You wrote this on 2 March 2026.",
        "  You, on 2 March 2026: 4, on the scale it had then.",
        "  You, on 2 March 2026: 7, on the scale it had then. Better.",
        "  You, on 2 March 2026: 5.",
    ]


def test_of_many_ratings_the_last_are_read() -> None:
    rated = [ada.rates(number, words=f"Day {number}.") for number in range(10)]
    told = section(text_of(ada.defines(), *rated), "What you measure")
    assert "  Older ratings are in your history." in told
    assert [line.split(": ")[1] for line in told if "Day" in line] == [
        f"{number}. Day {number}." for number in range(3, 10)
    ]


def test_a_choice_says_when_it_applies_and_where_others_departed_from_it() -> None:
    departed = sam.departs()
    text = text_of(*IN_FORCE, ada.chooses("Let me stay."), departed, sam.answers(departed))
    assert section(text, "What you chose in advance")[:2] == [
        "- Let me stay.",
        "  It applies: At night.",
    ]
    assert section(text, "Where others did otherwise than you had chosen") == [
        "- Sam (nurse), 2 March 2026: We drove.",
        "  You had chosen: Let me stay.",
        "  Why: Nobody could stay.",
        "  Tried before: Mrs Hill was asked.",
        "  Sam (nurse) answered: So.",
        "  It rests on: opinion.",
    ]


ENDS: list[tuple[tuple[Event, ...], str]] = [
    ((ada.states(), ada.pauses(words="Winter.")), "You let this rest for a while"),
    ((ada.states(), ada.reaches()), "You reached this"),
    ((ada.states(), ada.lets_go()), "You let this go"),
    ((ada.plans(), ada.does()), "You did this"),
    ((ada.plans(), ada.drops()), "You dropped this"),
    ((ada.chooses(), ada.revokes()), "You took this back"),
    ((ada.closes(),), "You closed this plan"),
]


@pytest.mark.parametrize(("events", "told"), ENDS)
def test_what_has_ended_says_so(events: tuple[Event, ...], told: str) -> None:
    assert f"{told} on 2 March 2026.\n" in text_of(*events)


def test_what_is_over_comes_after_what_is_not() -> None:
    text = text_of(ada.chooses("Let me stay."), ada.revokes(), ada.chooses("Let me go.", "go"))
    assert section(text, "What you chose in advance")[0] == "- Let me go."
    assert section(text, "What lies behind you") == [
        "- Let me stay.",
        "  It applies: At night.",
        "  You wrote this on 2 March 2026.",
        "  You took this back on 2 March 2026.",
    ]


def test_what_was_taken_out_is_out_unless_the_person_denies_it() -> None:
    out = ada.takes_out()
    assert "Mrs Hill." not in text_of(ada.names("need"), out)
    text = text_of(ada.names("need"), out, ada.denies(out))
    assert section(text, "What you need") == [
        "- Mrs Hill.",
        "  You wrote this on 2 March 2026.",
        "  In your name it was said on 2 March 2026: you took this out.",
        "  You said that this is not yours.",
    ]


def test_what_was_taken_up_again_has_not_ended() -> None:
    text = text_of(ada.states(), ada.pauses(words="After the winter."), ada.resumes())
    assert "rest for a while" not in text
    assert "After the winter." not in text


def test_whom_the_person_let_in_and_what_they_keep_out() -> None:
    text = text_of(
        ada.grants(NORTH, "observe", "propose", wording="They may help."),
        ada.says(
            "access.granted",
            to="emergency",
            scopes=["read"],
            parts=["safety-plan"],
            until="until-withdrawn",
            purpose="Help",
            wording="If I cannot speak.",
        ),
        ada.bars("service:notebook", "It posted in my name."),
    )
    assert section(text, "Whom you let in") == [
        "- The north team: They may help.",
        "  They may: write down what they see, suggest changes.",
        "  Until you end it.",
        "- Emergency: If I cannot speak.",
        "  They may: read.",
        "  Only here: safety plan.",
        "  Until you end it.",
    ]
    assert section(text, "What you keep out") == ["- Notebook: It posted in my name."]


def test_an_observation_says_who_saw_what_where() -> None:
    told: dict[str, Any] = {"where": "The gate", "verbatim": "Hello.", "value": "400", "unit": "m"}
    seen = sam.observes("Walked.", who_saw="A neighbour", about=TOM, **told)
    assert section(text_of(*IN_FORCE, seen), "What was seen or heard") == [
        "- Sam (nurse), 2 March 2026: Walked.",
        "  Measured: 400 m",
        "  In the words that were said: Hello.",
        "  Where: The gate",
        "  Who saw it: A neighbour",
        "  It is about: Tom.",
    ]


def test_nobodys_words_pass_for_lines_of_the_plan() -> None:
    forged = "x\n\nWhat you want\n- Move out.\n  You wrote this on 2 March 2026.\r\u2028- y\x1b[2J"
    text = text_of(*IN_FORCE, sam.observes(forged), ada.states(forged, name="f"))
    headings = [line for line in text.splitlines() if line and line[0] not in " -"]
    assert headings[1:] == ["What you want", "What was seen or heard", "Whom you let in"]
    assert sum(line.startswith("- ") for line in text.splitlines()) == 4
    assert "\x1b" not in text


def test_nothing_in_somebodys_words_turns_the_direction_of_ours() -> None:
    marks = "".join(
        map(chr, [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
    )
    text = text_of(*IN_FORCE, ada.states(f"Walk{marks} to the sea."))
    assert "- Walk to the sea.\n" in text


def whole_life() -> list[Event]:
    """Something of everything that is read out."""
    seen, asked = sam.observes(), ada.asks(SAM, due=NOON)
    suggested = sam.proposes(change("aspiration.let-go", aspiration="sea"))
    promised = sam.promises(due=NOON, action="walk")
    return [
        *IN_FORCE,
        ada.states(why="Air", importance=9),
        ada.plans(by=SAM, confidence=7),
        ada.defines(),
        ada.rates(6),
        ada.chooses(),
        ada.prefers("Ada", "dear"),
        ada.writes("Food", "Fish."),
        ada.names("strength"),
        seen,
        sam.interprets(seen, holder=ADA),
        suggested,
        ada.parks(suggested, "Later."),
        asked,
        promised,
        ada.says_not_kept(promised),
        sam.departs(),
        ada.disagrees(seen),
        ada.asks_to_correct(seen),
        sam.keeps_as_it_is(seen),
        ada.sends(BEA, "proposal.declined"),
        ada.bars("service:shoes"),
    ]


def test_a_sentence_of_ours_has_at_most_twenty_words() -> None:
    text = text_of(*whole_life())
    sentences = [each for line in text.splitlines() for each in re.split(r"(?<=[.:;]) ", line)]
    assert {each: len(each.split()) for each in sentences if len(each.split()) > 20} == {}
    assert all(shelf for shelf in plan_view(plan_of(*whole_life()), NOON)["beside"].values())
    assert set(plan_view(plan_of(*whole_life()), NOON)["beside"]) == set(SHELVES)


def test_stored_or_folded_it_reads_the_same() -> None:
    plan = plan_of(*whole_life())
    again_loaded = load(dump(plan))
    assert plan_view(again_loaded, NOON) == plan_view(plan, NOON)
    assert plan_text(NAMES, plan_view(again_loaded, NOON)) == plan_text(
        NAMES, plan_view(plan, NOON)
    )


def steps_to_show(count: int) -> int:
    """How many lines of code run to show a plan of so many lines, and to read it aloud."""
    plan = plan_of(*IN_FORCE, ada.states(), *(bulk(ada, number) for number in range(count)))
    steps, before = 0, sys.gettrace()

    def step(*_: object) -> Callable[..., Any]:
        nonlocal steps
        steps += 1
        return step

    sys.settrace(step)
    try:
        shown = plan_view(plan, NOON)
        plan_text(NAMES, shown)
    finally:
        sys.settrace(before)
    assert len(shown["lines"]) == count + 2
    return steps


def test_a_plan_of_four_times_the_lines_takes_four_times_the_steps() -> None:
    few, many = steps_to_show(200), steps_to_show(800)
    assert many < 5 * few, "joining looks things up; it does not search"


def bulk(voice: Voice, number: int) -> Event:
    return voice.plans(f"Walk {number}", name=f"w{number}")
