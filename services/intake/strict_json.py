"""Strict JSON: parse untrusted bytes before any schema validation.

Accepted: UTF-8 (RFC 3629) without a byte order mark; JSON (RFC 8259) without duplicate member
names; member names in ASCII; at most 16 levels, counted from the event; whole numbers within
±(2^53-1), written without fraction or exponent; no NUL, no lone surrogates. Text is not normalised.
Every fault has a pointer to its location (RFC 6901).
"""

import json
import re
from collections import Counter
from typing import Any, NoReturn

from shared.errors import FaultCode, FieldError, MalformedBody, escape_pointer
from shared.events.event import MAX_WHOLE_NUMBER, Json

MAX_DEPTH = 16
_ESCAPES = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")  # NUL, and halves of surrogate pairs
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = len(str(MAX_WHOLE_NUMBER)) + 1  # with a sign


class _InvalidJson(ValueError):
    """A fault in the decoder, which does not know the pointer."""


def parse(body: bytes, pointer: str = "", depth: int = 1) -> object:
    """Parse `body`, which is at `pointer` and at the level `depth` of the posted event.

    Raises MalformedBody, with a pointer to the fault, if it is not strict JSON.
    """
    try:
        text = body.decode("utf-8", "strict")
    except UnicodeDecodeError as fault:
        refuse(pointer, FaultCode.NOT_UTF_8, f"Byte {fault.start} is not UTF-8.")
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        refuse(pointer, FaultCode.TOO_DEEP, f"More than {MAX_DEPTH} levels.")
    except _InvalidJson as fault:
        refuse(pointer, FaultCode.NOT_TAKEN, str(fault))
    except json.JSONDecodeError as fault:
        refuse(pointer, FaultCode.NOT_JSON, f"Not JSON at character {fault.pos}: {fault.msg}.")
    if _may_be_invalid(text, value, depth):
        _check_value(value, pointer, depth)
    return value


def require_object(value: object, pointer: str = "") -> Json:
    """Return the value if it is a JSON object; raise MalformedBody otherwise."""
    if not isinstance(value, dict):
        refuse(pointer, FaultCode.NOT_AN_OBJECT, "An event must be one JSON object.")
    return value


def refuse(pointer: str, code: FaultCode, detail: str) -> NoReturn:
    """Raise MalformedBody for one fault."""
    raise MalformedBody(detail, errors=[FieldError(pointer, code, detail)]) from None


def _members(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        duplicate = next(name for name, count in counts.items() if count > 1)
        raise _InvalidJson(f"Duplicate member name {duplicate[:64]!a}.")
    if not all(map(str.isascii, members)):
        name = next(name for name in members if not name.isascii())
        raise _InvalidJson(f"The member name {name[:64]!a} is not ASCII.")
    return members


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or abs(number := int(digits)) > MAX_WHOLE_NUMBER:
        raise _InvalidJson("A number is outside ±(2^53-1); send it as a string.")
    return number


def _no_decimals(digits: str) -> NoReturn:
    raise _InvalidJson(f"{digits[:32]} is not a whole number; send a decimal as a string.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_whole,
    parse_float=_no_decimals,
    parse_constant=_no_decimals,
)


def _may_be_invalid(text: str, value: object, depth: int) -> bool:
    """Return True if `value`, parsed from `text`, needs the slow `_check_value`.

    NUL and surrogates can only be written as escapes, and every level needs a bracket.
    """
    if "\\u" in text and _ESCAPES.search(text):
        return True
    brackets = text.count("{") + text.count("[")
    return brackets > MAX_DEPTH + 1 - depth and _is_deep(value, depth)


def _is_deep(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return depth > MAX_DEPTH or any(
        _is_deep(child, depth + 1) for child in children if isinstance(child, dict | list)
    )


def _check_value(value: object, pointer: str, depth: int) -> None:
    if depth > MAX_DEPTH and isinstance(value, dict | list):
        refuse(pointer, FaultCode.TOO_DEEP, f"More than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name, pointer)
            _check_value(member, f"{pointer}/{escape_pointer(name)}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_value(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, str):
        _check_text(value, pointer)


def _check_text(text: str, pointer: str) -> None:
    if "\x00" in text:
        refuse(pointer, FaultCode.NUL, "Text must not contain NUL (U+0000).")
    if _SURROGATE.search(text):
        refuse(pointer, FaultCode.LONE_SURROGATE, "Text contains half of a surrogate pair.")
