"""A JSON Schema in words, for the pages that describe one; code stands in backticks.

>>> in_words({"type": "array", "items": {"enum": ["ask", "say"]}, "minItems": 1, "maxItems": 5})
'a list of 1 to 5, each one of `ask`, `say`'
>>> in_words({"type": "integer", "minimum": 1, "maximum": 10})
'a whole number from 1 to 10'
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.events.schema_fields import UNTIL_WITHDRAWN, Moment, NotBlank
from shared.events.type_names import KINDS

_MOMENT = "an RFC 3339 date-time with offset"
PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": "a name: letters, digits, `.`, `_`, `-`; 1 to 64 of them",
    r"^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$": "a language tag (BCP 47), as `en` or `en-GB`",
    r"^https://[!-~]{1,500}$": "an https address",
    r"^(?:(?:partner|team):[A-Za-z0-9._-]{1,64}|emergency)$": (
        "an id, `partner:…` or `team:…`, or `emergency`"
    ),
    r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$": "a UUID in lower case",
    Moment().regex.pattern: _MOMENT,
    Moment(UNTIL_WITHDRAWN).regex.pattern: f"{_MOMENT}, or `{UNTIL_WITHDRAWN}`",
}
_ROLES = re.compile(r"\^(?:\(\?:)?([a-z|]+)\)?:\[")


def in_words(schema: Mapping[str, Any]) -> str:
    """What a value may be."""
    match schema:
        case {"$ref": reference}:
            return f"`{str(reference).rpartition('/')[2]}`"
        case {"const": value} | {"enum": [value]}:
            return f"always `{value}`"
        case {"enum": values}:
            every = set(values) == set(KINDS)
            named = ", ".join(f"`{each}`" for each in values)
            return "the name of an event type" if every else f"one of {named}"
        case {"type": "array"}:
            size = (
                f" of {schema['minItems']} to {schema['maxItems']}" if "maxItems" in schema else ""
            )
            return f"a list{size}, each {in_words(schema.get('items', {}))}"
        case {"type": "integer"}:
            return f"a whole number{_range(schema)}"
        case {"type": "object"}:
            return _object(schema)
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "string"}:
            return _text(schema)
        case _:
            return "any JSON"


def _range(schema: Mapping[str, Any]) -> str:
    low = f" from {schema['minimum']:,}" if "minimum" in schema else ""
    return low + (f" to {schema['maximum']:,}" if "maximum" in schema else "")


def _object(schema: Mapping[str, Any]) -> str:
    """An object: its members, and which of them it must have."""
    needed = schema.get("required", ())
    members = (
        f"`{name}`{'' if name in needed else '?'} ({in_words(each)})"
        for name, each in schema.get("properties", {}).items()
    )
    told = ", ".join(members)
    return f"an object: {told}" if told else "an object"


def _text(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern", "")
    if pattern in PATTERNS or schema.get("format") == "date-time":
        return PATTERNS.get(pattern, _MOMENT)
    if roles := _ROLES.match(pattern):
        return "an id, " + " or ".join(f"`{role}:…`" for role in roles[1].split("|"))
    if "maxLength" in schema:
        blank = ", not blank" if pattern == NotBlank().regex.pattern else ""
        return f"text, {schema['minLength']} to {schema['maxLength']:,} characters{blank}"
    return f"text of the form `{pattern}`" if pattern and "description" not in schema else "text"
