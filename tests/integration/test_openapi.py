"""Each service says what it serves: valid OpenAPI 3.1, every route, nothing else."""

from typing import Any, cast

import pytest
from flask import Flask
from openapi_spec_validator import validate

from services.intake.app import create_app as intake
from services.intake.http_binding import ContentMode
from services.ledger.api.app import create_app as ledger
from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.http.app import Service, describe
from shared.http.openapi import path_of
from shared.http.problems import PROBLEMS
from tests.conforming import DOCUMENTS, is_valid

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
    """What is missing here is an `Operation` in the described.py of the service."""
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
            named = {one["name"] for one in each.get("parameters", ()) if one["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in named)
            assert len(named) == path.count("{")


def test_an_operation_that_needs_a_token_says_what_it_answers_without(app: Flask) -> None:
    for operations in described(app)["paths"].values():
        for each in operations.values():
            assert ("security" in each) == ("401" in each["responses"])
            if "security" in each:
                assert each["responses"]["401"]["headers"]["WWW-Authenticate"]["required"]


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
    describe(app, "ledger", count)
    assert not made
    for _ in range(2):
        assert app.test_client().get("/openapi.json").status_code == 200
    assert len(made) == 1
