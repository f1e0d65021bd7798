"""Hostile bytes to JSON, before any schema sees them.

Taken: UTF-8 (RFC 3629) without a byte order mark, JSON (RFC 8259), no member twice, member names
in ASCII, at most 16 levels deep counted from the event, every number a whole one within ±(2^53-1)
and written without fraction or exponent, no NUL, no lone surrogates. Words keep their code points:
nothing is normalised. Each fault names its place (RFC 6901).
"""

import json
import re
from collections import Counter
from typing import Any, NoReturn

from shared.errors import FaultCode, FieldError, MalformedBody, escape_pointer
from shared.events.event import MAX_WHOLE_NUMBER, Json

MAX_DEPTH = 16
_ESCAPES = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")  # of NUL, and of halves of surrogate pairs
_HALF = re.compile("[\ud800-\udfff]")
_LONGEST_NUMBER = len(str(MAX_WHOLE_NUMBER)) + 1  # with a sign


class _InvalidJson(ValueError):
    """Inside the decoder, where the place is not known yet."""


def parse(body: bytes, pointer: str = "", depth: int = 1) -> object:
    """The value in `body`, which stands at `pointer` and that deep in what is posted.

    Malformed, naming the place, if it is not JSON that we take.
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
    if _is_doubtful(text, value, depth):
        _walk(value, pointer, depth)
    return value


def require_object(value: object, pointer: str = "") -> Json:
    """The value, if it is a JSON object; Malformed otherwise."""
    if not isinstance(value, dict):
        refuse(pointer, FaultCode.NOT_AN_OBJECT, "An event must be one JSON object.")
    return value


def refuse(pointer: str, code: FaultCode, detail: str) -> NoReturn:
    """Malformed, for one fault at one place."""
    raise MalformedBody(detail, errors=[FieldError(pointer, code, detail)]) from None


def _members(pairs: list[tuple[str, Any]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        often = Counter(name for name, _ in pairs)
        twice = next(name for name, times in often.items() if times > 1)
        raise _InvalidJson(f"The member {twice[:64]!a} stands twice in one object.")
    if not all(map(str.isascii, members)):
        name = next(name for name in members if not name.isascii())
        raise _InvalidJson(f"The member name {name[:64]!a} is not ASCII.")
    return members


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER or abs(number := int(digits)) > MAX_WHOLE_NUMBER:
        raise _InvalidJson("A number lies outside ±(2^53-1); send it as a string.")
    return number


def _no_decimals(digits: str) -> NoReturn:
    raise _InvalidJson(f"{digits[:32]} is not a whole number; send a decimal as a string.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_whole,
    parse_float=_no_decimals,
    parse_constant=_no_decimals,
)


def _is_doubtful(text: str, value: object, depth: int) -> bool:
    """Whether a fault may lie in `value`, of which `text` is the JSON; `_walk` knows.

    NUL and halves of surrogate pairs stand in no UTF-8 and no JSON but as escapes, and depth takes
    brackets.
    """
    if "\\u" in text and _ESCAPES.search(text):
        return True
    brackets = text.count("{") + text.count("[")
    return brackets > MAX_DEPTH + 1 - depth and _is_deep(value, depth)


def _is_deep(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    within = value.values() if isinstance(value, dict) else value
    return depth > MAX_DEPTH or any(
        _is_deep(each, depth + 1) for each in within if isinstance(each, dict | list)
    )


def _walk(value: object, pointer: str, depth: int) -> None:
    if depth > MAX_DEPTH and isinstance(value, dict | list):
        refuse(pointer, FaultCode.TOO_DEEP, f"More than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for name, each in value.items():
            _text(name, pointer)
            _walk(each, f"{pointer}/{escape_pointer(name)}", depth + 1)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            _walk(each, f"{pointer}/{place}", depth + 1)
    elif isinstance(value, str):
        _text(value, pointer)


def _text(text: str, pointer: str) -> None:
    if "\x00" in text:
        refuse(pointer, FaultCode.NUL, "Text must not hold NUL (U+0000).")
    if _HALF.search(text):
        refuse(pointer, FaultCode.LONE_SURROGATE, "Text holds half of a surrogate pair.")
