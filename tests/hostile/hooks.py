"""What no schema can say, told to schemathesis: it loads this file. Spoilt cases stay spoilt."""

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import GenerationMode

from shared.events.catalogue import CATALOGUE
from shared.events.schema_fields import parse_time

AHEAD = parse_time("2026-01-01T00:00:00Z")
CASES = Counter[str]()  # by operation; left in the file that HOSTILE_CASES names


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case[Any], kwargs: Any) -> None:
    """A good case keeps five rules: one question about the past at a time, nothing backwards, no
    event from the future, whole numbers without a point (942.0 is one to JSON Schema, and none to
    us), and in binary form the headers that go with the data.
    """
    del context, kwargs
    CASES[case.operation.label] += 1
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.query and set(case.query) & {"as-of", "true-at"}:
        case.query.pop("version", None)
    if case.query and "to" in case.query:
        case.query["from"] = "0"
    case.body = _whole(case.body)
    if case.media_type == "application/json":
        _as_binary(case)
    for each in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(each, dict) and _is_ahead(each.get("time")):
            each["time"] = "2020-01-01T00:00:00Z"


@atexit.register
def leave_counts() -> None:
    """For whoever started schemathesis: how many cases each operation got."""
    if place := os.environ.get("HOSTILE_CASES"):
        Path(place).write_text(json.dumps(CASES))


def _as_binary(case: schemathesis.Case[Any]) -> None:
    data: Any = case.body
    fitting = (name for name, row in CATALOGUE.items() if not row.schema.validate(data))
    said = next(fitting, "none takes it")
    attributes = {"specversion": "1.0", "id": str(uuid4()), "source": "/tests", "type": said}
    attributes["subject"] = "person:ada"
    for name in [each for each in case.headers or () if each.lower().startswith("ce-")]:
        del case.headers[name]
    case.headers.update({f"ce-{name}": each for name, each in attributes.items()})


def _is_ahead(time: object) -> bool:
    try:
        return isinstance(time, str) and parse_time(time) > AHEAD
    except (ValueError, OverflowError):
        return False


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
