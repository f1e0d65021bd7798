"""A test client that checks every response against the service's OpenAPI description."""

from functools import cache
from typing import Any

import orjson
from flask.testing import FlaskClient
from jsonschema_rs import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from services.intake.openapi import document as intake
from services.ledger.api.app import document as ledger
from shared.events.event import Json
from shared.http.openapi import path_of

DOCUMENTS = {"intake": intake, "ledger": ledger}


class Conforming(FlaskClient):
    """Flask's test client, with every response checked against the description."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Return the response if the description covers it; fail the test otherwise."""
        answer = super().open(*args, **kwargs)
        operation = self._operation(answer)
        if operation is not None:
            conforms(self.application.name, operation, answer)
        return answer

    def _operation(self, answer: TestResponse) -> Json | None:
        """Return the description of the operation that answered, or None if no route did."""
        method, path = answer.request.method, answer.request.path
        match = self.application.url_map.bind("").match
        try:
            rule, _ = match(path, method=method, return_rule=True)
        except HTTPException:
            return None
        paths = DOCUMENTS[self.application.name]()["paths"]
        return None if method in ("HEAD", "OPTIONS") else paths[path_of(rule.rule)][method.lower()]


def conforms(service: str, operation: Json, answer: TestResponse) -> None:
    """Check status, media type, headers and body against the description."""
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, f"{answer.status} is not described"
    document = DOCUMENTS[service]()
    described = resolved(document, described)
    for name, reference in described.get("headers", {}).items():
        header = resolved(document, reference)
        assert name in answer.headers or not header.get("required"), f"{name} is missing"
        assert name not in answer.headers or is_valid(
            service, header["schema"], answer.headers[name]
        )
    content = described.get("content", {})
    assert answer.mimetype in content or (not content and not answer.data), answer.mimetype
    if answer.mimetype and "json" in answer.mimetype:
        validator = _validator(service, orjson.dumps(content[answer.mimetype]["schema"]))
        bodies = [answer.json]
        if answer.mimetype == "application/x-ndjson":
            bodies = [orjson.loads(line) for line in answer.data.splitlines()]
        mismatches = [
            f"{error.instance_path}: {error.message}"
            for body in bodies
            for error in validator.iter_errors(body)
        ]
        assert not mismatches, mismatches


def resolved(document: Json, part: Json) -> Json:
    """Return the component that a part of a document refers to, or the part itself."""
    for name in part.get("$ref", "").split("/")[1:]:
        document = document[name]
    return document if "$ref" in part else part


def is_valid(service: str, schema: Json, value: object) -> bool:
    """Return whether a value matches a schema of a service's description."""
    return _validator(service, orjson.dumps(schema)).is_valid(value)


@cache
def _validator(service: str, schema: bytes) -> Draft202012Validator:
    whole = {**orjson.loads(schema), "components": DOCUMENTS[service]()["components"]}
    return Draft202012Validator(whole)
