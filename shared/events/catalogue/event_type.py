"""Event type: one row of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields

from shared.events.refusals import Code
from shared.events.type_names import KINDS, Kind, P, Type, Who

Shape = Mapping[str, fields.Field[Any]]


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the catalogue.

    `sentence` is the line in the history if the person authored the event, `others_sentence` the
    line for every other author ("{who}" is filled in). `attempt` completes "tried to …". None of
    them contains the author's words. `words` names the member of `data` that contains those.
    """

    name: Type
    kind: Kind
    who: Who
    schema: Schema
    effect: str
    refusals: tuple[Code, ...]
    attempt: str
    example: Mapping[str, Any]
    sentence: str
    others_sentence: str
    words: str | None
    standard: str

    @property
    def token_scope(self) -> str:
        """The OAuth scope that a token needs to post this type."""
        return "share" if self.kind is Kind.WHOSE else "write"


def row(  # noqa: PLR0913 - a row has this many members, passed by name
    name: Type,
    effect: str,
    shape: Shape,
    *refusals: Code,
    attempt: str,
    example: Mapping[str, Any],
    who: Who = P,
    sentence: str = "",
    others_sentence: str = "",
    words: str | None = "words",
    standard: str = "",
) -> EventType:
    """Return a row. List the refusals in the order of the checks."""
    schema = Schema.from_dict(dict(shape), name=name)()
    return EventType(
        name,
        KINDS[name],
        who,
        schema,
        effect,
        refusals,
        attempt,
        example,
        sentence,
        others_sentence,
        words if words in shape else None,
        standard,
    )
