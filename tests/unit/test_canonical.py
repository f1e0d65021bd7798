"""Canonical bytes, messages, moments and partitions. rfc8785 is the oracle, hypothesis the hand."""

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, line_key, load
from shared.events.event import MAX_WHOLE_NUMBER, Event, canonical, partition_of, timestamp
from shared.events.schema_fields import parse_time
from tests.given import ADA, SAM, ada, started

MANY = settings(max_examples=250, deadline=None, database=None)
WORDS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(max_codepoint=127))
NUMBERS = st.integers(-MAX_WHOLE_NUMBER, MAX_WHOLE_NUMBER)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=4)
EVERY_ESCAPE = "".join(map(chr, range(0x80))) + "\u2028\u2029\ufeff\ufffe\uffff\U0001f600\U0010ffff"
NOT_UTC = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@MANY
@given(OBJECTS)
@example({"": {"": []}, "a": -MAX_WHOLE_NUMBER, "B": MAX_WHOLE_NUMBER, "\x7f": 0, "\0": -0})
@example({EVERY_ESCAPE[:128]: EVERY_ESCAPE})
def test_canonical_is_rfc_8785_to_the_byte(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@MANY
@given(OBJECTS)
def test_canonical_does_not_depend_on_the_order_of_members(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical(turned) == canonical(value)
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize("codepoint", [*range(0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600])
def test_every_awkward_character_is_written_as_rfc_8785_writes_it(codepoint: int) -> None:
    value = {"words": chr(codepoint)}
    assert canonical(value) == rfc8785.dumps(value)
    assert b"\n" not in canonical(value)


def test_words_keep_their_code_points() -> None:
    assert canonical({"a": "Caf\u00e9"}) != canonical({"a": "Cafe\u0301"})


def test_words_that_are_no_text_have_no_canonical_form() -> None:
    with pytest.raises(TypeError, match="surrogates"):
        canonical({"a": "\ud800"})


@MANY
@given(WORDS, WORDS, OBJECTS, st.none() | NUMBERS.filter(lambda number: number >= 0), st.booleans())
def test_an_event_comes_back_out_of_its_message(
    author: str, via: str, data: dict[str, Any], expected: int | None, waits: bool
) -> None:
    attributes: dict[str, Any] = {"id": "1", "type": "plan.started", "subject": ADA, "data": data}
    if expected is not None:
        attributes["expectedversion"] = expected
    said = Event.from_canonical(
        canonical(attributes),
        author=author,
        via=via,
        issuer="local",
        received="2026-03-02T12:00:00.000Z",
        waiter="w1" if waits else None,
    )
    message = said.message()
    assert Event.from_message(message) == said
    assert message.split(b"\n", 1)[1] == said.canonical == canonical(attributes)
    assert (b'"waiter"' in message.split(b"\n", 1)[0]) == waits
    assert (said.expectedversion, said.data) == (expected, data)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n",
        b"{}",
        b"{}\n{}",
        b"\xff\n{}",
        b'{"author":"a","issuer":"b","received":"c","via":"d"}\n{"id":"1","type":"x"}',
        b'{"author":"a","issuer":"b","received":"c","via":"d"}\nnot json',
    ],
)
def test_what_intake_did_not_make_is_no_event(message: bytes) -> None:
    # A header with missing members is a TypeError today; the docstring names the other two.
    with pytest.raises((ValueError, KeyError, TypeError)):
        Event.from_message(message)


@pytest.mark.parametrize("header", [b"{}", b"[]", b"7", b'{"author":"a","extra":"b"}'])
def test_what_intake_did_not_make_is_a_value_or_key_error(header: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        Event.from_message(header + b'\n{"id":"1","type":"x","subject":"y"}')


def test_the_person_is_the_author_only_letter_by_letter() -> None:
    assert started.by_person
    assert not Event.from_canonical(
        started.canonical, author=SAM, via=started.via, issuer="local", received=started.received
    ).by_person


# Moments.


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 2, 12, tzinfo=UTC), "2026-03-02T12:00:00.000Z"),
        (datetime(2026, 3, 2, 12, 0, 0, 999_999, UTC), "2026-03-02T12:00:00.999Z"),
        (datetime(2026, 3, 2, 12, 0, 0, 999, UTC), "2026-03-02T12:00:00.000Z"),
        (
            datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))),
            "2025-12-31T23:30:00.000Z",
        ),
    ],
)
def test_a_moment_is_utc_with_milliseconds_cut_off(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text


@MANY
@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30)), NOT_UTC)  # noqa: DTZ001 - gets its zone below
def test_a_moment_is_read_back_to_the_millisecond(moment: datetime, zone: timezone) -> None:
    there = moment.replace(tzinfo=zone)
    text = timestamp(there)
    assert len(text) == 24
    assert timedelta(0) <= there - parse_time(text) < timedelta(milliseconds=1)


@given(st.lists(st.datetimes(datetime(1000, 1, 2)), min_size=2, max_size=2))  # noqa: DTZ001 - gets its zone below
def test_moments_sort_as_texts_do(moments: list[datetime]) -> None:
    texts = [timestamp(moment.replace(tzinfo=UTC)) for moment in sorted(moments)]
    assert texts == sorted(texts)


# Partitions.


@given(st.text(min_size=1, max_size=70), st.integers(1, 1024))
def test_a_partition_is_one_of_them_and_always_the_same(name: str, partitions: int) -> None:
    subject = "person:" + name.encode("utf-8", "replace").decode()
    whole = int.from_bytes(sha256(subject.encode()).digest()[:8], "big")
    assert partition_of(subject, partitions) == whole % partitions
    assert 0 <= partition_of(subject, partitions) < partitions


def test_partitions_share_the_people_out() -> None:
    counts = [0] * 8
    for number in range(8_000):
        counts[partition_of(f"person:{number}", 8)] += 1
    assert all(850 < count < 1150 for count in counts)


# A plan's bytes.


@given(st.lists(WORDS.filter(str.strip), min_size=2, max_size=4))
def test_a_plan_has_one_form_whatever_order_it_was_written_in(sections: list[str]) -> None:
    plan = Plan(ADA)
    for said in (started, *(ada.writes(section[:200], "x") for section in sections)):
        evolve(plan, said)
    stored = dump(plan)
    turned = Plan(ADA, plan.state, plan.version, dict(reversed(plan.lines.items())))
    turned.entries = dict(reversed(plan.entries.items()))
    turned.own_bytes = plan.own_bytes
    assert load(stored) == plan
    assert dump(turned) == stored


def test_a_plan_is_rfc_8785_also_with_sections_in_any_script() -> None:
    plan = Plan(ADA)
    for said in (started, ada.writes("\ufb01sh", "No."), ada.writes("😀", "Yes.")):
        evolve(plan, said)
    assert dump(plan) == rfc8785.dumps(json.loads(dump(plan)))


@given(st.lists(WORDS, min_size=2, max_size=2, unique=True))
@example(["Zo\u00eb", r"Zo\xeb"])
@example(["a\nb", r"a\nb"])
def test_two_sections_never_share_a_line(names: list[str]) -> None:
    first, second = (line_key("about-me", name) for name in names)
    assert first != second
    assert first.isascii()


@given(st.lists(WORDS.filter(str.strip), min_size=1, max_size=5))
def test_a_plan_is_rfc_8785_whatever_its_sections_are_called(sections: list[str]) -> None:
    plan = Plan(ADA)
    for said in (started, *(ada.writes(section, "x") for section in sections)):
        evolve(plan, said)
    assert dump(plan) == rfc8785.dumps(json.loads(dump(plan)))
