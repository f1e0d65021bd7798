"""The reference's page of all event types, written from the catalogue."""

import re
from collections.abc import Iterable, Iterator

import orjson

from services.intake.event_types import json_schema
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.refusals import REASONS
from shared.events.type_names import Kind, Who
from tests.docs.schema_text import in_words

KINDS = {
    Kind.PLAN: "Lines of the plan. Only the person may author these.",
    Kind.ANSWER: "The person's answers to suggestions. Silence is never yes.",
    Kind.BESIDE: "Contributions that are shown beside the plan, and never in it.",
    Kind.EQUAL: "Questions and promises, among equals. Deadlines apply to partners only.",
    Kind.WHOSE: "Whose plan it is: who may do what, with the person's permission.",
}
NAMED = {
    "entry": "the author of the entry, or somebody [named](#being-named) in it",
    "question": "the author of the question, or its [addressee](#being-named)",
    "commitment": "the author of the promise, or its [addressee](#being-named)",
}
INTRODUCTION = """\
{count} event types of {kinds} kinds. Each section says who may author the type, what it does, the
members of `data`, the refusals, and shows an example. A running intake serves the same, with JSON
Schemas and an example for each refusal: `GET /event-types`.

The [refusals](refusals.md) that are the same for all types are not repeated here. A representative
may act for "the person" if the person named the type in
[representative.named](#representativenamed). To accept a proposal, the representative also needs
the type of the proposed change, and the proposal must be somebody else's.

*Corresponds to* names the nearest term of the standards of the Professional Record Standards Body
(PRSB), HL7 FHIR, openEHR or the law. It is a pointer, not a claim of conformance.
"""
BEING_NAMED = """\
## Being named

The author of an entry, and anybody named in it, may comment on it while they have a grant of any
scope. Somebody whom **the person** named in an entry may also comment on it while they are a
representative, or while the person still names them: until the action is done or dropped, the
question is closed or set aside, or the entry is taken back or denied. Being named by anybody else
gives no access. Authors need no grant to correct, decline to correct or take back their own
entries, or to close their own questions.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    heads = tuple(head)
    lines = [heads, ("---",) * len(heads), *(tuple(row) for row in rows)]
    cells = [[cell.replace("|", r"\|") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def who(may: Who) -> Iterator[str]:
    """Who may author a type, in words."""
    if may.person:
        yield "the person"
    if may.scope == "any":
        yield "a partner to whom the person has granted any scope"
    elif may.scope:
        yield f"a partner to whom the person has granted `{may.scope}`"
    if may.named:
        yield NAMED[may.named]


def event(row: EventType) -> Iterator[str]:
    """The section of one event type."""
    schema = json_schema(row)
    members = [
        (
            f"`{name}`",
            "yes" if name in schema.get("required", ()) else "",
            in_words(shape),
        )
        for name, shape in schema["properties"].items()
    ]
    example = orjson.dumps(row.example, option=orjson.OPT_INDENT_2).decode()
    yield f"### {row.name}\n"
    yield f"{row.effect}\n"
    yield f"**Who:** {'; '.join(who(row.who))}. **Token scope:** `{row.token_scope}`.\n"
    yield f"**Corresponds to:** {row.standard}.\n"
    if members:
        yield table(("member of `data`", "required", "holds"), members) + "\n"
    if row.refusals:
        told = [(f"`{code}`", f"{REASONS[code]}.") for code in row.refusals]
        yield table(("type-specific refusals, in check order", "it was refused:"), told) + "\n"
    else:
        yield "It has no type-specific refusals.\n"
    yield f"```json\n{example}\n```\n"


def events() -> Iterator[str]:
    """The page of all event types."""
    yield "# Events\n"
    yield INTRODUCTION.format(count=len(CATALOGUE), kinds=len(KINDS))
    for kind, told in KINDS.items():
        rows = [
            (f"[{row.name}](#{anchor(row.name)})", row.effect)
            for row in CATALOGUE.values()
            if row.kind is kind
        ]
        yield f"**[{kind}](#kind-{kind})**: {told}\n"
        yield table(("type", "what it does"), rows) + "\n"
    yield BEING_NAMED
    for kind, told in KINDS.items():
        yield f"## Kind: {kind}\n"
        yield f"{told}\n"
        for row in CATALOGUE.values():
            if row.kind is kind:
                yield from event(row)


def anchor(heading: str) -> str:
    """The fragment under which a heading is found."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
