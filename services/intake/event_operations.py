"""Intake's routes, described. The data of each type is described as the catalogue has it."""

from functools import cache

from services.intake.event_types import free_json, shape
from services.intake.http_binding import MAX_BATCH, ContentMode
from services.intake.validation import Attributes
from shared.errors import (
    Forbidden,
    InvalidEvent,
    MalformedBody,
    NotFound,
    Refused,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.events.type_names import Kind
from shared.http.common_operations import BOTH, JSON, RECEIPT
from shared.http.openapi import TEXT, Answer, Operation, Parameter, document, schema

_FREE = "#/components/schemas/json"
_TOLD = (
    "Takes events and makes them durable; decides nothing. What was said of an event's fate, the "
    "ledger serves. Events are CloudEvents 1.0; `data` is shaped by `type`. Numbers are whole, "
    "member names ASCII, texts hold no NUL, and an event has at most 36 KiB, its data 32 KiB."
)


def _event(row: EventType) -> Json:
    """An event of one type, whole: one flat object, which generators understand."""
    whole = shape(Attributes(), _FREE)
    own = {
        "type": {"const": row.name},
        "dataschema": {"const": f"urn:firsthand:{row.name}:1"},
        "data": schema(f"{row.name}.data"),
    }
    shared_by_all = {
        name: schema(f"attribute.{name}") for name in whole["properties"] if name not in own
    }
    return {**whole, "description": row.effect, "properties": {**own, **shared_by_all}}


def _attributes() -> dict[str, Json]:
    own = shape(Attributes(), _FREE)["properties"]
    return {f"attribute.{name}": form for name, form in own.items() if name not in _OF_THE_TYPE}


_OF_THE_TYPE = ("type", "dataschema", "data")
_DURABLE: Json = {
    "type": "object",
    "properties": {
        "id": schema("attribute.id"),
        "durability": {"type": "string", "pattern": r"^fsync(?:\+replicas:[1-9][0-9]*)?$"},
        "ledger": {"type": "string", "pattern": "^/people/[^/]+/events/[^/]+$"},
    },
    "required": ["id", "durability", "ledger"],
    "additionalProperties": False,
}
_LINE: Json = {
    "type": "object",
    "properties": {
        "type": {"enum": list(CATALOGUE)},
        "kind": {"enum": [kind.value for kind in Kind]},
        "who": TEXT,
        "effect": TEXT,
    },
    "required": ["type", "kind", "who", "effect"],
}
_TYPE: Json = {
    **_LINE,
    "properties": {
        **_LINE["properties"],
        "scope": {"enum": sorted({row.token_scope for row in CATALOGUE.values()})},
        "standard": TEXT,
        "refusals": {"type": "array", "items": {"type": "object", "required": ["code", "because"]}},
        "dataschema": TEXT,
        "schema": {"type": "object", "description": "JSON Schema 2020-12 of `data`."},
        "example": {"type": "object"},
        "examples": {"type": "array", "minItems": 1, "items": schema("example")},
    },
    "required": [*_LINE["required"], "scope", "refusals", "dataschema", "schema", "examples"],
}
_EXAMPLE: Json = {
    "type": "object",
    "properties": {
        "title": TEXT,
        "given": {"type": "array", "items": {"type": "object", "required": ["author", "event"]}},
        "author": TEXT,
        "via": TEXT,
        "event": schema("event"),
        "verdict": TEXT,
    },
    "required": ["title", "given", "author", "event", "verdict"],
}

_RECEIPT = {JSON: schema("receipt")}
_WAITED = ("Preference-Applied", "Location")
_PREFER = Parameter(
    "Prefer",
    "header",
    "`wait=N` (RFC 7240) waits up to N seconds, at most 30, for the verdict.",
    TEXT,
)
_TRACE = Parameter(
    "traceparent",
    "header",
    "The trace that the request belongs to (W3C Trace Context); any other value is ignored.",
    TEXT,
)
_TYPE_NAME = Parameter(
    "name", "path", "The name of a type.", {"enum": list(CATALOGUE)}, "aspiration.stated"
)


_MORE = (
    "Types that say whose the plan is need the scope `share` instead of `write`. In binary form "
    f"(`{ContentMode.BINARY}`) the body is `data`, and the attributes are `ce-…` headers. A batch "
    "is taken all or none; nobody waits for its fates. A body has 10 seconds to come."
)


def _headers() -> list[Parameter]:
    """The attributes as headers; in the other forms they say nothing, so that any text will do."""
    told = "The attribute `{}`, of an event in binary form."
    own = [name for name in Attributes().fields if name not in ("data", "datacontenttype")]
    return [Parameter(f"ce-{name}", "header", told.format(name), TEXT) for name in own]


@cache
def _body() -> dict[str, Json]:
    """The bodies that can be posted, each with an accepted example of every type."""
    told = {
        name: {"summary": row.effect, "value": examples(row)[0]["event"]}
        for name, row in CATALOGUE.items()
    }
    first = next(iter(told.values()))
    batch = {"summary": "A batch of one.", "value": [first["value"]]}
    data = {"summary": "Its attributes are headers.", "value": first["value"]["data"]}
    return {
        ContentMode.STRUCTURED.value: {"schema": schema("event"), "examples": told},
        ContentMode.BATCH.value: {"schema": schema("batch"), "examples": {"batch": batch}},
        ContentMode.BINARY.value: {"schema": schema("data"), "examples": {"data": data}},
    }


def operations() -> tuple[Operation, ...]:
    """Intake's own."""
    return (
        Operation(
            "POST",
            "/events",
            "post_event",
            "Post an event, or a batch of them, authored by the token's subject.",
            {
                202: Answer(
                    "Durable, and not yet decided: keep the event until it is. Of a batch, a list.",
                    {JSON: {"oneOf": [schema("durable"), schema("durables")]}},
                    sometimes=["Preference-Applied"],
                ),
                201: Answer("Waited for, and accepted: its receipt.", _RECEIPT, _WAITED),
                200: Answer("Waited for, a repeat of an accepted one.", _RECEIPT, _WAITED),
            },
            (
                *(MalformedBody, Unauthorized, Forbidden, TooLarge, UnsupportedMediaType),
                *(InvalidEvent, Refused, TooManyRequests, Unavailable),
            ),
            (_PREFER, _TRACE, *_headers()),
            _body(),
            scope="write",
            more=_MORE,
        ),
        Operation(
            "GET",
            "/event-types",
            "event_types",
            "Every type that may be posted, in a line.",
            {200: Answer("All of them.", {JSON: {"type": "array", "items": schema("line")}})},
        ),
        Operation(
            "GET",
            "/event-types/<name>",
            "event_type",
            "One type whole: who, shape, refusals, and an example of each outcome.",
            {200: Answer("The type.", {JSON: schema("type")})},
            (NotFound,),
            (_TYPE_NAME,),
        ),
        *BOTH,
    )


def schemas() -> dict[str, Json]:
    """Every shape that intake takes or serves, by name."""
    every = [schema(name) for name in CATALOGUE]
    mapping = {name: each["$ref"] for name, each in zip(CATALOGUE, every, strict=True)}
    choice = {"oneOf": every, "discriminator": {"propertyName": "type", "mapping": mapping}}
    data = [schema(f"{name}.data") for name in CATALOGUE]
    return {
        "event": {"description": "An event of any type of the catalogue.", **choice},
        "batch": {"type": "array", "maxItems": MAX_BATCH, "items": schema("event")},
        "data": {"description": "The data of an event, by its type.", "anyOf": data},
        **{name: _event(row) for name, row in CATALOGUE.items()},
        **{f"{name}.data": shape(row.schema, _FREE) for name, row in CATALOGUE.items()},
        **_attributes(),
        "json": free_json(_FREE),
        "durable": _DURABLE,
        "durables": {"type": "array", "items": schema("durable")},
        "receipt": RECEIPT,
        "line": _LINE,
        "type": _TYPE,
        "example": _EXAMPLE,
    }


@cache
def described() -> Json:
    """Intake's whole description, made when it is first asked for."""
    return document("intake", _TOLD, operations(), schemas())
