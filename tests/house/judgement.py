"""Nobody is scored, labelled or measured here, and no list of words is ours."""

import ast
import re
from collections.abc import Iterator

from shared.catalogue import CATALOGUE, EventType
from shared.event import Json
from shared.refusals import BECAUSE, WARNINGS
from tests.house.files import Finding, Source
from tests.house.words import PART_OF_A_NAME, names

Place = ast.stmt | ast.expr | ast.arg | ast.alias
# Beginnings of words that grade a person: what no name, text, field, metric or sentence here holds.
JUDGING = re.compile(
    r"complian|noncomplian|complie|adher|concordan|score|scoring|risk|engag|disengag|attend|nonattend"
    r"|motivat|insightful|sever(?:e|ity)|acuity|prognos|deteriorat|streak|progress|resistan|vulnerab"
    r"|challenging|manipulat|unrealistic|unwilling|uncooperativ|incapac|burden|wellbeing|grade"
    r"|percent|average|benchmark|traffic|stratif|triage|cohort|outlier|leaderboard|dna$"
)
# Where such a word is innocent: the file, the word, and why.
INNOCENT = {
    ("services/bar.py", "progress"): "rich's name for a bar that grows while a command works",
    ("shared/durability.py", "progress"): "Redis' own name for a file that is being rewritten",
    ("services/ledger/store/engine.py", "severity"): "PostgreSQL's own name for a kind of notice",
}
# Names that would hold words chosen by us. The person's own list is `avoid`, and it is theirs.
OUR_LIST = re.compile(
    r"(?:bad|banned|black|block|clinical|deny|forbidden|jargon|stigma\w*|stop|stigmatising)_?"
    r"(?:words?|list|terms?|phrases?)|profanit|word_?list|thesaurus",
    re.IGNORECASE,
)


def texts(source: Source) -> Iterator[tuple[ast.expr, str]]:
    """Every text in a file that is not a docstring."""
    said = {id(each.value) for each in ast.walk(source.tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node, node.value


def called(source: Source) -> Iterator[tuple[Place, str]]:
    """Every name that a file gives or hands on: definitions, imports and members by name."""
    yield from names(source.tree)
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(keywords=keywords):
                yield from ((node, each.arg) for each in keywords if each.arg)
            case ast.ImportFrom(module=module):
                yield node, module or ""
            case ast.alias(name=name):
                yield node, name
            case ast.Attribute():
                yield node, node.attr
            case _:
                pass


def judging(text: str) -> list[str]:
    """The words in a name or a text that grade a person."""
    parts = (part.lower() for part in PART_OF_A_NAME.findall(text))
    return [part for part in parts if JUDGING.match(part)]


def nobody_is_scored(source: Source) -> Iterator[Finding]:
    """No name and no text of ours scores a person, labels them, or computes their compliance."""
    if not source.is_ours_to_run:
        return
    for node, text in (*called(source), *texts(source)):
        for word in judging(text):
            if (source.path, word) not in INNOCENT:
                says = f"{word}: nobody is scored or labelled here; let the person say how it is"
                yield source.find(node, says)


def no_list_of_words_is_ours(source: Source) -> Iterator[Finding]:
    """Which words are not to be used about a person, only that person says."""
    for node, name in called(source) if source.is_ours_to_run else ():
        if OUR_LIST.search(name):
            remedy = "a list of words of ours; the person's own is `wording.preferred`"
            yield source.find(node, f"{name}: {remedy}")


def told_of(row: EventType) -> Iterator[str]:
    """Everything that a type names or says: its name, its members at any depth, its sentences."""
    yield from (row.name, row.effect, row.attempt, row.sentence, row.told, row.standard)
    yield from members(row.example)
    yield from row.schema.fields


def members(data: object) -> Iterator[str]:
    """The names of the members of some data, at any depth."""
    if isinstance(data, dict):
        told: Json = data
        for name, value in told.items():
            yield name
            yield from members(value)
    elif isinstance(data, list):
        for each in data:
            yield from members(each)


def said_to_people() -> Iterator[tuple[str, str]]:
    """Every sentence of the catalogue, the refusals and the warnings, and where it stands."""
    for row in CATALOGUE.values():
        yield from ((row.name, text) for text in told_of(row))
    yield from ((code.value, text) for code, text in BECAUSE.items())
    yield from WARNINGS.items()
