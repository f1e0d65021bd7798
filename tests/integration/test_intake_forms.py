"""Binary events and batches over HTTP: the same promises as for one event in structured form."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.intake.app import create_app
from services.intake.http_binding import MAX_BATCH_BYTES
from shared.auth.tokens import Callers
from shared.events.event import Event, Json, partition_of
from shared.inbox.inbox import Inbox
from shared.inbox.servers import connect
from tests.integration.together import (
    ADA,
    EVE,
    GRANT,
    SAM,
    SEA,
    STARTED,
    Door,
    Together,
    body,
    event,
    pointers,
    problem,
)
from tests.servers import RedisLikeServer

BATCH = "application/cloudevents-batch+json"
SAID = event("aspiration.stated", SEA)


def binary(door: Door, told: Json, author: str = ADA, **headers: str) -> TestResponse:
    """Post an event in binary form."""
    named = {f"ce_{name}": str(each) for name, each in told.items() if name != "data"}
    given = {"Content_Type": "application/json", **named, **headers}
    return door.send(body(told["data"]), author, **given)


def batch(door: Door, told: Any, author: str = ADA, **headers: str) -> TestResponse:
    """Post a batch."""
    return door.post(told, author, Content_Type=BATCH, **headers)


def resting(door: Door, partition: int = 0) -> list[Event]:
    """What rests in the queue, opened."""
    transit = door.inbox.transit
    messages = door.inbox.peek(partition, 2_000).messages
    return [Event.from_message(transit.decrypt(partition, each, "event")) for _, each in messages]


@pytest.fixture
def in_eight(keys: Path, real_door: Door) -> Door:
    """Intake over eight partitions."""
    app = create_app(Callers.from_folder(keys, "firsthand"), real_door.inbox, partitions=8)
    return Door(keys, app.test_client(), real_door.inbox, real_door.rung)


# Binary.


def test_a_binary_event_is_the_structured_one(real_door: Door) -> None:
    told = {**SAID, "expectedversion": 7, "correlationid": "a%b"}
    sent = binary(real_door, told, ce_correlationid="a%25b")
    assert (sent.status_code, sent.get_json()["id"]) == (202, told["id"])
    assert real_door.post(told).status_code == 202
    first, second = resting(real_door)
    assert first.canonical == second.canonical
    assert first.expectedversion == 7


def test_a_binary_event_may_wait_for_its_fate(small_house: Together) -> None:
    with small_house.draining():
        answer = binary(small_house.door, event("plan.started", STARTED), Prefer="wait=20")
    assert answer.status_code == 201
    assert answer.get_json()["verdict"] == "accepted"


@pytest.mark.parametrize(
    ("headers", "status", "places"),
    [
        ({"ce_id": ""}, 422, ["/id"]),
        ({"ce_type": "sea.seen"}, 422, ["/type"]),
        ({"ce_specversion": "0.3"}, 422, ["/specversion"]),
        ({"ce_source": "%C3%AB"}, 422, ["/source"]),
        ({"ce_source": "a%00b"}, 422, ["/source"]),
        ({"ce_source": "a%0Ab"}, 422, ["/source"]),
        ({"ce_source": "%E2%28%A1"}, 400, ["/source"]),
        ({"ce_source": "100%"}, 400, ["/source"]),
        ({"ce_expectedversion": "1.5"}, 422, ["/expectedversion"]),
        ({"ce_expectedversion": "9007199254740992"}, 422, ["/expectedversion"]),
        ({"ce_expectedversion": "-1"}, 422, ["/expectedversion"]),
        ({"ce_signed_by": "me"}, 422, ["/signed-by"]),
        ({"ce_author": EVE}, 422, ["/author"]),
        ({"ce_data": "{}"}, 400, ["/data"]),
        ({"ce_data_base64": "e30="}, 422, ["/data-base64"]),
        ({"ce_datacontenttype": "text/plain"}, 400, ["/datacontenttype"]),
    ],
    ids=str,
)
def test_each_fault_of_a_header_has_its_place(
    door: Door, headers: dict[str, str], status: int, places: list[str]
) -> None:
    told = binary(door, SAID, **headers)
    assert told.status_code == status
    assert pointers(told.get_json()) == places
    assert door.length() == 0


@pytest.mark.parametrize(
    ("sent", "status", "place"),
    [
        (b"", 400, "/data"),
        (b"\xff", 400, "/data"),
        (b'{"words": "a\\u0000"}', 400, "/data/words"),
        (b'{"words": 1, "words": 2}', 400, "/data"),
        (b"[" * 20_000, 400, "/data"),
        (b"7", 422, "/data"),
        (b"[]", 422, "/data"),
        (b'{"id": "sea", "words": 7}', 422, "/data/words"),
    ],
)
def test_each_fault_of_a_binary_body_has_its_place(
    door: Door, sent: bytes, status: int, place: str
) -> None:
    named = {f"ce_{name}": each for name, each in SAID.items() if name != "data"}
    told = door.send(sent, Content_Type="application/json; charset=utf-8", **named)
    assert (told.status_code, pointers(told.get_json())) == (status, [place])
    assert door.length() == 0


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/json+x", ""])
def test_data_that_is_no_json_is_a_415(door: Door, media: str) -> None:
    problem(binary(door, SAID, Content_Type=media), 415, "unsupported-media-type")


def test_json_without_headers_is_a_415_that_names_the_right_type(door: Door) -> None:
    answer = door.post(SAID, Content_Type="application/json")
    told = problem(answer, 415, "unsupported-media-type")
    assert "application/cloudevents+json" in told["detail"]
    assert "ce-" in told["detail"]


# Batches.


def test_a_batch_says_of_each_event_how_durable_it_is_and_where_its_fate_will_be(
    real_door: Door,
) -> None:
    told = [event("plan.started", STARTED), SAID, event("access.granted", GRANT)]
    answer = batch(real_door, told)
    assert answer.status_code == 202
    assert answer.get_json() == [
        {
            "id": each["id"],
            "durability": "fsync",
            "ledger": f"/people/{ADA}/events/{each['id']}",
        }
        for each in told
    ]
    assert [each.id for each in resting(real_door)] == [each["id"] for each in told]
    assert real_door.rung == [0]


def test_each_event_of_a_batch_has_a_fate_of_its_own(small_house: Together) -> None:
    started, again = event("plan.started", STARTED), event("plan.started", STARTED)
    twice = event("aspiration.stated", SEA)
    other = {**twice, "data": {**SEA, "words": "Something else."}}
    answer = batch(small_house.door, [started, again, twice, twice, other])
    assert answer.status_code == 202
    small_house.drain()
    fates = [small_house.verdict(each, ADA) for each in (started, again, twice)]
    assert fates == ["accepted", "plan-exists", "accepted"]
    told = small_house.history()
    assert [each.get("refusal") for each in told].count("id-reused") == 1
    assert len(told) == 4, "the same bytes twice are recorded once"


def test_a_batch_does_not_wait(real_door: Door) -> None:
    answer = batch(real_door, [SAID], Prefer="wait=30")
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    assert [each.waiter for each in resting(real_door)] == [None]


def test_an_empty_batch_holds_nothing_to_fail(door: Door) -> None:
    answer = batch(door, [])
    assert (answer.status_code, answer.get_json()) == (202, [])
    assert door.length() == 0


def test_a_thousand_events_are_one_batch_and_one_more_is_too_large(real_door: Door) -> None:
    told = [event("aspiration.stated", {**SEA, "id": f"sea-{each}"}) for each in range(1_001)]
    problem(batch(real_door, told), 413, "too-large")
    assert real_door.length() == 0
    assert batch(real_door, told[:1_000]).status_code == 202
    assert [each.id for each in resting(real_door)] == [each["id"] for each in told[:1_000]]


def test_a_batch_has_at_most_4_mib(door: Door) -> None:
    sent = body([SAID])
    full = sent + b" " * (MAX_BATCH_BYTES - len(sent))
    problem(door.send(full, Content_Type=BATCH), 503, "unavailable")
    problem(door.send(full + b" ", Content_Type=BATCH), 413, "too-large")


def test_an_events_size_is_bounded_in_a_batch_too(door: Door) -> None:
    large = event("aspiration.stated", {**SEA, "words": "é" * 20_000})
    told = problem(batch(door, [SAID, large]), 422, "invalid")
    assert [(each["pointer"], each["code"]) for each in told["errors"]] == [("/1", "too-large")]


def test_a_batch_is_taken_all_or_none(door: Door) -> None:
    bad = [{**SAID, "data": {"id": "sea", "words": 7, "more": 1}}, {**SAID, "id": "x"}]
    told = problem(batch(door, [SAID, *bad, SAID]), 422, "invalid")
    assert set(pointers(told)) == {"/1/data/words", "/1/data/more", "/2/id"}
    assert door.length() == 0


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        (body(SAID), ""),
        (b"", ""),
        (b"7", ""),
        (b"[7]", "/0"),
        (b"[{},[]]", "/1"),
        (b"[{},null]", "/1"),
        (b"[{}", ""),
        (b'[{"id": "a", "id": "b"}]', ""),
        (b'[{},{"id": "a\\u0000"}]', "/1/id"),
        (b'[{},{"data": {"a": "\\ud800"}}]', "/1/data/a"),
        (b"[" * 20_000 + b"]" * 20_000, ""),
        (b'[{"data":' + b"[" * 16 + b"]" * 16 + b"}]", "/0/data" + "/0" * 15),
    ],
    ids=count(),  # a name out of the bytes would be another one in each process
)
def test_hostile_bytes_in_a_batch_are_malformed(door: Door, sent: bytes, place: str) -> None:
    told = problem(door.send(sent, Content_Type=BATCH), 400, "malformed")
    assert pointers(told) == [place]
    assert door.length() == 0


def test_what_a_token_may_not_author_stops_the_whole_batch(door: Door) -> None:
    told = [SAID, event("access.granted", GRANT), event("access.withdrawn", {"grant": "x" * 36})]
    told[2]["data"] = {"grant": SAID["id"]}
    bearer = door.bearer(ADA, "read write")
    refused = problem(batch(door, told, Authorization=bearer), 403, "forbidden")
    assert pointers(refused) == ["/1/type", "/2/type"]
    problem(batch(door, [SAID], "auditor:kim"), 403, "forbidden")
    assert door.length() == 0


def test_a_batch_of_several_persons_goes_to_each_ones_partition(in_eight: Door) -> None:
    people = [f"person:p{number}" for number in range(20)]
    told = [event("plan.started", STARTED, person) for person in people] + [
        event("aspiration.stated", SEA, person) for person in people
    ]
    answer = batch(in_eight, told, SAM)
    assert answer.status_code == 202
    assert [each["id"] for each in answer.get_json()] == [each["id"] for each in told]
    for partition in range(8):
        wanted = [each["id"] for each in told if partition_of(each["subject"], 8) == partition]
        assert [each.id for each in resting(in_eight, partition)] == wanted
    assert sorted(in_eight.rung) == sorted({partition_of(each, 8) for each in people})


def test_if_one_partition_fails_nothing_is_said_of_the_batch(
    keys: Path, real_door: Door, valkey: RedisLikeServer
) -> None:
    """A partition whose stream is no stream stands for one that is away."""
    people = ["person:p0", "person:p1", "person:p2", "person:p3"]
    told = [event("plan.started", STARTED, person) for person in people]
    last = partition_of(people[-1], 8)
    assert [partition_of(each, 8) for each in people].count(last) == 1
    with connect(valkey.url) as queue:
        queue.set(f"firsthand:{{p{last}}}:inbox", "no stream")
        app = create_app(
            Callers.from_folder(keys, "firsthand"),
            Inbox(queue, real_door.inbox.transit),
            partitions=8,
        )
        door = Door(keys, app.test_client(), real_door.inbox)
        answer = batch(door, told, SAM)
        refused = problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "errors" not in refused
        queue.delete(f"firsthand:{{p{last}}}:inbox")
        assert batch(door, told, SAM).status_code == 202
    assert [each.id for each in resting(door, last)] == [told[-1]["id"]]


def test_a_queue_that_does_not_fsync_means_503_for_the_whole_batch(real_door: Door) -> None:
    real_door.inbox.redis.config_set("appendfsync", "everysec")
    told = problem(batch(real_door, [SAID, SAID]), 503, "unavailable")
    assert "fsync" in told["detail"]
    assert json.dumps(told).count(SAID["id"]) == 0
