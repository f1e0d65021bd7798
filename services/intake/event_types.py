"""Event types as JSON: the catalogue with JSON Schemas (2020-12) and examples."""

from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from shared.errors import NotFound
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.catalogue.examples import examples
from shared.events.event import MAX_WHOLE_NUMBER, Json
from shared.events.refusals import REASONS
from shared.events.schema_fields import AnyJson

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_JSON_REF = "#/$defs/json"


@cache
def all_types() -> list[Json]:
    """Return a summary of every event type."""
    return [
        {"type": row.name, "kind": row.kind, "who": str(row.who), "effect": row.effect}
        for row in CATALOGUE.values()
    ]


@cache
def one_type(name: str) -> Json:
    """Return everything about an event type; NotFound if it is not in the catalogue."""
    row = CATALOGUE.get(name)
    if row is None:
        raise NotFound("Unknown event type; see /event-types.")
    return {
        "type": row.name,
        "kind": row.kind,
        "who": str(row.who),
        "scope": row.token_scope,
        "effect": row.effect,
        "standard": row.standard,
        "refusals": [{"code": code, "because": REASONS[code]} for code in row.refusals],
        "dataschema": f"urn:firsthand:{row.name}:1",
        "schema": json_schema(row),
        "example": dict(row.example),
        "examples": examples(row),
    }


def json_schema(row: EventType) -> dict[str, Any]:
    """Return the complete JSON Schema of a type's data."""
    schema = shape(row.schema, _JSON_REF)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:firsthand:{row.name}:1",
        **schema,
        **({"$defs": {"json": free_json(_JSON_REF)}} if _JSON_REF in str(schema) else {}),
    }


def shape(schema: Schema, free: str) -> dict[str, Any]:
    """Convert a marshmallow schema to JSON Schema, with nested schemas inlined.

    `free` is the reference to the schema of `free_json`.
    """
    spec = APISpec("", "", openapi_version="3.1.0")
    converter = OpenAPIConverter("3.1.0", schema_name_resolver=lambda _: None, spec=spec)

    def of_free(_: object, field: fields.Field[Any], **__: object) -> dict[str, Any]:
        return {"type": "object", **_members(free)} if isinstance(field, AnyJson) else {}

    converter.add_attribute_function(of_free)  # type: ignore[no-untyped-call]  # as apispec has it
    converted = converter.schema2jsonschema(schema)  # type: ignore[no-untyped-call]  # the same
    return {**converted, "additionalProperties": False}


def free_json(reference: str) -> dict[str, Any]:
    """Return the schema of any JSON that intake accepts (services/intake/strict_json.py).

    `reference` is the place of the schema itself, which is recursive. No `anyOf`: generators of
    clients cannot read a recursive one, and without `type` they take any value.
    """
    return {
        "description": "Any JSON that is accepted: integers, ASCII names, at most 16 levels.",
        "multipleOf": 1,
        "minimum": -MAX_WHOLE_NUMBER,
        "maximum": MAX_WHOLE_NUMBER,
        "items": {"$ref": reference},
        **_members(reference),
    }


def _members(reference: str) -> dict[str, Any]:
    return {
        "propertyNames": {"pattern": "^[\\x01-\\x7f]*$"},
        "additionalProperties": {"$ref": reference},
    }
