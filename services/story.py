"""The story that `firsthand demo` tells. A paragraph says what happens; the event below does it.

After `>` stand who posts, the verdict that must come back, and the event. `{…}` in the text is
filled in from the event's data, `$…` in the event by the teller.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Template

from shared.event import Json

STORY = """
# Ada begins.

Ada starts her plan. Nobody has to open it for her.
> ada accepted {"type": "plan.started", "data": {"name_to_use": "Ada", "language": "en"}}

She writes about herself: “{words}”
> ada accepted {"type": "about-me.written", "data": {"section": "What is most important to me",
    "words": "The sea. And being asked before anything is decided."}}

Before any problem has been named, she says what she wants: “{words}”
> ada accepted {"type": "aspiration.stated", "data": {"id": "sea", "importance": 9,
    "words": "I want to walk to the sea again."}}

And one thing more: “{words}”
> ada accepted {"type": "aspiration.stated", "data": {"id": "fair",
    "words": "I want to run the harvest fair once more."}}

# Sam, her nurse, means well.

He would rather it said: “{words}” But these are Ada's words, not his.
> sam not-yours-to-say {"type": "aspiration.reworded", "data": {"aspiration": "sea",
    "words": "Lose weight and improve mobility."}}

Ada allows him two things: {wording}
> ada accepted {"type": "access.granted", "id": "$grant", "data": {"to": "partner:sam",
    "scopes": ["observe", "propose"], "until": "until-withdrawn", "purpose": "Getting me walking",
    "wording": "Sam may write down what he sees, and suggest changes."}}

So he suggests: “{change[data][what]}”
> sam accepted {"type": "proposal.made", "id": "$walks", "data": {"expires": "$soon",
    "why": "Small distances build strength.", "change": {"type": "action.planned",
    "data": {"what": "Walk 2,000 steps a day.", "by": "person:ada"}}}}

Ada takes it up, in her own words: “{in_my_words[what]}”
> ada accepted {"type": "proposal.accepted", "data": {"proposal": "$walks", "in_my_words":
    {"id": "bakery", "what": "Walk to the bakery before breakfast.", "by": "person:ada"}}}

He suggests something else: “{change[data][what]}”
> sam accepted {"type": "proposal.made", "id": "$class", "data": {"expires": "$soon",
    "why": "There is a place free on Mondays.", "change": {"type": "action.planned",
    "data": {"what": "Join the balance class.", "by": "person:ada"}}}}

She declines: “{words}” She need not have said why.
> ada accepted {"type": "proposal.declined", "data": {"proposal": "$class",
    "words": "No more classes, thank you."}}

# They do not see it alike.

Sam writes down what he saw: “{seen_or_heard}”
> sam accepted {"type": "observation.recorded", "id": "$seen", "data": {"who_saw": "Sam",
    "seen_or_heard": "Ada stopped at the gate for five minutes."}}

Ada disagrees, and from now on nobody is shown the one without the other: “{words}”
> ada accepted {"type": "disagreement.stated", "data": {"entry": "$seen",
    "words": "I stopped to talk to Mrs Hill. I could have gone on."}}

# Ada goes on.

She did it, and says so herself: “{words}”
> ada accepted {"type": "action.done", "data": {"action": "bakery",
    "words": "There and back, and I bought the bread."}}

She plans what comes next: “{what}”
> ada accepted {"type": "action.planned", "data": {"what": "Take the bus to the end, and walk.",
    "by": "person:ada", "when": "The first dry Sunday", "aspiration": "sea", "confidence": 6}}

She finds better words for what she wants: “{words}”
> ada accepted {"type": "aspiration.reworded", "data": {"aspiration": "sea",
    "words": "I want to walk to the sea, and home again."}}

She lets the fair go, and nobody asks why.
> ada accepted {"type": "aspiration.let-go", "data": {"aspiration": "fair"}}

She withdraws what she had allowed Sam.
> ada accepted {"type": "access.withdrawn", "data": {"grant": "$grant"}}

Sam, who has not heard of it, suggests once more: “{change[data][what]}”
> sam no-grant {"type": "proposal.made", "data": {"expires": "$soon", "why": "Just in case.",
    "change": {"type": "action.planned", "data": {"what": "Carry a stick.", "by": "person:ada"}}}}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A paragraph of the story: a heading alone, or what happens, by whom, and the verdict."""

    text: str
    author: str = ""
    verdict: str = ""
    event: Json | None = None


def steps(names: Mapping[str, str]) -> Iterator[Step]:
    """The story, step by step; `names` are what stands behind a `$`."""
    for paragraph in Template(STORY).substitute(names).strip().split("\n\n"):
        text, _, done = paragraph.partition("\n> ")
        if done:
            author, verdict, event = done.split(" ", 2)
            posted = json.loads(event)
            yield Step(text.format(**posted["data"]), author, verdict, posted)
        else:
            yield Step(text.removeprefix("# "))
