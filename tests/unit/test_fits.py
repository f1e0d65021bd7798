"""What plainly fits a shape is what marshmallow takes, and of nothing is it said wrongly."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema

from services.intake.cloudevents import Attributes
from shared.catalogue import CATALOGUE
from shared.fields import fits, plainly_fits

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
ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, [], {}, [None], [[]], {"": 1}, {1: 2}, *LONG, *NEARLY, *TIMES, *NUMBERS]
    ),
    st.sampled_from(tuple(CATALOGUE)),
    st.text(max_size=5),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(object or list, member or index) of everything inside."""
    within = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in list(within):
        yield value, name
        if isinstance(each, dict | list):
            yield from places(each)


@pytest.mark.parametrize("name", SHAPES)
def test_an_example_fits_plainly(name: str) -> None:
    schema, example = SHAPES[name]
    assert plainly_fits(schema, example)


@given(st.data(), st.sampled_from(sorted(SHAPES)))
def test_whatever_was_changed_it_fits_if_marshmallow_takes_it(
    data: st.DataObject, name: str
) -> None:
    schema, example = SHAPES[name]
    value = copy.deepcopy(dict(example))
    for _ in range(data.draw(st.integers(1, 3))):
        inside, place = data.draw(st.sampled_from([*places(value), (value, "colour")]))
        if data.draw(st.booleans()):
            inside[place] = data.draw(ODD)
        elif place in inside and isinstance(inside, dict):
            del inside[place]
    taken = not schema.validate(value)
    assert fits(schema, value) == taken
    assert taken or not plainly_fits(schema, value)
