"""Intake's OpenAPI document: `openapi.yaml` with the types of the catalogue."""

from functools import cache
from pathlib import Path

from services.intake.event_types import free_json, shape
from services.intake.http_binding import MAX_BATCH, ContentMode
from services.intake.validation import Attributes
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.http.openapi import load, reference

_FREE = "#/components/schemas/json"
_OF_THE_TYPE = ("type", "dataschema", "data")  # attributes whose schema differs by type


@cache
def document() -> Json:
    """Return the whole document. It is built at the first call."""
    whole = load(Path(__file__).with_name("openapi.yaml"), _schemas())
    post = whole["paths"]["/events"]["post"]
    post["parameters"] += [
        {
            "name": f"ce-{name}",
            "in": "header",
            "description": f"The attribute `{name}`, of an event in binary form.",
            "schema": {"type": "string"},
        }
        for name in Attributes().fields
        if name not in ("data", "datacontenttype")
    ]
    for form, values in _examples().items():
        post["requestBody"]["content"][form]["examples"] = values
    return whole


def _examples() -> dict[ContentMode, Json]:
    events = {
        name: {"summary": row.effect, "value": examples(row)[0]["event"]}
        for name, row in CATALOGUE.items()
    }
    first = next(iter(events.values()))["value"]
    return {
        ContentMode.STRUCTURED: events,
        ContentMode.BATCH: {"batch": {"summary": "A batch of one.", "value": [first]}},
        ContentMode.BINARY: {
            "data": {"summary": "Its attributes are headers.", "value": first["data"]}
        },
    }


def _schemas() -> dict[str, Json]:
    """Return the schemas of events: one of each type, flat, as generators of clients need it."""
    attributes = shape(Attributes(), _FREE)
    events = [reference("schemas", name) for name in CATALOGUE]
    mapping = {name: event["$ref"] for name, event in zip(CATALOGUE, events, strict=True)}
    return {
        "event": {
            "description": "An event of any type of the catalogue.",
            "oneOf": events,
            "discriminator": {"propertyName": "type", "mapping": mapping},
        },
        "batch": {"type": "array", "maxItems": MAX_BATCH, "items": reference("schemas", "event")},
        "data": {
            "description": "The data of an event, by its type.",
            "anyOf": [reference("schemas", f"{name}.data") for name in CATALOGUE],
        },
        **{name: _event(row, attributes) for name, row in CATALOGUE.items()},
        **{f"{name}.data": shape(row.schema, _FREE) for name, row in CATALOGUE.items()},
        **{
            f"attribute.{name}": form
            for name, form in attributes["properties"].items()
            if name not in _OF_THE_TYPE
        },
        "json": free_json(_FREE),
    }


def _event(row: EventType, attributes: Json) -> Json:
    properties = {
        "type": {"type": "string", "const": row.name},
        "dataschema": {"type": "string", "const": f"urn:firsthand:{row.name}:1"},
        "data": reference("schemas", f"{row.name}.data"),
    }
    for name in attributes["properties"]:
        properties.setdefault(name, reference("schemas", f"attribute.{name}"))
    return {**attributes, "description": row.effect, "properties": properties}
