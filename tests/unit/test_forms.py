"""The three forms of an event: the CloudEvents SDK writes them, and all say the same to us."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.intake.http_binding import ContentMode, content_mode_of, posted_events
from services.intake.validation import validate_batch, validate_event
from shared.errors import MalformedBody, Problem, TooLarge, UnsupportedMediaType
from shared.events.event import MAX_WHOLE_NUMBER, Json, canonical

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENT: Json = {
    "specversion": "1.0",
    "id": "0b7a1d0e-8c1f-4b5e-9d39-5a1c7b2e4f60",
    "source": "/notebook",
    "type": "aspiration.stated",
    "subject": "person:ada",
    "time": "2026-03-01T08:30:00Z",
    "data": {"id": "sea", "words": "Walk to the sea."},
}
IDS = st.uuids().map(str)
ASCII = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80).filter(
    lambda words: words.strip()
)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone itself
EVENTS = st.fixed_dictionaries(
    {
        "id": IDS,
        "source": ASCII,
        "data": st.fixed_dictionaries({"id": st.just("sea"), "words": WORDS}),
    },
    optional={
        "expectedversion": st.integers(0, MAX_WHOLE_NUMBER),
        "correlationid": ASCII,
        "causationid": ASCII,
        "time": TIMES.map(lambda moment: moment.isoformat().replace("+00:00", "Z")),
    },
).map(lambda given: {**EVENT, **given})
MANY = settings(max_examples=200, deadline=None, database=None)


def environ(headers: dict[str, str]) -> dict[str, Any]:
    """Headers as WSGI hands them over (PEP 3333)."""
    told = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    told["CONTENT_TYPE"] = told.pop("HTTP_CONTENT_TYPE", "")
    return told


def canonical_of(headers: dict[str, str], body: bytes) -> list[bytes]:
    """What a request's events are to us."""
    told = environ(headers)
    return [
        validate_event(each, NOW)[1] for each in posted_events(content_mode_of(told), body, told)
    ]


def binary(**headers: str) -> Json:
    """The event that headers tell, each named with _ for -."""
    told = environ(
        {"Content-Type": ContentMode.BINARY, **{f"ce-{k}": v for k, v in headers.items()}}
    )
    (event,) = posted_events(content_mode_of(told), b"{}", told)
    return event


def by_the_sdk(event: Json) -> CloudEvent:
    """The event as the SDK holds it."""
    attributes = {name: value for name, value in event.items() if name != "data"}
    attributes |= {"datacontenttype": "application/json"}
    attributes["time"] = datetime.fromisoformat(event["time"])  # it would put in its own moment
    return CloudEvent(attributes=attributes, data=event["data"])


@MANY
@given(event=EVENTS)
@example(event={**EVENT, "source": '/100%25/"quoted"\\', "correlationid": "%41%20"})
@example(event={**EVENT, "data": {"id": "sea", "words": "Zoë \u2028 \U0001f600 %41"}})
def test_the_three_forms_that_the_sdk_writes_have_the_same_canonical_bytes(event: Json) -> None:
    structured = http.to_structured_event(by_the_sdk(event))
    apart = http.to_binary_event(by_the_sdk(event))
    batch = b"[" + structured.body + b"," + structured.body + b"]"
    (first,) = canonical_of(structured.headers, structured.body)
    assert canonical_of(apart.headers, apart.body) == [first]
    assert canonical_of({"Content-Type": ContentMode.BATCH}, batch) == [first, first]
    assert first == canonical(event)


@MANY
@given(event=EVENTS)
def test_the_sdk_reads_what_we_read_out_of_headers(event: Json) -> None:
    sent = http.to_binary_event(by_the_sdk(event))
    theirs = http.from_binary_event(sent)
    told = environ(sent.headers)
    (ours,) = posted_events(content_mode_of(told), sent.body, told)
    assert ours["data"] == theirs.get_data()
    for name in set(event) - {"data", "time"}:
        assert str(ours[name]) == str(theirs.get_attributes()[name])


@pytest.mark.parametrize(
    ("header", "means"),
    [
        ("/a", "/a"),
        ("%2Fa%2fb", "/a/b"),
        ("%2541", "%41"),  # decoded once, and not again
        ("a+b", "a+b"),
        ('"/a b"', "/a b"),
        (r'"say \"sea\" \\ "', r'say "sea" \ '),
        ('"%22"', '"'),
        ("%C3%AB", "ë"),
        ('"', '"'),
        ("", ""),
    ],
)
def test_a_headers_value_is_unquoted_and_decoded_once(header: str, means: str) -> None:
    assert binary(source=header)["source"] == means


@pytest.mark.parametrize(
    ("header", "code"),
    [("100%", "not-taken"), ("%4", "not-taken"), ("%zz", "not-taken"), ("%FF", "not-utf-8")],
)
def test_a_header_that_decodes_to_nothing_is_named(header: str, code: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        binary(source=header)
    (fault,) = caught.value.errors
    assert (fault.pointer, fault.code) == ("/source", code)


@pytest.mark.parametrize(
    ("header", "means"),
    [
        ("0", 0),
        ("17", 17),
        ("-1", -1),
        ("9007199254740991", MAX_WHOLE_NUMBER),
        *[(each, each) for each in ("", "01", "+1", "1.0", "1e3", "0x1", "1_0", "٣", "9" * 5000)],
    ],
)
def test_only_a_whole_number_in_decimal_is_a_number(header: str, means: object) -> None:
    assert binary(expectedversion=header)["expectedversion"] == means
    assert binary(source=header)["source"] == header


@pytest.mark.parametrize("name", ["data", "datacontenttype"])
def test_what_the_body_says_no_header_says(name: str) -> None:
    with pytest.raises(MalformedBody, match=f"ce-{name}"):
        binary(**{name: "{}"})


def test_json_alone_is_no_event() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"application/cloudevents\+json"):
        content_mode_of({"CONTENT_TYPE": "application/json"})


def test_the_body_of_a_structured_event_says_everything() -> None:
    headers = {"Content-Type": ContentMode.STRUCTURED, "ce-id": "other", "ce-data": "x"}
    assert canonical_of(headers, json.dumps(EVENT).encode()) == [canonical(EVENT)]


@pytest.mark.parametrize(
    ("form", "around", "pointer"),
    [
        (ContentMode.STRUCTURED, b'{"data":%b}', "/data"),
        (ContentMode.BINARY, b"%b", "/data"),
        (ContentMode.BATCH, b'[{},{"data":%b}]', "/1/data"),
    ],
)
def test_data_may_be_as_deep_in_every_form(form: ContentMode, around: bytes, pointer: str) -> None:
    posted_events(form, around % (b"[" * 15 + b"]" * 15), {})  # the event itself is the first level
    with pytest.raises(MalformedBody) as caught:
        posted_events(form, around % (b"[" * 16 + b"]" * 16), {})
    assert caught.value.errors[0].pointer == pointer + "/0" * 15


@pytest.mark.parametrize(
    ("bad", "pointers"),
    [
        (
            {**EVENT, "data": {"id": "sea", "words": 7, "more": 1}},
            {"/1/data/words", "/1/data/more"},
        ),
        ({**EVENT, "type": "sea.seen"}, {"/1/type"}),
        ({}, {f"/1/{name}" for name in EVENT if name != "time"}),
        ({**EVENT, "data": {"id": "sea", "words": "é" * 20_000}}, {"/1"}),
    ],
    ids=["data", "type", "nothing", "long"],
)
def test_each_fault_of_a_batch_has_its_place(bad: Json, pointers: set[str]) -> None:
    with pytest.raises(Problem) as caught:
        validate_batch([EVENT, bad, EVENT, {**EVENT, "id": "x"}], NOW)
    assert {fault.pointer for fault in caught.value.errors} == pointers | {"/3/id"}


@pytest.mark.parametrize("told", [[{}] * 1_000, [{f"x{each}": 0 for each in range(500)}]])
def test_an_answer_names_a_hundred_faults_at_most(told: list[Json]) -> None:
    with pytest.raises(Problem) as caught:
        validate_batch(told, NOW)
    assert len(caught.value.errors) == 100


def test_a_batch_has_at_most_a_thousand_events() -> None:
    assert len(posted_events(ContentMode.BATCH, b"[" + b"{}," * 999 + b"{}]", {})) == 1_000
    with pytest.raises(TooLarge, match="1001"):
        posted_events(ContentMode.BATCH, b"[" + b"{}," * 1_000 + b"{}]", {})
