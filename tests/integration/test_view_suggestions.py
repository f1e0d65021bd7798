"""How suggestions, their answers, and whatever is said for a person read aloud."""

import pytest

from shared.events.event import Json
from tests.given import (
    ADA,
    BEA,
    SCALE,
    ada,
    bea,
    change,
    sam,
    through,
)
from tests.integration.spoken import IN_FORCE, section, text_of

CHANGES: list[tuple[Json, str]] = [
    (change("aspiration.stated", words="Swim."), "Swim."),
    (change("about-me.written", section="Food", words="Fish."), "Food: Fish."),
    (change("aspiration.reworded", aspiration="sea", words="Run."), "Run. Instead of: Walk."),
    (change("aspiration.paused", aspiration="sea"), "Let this rest for a while: Walk."),
    (change("aspiration.let-go", aspiration="sea"), "Let this go: Walk."),
    (change("need.reworded", item="hill", words="A rail."), "A rail. Instead of: Mrs Hill."),
    (change("item.withdrawn", item="hill"), "Take this out: Mrs Hill."),
    (change("action.done", action="gone"), "Call this done: gone"),
    (change("measure.rated", measure="steady", version=1, value=6), "Steady: 6."),
    (change("measure.defined", **SCALE), "Steady"),
    (change("aspirations.ranked", order=["sea"]), "Put what you want in this order: Walk."),
    (change("wording.preferred", say="Ada", instead_of="dear"), "“Ada”, not “dear”."),
    (change("plan.closed"), "Close your plan."),
    (change("plan.reopened"), "Open your plan again."),
]


@pytest.mark.parametrize(("suggested", "told"), CHANGES)
def test_a_suggestion_reads_as_what_would_change(suggested: Json, told: str) -> None:
    lines = (ada.states("Walk."), ada.names("need"), ada.defines())
    text = text_of(*IN_FORCE, *lines, sam.proposes(suggested))
    assert section(text, "What others suggested") == [
        f"- Sam (nurse): {told}",
        "  Why: You said company helps.",
        "  You can answer until 2 March 2027.",
    ]
    aims = suggested["data"].keys() & {"aspiration", "item", "measure"}
    assert ("Sam (nurse) suggests a change to this; it stands below." in text) == bool(aims)


def test_an_answer_says_in_whose_words() -> None:
    walk = sam.proposes(change("action.planned", what="2,000 steps", by=ADA), their_words=True)
    mine: Json = {"what": "To the bakery", "by": ADA}
    text = text_of(*IN_FORCE, walk, ada.accepts(walk, mine))
    assert section(text, "What is to be done") == [
        "- To the bakery",
        "  Sam (nurse) suggested it; you accepted it on 2 March 2026, in your own words.",
    ]
    assert section(text, "What others suggested") == [
        "- Sam (nurse): 2,000 steps",
        "  Why: You said company helps.",
        "  Sam (nurse) wrote this down as your words.",
        "  You accepted this.",
    ]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (("declines",), ["  You declined this: Not yet."]),
        (("parks",), ["  You set this aside: Not yet.", "  You can answer until 2 March 2027."]),
        (("parks", "declines"), ["  You declined this: Not yet."]),
    ],
)
def test_what_a_person_answered_is_told_in_their_words(
    answers: tuple[str, ...], told: list[str]
) -> None:
    walk = sam.proposes(change("action.planned", what="Walk", by=ADA))
    said = [getattr(ada, answer)(walk, "Not yet.") for answer in answers]
    assert section(text_of(*IN_FORCE, walk, *said), "What others suggested") == [
        "- Sam (nurse): Walk",
        "  Why: You said company helps.",
        *told,
    ]


def test_an_answer_that_is_denied_says_so() -> None:
    walk = sam.proposes(change("action.planned", what="Walk", by=ADA))
    said = ada.declines(walk, "Never.")
    told = section(text_of(*IN_FORCE, walk, said, ada.denies(said)), "What others suggested")
    assert told[2:] == [
        "  Somebody in your name declined this: Never.",
        "  You said that this is not yours.",
    ]


def test_whoever_speaks_for_the_person_is_named() -> None:
    walk = sam.proposes(change("action.planned", what="Walk", by=ADA))
    may = ada.sends(
        BEA, "aspiration.stated", "aspiration.let-go", "proposal.accepted", "action.planned"
    )
    said = [bea.states("Dance."), bea.lets_go(words="Her knee."), bea.accepts(walk)]
    text = text_of(*IN_FORCE, may, walk, *said)
    assert section(text, "What lies behind you") == [
        "- Dance.",
        "  Bea wrote this for you on 2 March 2026.",
        "  Bea said for you on 2 March 2026: you let this go.",
        "  Bea said: Her knee.",
    ]
    assert "  Sam (nurse) suggested it; Bea accepted it for you on 2 March 2026.\n" in text
    assert "  Bea accepted this for you.\n" in text
    assert "You accepted" not in text


def test_what_was_written_in_the_persons_name_does_not_say_that_they_wrote_it() -> None:
    said = through("service:notebook", ada.states("Move out."))
    text = text_of(said, ada.denies(said))
    assert section(text, "What you want") == [
        "- Move out.",
        "  This was written in your name on 2 March 2026.",
        "  You said that this is not yours.",
    ]
