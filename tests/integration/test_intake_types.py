"""What may be posted, as data: the catalogue over HTTP, its JSON Schemas and its examples."""

import re
from copy import deepcopy
from typing import Any

import pytest

from shared.catalogue import CATALOGUE
from shared.event import Json
from shared.refusals import BECAUSE
from tests.integration.together import Door, event, problem

# What our schemas use of JSON Schema 2020-12, and nothing else: a keyword more is looked at here.
KEYWORDS = {
    "$schema",
    "$id",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
}
TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


def valid(schema: Json, value: Any) -> bool:
    """Whether a value is of a schema: the keywords above, by their definitions."""
    assert schema.keys() <= KEYWORDS, f"unknown keywords {schema.keys() - KEYWORDS}"
    kind = TYPES[schema["type"]]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return False
    if isinstance(value, dict):
        return _valid_members(schema, value)
    if isinstance(value, list):
        sized = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9)
        return sized and all(valid(schema["items"], each) for each in value)
    if isinstance(value, str):
        sized = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9)
        matched = re.search(schema.get("pattern", ""), value) is not None
        return sized and matched and value in schema.get("enum", [value])
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _valid_members(schema: Json, value: Json) -> bool:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    if set(schema.get("required", ())) - set(value) or (more is False and set(value) - set(known)):
        return False
    return all(valid(known[name], each) for name, each in value.items() if name in known)


@pytest.fixture(params=CATALOGUE)
def served(request: pytest.FixtureRequest, door: Door) -> Json:
    """A type of the catalogue, as it is served."""
    answer = door.client.get(f"/event-types/{request.param}")
    assert answer.status_code == 200
    return dict(answer.get_json())


def test_the_list_names_every_type(door: Door) -> None:
    told = door.client.get("/event-types").get_json()
    assert [each["type"] for each in told] == list(CATALOGUE)
    assert all(each.keys() == {"type", "kind", "who", "effect"} for each in told)


def test_a_type_tells_everything_about_itself(served: Json) -> None:
    row = CATALOGUE[served["type"]]
    assert (served["kind"], served["who"], served["scope"]) == (
        row.kind,
        str(row.who),
        row.token_scope,
    )
    assert [each["code"] for each in served["refusals"]] == list(row.refusals)
    assert all(each["because"] == BECAUSE[each["code"]] for each in served["refusals"])
    assert served["effect"].endswith(".")


def test_a_schema_is_of_2020_12_and_closed(served: Json) -> None:
    schema = served["schema"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == served["dataschema"] == f"urn:firsthand:{served['type']}:1"
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert set(schema.get("required", ())) <= set(schema["properties"])


def test_the_example_is_of_the_schema(served: Json) -> None:
    assert valid(served["schema"], served["example"])


def test_the_example_is_taken(served: Json, door: Door) -> None:
    """As far as a pretended queue takes anything: it is not durable."""
    row = CATALOGUE[served["type"]]
    author = "person:ada" if row.who.person else "partner:sam"
    answer = door.post(event(served["type"], served["example"]), author)
    problem(answer, 503, "unavailable")
    assert door.length() == 1


def test_what_the_schema_refuses_is_refused_at_the_door(served: Json, door: Door) -> None:
    for name, member in served["schema"]["properties"].items():
        worse = deepcopy(served["example"])
        worse[name] = {"object": 7, "array": 7, "string": 7, "integer": "7", "boolean": 1}[
            member["type"]
        ]
        assert not valid(served["schema"], worse)
        problem(door.post(event(served["type"], worse)), 422, "invalid")
    unknown = {**served["example"], "unheard_of": 1}
    assert not valid(served["schema"], unknown)
    problem(door.post(event(served["type"], unknown)), 422, "invalid")
    for name in served["schema"].get("required", ()):
        less = {each: value for each, value in served["example"].items() if each != name}
        assert not valid(served["schema"], less)
        problem(door.post(event(served["type"], less)), 422, "invalid")


def test_patterns_are_whole(served: Json) -> None:
    """JSON Schema searches: without anchors a pattern would let anything pass around it."""
    found = re.findall(r"'pattern': '([^']*)'", str(served["schema"]))
    assert all(each.startswith("^") and each.endswith("$") for each in found)


@pytest.mark.parametrize("name", ["nothing", "plan", "PLAN.STARTED", "plan.started/1", "%00"])
def test_an_unknown_type_is_a_404(door: Door, name: str) -> None:
    problem(door.client.get(f"/event-types/{name}"), 404, "not-found")
