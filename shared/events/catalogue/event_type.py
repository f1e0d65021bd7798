"""What one row of the catalogue says, and how it is written down."""

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

    `sentence` is the history's line for the person who authored it, `told` for anybody else
    ("{who}" is filled in), `attempt` completes "tried to …". None holds the author's words.
    `words` names the member of `data` that holds them, if one does.
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
    told: str
    words: str | None
    standard: str

    @property
    def token_scope(self) -> str:
        """The OAuth scope a token needs to post this type."""
        return "share" if self.kind is Kind.WHOSE else "write"


def row(  # noqa: PLR0913 - a row has as many members, and each is named where it is written
    name: Type,
    effect: str,
    shape: Shape,
    *refusals: Code,
    attempt: str,
    example: Mapping[str, Any],
    who: Who = P,
    sentence: str = "",
    told: str = "",
    words: str | None = "words",
    standard: str = "",
) -> EventType:
    """A row; its kind follows from the name, its schema from the shape. Refusals in check order."""
    schema = Schema.from_dict(dict(shape), name=name)()
    kept = words if words in shape else None
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
        told,
        kept,
        standard,
    )
