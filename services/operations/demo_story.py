"""The story that `firsthand demo` tells: a month. A paragraph says what happens; the event below
does it.

After `#` stands how many days ago it was. After `>` stand who posts, the verdict that must come
back (`warned`: accepted, and its author was told something), and the event. `{…}` in the text is
filled in from the event's data, `$…` in the event by the teller: ids, and days.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Template

from shared.events.event import Json

STORY = """
# 28 Ada begins.

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

What she can count on: “{words}”
> ada accepted {"type": "strength.named", "data": {"id": "hill",
    "words": "Mrs Hill looks in every day, and tells me when I talk nonsense."}}

Only then, what she needs: “{words}”
> ada accepted {"type": "need.named", "data": {"id": "rail",
    "words": "A rail on the stairs, on the left. That is my good hand."}}

# 26 Sam, her nurse, means well.

He would rather it said: “{words}” But these are Ada's words, not his.
> sam not-yours-to-say {"type": "aspiration.reworded", "data": {"aspiration": "sea",
    "words": "Lose weight and improve mobility."}}

Ada allows him two things: {wording}
> ada accepted {"type": "access.granted", "id": "$grant", "data": {"to": "partner:sam",
    "scopes": ["observe", "propose"], "until": "until-withdrawn", "purpose": "Getting me walking",
    "wording": "Sam may write down what he sees, and suggest changes."}}

So he suggests: “{change[data][what]}”
> sam accepted {"type": "proposal.made", "id": "$steps", "data": {"expires": "$soon",
    "why": "Small distances build strength.", "change": {"type": "action.planned",
    "data": {"what": "Walk 2,000 steps a day.", "by": "person:ada"}}}}

Ada takes it up, in her own words: “{in_my_words[what]}”
> ada accepted {"type": "proposal.accepted", "data": {"proposal": "$steps", "in_my_words":
    {"id": "bakery", "what": "Walk to the bakery before breakfast.", "by": "person:ada",
    "aspiration": "sea"}}}

He suggests a class: “{change[data][what]}”
> sam accepted {"type": "proposal.made", "id": "$balance", "data": {"expires": "$soon",
    "why": "There is a place free on Mondays.", "change": {"type": "action.planned",
    "data": {"what": "Join the balance class.", "by": "person:ada"}}}}

She declines: “{words}” She need not have said why.
> ada accepted {"type": "proposal.declined", "data": {"proposal": "$balance",
    "words": "No more classes, thank you."}}

He suggests company, and can keep the place for a week: “{change[data][what]}”
> sam accepted {"type": "proposal.made", "id": "$group", "data": {"expires": "$day19",
    "why": "They go slowly, and stop for tea.", "change": {"type": "action.planned",
    "data": {"what": "Walk with the Thursday group.", "by": "person:ada"}}}}

And he promises something himself: “{what}”
> sam accepted {"type": "commitment.made", "id": "$drill", "data": {"to": "person:ada",
    "due": "$day18", "what": "Get the housing office to put up the rail."}}

# 24 Ada chooses what counts.

She measures what nobody had thought of measuring: “{name}”
> ada accepted {"type": "measure.defined", "data": {"id": "mornings", "min": 0, "max": 5,
    "name": "How the morning begins", "low": "As if through fog", "high": "With the window open"}}

The first morning is a {value}. “{words}”
> ada accepted {"type": "measure.rated", "data": {"measure": "mornings", "version": 1, "value": 2,
    "words": "Grey, but there was toast."}}

There is a word she does not want to hear of herself. Not “{instead_of}”, but “{say}”.
> ada accepted {"type": "wording.preferred", "data": {"say": "in no hurry",
    "instead_of": "frail"}}

# 18 They do not see it alike.

Sam writes down what he saw: “{seen_or_heard}”
> sam accepted {"type": "observation.recorded", "id": "$gate", "data": {"who_saw": "partner:sam",
    "seen_or_heard": "Ada stopped at the gate for five minutes."}}

Ada disagrees, and from now on nobody is shown the one without the other: “{words}”
> ada accepted {"type": "disagreement.stated", "data": {"entry": "$gate",
    "words": "I stopped to talk to Mrs Hill. I could have gone on."}}

She asks him to correct one thing: “{what_is_wrong}”
> ada accepted {"type": "correction.requested", "data": {"entry": "$gate",
    "what_is_wrong": "It was not five minutes."}}

He does. What he first wrote stays, with this beside it: “{words}”
> sam accepted {"type": "correction.made", "data": {"entry": "$gate",
    "words": "It was nearer to two."}}

Later he writes: “{seen_or_heard}”
> sam warned {"type": "observation.recorded", "id": "$stairs", "data": {
    "who_saw": "partner:sam", "seen_or_heard": "Looked frail on the stairs."}}

He takes it back: “{words}”
> sam accepted {"type": "entry.retracted", "data": {"entry": "$stairs",
    "words": "I saw Ada rest once on the stairs. That is all I saw."}}

Ada would like to try the Thursday group after all. But its week is over, and silence was not a yes.
> ada lapsed {"type": "proposal.accepted", "data": {"proposal": "$group"}}

A man with a drill has been. Whether a promise was kept, only she says: it was.
> ada accepted {"type": "commitment.kept", "data": {"commitment": "$drill",
    "words": "He swept up afterwards, too."}}

So there is one need less, and she takes it out of her plan.
> ada accepted {"type": "item.withdrawn", "data": {"item": "rail"}}

# 15 Dr Reed is busy.

Ada lets her doctor in as well. {wording}
> ada accepted {"type": "access.granted", "data": {"to": "partner:reed", "scopes": ["observe"],
    "until": "$soon", "purpose": "My tablets", "wording": "He may write down what he sees."}}

She has a question for him, and would like to know within the week: “{words}”
> ada accepted {"type": "question.asked", "data": {"to": "partner:reed", "due": "$day10",
    "words": "Do I still need the blue tablets? They make my mornings grey."}}

He promises: “{what}”
> reed accepted {"type": "commitment.made", "id": "$call", "data": {"to": "person:ada",
    "due": "$day12", "what": "Telephone Ada about the tablets."}}

The morning is a {value}. “{words}”
> ada accepted {"type": "measure.rated", "data": {"measure": "mornings", "version": 1, "value": 1,
    "words": "Blue tablet, grey morning."}}

# 9 Ada is in bed with the flu.

She says what is to be done if she cannot say so then: “{words}”
> ada accepted {"type": "advance-choice.made", "data": {"id": "window",
    "words": "Leave me in my own bed, with the window open, and let Mrs Hill feed the cat.",
    "applies_when": "Whenever I have a fever and make no sense."}}

And she sends her sister: {authority} In two things, and for a month.
> ada accepted {"type": "representative.named", "data": {"representative": "person:bea",
    "scope": ["proposal.declined", "aspiration.paused"], "until": "$month",
    "authority": "Bea is my sister, and I asked her to."}}

Sam is worried, and suggests: “{change[data][words]}”
> sam accepted {"type": "proposal.made", "id": "$winter", "data": {"expires": "$soon",
    "why": "The path is icy.", "change": {"type": "aspiration.reworded",
    "data": {"aspiration": "sea", "words": "I want to stay in until the spring."}}}}

Bea answers for Ada, and declines: “{words}”
> bea accepted {"type": "proposal.declined", "data": {"proposal": "$winter",
    "words": "Ada says: the sea does not freeze."}}

Bea herself thinks the sea too far, and would let it go. That is not hers to do.
> bea not-yours-to-say {"type": "aspiration.let-go", "data": {"aspiration": "sea"}}

# 2 Ada goes on.

Dr Reed's day has passed, and the telephone has not rung. She says so.
> ada accepted {"type": "commitment.not-kept", "data": {"commitment": "$call",
    "words": "I sat beside it."}}

What she had planned, she did, and she says so herself: “{words}”
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

The morning is a {value}. “{words}”
> ada accepted {"type": "measure.rated", "data": {"measure": "mornings", "version": 1, "value": 5,
    "words": "I left the blue one in its box. Gulls."}}

Sam goes to another team, and she withdraws what she had allowed him.
> ada accepted {"type": "access.withdrawn", "data": {"grant": "$grant"}}

His software has not heard of it, and suggests once more: “{change[data][what]}”
> sam no-grant {"type": "proposal.made", "data": {"expires": "$soon", "why": "Just in case.",
    "change": {"type": "action.planned", "data": {"what": "Carry a stick.", "by": "person:ada"}}}}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A paragraph of the story: a heading alone, or what happens, by whom, and the verdict.

    `ago`: so many days before the story is told.
    """

    text: str
    ago: int
    author: str = ""
    verdict: str = ""
    event: Json | None = None


def steps(names: Mapping[str, str]) -> Iterator[Step]:
    """The story, step by step; `names` are what stands behind a `$`."""
    ago = 0
    for paragraph in Template(STORY).substitute(names).strip().split("\n\n"):
        text, _, done = paragraph.partition("\n> ")
        if done:
            author, verdict, event = done.split(" ", 2)
            posted = json.loads(event)
            yield Step(text.format(**posted["data"]), ago, author, verdict, posted)
        else:
            _, days, heading = text.split(" ", 2)
            ago = int(days)
            yield Step(heading, ago)


def references() -> set[str]:
    """What stands behind a `$` in the story."""
    return set(Template(STORY).get_identifiers())
