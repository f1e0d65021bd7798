"""Trace context (W3C): carried beside the event, never in it, and only if it is valid."""

import pytest

from shared.events.event import Event, Json, canonical
from shared.tracing import trace_of, traceparent_of
from tests.golden.make import HERE

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"
OWN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
POSTED: Json = {"id": "1", "type": "plan.started", "subject": "person:ada", "data": {}}


def golden(name: str) -> bytes:
    """A golden file."""
    return (HERE / name).read_bytes()


def told(posted: Json, traceparent: str | None) -> Event:
    """An event as intake makes it."""
    who = {"author": "person:ada", "via": "service:a", "issuer": "local", "received": "now"}
    return Event.from_canonical(canonical(posted), **who, traceparent=traceparent)


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (VALID, VALID),
        (f" {VALID} ", VALID),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later", f"cc-{TRACE}-00f067aa0ba902b7-01"),
    ],
)
def test_a_valid_header_is_kept(header: str, kept: str) -> None:
    assert traceparent_of(header) == kept
    assert trace_of(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Walk to the sea.",
        VALID.upper(),
        VALID[:-1],
        f"{VALID}-more",
        f"{VALID}0",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{VALID},{VALID}",
    ],
)
def test_any_other_header_is_ignored(header: str | None) -> None:
    assert traceparent_of(header) is None
    assert trace_of(header) is None


def test_the_posted_event_stays_as_its_author_posted_it() -> None:
    event = told(POSTED, VALID)
    assert event.canonical == canonical(POSTED)
    assert Event.from_message(event.message()) == event
    assert event.traceparent == VALID


def test_the_events_own_trace_comes_before_the_requests() -> None:
    event = told(POSTED | {"traceparent": OWN}, VALID)
    assert Event.from_message(event.message()).traceparent == OWN


def test_a_message_without_a_trace_is_what_it_always_was() -> None:
    header, _ = told(POSTED, None).message().split(b"\n", 1)
    assert b"traceparent" not in header
    assert Event.from_message(told(POSTED, None).message()).traceparent is None


def test_the_golden_messages_are_read_with_and_without_a_trace() -> None:
    old, new = (golden(f"event/{name}.txt") for name in ("message", "message-traced"))
    assert Event.from_message(old).traceparent is None
    assert Event.from_message(new).traceparent == VALID
    assert Event.from_message(new).message() == new
    assert Event.from_message(new).canonical == golden("event/canonical.json")
