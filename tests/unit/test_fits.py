"""What plainly fits a shape is what marshmallow takes, and of nothing is it said wrongly."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow import Schema

from services.intake.validation import Attributes
from shared.events.catalogue import CATALOGUE
from shared.events.schema_fields import is_plainly_valid, is_valid

EVENT = {
    "specversion": "1.0",
    "id": "3f0f7c52-5d2e-4f5e-9d0c-6a8e6f1b2c3d",
    "source": "urn:example:app",
    "type": "plan.closed",
    "subject": "person:ada",
    "time": "2026-03-02T12:00:00.5Z",
    "data": {},
    "datacontenttype": "application/json",
    "dataschema": "urn:firsthand:plan.closed:1",
    "expectedversion": 7,
    "causationid": "a",
    "correlationid": "b",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
SHAPES: dict[str, tuple[Schema, Any]] = {
    **{name: (row.schema, row.example) for name, row in CATALOGUE.items()},
    "attributes": (Attributes(), EVENT),
}
LONG = ["a" * 20_001, "a" * 201, ["a"] * 101, ["read"] * 6]
NEARLY = ["", " ", "\x85", "\u3000", "a\n", "person:ada", "person:ada\n", "en", "read", "emergency"]
TIMES = ["2026-02-29T12:00:00Z", "2028-02-29T12:00:00+01:00", "until-withdrawn", "9999-12-31"]
NUMBERS = [0, 1, -1, 7.0, True, False, 1_000_001, 2**60, float("nan")]
ODD: list[Any] = [
    None,
    [],
    {},
    [None],
    [[]],
    {"": 1},
    {1: 2},
    *LONG,
    *NEARLY,
    *TIMES,
    *NUMBERS,
    "a",
]


def changed(value: Any) -> Iterator[Any]:
    """A copy for each thing inside that is taken away or is something odd; and with one more."""
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    for name in names:
        without = copy.copy(value)
        del without[name]
        yield without
        inner = changed(value[name]) if isinstance(value[name], dict | list) else ()
        for each in (*ODD, *inner):
            other = copy.copy(value)
            other[name] = each
            yield other
    if isinstance(value, dict):
        yield value | {"colour": "red"}


@pytest.mark.parametrize("name", SHAPES)
def test_an_example_fits_plainly(name: str) -> None:
    schema, example = SHAPES[name]
    assert is_plainly_valid(schema, example)


@pytest.mark.parametrize("name", SHAPES)
def test_whatever_is_changed_it_fits_if_marshmallow_takes_it(name: str) -> None:
    schema, example = SHAPES[name]
    for value in changed(dict(example)):
        taken = not schema.validate(value)
        assert is_valid(schema, value) is taken, value
        assert taken or not is_plainly_valid(schema, value), value
