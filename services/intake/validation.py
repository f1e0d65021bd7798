"""Posted CloudEvents 1.0, as JSON objects, to canonical events.

Attributes and their rules stand in shared/events/event.py; the shapes of `data` in the catalogue.
Only shape is judged here: whether the author may say this is the ledger's to decide.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from marshmallow import Schema, fields, validate

from shared.errors import FaultCode, FieldError, InvalidEvent, TooLarge, escape_pointer
from shared.events.catalogue import CATALOGUE, EventType
from shared.events.event import MAX_DATA_BYTES, MAX_EVENT_BYTES, MAX_WHOLE_NUMBER, Json, canonical
from shared.events.schema_fields import Pattern, WholeNumber, is_valid, moment, parse_time, party

MAX_FAULTS = 100  # that one answer names
AHEAD = timedelta(minutes=5)  # how far `time` may lie in the future
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # lower case: RFC 9562, section 4
_NO_TYPE = "Not a type of the catalogue; see /event-types."
_URI = Pattern(r"[\x21-\x7e]{1,512}", "Not a URI reference in ASCII.")


def _any_case(text: str) -> str:
    """A pattern of JSON Schema, which has no flags."""
    return re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", text)


_JSON = Pattern(
    rf"{_any_case('application/json')}(?: *; *{_any_case('charset=utf')}-8)?",
    "Data must be application/json.",
)


def _ascii(told: str) -> fields.String:
    return fields.String(validate=Pattern(r"[\x21-\x7e]{1,128}"), metadata={"description": told})


class Attributes(Schema):
    """The attributes of a posted event; `data` is judged by its type's own schema."""

    specversion = fields.String(required=True, validate=validate.Equal("1.0"))
    id = fields.String(required=True, validate=Pattern(_UUID, "Not a UUID in lower case."))
    source = fields.String(
        required=True,
        validate=_URI,
        metadata={"description": "Where it was said: a URI, in ASCII."},
    )
    type = fields.String(required=True, validate=validate.OneOf(CATALOGUE, error=_NO_TYPE))
    subject = party("person")
    data = fields.Raw(required=True)
    datacontenttype = fields.String(
        validate=_JSON, metadata={"description": "`application/json`, if anything."}
    )
    time = moment(required=False)
    dataschema = _ascii("`urn:firsthand:<type>:1`.")
    expectedversion = WholeNumber(validate=validate.Range(min=0, max=MAX_WHOLE_NUMBER))
    causationid = _ascii("What led to it: 1 to 128 characters of ASCII.")
    correlationid = _ascii("What it belongs to: 1 to 128 characters of ASCII.")
    traceparent = fields.String(
        validate=Pattern(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
        metadata={"description": "The trace that it belongs to (W3C Trace Context)."},
    )


_ATTRIBUTES = Attributes()
_CODES = {  # by marshmallow's message; any other says that a value is invalid
    "Missing data for required field.": FaultCode.MISSING,
    "Unknown field.": FaultCode.UNKNOWN,
}


def validate_event(posted: Json, now: datetime) -> tuple[EventType, bytes]:
    """Type and canonical bytes of a posted event.

    Raises Invalid or TooLarge, naming the place. `now` is when it was received.
    """
    kept = canonical({name: each for name, each in posted.items() if name != "datacontenttype"})
    if len(kept) > MAX_DATA_BYTES and (
        len(kept) > MAX_EVENT_BYTES or len(canonical(posted.get("data", {}))) > MAX_DATA_BYTES
    ):
        raise TooLarge("An event has at most 36 KiB, its data at most 32 KiB.")
    row = CATALOGUE.get(str(posted.get("type")))
    faults = list(_faults(_ATTRIBUTES, posted, ""))
    if row is not None and "data" in posted:
        faults += _data_faults(row, posted["data"])
    faults += _attribute_faults(posted, now) if not faults else []
    if faults or row is None:
        raise InvalidEvent(
            "The event is not one of the catalogue; see errors.", errors=faults[:MAX_FAULTS]
        )
    return row, kept


def validate_batch(batch: Sequence[Json], now: datetime) -> list[tuple[EventType, bytes]]:
    """A batch, all or none: Invalid names the faults of every event, each at its place."""
    taken: list[tuple[EventType, bytes]] = []
    faults: list[FieldError] = []
    for place, each in enumerate(batch):
        try:
            taken.append(validate_event(each, now))
        except InvalidEvent as fault:
            faults += [replace(one, pointer=f"/{place}{one.pointer}") for one in fault.errors]
        except TooLarge as fault:
            faults.append(FieldError(f"/{place}", FaultCode.TOO_LARGE, fault.detail))
        if len(faults) >= MAX_FAULTS:
            break
    if faults:
        raise InvalidEvent("Nothing of the batch is taken; see errors.", errors=faults[:MAX_FAULTS])
    return taken


def _data_faults(row: EventType, data: object) -> Iterator[FieldError]:
    if not isinstance(data, dict):
        yield FieldError("/data", FaultCode.INVALID, "Must be an object.")
        return
    yield from _faults(row.schema, data, "/data")


def _attribute_faults(posted: Json, now: datetime) -> Iterator[FieldError]:
    """What one attribute alone does not show."""
    wanted = f"urn:firsthand:{posted['type']}:1"
    if posted.get("dataschema", wanted) != wanted:
        yield FieldError("/dataschema", FaultCode.INVALID, f"This service knows {wanted}.")
    if "time" in posted and parse_time(posted["time"]) > now + AHEAD:
        yield FieldError("/time", FaultCode.INVALID, "More than 5 minutes ahead of our clock.")


def _faults(schema: Schema, value: Mapping[str, Any], pointer: str) -> Iterator[FieldError]:
    """Messages of marshmallow as faults with pointers."""
    if not is_valid(schema, value):
        yield from _flat(schema.validate(value), pointer)


def _flat(messages: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(messages, dict):
        for name, each in messages.items():
            yield from _flat(
                each, pointer if name == "_schema" else f"{pointer}/{escape_pointer(name)}"
            )
        return
    for message in messages:
        yield FieldError(pointer, _CODES.get(message, FaultCode.INVALID), message)
