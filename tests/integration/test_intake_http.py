"""Intake over HTTP: who may post, what 202 promises, and every other answer as a problem."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.intake.app import create_app
from shared.auth.tokens import Callers, local_token
from shared.crypto.transit import Transit
from shared.events.event import Event, canonical
from shared.http.problems import PROBLEMS
from shared.inbox.inbox import Inbox
from shared.inbox.publish_script import Limits
from shared.inbox.redis_keys import inbox_key, wake_key
from shared.inbox.servers import connect
from tests.integration.together import (
    ADA,
    EVE,
    SAM,
    SEA,
    STARTED,
    Door,
    body,
    event,
    problem,
)
from tests.servers import RedisLikeServer

SAID = event("plan.started", STARTED)
GRANT = {"to": SAM, "scopes": ["read"], "until": "until-withdrawn", "purpose": "x", "wording": "y"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Flask logs what it answers with 500 once more; nothing here should be one."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def resting(door: Door) -> list[Event]:
    """What rests in the queue, opened."""
    messages = door.inbox.peek(0, 100).messages
    sealed = [door.inbox.transit.decrypt(0, each, "event") for _, each in messages]
    return [Event.from_message(each) for each in sealed]


# 202


def test_202_says_how_durable_it_is_and_where_its_fate_will_be(real_door: Door) -> None:
    answer = real_door.post(SAID)
    assert answer.status_code == 202
    assert answer.get_json() == {
        "id": SAID["id"],
        "durability": "fsync",
        "ledger": f"/people/{ADA}/events/{SAID['id']}",
    }
    assert "Preference-Applied" not in answer.headers
    assert real_door.rung == [0]


def test_what_was_posted_rests_sealed_and_canonical(real_door: Door) -> None:
    told = {**SAID, "datacontenttype": "application/json", "time": "2026-01-01T00:00:00+01:00"}
    assert real_door.post(told).status_code == 202
    [kept] = resting(real_door)
    del told["datacontenttype"]
    assert kept.canonical == canonical(told)
    assert (kept.author, kept.via, kept.issuer) == (ADA, "service:command", "local")
    assert kept.waiter is None
    [raw] = [each for _, each in real_door.inbox.peek(0, 9)[0]]
    assert SAID["id"].encode() not in raw


def test_words_keep_their_code_points(real_door: Door) -> None:
    words = "Cafe\u0301 \u0041\u030a \ufb01 \u2028 \U0001f600 \ufeff"
    assert real_door.post(event("aspiration.stated", {"words": words})).status_code == 202
    assert resting(real_door)[0].data["words"] == words


def test_the_same_bytes_again_are_another_202(real_door: Door) -> None:
    assert [real_door.post(SAID).status_code for _ in range(3)] == [202] * 3
    assert real_door.rung == [0]  # one bell for all of them
    assert len(resting(real_door)) == 3  # the ledger drops repeats, nobody else


def test_intake_decides_nothing(real_door: Door) -> None:
    """Who may say what is the ledger's verdict alone: a stranger's attempt is taken too."""
    for author in (EVE, SAM, "service:bot"):
        told = event("aspiration.reworded", {"aspiration": "sea", "words": "x"})
        assert real_door.post(told, author).status_code == 202


# Who may post.


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x.y.z", "Basic YWRhOmFkYQ==", "Bearer", "Bearer \u00e9"]
)
def test_without_a_good_token_it_is_a_401(door: Door, authorization: str) -> None:
    answer = door.send(body(SAID), Authorization=authorization)
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert door.length() == 0


def test_the_token_is_looked_at_before_the_body(door: Door) -> None:
    problem(door.send(b"not JSON", Authorization=""), 401, "unauthorized")


@pytest.mark.parametrize("author", ["auditor:kim", "operator:lee"])
def test_auditors_and_operators_author_nothing(door: Door, author: str) -> None:
    told = problem(door.post(SAID, author), 403, "forbidden")
    assert author.partition(":")[0] in told["detail"]
    assert door.length() == 0


@pytest.mark.parametrize(
    ("scopes", "kind", "data"),
    [
        ("read", "plan.started", STARTED),
        ("read share", "aspiration.stated", SEA),
        ("read write", "access.granted", GRANT),
        ("write", "access.withdrawn", {"grant": "x"}),
        ("", "plan.started", STARTED),
    ],
)
def test_a_token_without_the_scope_is_a_403(
    door: Door, scopes: str, kind: str, data: dict[str, object]
) -> None:
    bearer = door.bearer(ADA, scopes)
    told = problem(door.post(event(kind, data), Authorization=bearer), 403, "forbidden")
    assert kind in told["detail"]
    assert door.length() == 0


def test_a_service_that_acts_grants_nothing_unless_that_is_named(real_door: Door) -> None:
    for scopes, status in ((None, 403), (["write"], 403), (["share"], 202)):
        bearer = local_token(real_door.folder, ADA, act="service:diary", scopes=scopes)
        answer = real_door.post(event("access.granted", GRANT), Authorization=f"Bearer {bearer}")
        assert answer.status_code == status
    (kept,) = resting(real_door)
    assert (kept.author, kept.via) == (ADA, "service:diary")


def test_a_shape_is_judged_before_a_scope(door: Door) -> None:
    bearer = door.bearer(ADA, "read")
    problem(door.post({**SAID, "data": {}}, Authorization=bearer), 422, "invalid")


# Addresses and methods.


@pytest.mark.parametrize(
    "path", ["/", "/event", "/events/", "/events/1", "/people/person:ada/plan"]
)
def test_another_address_is_a_404(door: Door, path: str) -> None:
    told = problem(door.client.post(path), 404, "not-found")
    assert told == problem(door.client.get("/nothing/here"), 404, "not-found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_another_method_is_a_405_that_names_the_right_one(door: Door, method: str) -> None:
    answer = door.client.open("/events", method=method)
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"POST", "OPTIONS"}


def test_what_is_only_read_takes_no_post(door: Door) -> None:
    answer = door.client.post("/event-types")
    problem(answer, 405, "method-not-allowed")
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


@pytest.mark.parametrize("slug", PROBLEMS)
def test_every_problem_is_explained_where_its_type_says(door: Door, slug: str) -> None:
    answer = door.client.get(f"/problems/{slug}")
    told = answer.get_json()
    assert (answer.status_code, told["type"]) == (200, f"/problems/{slug}")
    assert told["title"]
    assert told["remedy"].endswith(".")
    assert told["meaning"]


def test_an_unknown_problem_is_a_404(door: Door) -> None:
    problem(door.client.get("/problems/nothing"), 404, "not-found")


# The queue is away, or not safe.


def test_it_lives_and_is_ready(real_door: Door) -> None:
    assert real_door.client.get("/livez").get_json() == {"alive": True}
    answer = real_door.client.get("/readyz")
    behind = {"messages": 0, "oldest_seconds": 0.0, "waits": {}}
    assert answer.status_code == 200
    assert answer.get_json() == {"ready": True, "recording": behind}


@pytest.mark.parametrize(("name", "value"), [("appendfsync", "everysec"), ("appendonly", "no")])
def test_a_queue_that_stops_to_fsync_means_503_and_the_bell_rings_all_the_same(
    real_door: Door, name: str, value: str
) -> None:
    assert real_door.post(SAID).status_code == 202
    real_door.inbox.clear_wake(0)
    real_door.inbox.redis.config_set(name, value)
    answer = real_door.post(event("aspiration.stated", SEA))
    told = problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "fsync" in told["detail"]
    assert real_door.rung == [0, 0]
    assert real_door.length() == 2
    ready = real_door.client.get("/readyz")
    assert (ready.status_code, ready.get_json()["ready"]) == (503, False)
    assert "fsync" in ready.get_json()["why"]
    assert real_door.client.get("/livez").status_code == 200


def test_a_queue_that_hides_its_settings_is_not_safe(
    real_door: Door, valkey: RedisLikeServer, keys: Path
) -> None:
    queue = real_door.inbox.redis
    queue.execute_command("ACL", "SETUSER", "intake", "on", "nopass", "~*", "+@all", "-config")
    with connect(valkey.url.replace("unix://", "unix://intake:x@")) as hidden:
        inbox = Inbox(hidden, real_door.inbox.transit)
        client = create_app(Callers.from_folder(keys, "firsthand"), inbox).test_client()
        told = problem(Door(keys, client, inbox).post(SAID), 503, "unavailable")
        assert "does not report its settings" in told["detail"]
        assert client.get("/readyz").status_code == 503
    queue.execute_command("ACL", "DELUSER", "intake")


def test_missing_replicas_mean_503(real_door: Door, keys: Path) -> None:
    inbox = Inbox(real_door.inbox.redis, real_door.inbox.transit, replicas=1)
    app = create_app(Callers.from_folder(keys, "firsthand"), inbox)
    door = Door(keys, app.test_client(), inbox)
    told = problem(door.post(SAID), 503, "unavailable")
    assert "0 of 1 replicas" in told["detail"]
    assert door.client.get("/readyz").status_code == 503


def test_a_queue_that_is_away_means_503(keys: Path, tmp_path: Path) -> None:
    with connect(f"unix://{tmp_path}/nobody.sock") as queue:
        inbox = Inbox(queue, Transit.from_folder(keys))
        client = create_app(Callers.from_folder(keys, "firsthand"), inbox).test_client()
        door = Door(keys, client, inbox)
        answer = door.post(SAID)
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert door.client.get("/readyz").status_code == 503
        problem(door.send(b"{}"), 422, "invalid")  # a wrong event is wrong, queue or no queue


def limited(door: Door, limits: Limits) -> Door:
    """The same door, with limits."""
    inbox = Inbox(door.inbox.redis, door.inbox.transit, limits=limits)
    app = create_app(Callers.from_folder(door.folder, "firsthand"), inbox)
    return Door(door.folder, app.test_client(), inbox)


def test_whoever_posts_too_fast_is_told_when_to_post_again(real_door: Door) -> None:
    door = limited(real_door, Limits(per_second=1, burst=5))
    assert [door.post(SAID).status_code for _ in range(5)] == [202] * 5
    answer = door.post(SAID)
    told = problem(answer, 429, "too-many-requests")
    assert int(answer.headers["Retry-After"]) == 1
    assert "errors" not in told
    assert door.post(SAID, SAM).status_code == 202
    assert door.length() == 6


def test_a_batch_counts_as_many_as_it_holds(real_door: Door) -> None:
    door = limited(real_door, Limits(per_second=1, burst=5))
    batch = "application/cloudevents-batch+json"
    assert door.post([SAID] * 100, Content_Type=batch).status_code == 202
    answer = door.post([SAID], Content_Type=batch)
    problem(answer, 429, "too-many-requests")
    assert 60 < int(answer.headers["Retry-After"]) <= 96
    assert door.length() == 100


def test_a_full_inbox_means_503_until_it_is_drained(real_door: Door) -> None:
    door = limited(real_door, Limits(messages=2))
    assert [door.post(SAID).status_code for _ in range(2)] == [202] * 2
    answer = door.post(SAID)
    told = problem(answer, 503, "unavailable")
    assert "wait to be recorded" in told["detail"]
    assert int(answer.headers["Retry-After"]) > 0
    assert door.length() == 2
    door.inbox.acknowledge(0, [door.inbox.peek(0, 1)[0][0][0]], [], None)
    assert door.post(SAID).status_code == 202


def test_the_queue_back_again_means_202(real_door: Door) -> None:
    queue = real_door.inbox.redis
    queue.config_set("appendfsync", "no")
    problem(real_door.post(SAID), 503, "unavailable")
    queue.config_set("appendfsync", "always")
    assert real_door.post(SAID).status_code == 202
    assert queue.xlen(inbox_key(0)) == 2
    assert 0 < int(str(queue.ttl(wake_key(0)))) <= 30


# What may be kept of an answer.


def test_no_answer_to_a_caller_is_kept_and_none_is_guessed_at(real_door: Door) -> None:
    told = {
        202: real_door.post(SAID),
        401: real_door.send(b"{}", Authorization="Bearer x"),
        404: real_door.client.get("/nowhere"),
        422: real_door.post({"no": "event"}),
    }
    for status, answer in told.items():
        assert answer.status_code == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    public = real_door.client.get("/event-types")
    assert "Cache-Control" not in public.headers
    assert public.headers["X-Content-Type-Options"] == "nosniff"
