"""Each service says what it serves: valid OpenAPI 3.1, every route, nothing else."""

from typing import Any, cast

import pytest
from flask import Flask
from openapi_spec_validator import validate

from services.intake.app import create_app as intake
from services.intake.http_binding import ContentMode
from services.ledger.api.app import create_app as ledger
from shared import errors
from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.http.app import Service, describe
from shared.http.openapi import path_of
from shared.http.problems import PROBLEMS
from tests.conforming import DOCUMENTS, is_valid, resolved

NOBODY = cast(Any, None)  # a neighbour that no route is called with
APPS = {
    "intake": intake(NOBODY, NOBODY),
    "ledger": ledger(NOBODY, NOBODY, NOBODY, {}, NOBODY),
}


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> Flask:
    """Each service."""
    return APPS[request.param]


def described(app: Flask) -> Json:
    """What a service serves as its description."""
    return dict(app.test_client().get("/openapi.json").get_json())


def test_the_description_is_valid_openapi_3_1(app: Flask) -> None:
    document = described(app)
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_every_route_is_described_and_nothing_else(app: Flask) -> None:
    """A missing path belongs into the openapi.yaml of the service."""
    routes = {
        (method, path_of(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = described(app)["paths"]
    assert {(each.upper(), path) for path, found in told.items() for each in found} == routes


def test_every_variable_of_an_address_is_described(app: Flask) -> None:
    for path, operations in described(app)["paths"].items():
        for each in operations.values():
            parameters = [resolved(described(app), one) for one in each.get("parameters", ())]
            named = {one["name"] for one in parameters if one["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in named)
            assert len(named) == path.count("{")


def test_an_operation_names_its_scope_or_that_it_is_public_and_answers_401_accordingly(
    app: Flask,
) -> None:
    for operations in described(app)["paths"].values():
        for operation in operations.values():
            assert bool(operation["security"]) == ("401" in operation["responses"])
            if operation["security"]:
                unauthorized = resolved(described(app), operation["responses"]["401"])
                challenge = resolved(described(app), unauthorized["headers"]["WWW-Authenticate"])
                assert challenge["required"]


def test_operations_have_names_of_their_own_and_known_tags(app: Flask) -> None:
    document = described(app)
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations for tag in operation["tags"]} == tags


def test_every_problem_response_is_the_problem_of_its_status(app: Flask) -> None:
    for operations in described(app)["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                _, _, name = response.get("$ref", "").partition("/responses/")
                if name and name != "NotModified":
                    assert getattr(errors, name).status == int(status)


def test_the_examples_of_the_ledger_are_of_the_event_that_intake_shows_first() -> None:
    event = examples(CATALOGUE["plan.started"])[0]["event"]
    parameters = DOCUMENTS["ledger"]()["components"]["parameters"]
    assert parameters["subject"]["example"] == event["subject"]
    assert parameters["event"]["example"] == event["id"]


def test_every_problem_that_is_described_has_its_page(app: Flask) -> None:
    for name in described(app)["components"]["schemas"]:
        if name.startswith("problem."):
            assert name.removeprefix("problem.") in PROBLEMS


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_served_example_is_as_described(name: str) -> None:
    for each in examples(CATALOGUE[name]):
        for step in (*each["given"], each):
            event: Json = step["event"]
            assert is_valid("intake", {"$ref": "#/components/schemas/event"}, event)
            assert is_valid("intake", {"$ref": f"#/components/schemas/{event['type']}"}, event)
            strange = {**event, "data": {**event["data"], "strange": 1}}
            assert not is_valid("intake", {"$ref": "#/components/schemas/event"}, strange)


def test_the_body_of_post_events_has_an_example_of_every_type() -> None:
    body = DOCUMENTS["intake"]()["paths"]["/events"]["post"]["requestBody"]
    assert list(body["content"]["application/cloudevents+json"]["examples"]) == list(CATALOGUE)
    assert set(body["content"]) == set(ContentMode)
    for media in body["content"].values():
        for each in media["examples"].values():
            assert is_valid("intake", media["schema"], each["value"])


def test_a_description_is_not_made_before_anybody_asks() -> None:
    made: list[int] = []

    def count() -> Json:
        made.append(1)
        return DOCUMENTS["ledger"]()

    app = Service("ledger", static_folder=None)
    describe(app, count)
    assert not made
    for _ in range(2):
        assert app.test_client().get("/openapi.json").status_code == 200
    assert len(made) == 1
