"""The borders of what is taken, and anything at all: what is refused by name is in the corpus."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.events.event import Json, canonical
from tests.integration.together import ADA, SEA, Door, body, event, pointers, problem

GOOD = event("aspiration.stated", SEA)
RAW = body(GOOD)


def test_16_levels_are_read(door: Door) -> None:
    deep: Any = {}
    for _ in range(13):
        deep = [deep]
    sent = {**GOOD, "data": {**SEA, "deep": deep}}
    assert pointers(problem(door.post(sent), 422, "invalid")) == ["/data/deep"]


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
    "content_type",
    ["application/cloudevents+json; charset=UTF-8", "Application/CloudEvents+JSON;charset=utf-8"],
)
def test_the_right_media_type_may_say_utf_8(door: Door, content_type: str) -> None:
    problem(door.send(RAW, Content_Type=content_type), 503, "unavailable")


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
@example(sent=b" {}")
def test_any_bytes_are_answered(door: Door, sent: bytes) -> None:
    is_object = False
    with suppress(ValueError):
        is_object = isinstance(json.loads(sent.decode()), dict)
    problem(door.send(sent), *((422, "invalid") if is_object else (400, "malformed")))


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
