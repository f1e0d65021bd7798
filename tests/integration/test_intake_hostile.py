"""Hostile bytes: each gets an answer of the 4xx kind that names the place, and goes no further."""

import gzip
import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.event import MAX_WHOLE_NUMBER, Json, canonical
from tests.integration.together import ADA, SEA, Door, body, event, pointers, problem

GOOD = event("aspiration.stated", SEA)
RAW = body(GOOD)
LARGEST = str(MAX_WHOLE_NUMBER)


def raw(old: str, new: str) -> bytes:
    """The good event's bytes, with a piece of them put in place of another."""
    assert old.encode() in RAW
    return RAW.replace(old.encode(), new.encode(), 1)


def more(member: str) -> bytes:
    """The good event with one more member, as it is written."""
    return raw('"specversion"', f'{member}, "specversion"')


def nested(depth: int, inside: str = "{}") -> bytes:
    """Data with that many lists in one another."""
    return raw('"data": {', f'"data": {{"deep": {"[" * depth}{inside}{"]" * depth}, ')


# What is not JSON that we take: name, bytes, pointer.
MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", ""),
    "a space": (b" ", ""),
    "not JSON": (b"hello", ""),
    "cut off": (RAW[:-1], ""),
    "trailing garbage": (RAW + b"x", ""),
    "two objects": (RAW + RAW, ""),
    "NDJSON": (RAW + b"\n" + RAW, ""),
    "bytes that are no UTF-8": (RAW.replace(b"sea again", b"sea \xff\xfe"), ""),
    "an overlong encoding": (RAW.replace(b"sea again", b"sea \xc0\xaf"), ""),
    "a surrogate in UTF-8": (RAW.replace(b"sea again", b"sea \xed\xa0\x80"), ""),
    "UTF-16": (RAW.decode().encode("utf-16"), ""),
    "UTF-32": (RAW.decode().encode("utf-32-le"), ""),
    "latin-1": ('{"specversion": "é"}'.encode("latin-1"), ""),
    "a byte order mark": (b"\xef\xbb\xbf" + RAW, ""),
    "a list": (b"[" + RAW + b"]", ""),
    "a text": (b'"words"', ""),
    "a number": (b"7", ""),
    "null": (b"null", ""),
    "true": (b"true", ""),
    "a member twice": (more('"id": "x"'), ""),
    "a member twice, far inside": (raw('"words"', '"words": "a", "words"'), ""),
    "a member twice, once in escapes": (more('"\\u0069d": "x"'), ""),
    "single quotes": (RAW.replace(b'"', b"'"), ""),
    "a comment": (RAW + b"/* */", ""),
    "a comma too many": (RAW[:-1] + b",}", ""),
    "a raw NUL": (RAW.replace(b"again", b"again\x00"), ""),
    "a NUL in escapes": (raw("again", "again\\u0000"), "/data/words"),
    "a NUL in a member's name": (more('"a\\u0000b": 1'), ""),
    "a raw line feed in a text": (RAW.replace(b"again", b"again\n"), ""),
    "a lone high surrogate": (raw("again", "again\\ud800"), "/data/words"),
    "a lone low surrogate": (raw("again", "again\\udc00"), "/data/words"),
    "surrogates the wrong way round": (raw("again", "\\udc00\\ud800"), "/data/words"),
    "a lone surrogate in a name": (raw('"words"', '"\\ud800": 1, "words"'), ""),
    "a name that is not ASCII": (more('"é": 1'), ""),
    "a name that is not ASCII, far inside": (raw('"words"', '"größe": 1, "words"'), ""),
    "NaN": (more('"expectedversion": NaN'), ""),
    "Infinity": (more('"expectedversion": Infinity'), ""),
    "-Infinity": (more('"expectedversion": -Infinity'), ""),
    "a decimal": (more('"expectedversion": 1.5'), ""),
    "a decimal that is whole": (more('"expectedversion": 1.0'), ""),
    "an exponent": (more('"expectedversion": 1e3'), ""),
    "a huge exponent": (more('"expectedversion": 1e999999'), ""),
    "minus zero with a point": (more('"expectedversion": -0.0'), ""),
    "a number too large": (more(f'"expectedversion": {MAX_WHOLE_NUMBER + 1}'), ""),
    "a number too small": (more(f'"expectedversion": -{MAX_WHOLE_NUMBER + 1}'), ""),
    "a number of 5,000 digits": (more(f'"expectedversion": {"9" * 5000}'), ""),
    "a number with a leading zero": (more('"expectedversion": 01'), ""),
    "a number with a plus": (more('"expectedversion": +1'), ""),
    "a hexadecimal number": (more('"expectedversion": 0x1'), ""),
    "17 levels": (nested(14), "/data/deep" + "/0" * 14),
    "100 levels": (nested(100), "/data/deep" + "/0" * 14),
    "20,000 levels": (nested(20_000), ""),
    "20,000 levels, never closed": (b"[" * 20_000, ""),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_json_that_we_take_is_malformed(door: Door, name: str) -> None:
    sent, pointer = MALFORMED[name]
    told = problem(door.send(sent), 400, "malformed")
    assert pointers(told)[0].startswith(pointer) if pointer else pointers(told) == [""]
    assert door.length() == 0


def test_16_levels_are_read(door: Door) -> None:
    assert pointers(problem(door.send(nested(13)), 422, "invalid")) == ["/data/deep"]


@pytest.mark.parametrize(
    ("size", "status", "slug"),
    [(32 * 1024, 503, "unavailable"), (32 * 1024 + 1, 413, "too-large")],
)
def test_data_has_at_most_32_kib(door: Door, size: int, status: int, slug: str) -> None:
    change = {"type": "aspiration.stated", "data": {}}
    told: Json = {"change": change, "expires": "2999-01-01T00:00:00Z", "why": "", "options": ""}
    left = size - len(canonical(told))
    told |= {"why": "y" * 20_000, "options": "z" * (left - 20_000)}
    problem(door.post(event("proposal.made", told)), status, slug)


def test_an_event_has_at_most_36_kib_whatever_its_data(door: Door) -> None:
    words = {"section": "Sea", "words": "é" * 16_300}  # 32,600 bytes
    sent = event("about-me.written", words, source="/" + "s" * 500)
    problem(door.post(sent), 503, "unavailable")
    body_of_73_kib = body(sent) + b" " * (73 * 1024)
    problem(door.send(body_of_73_kib), 413, "too-large")


def test_white_space_and_escapes_do_not_count(door: Door) -> None:
    spaced = json.dumps(GOOD, indent=4, ensure_ascii=True).encode() + b" \r\n\t" * 9_000
    problem(door.send(spaced), 503, "unavailable")


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Content_Type": "application/json"}, "application/cloudevents+json"),
        ({"Content_Type": ""}, "application/cloudevents+json"),
        ({"Content_Type": "text/plain"}, "application/cloudevents+json"),
        ({"Content_Type": "application/cloudevents-batch"}, "application/cloudevents-batch+json"),
        ({"Content_Type": "application/x-www-form-urlencoded"}, "application/cloudevents+json"),
        ({"Content_Type": "multipart/form-data; boundary=x"}, "application/cloudevents+json"),
        ({"Content_Type": "application/cloudevents+json; charset=latin1"}, "UTF-8"),
        ({"Content_Type": "application/cloudevents+json; charset=utf-16"}, "UTF-8"),
        ({"Content_Type": ";;;"}, "application/cloudevents+json"),
        ({"Content_Encoding": "gzip"}, "Content-Encoding"),
        ({"Content_Encoding": "br"}, "Content-Encoding"),
        ({"Content_Encoding": "identity, gzip"}, "Content-Encoding"),
    ],
)
def test_another_media_type_or_encoding_is_a_415_that_names_the_right_one(
    door: Door, headers: dict[str, str], says: str
) -> None:
    sent = gzip.compress(RAW) if headers.get("Content_Encoding") == "gzip" else RAW
    told = problem(door.send(sent, **headers), 415, "wrong-media-type")
    assert says in told["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json; charset=UTF-8", "Application/CloudEvents+JSON;charset=utf-8"],
)
def test_the_right_media_type_may_say_utf_8(door: Door, content_type: str) -> None:
    problem(door.send(RAW, Content_Type=content_type), 503, "unavailable")


def test_a_body_longer_than_it_says_is_cut_and_one_too_long_is_not_read(door: Door) -> None:
    headers = {"Authorization": door.bearer(), "Content-Type": "application/cloudevents+json"}
    for length, status, slug in ((10**9, 413, "too-large"), (20, 400, "malformed")):
        claimed = {"CONTENT_LENGTH": str(length), "wsgi.input": BytesIO(RAW)}
        answer = door.client.post("/events", headers=headers, environ_overrides=claimed)
        problem(answer, status, slug)


def test_the_good_event_gets_as_far_as_the_queue(door: Door) -> None:
    problem(door.send(RAW), 503, "unavailable")
    assert door.length() == 1  # a pretended queue is not durable; that says nothing of its fate


MANY = settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ATTRIBUTES = st.sampled_from([*GOOD, "time", "dataschema", "expectedversion", "traceparent"])


@MANY
@given(sent=st.binary(max_size=200))
@example(sent=b"\xef\xbb\xbf{}")
def test_any_bytes_are_answered(door: Door, sent: bytes) -> None:
    problem(door.send(sent), 400, "malformed")


@MANY
@given(name=ATTRIBUTES, value=ANYTHING)
def test_any_value_of_any_attribute_is_answered(door: Door, name: str, value: Any) -> None:
    sent = json.dumps({**GOOD, name: value}).encode()
    answer = door.send(sent)
    assert answer.status_code in (400, 422, 503)
    assert json.loads(answer.data)["type"].startswith("/problems/")


@MANY
@given(name=st.sampled_from([*SEA, "why", "importance"]), value=ANYTHING)
def test_any_value_of_any_member_of_data_is_answered(door: Door, name: str, value: Any) -> None:
    answer = door.send(json.dumps({**GOOD, "data": {**SEA, name: value}}).encode(), ADA)
    assert answer.status_code in (400, 422, 503)
    assert json.loads(answer.data)["type"].startswith("/problems/")
