"""What is looked for in the bytes of a body is what is found in the value that they hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.strict_json import MAX_DEPTH, parse
from shared.errors import MalformedBody

WORDS = st.lists(
    st.sampled_from(
        ["a", "\\", "u0000", "\\ud800", "ud83d", "\x00", "\ud800", "\udfff", "😀", "é"]
    ),
    max_size=4,
).map("".join)
NAMES = WORDS.filter(str.isascii)


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One level of objects and lists around it."""
    return st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)


def nested(levels: int, words: object) -> Any:
    """Words inside so many lists and objects in turn."""
    if not levels:
        return words
    inner = nested(levels - 1, words)
    return [inner] if levels % 2 else {"": inner}


VALUES = st.recursive(WORDS | st.integers(-5, 5) | st.booleans(), deeper, max_leaves=8)
DEEP = st.builds(nested, st.integers(0, 2 * MAX_DEPTH), VALUES)


def is_bad(value: Any, depth: int) -> bool:
    """True if a text holds NUL or half of a pair, or a list or an object lies too deep."""
    if isinstance(value, str):
        return "\x00" in value or any("\ud800" <= each <= "\udfff" for each in value)
    if not isinstance(value, dict | list):
        return False
    within = [*value, *value.values()] if isinstance(value, dict) else value
    return depth > MAX_DEPTH or any(is_bad(each, depth + 1) for each in within)


@given(VALUES | DEEP, st.integers(0, 2), st.sampled_from(["\\ud", "\\uD"]))
def test_a_body_is_taken_if_nothing_in_it_is_bad(value: Any, depth: int, half: str) -> None:
    body = json.dumps(value).replace("\\ud", half).encode()
    read = json.loads(body)  # two halves that were written side by side are one character
    try:
        assert parse(body, depth=depth) == read
        taken = True
    except MalformedBody:
        taken = False
    assert taken is not is_bad(read, depth)


def test_a_name_that_stands_twice_is_found_among_as_many_as_a_body_can_hold() -> None:
    """In one look at each: a body of this size once took an hour."""
    names = [f"{number:x}" for number in range(400_000)]
    body = json.dumps(dict.fromkeys(names, 1))[:-1] + ',"61a7f":2}'
    with pytest.raises(MalformedBody, match="Duplicate member name '61a7f'"):
        parse(body.encode())
