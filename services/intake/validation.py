"""Event validation: check posted CloudEvents 1.0 and return their canonical bytes.

shared/events/event.py specifies the attributes, the catalogue the schemas of `data`. Intake checks
only the shape: the ledger decides whether the author may post the event.
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

MAX_FAULTS = 100  # in one response
MAX_AHEAD = timedelta(minutes=5)  # of `time`, by intake's clock
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # lower case: RFC 9562, section 4
_NO_TYPE = "Not a type of the catalogue; see /event-types."
_URI = Pattern(r"[\x21-\x7e]{1,512}", "Not a URI reference in ASCII.")


def _any_case(text: str) -> str:
    """Return a case-insensitive pattern. JSON Schema has no flags."""
    return re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", text)


_JSON = Pattern(
    rf"{_any_case('application/json')}(?: *; *{_any_case('charset=utf')}-8)?",
    "Data must be application/json.",
)


def _ascii(description: str) -> fields.String:
    return fields.String(
        validate=Pattern(r"[\x21-\x7e]{1,128}"), metadata={"description": description}
    )


class Attributes(Schema):
    """The attributes of a posted event. The catalogue has the schemas of `data`."""

    specversion = fields.String(required=True, validate=validate.Equal("1.0"))
    id = fields.String(required=True, validate=Pattern(_UUID, "Not a UUID in lower case."))
    source = fields.String(
        required=True,
        validate=_URI,
        metadata={"description": "The context in which the event occurred: a URI in ASCII."},
    )
    type = fields.String(required=True, validate=validate.OneOf(CATALOGUE, error=_NO_TYPE))
    subject = party("person")
    data = fields.Raw(required=True)
    datacontenttype = fields.String(
        validate=_JSON, metadata={"description": "`application/json`, if present."}
    )
    time = moment(required=False)
    dataschema = _ascii("`urn:firsthand:<type>:1`.")
    expectedversion = WholeNumber(validate=validate.Range(min=0, max=MAX_WHOLE_NUMBER))
    causationid = _ascii("The cause of the event: 1 to 128 characters of ASCII.")
    correlationid = _ascii("The group of events it belongs to: 1 to 128 characters of ASCII.")
    traceparent = fields.String(
        validate=Pattern(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
        metadata={"description": "The trace of the event (W3C Trace Context)."},
    )


_ATTRIBUTES = Attributes()
_CODES = {  # by marshmallow's message; every other message means INVALID
    "Missing data for required field.": FaultCode.MISSING,
    "Unknown field.": FaultCode.UNKNOWN,
}


def validate_event(posted: Json, now: datetime) -> tuple[EventType, bytes]:
    """Validate a posted event, received at `now`. Return its type and its canonical bytes.

    Raises InvalidEvent, with a pointer to every fault, or TooLarge.
    """
    members = {name: value for name, value in posted.items() if name != "datacontenttype"}
    encoded = canonical(members)
    if len(encoded) > MAX_DATA_BYTES and (
        len(encoded) > MAX_EVENT_BYTES or len(canonical(posted.get("data", {}))) > MAX_DATA_BYTES
    ):
        raise TooLarge("An event has at most 36 KiB, its data at most 32 KiB.")
    row = CATALOGUE.get(str(posted.get("type")))
    faults = list(_faults(_ATTRIBUTES, posted, ""))
    if row is not None and "data" in posted:
        faults += _data_faults(row, posted["data"])
    faults += _attribute_faults(posted, now) if not faults else []
    if faults or row is None:
        raise InvalidEvent(
            "The event is not valid under the catalogue; see errors.", errors=faults[:MAX_FAULTS]
        )
    return row, encoded


def validate_batch(batch: Sequence[Json], now: datetime) -> list[tuple[EventType, bytes]]:
    """Validate a batch, all or nothing. InvalidEvent has the faults of all its events."""
    valid: list[tuple[EventType, bytes]] = []
    faults: list[FieldError] = []
    for index, event in enumerate(batch):
        try:
            valid.append(validate_event(event, now))
        except InvalidEvent as fault:
            faults += [replace(one, pointer=f"/{index}{one.pointer}") for one in fault.errors]
        except TooLarge as fault:
            faults.append(FieldError(f"/{index}", FaultCode.TOO_LARGE, fault.detail))
        if len(faults) >= MAX_FAULTS:
            break
    if faults:
        raise InvalidEvent("The whole batch was rejected; see errors.", errors=faults[:MAX_FAULTS])
    return valid


def _data_faults(row: EventType, data: object) -> Iterator[FieldError]:
    if not isinstance(data, dict):
        yield FieldError("/data", FaultCode.INVALID, "Must be an object.")
        return
    yield from _faults(row.schema, data, "/data")


def _attribute_faults(posted: Json, now: datetime) -> Iterator[FieldError]:
    """Check attributes against the type and the clock."""
    expected = f"urn:firsthand:{posted['type']}:1"
    if posted.get("dataschema", expected) != expected:
        yield FieldError("/dataschema", FaultCode.INVALID, f"Must be {expected}.")
    if "time" in posted and parse_time(posted["time"]) > now + MAX_AHEAD:
        yield FieldError("/time", FaultCode.INVALID, "More than 5 minutes ahead of intake's clock.")


def _faults(schema: Schema, value: Mapping[str, Any], pointer: str) -> Iterator[FieldError]:
    """Yield marshmallow's messages as faults with pointers."""
    if not is_valid(schema, value):
        yield from _flatten(schema.validate(value), pointer)


def _flatten(messages: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(messages, dict):
        for name, nested in messages.items():
            yield from _flatten(
                nested, pointer if name == "_schema" else f"{pointer}/{escape_pointer(name)}"
            )
        return
    for message in messages:
        yield FieldError(pointer, _CODES.get(message, FaultCode.INVALID), message)
