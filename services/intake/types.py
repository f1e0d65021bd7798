"""What may be posted, as data: the catalogue with JSON Schemas (2020-12) and examples."""

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter

from shared.catalogue import CATALOGUE, EventType
from shared.catalogue.examples import examples
from shared.event import Json
from shared.problems import NotFound
from shared.refusals import BECAUSE

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def all_types() -> list[Json]:
    """Every type in a line."""
    return [
        {"type": row.name, "kind": row.kind, "who": str(row.who), "effect": row.effect}
        for row in CATALOGUE.values()
    ]


@cache
def one_type(name: str) -> Json:
    """One type whole; NotFound if it is not in the catalogue."""
    row = CATALOGUE.get(name)
    if row is None:
        raise NotFound("There is no such event type; see /event-types.")
    return {
        "type": row.name,
        "kind": row.kind,
        "who": str(row.who),
        "scope": row.token_scope,
        "effect": row.effect,
        "standard": row.standard,
        "refusals": [{"code": code, "because": BECAUSE[code]} for code in row.refusals],
        "dataschema": f"urn:firsthand:{row.name}:1",
        "schema": json_schema(row),
        "example": dict(row.example),
        "examples": examples(row),
    }


def json_schema(row: EventType) -> dict[str, Any]:
    """The JSON Schema of a type's data, nested schemas in place."""
    spec = APISpec("", "", openapi_version="3.1.0")
    converter = OpenAPIConverter("3.1.0", schema_name_resolver=lambda _: None, spec=spec)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:firsthand:{row.name}:1",
        **converter.schema2jsonschema(row.schema),  # type: ignore[no-untyped-call]  # as apispec has it
        "additionalProperties": False,
    }
