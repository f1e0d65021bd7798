"""Load the OpenAPI 3.1 document of a service from its `openapi.yaml`.

`load` adds what both services serve (shared/http/openapi.yaml) and what the code knows: the problem
responses, by the names of their classes, and the lists of names and codes.
"""

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import yaml

from shared.errors import Problem, Refused
from shared.events.catalogue import CATALOGUE
from shared.events.event import Json
from shared.events.refusals import REASONS, WARNINGS, Code
from shared.http.problems import MEDIA_TYPE, PROBLEMS

_COMMON = Path(__file__).with_name("openapi.yaml")
_REFERENCE = re.compile(rb'"#/components/([^"]+)"')


def load(path: Path, schemas: Mapping[str, Json]) -> Json:
    """Return the document in `path`, with `schemas` and the common parts added."""
    document, common = _read(path), _read(_COMMON)
    document["info"]["version"] = version("firsthand")
    document["paths"] |= common["paths"]
    components = common["components"]
    for section, entries in document["components"].items():
        components[section] = components.get(section, {}) | entries
    components["schemas"] |= {**schemas, **_lists(), **_problem_schemas()}
    components["responses"] = components.get("responses", {}) | _problem_responses()
    document["components"] = components
    _remove_unused(document)
    return document


def reference(section: str, name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{section}/{name}"}


def path_of(rule: str) -> str:
    """Return a Flask rule as an OpenAPI path.

    >>> path_of("/logs/<n>/tile/<path:tile>")
    '/logs/{n}/tile/{tile}'
    """
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _read(path: Path) -> Json:
    document: Json = yaml.safe_load(path.read_text())
    return document


def _lists() -> dict[str, Json]:
    values: dict[str, list[str]] = {
        "event-type-name": list(CATALOGUE),
        "problem-slug": list(PROBLEMS),
        "refusal-code": [code.value for code in Code],
        "refusal-reason": sorted(set(REASONS.values())),
        "warning-code": list(WARNINGS),
    }
    return {name: {"type": "string", "enum": listed} for name, listed in values.items()}


def _problem_schemas() -> dict[str, Json]:
    return {f"problem.{slug}": _problem_schema(kind) for slug, kind in PROBLEMS.items()}


def _problem_schema(kind: type[Problem]) -> Json:
    properties: dict[str, Any] = {
        "type": {"type": "string", "const": f"/problems/{kind.slug}"},
        "title": {"type": "string", "const": kind.title},
        "status": {"type": "integer", "enum": sorted({kind.status, *kind.other_statuses})},
        "detail": {"type": "string"},
    }
    if kind is Refused:
        properties["recorded"] = {"type": "boolean", "const": True}
        properties["code"] = reference("schemas", "refusal-code")
        properties["receipt"] = reference("schemas", "receipt")
    faults = {"type": "array", "minItems": 1, "items": reference("schemas", "fault")}
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "required": list(properties),
        "properties": {**properties, "errors": faults},
    }


def _problem_responses() -> dict[str, Json]:
    return {
        kind.__name__: {
            "description": f"{kind.title}. {kind.remedy}",
            "headers": {name: reference("headers", name) for name in kind.response_headers},
            "content": {MEDIA_TYPE: {"schema": reference("schemas", f"problem.{slug}")}},
        }
        for slug, kind in PROBLEMS.items()
    }


def _remove_unused(document: Json) -> None:
    """Remove the components that nothing refers to: a service has only some of the problems."""
    unused = [""]
    while unused:
        used = {match.decode() for match in _REFERENCE.findall(orjson.dumps(document))}
        parts = {**document["components"], "securitySchemes": {}}
        unused = [f"{part}/{name}" for part, named in parts.items() for name in named]
        unused = [path for path in unused if path not in used]
        for path in unused:
            part, name = path.split("/")
            del document["components"][part][name]
