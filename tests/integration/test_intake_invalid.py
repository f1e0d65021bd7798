"""JSON that is no event of the catalogue: 422, and each fault with its place (RFC 6901)."""

from typing import Any

import pytest

from shared.event import Json
from tests.integration.together import SEA, STARTED, Door, event, pointers, problem

GOOD = event("aspiration.stated", SEA)


def changed(**attributes: Any) -> Json:
    """The good event with attributes changed; None leaves one out."""
    whole = {**GOOD, **attributes}
    return {name: value for name, value in whole.items() if value is not None}


# JSON, but no event of the catalogue: name, event, pointers.
INVALID: dict[str, tuple[Json, list[str]]] = {
    "an empty object": (
        {},
        ["/specversion", "/id", "/source", "/type", "/subject", "/data"],
    ),
    "another specversion": (changed(specversion="0.3"), ["/specversion"]),
    "a specversion that is a number": (changed(specversion=1), ["/specversion"]),
    "an id that is no UUID": (changed(id="1"), ["/id"]),
    "an id in braces": (changed(id="{" + GOOD["id"] + "}"), ["/id"]),
    "an id with a line feed": (changed(id=GOOD["id"] + "\n"), ["/id"]),
    "an id that is a list": (changed(id=[GOOD["id"]]), ["/id"]),
    "no source": (changed(source=None), ["/source"]),
    "an empty source": (changed(source=""), ["/source"]),
    "a source with a space": (changed(source="/my app"), ["/source"]),
    "a source that is not ASCII": (changed(source="/büro"), ["/source"]),
    "an unknown type": (changed(type="aspiration.denied"), ["/type"]),
    "a type that is a list": (changed(type=["plan.started"]), ["/type"]),
    "a type that is an object": (changed(type={"a": 1}), ["/type"]),
    "another subject": (changed(subject="partner:sam"), ["/subject"]),
    "a subject with a name": (changed(subject="person:Ada Lovelace"), ["/subject"]),
    "a subject with a line feed": (changed(subject="person:ada\n"), ["/subject"]),
    "a subject of 65 letters": (changed(subject="person:" + "a" * 65), ["/subject"]),
    "an unknown attribute": (changed(mood="low"), ["/mood"]),
    "an attribute with a slash": (changed(**{"a/b~c": 1}), ["/a~1b~0c"]),
    "an author of one's own": (changed(author="person:eve"), ["/author"]),
    "a receipt of one's own": (changed(received="2026-01-01T00:00:00Z"), ["/received"]),
    "data in base64": (changed(data_base64="e30="), ["/data_base64"]),
    "data that is a text": (changed(data="words"), ["/data"]),
    "data that is a list": (changed(data=[]), ["/data"]),
    "data of another type": (changed(data=STARTED), ["/data/words", "/data/name_to_use"]),
    "an unknown member of data": (changed(data={**SEA, "diagnosis": "x"}), ["/data/diagnosis"]),
    "blank words": (changed(data={"words": " \n\t"}), ["/data/words"]),
    "words that are a number": (changed(data={"words": 7}), ["/data/words"]),
    "words that are null": (changed(data={"words": None}), ["/data/words"]),
    "a number as text": (changed(data={**SEA, "importance": "9"}), ["/data/importance"]),
    "a truth as number": (changed(data={**SEA, "importance": True}), ["/data/importance"]),
    "a number out of range": (changed(data={**SEA, "importance": 11}), ["/data/importance"]),
    "a slug with a slash": (changed(data={**SEA, "id": "a/b"}), ["/data/id"]),
    "another dataschema": (changed(dataschema="urn:firsthand:plan.started:1"), ["/dataschema"]),
    "a dataschema to come": (
        changed(dataschema="urn:firsthand:aspiration.stated:2"),
        ["/dataschema"],
    ),
    "data of another content type": (changed(datacontenttype="text/plain"), ["/datacontenttype"]),
    "data in another charset": (
        changed(datacontenttype="application/json; charset=latin1"),
        ["/datacontenttype"],
    ),
    "a time without offset": (changed(time="2026-03-02T12:00:00"), ["/time"]),
    "a time that is a date": (changed(time="2026-03-02"), ["/time"]),
    "a 30th of February": (changed(time="2026-02-30T12:00:00Z"), ["/time"]),
    "a time far ahead": (changed(time="2999-01-01T00:00:00Z"), ["/time"]),
    "the last moment of all": (changed(time="9999-12-31T23:59:59-23:59"), ["/time"]),
    "a negative version": (changed(expectedversion=-1), ["/expectedversion"]),
    "a version as text": (changed(expectedversion="1"), ["/expectedversion"]),
    "a false version": (changed(expectedversion=False), ["/expectedversion"]),
    "a cause with a space": (changed(causationid="a b"), ["/causationid"]),
    "a cause that is long": (changed(correlationid="a" * 129), ["/correlationid"]),
    "a trace that is none": (changed(traceparent="00-0-0-00"), ["/traceparent"]),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_is_no_event_of_the_catalogue_is_invalid(door: Door, name: str) -> None:
    sent, wanted = INVALID[name]
    told = problem(door.post(sent), 422, "invalid")
    assert set(wanted) <= set(pointers(told))
    assert door.length() == 0


def test_all_faults_are_named_at_once(door: Door) -> None:
    sent = changed(specversion="2", id=7, data={"words": "", "importance": 0, "x": 1})
    told = problem(door.post(sent), 422, "invalid")
    wanted = {"/specversion", "/id", "/data/words", "/data/importance", "/data/x"}
    assert wanted <= set(pointers(told))
    assert {"unknown", "invalid"} <= {fault["code"] for fault in told["errors"]}


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("scopes", ["read", "everything"], "/data/scopes/1"),
        ("scopes", [], "/data/scopes"),
        ("scopes", "read", "/data/scopes"),
        ("scopes", ["read"] * 6, "/data/scopes"),
        ("to", "person:eve", "/data/to"),
        ("until", "never", "/data/until"),
    ],
)
def test_a_fault_in_a_list_has_its_place(door: Door, name: str, value: Any, pointer: str) -> None:
    grant = {"to": "partner:sam", "scopes": ["read"], "until": "until-withdrawn", "purpose": "x"}
    told = problem(door.post(event("access.granted", {**grant, name: value})), 422, "invalid")
    assert pointer in pointers(told)
