"""Nobody is scored, labelled or measured in what a person reads, and no list of words is ours.

Names inside the code are free: what counts is the catalogue, the texts of the plan and its history,
the documents that describe every response, and the metrics.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType

from services.ledger.presentation import (
    annotations,
    contributions_text,
    phrases,
    plan_text,
    plan_view,
    sentences,
)
from services.ledger.queries import diff, history_entry, provenance
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.refusals import REASONS, WARNINGS
from tests.house.files import Finding, Source
from tests.house.words import PART_OF_A_NAME, names

# Beginnings of words that grade a person.
JUDGING = re.compile(
    r"complian|noncomplian|complie|adher|concordan|score|scoring|risk|engag|disengag|attend|nonattend"
    r"|motivat|insightful|sever(?:e|ity)|acuity|prognos|deteriorat|streak|progress|resistan|vulnerab"
    r"|challenging|manipulat|unrealistic|unwilling|uncooperativ|incapac|burden|wellbeing|grade"
    r"|percent|average|benchmark|traffic|stratif|triage|cohort|outlier|leaderboard|dna$"
)
# Modules that make what a person reads about their own plan, as text or JSON.
PRESENTATION: tuple[ModuleType, ...] = (
    annotations,
    plan_text,
    contributions_text,
    diff,
    provenance,
    phrases,
    sentences,
    history_entry,
    plan_view,
)
# Names that would hold words chosen by us. The person's own list is `avoid`, and it is theirs.
OUR_LIST = re.compile(
    r"(?:bad|banned|black|block|clinical|deny|forbidden|jargon|stigma\w*|stop|stigmatising)_?"
    r"(?:words?|list|terms?|phrases?)|profanit|word_?list|thesaurus",
    re.IGNORECASE,
)


def judging(texts: Iterable[str]) -> list[str]:
    """Return the texts that hold a word which grades a person."""
    return [
        text
        for text in texts
        if any(JUDGING.match(part.lower()) for part in PART_OF_A_NAME.findall(text))
    ]


def no_list_of_words_is_ours(source: Source) -> Iterator[Finding]:
    """Which words are not to be used about a person, only that person says."""
    for node, name in names(source.tree) if source.is_ours_to_run else ():
        if OUR_LIST.search(name):
            remedy = "a list of words of ours; the person's own is `wording.preferred`"
            yield source.find(node, f"{name}: {remedy}")


def texts_of_catalogue() -> Iterator[str]:
    """Yield all that types name or say, and why an event is refused or warned of."""
    for row in CATALOGUE.values():
        yield from texts_of_type(row)
    yield from (*REASONS.values(), *WARNINGS.values())


def texts_of_type(row: EventType) -> Iterator[str]:
    """Yield the name of a type, its sentences, and its members at any depth."""
    yield from (row.name, row.effect, row.attempt, row.sentence, row.others_sentence, row.standard)
    yield from row.schema.fields
    yield from texts_of_json(row.example)


def texts_of_code(code: str) -> Iterator[str]:
    """Yield every text in a module that is not a docstring."""
    tree = ast.parse(code)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


def texts_of_json(value: object) -> Iterator[str]:
    """Yield every member name and every text of a JSON value, such as an OpenAPI document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value
        for member in value.values():
            yield from texts_of_json(member)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of_json(item)
