"""What may be posted, as data: the catalogue over HTTP, its JSON Schemas and its examples."""

import re
from copy import deepcopy
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft202012Validator

from shared.events.catalogue import CATALOGUE
from shared.events.event import Json
from shared.events.refusals import REASONS
from shared.events.schema_fields import NotBlank
from tests.integration.together import Door, event, problem


def valid(schema: Json, value: Any) -> bool:
    """Whether a value is of a schema (JSON Schema 2020-12)."""
    return Draft202012Validator(schema).is_valid(value)


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
    assert all(each["because"] == REASONS[each["code"]] for each in served["refusals"])
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
    """JSON Schema searches: without anchors a pattern would let anything pass around it. But one
    looks for anything that is not blank.
    """
    found = set(
        re.findall(r'"pattern":"((?:[^"\\]|\\.)*)"', orjson.dumps(served["schema"]).decode())
    )
    looks = orjson.dumps(NotBlank().regex.pattern).decode().strip('"')
    assert all(each.startswith("^") and each.endswith("$") for each in found - {looks})


@pytest.mark.parametrize("name", ["nothing", "plan", "PLAN.STARTED", "plan.started/1", "%00"])
def test_an_unknown_type_is_a_404(door: Door, name: str) -> None:
    problem(door.client.get(f"/event-types/{name}"), 404, "not-found")
