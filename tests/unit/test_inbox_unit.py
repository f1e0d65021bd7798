"""The inbox without a server: names of keys, options of the client, what counts as durable."""

import json
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import ResponseError

from shared.crypto.jwe import Key, from_b64url
from shared.crypto.transit import Transit
from shared.errors import SettingsError, Unavailable
from shared.inbox import redis_keys
from shared.inbox.durability import Durability, evaluate_durability
from shared.inbox.inbox import Inbox, Reply
from shared.inbox.servers import connect
from tests.given import ada, started

KEY = Key(bytes(32))


@pytest.fixture
def box() -> Iterator[Inbox]:
    """An inbox on no server."""
    with fakeredis.FakeStrictRedis() as redis:
        yield Inbox(redis, Transit([KEY]))


# The client.


def options(client: Redis) -> dict[str, object]:
    return dict(client.connection_pool.connection_kwargs)


def test_the_client_never_retries_by_itself() -> None:
    told = options(connect("redis://127.0.0.1:1/0"))
    assert told["retry"].get_retries() == 0  # type: ignore[attr-defined]  # redis' own Retry
    assert not told.get("retry_on_timeout")
    assert not told.get("retry_on_error")
    assert not told.get("health_check_interval")


@pytest.mark.parametrize("url", ["http://x", "x", "redis://:secret@x:port", ""])
def test_an_address_that_is_none_is_named_by_its_setting_and_left_out_of_the_message(
    url: str,
) -> None:
    with pytest.raises(SettingsError, match="FIRSTHAND_REDIS_URL: not a URL") as told:
        connect(url)
    assert "secret" not in str(told.value)


def test_a_failing_command_is_tried_once() -> None:
    client, tries = connect("redis://127.0.0.1:1/0"), list[Exception]()
    retry = client.connection_pool.connection_kwargs["retry"]
    with pytest.raises(NoConnection):
        retry.call_with_retry(lambda: (_ for _ in ()).throw(NoConnection()), tries.append)
    assert len(tries) == 1


def test_every_time_out_and_the_pools_limit_are_set() -> None:
    client = connect("redis://127.0.0.1:1/0")
    told = options(client)
    assert (told["socket_timeout"], told["socket_connect_timeout"]) == (2.0, 2.0)
    assert client.connection_pool.max_connections == 64


def test_a_client_that_waits_has_a_longer_time_out() -> None:
    told = options(connect("redis://127.0.0.1:1/0", timeout=35))
    assert (told["socket_timeout"], told["socket_connect_timeout"]) == (35, 2.0)


def test_a_socket_has_the_same_options() -> None:
    told = options(connect("unix:///nowhere/valkey.sock"))
    assert (told["path"], told["socket_timeout"]) == ("/nowhere/valkey.sock", 2.0)
    assert told["retry"].get_retries() == 0  # type: ignore[attr-defined]  # redis' own Retry


# The keys.


def test_keys_are_named_as_the_contract_names_them() -> None:
    assert [
        redis_keys.inbox_key(3),
        redis_keys.wake_key(3),
        redis_keys.done_key(3, "w1"),
        redis_keys.published_key(3),
        redis_keys.waiting_key(3),
    ] == [
        "firsthand:{p3}:inbox",
        "firsthand:{p3}:wake",
        "firsthand:{p3}:done:w1",
        "firsthand:{p3}:published",
        "firsthand:{p3}:waiting",
    ]


def test_publishing_touches_the_stream_and_the_flag_alone(box: Inbox) -> None:
    box.publish(3, [started])
    assert sorted(box.redis.keys()) == [b"firsthand:{p3}:inbox", b"firsthand:{p3}:wake"]
    assert 0 < box.redis.ttl("firsthand:{p3}:wake") <= 30


def test_what_rests_in_the_stream_is_sealed(box: Inbox) -> None:
    said = ada.states("I want to walk to the sea.")
    box.publish(3, [said])
    ((_, sealed),) = box.peek(3, 10).messages
    for secret in (b"walk", b"person:ada", said.id.encode(), b"aspiration"):
        assert secret not in sealed
    assert box.transit.decrypt(3, sealed, "event") == said.message()


# Publishing.


def test_events_stand_in_the_order_they_were_published(box: Inbox) -> None:
    said = [ada.states(name=str(number)) for number in range(20)]
    box.publish(0, said[:7])
    box.publish(0, said[7:])
    head, published = box.peek(0, 100)[:2]
    assert [box.transit.decrypt(0, sealed, "event") for _, sealed in head] == [
        each.message() for each in said
    ]
    assert published is None
    assert box.length(0) == 20


def test_the_bell_rings_once_until_a_drain_clears_the_flag(box: Inbox) -> None:
    rung: list[int] = []
    box = Inbox(box.redis, box.transit, ring=rung.append)
    for _ in range(3):
        box.publish(5, [started])
    assert rung == [5]
    box.clear_wake(5)
    box.publish(5, [started])
    assert rung == [5, 5]


def test_a_bell_that_fails_does_not_fail_the_publishing(box: Inbox) -> None:
    def fail(_partition: int) -> None:
        raise NoConnection

    Inbox(box.redis, box.transit, ring=fail).publish(0, [started])
    assert box.length(0) == 1


def test_settling_removes_exactly_what_was_recorded(box: Inbox) -> None:
    box.publish(0, [ada.states(name=str(number)) for number in range(5)])
    head = box.peek(0, 3).messages
    box.set_blocked_reason(0, "the store is away")
    box.acknowledge(0, [place for place, _ in head], [Reply("w1", b"receipt")], b"checkpoint")
    assert box.length(0) == 2
    assert box.peek(0, 1)[1] == b"checkpoint"
    assert box.redis.get("firsthand:{p0}:waiting") is None
    assert 0 < box.redis.ttl("firsthand:{p0}:done:w1") <= 60
    (sealed,) = box.redis.lrange("firsthand:{p0}:done:w1", 0, -1)
    assert isinstance(sealed, bytes)
    assert box.transit.decrypt(0, sealed, "receipt", "w1") == b"receipt"


def test_a_stranger_in_the_stream_is_read_as_it_is(box: Inbox) -> None:
    box.redis.xadd("firsthand:{p0}:inbox", {"x": "y"})
    assert [sealed for _, sealed in box.peek(0, 10)[0]] == [b"{b'x': b'y'}"]


def test_without_an_answer_the_fate_is_unknown() -> None:
    box = Inbox(connect("redis://127.0.0.1:1/0"), Transit([KEY]))
    with pytest.raises(Unavailable, match="did not answer") as caught:
        box.publish(0, [started])
    assert caught.value.headers == {"Retry-After": "1"}
    assert box.durability().level is None
    assert box.receipt(0, "w1", 1) is None


# How durable.

ALWAYS = {b"appendonly": b"yes", b"appendfsync": b"always"}


@pytest.mark.parametrize(
    ("config", "wanted", "has", "level"),
    [
        (ALWAYS, 0, 0, "fsync"),
        ({"appendonly": "yes", "appendfsync": "always"}, 0, 0, "fsync"),
        ({**ALWAYS, b"appenddirname": b"x"}, 1, 1, "fsync+replicas:1"),
        (ALWAYS, 1, 3, "fsync+replicas:1"),
        (ALWAYS, 2, 1, None),
        (ALWAYS | {b"appendfsync": b"everysec"}, 0, 0, None),
        (ALWAYS | {b"appendonly": b"no"}, 0, 0, None),
        ({}, 0, 0, None),
        ({b"appendonly": b"yes"}, 0, 0, None),
        (ResponseError("unknown command CONFIG"), 0, 0, None),
        (ALWAYS, 1, ResponseError("WAIT is not allowed"), None),
    ],
)
def test_the_level_is_judged_by_what_the_queue_says(
    config: object, wanted: int, has: object, level: str | None
) -> None:
    if isinstance(config, dict):
        config = config | {b"maxmemory-policy": b"noeviction"}
    told = evaluate_durability(config, wanted, has)
    assert told.level == level
    assert bool(told.why) == (level is None)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", ""])
def test_a_queue_that_may_evict_is_not_durable(policy: str) -> None:
    told = evaluate_durability(ALWAYS | {b"maxmemory-policy": policy.encode()}, 0, 0)
    assert told.level is None
    assert "evict" in told.why


def test_a_queue_that_does_not_fsync_is_not_durable() -> None:
    with fakeredis.FakeStrictRedis() as redis:
        told = Inbox(redis, Transit([KEY])).publish(0, [started])
    assert isinstance(told, Durability)
    assert told.level is None


# The transit keys.


def test_a_transit_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    Transit.make(tmp_path)
    path = tmp_path / "transit.jwks"
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = json.loads(path.read_text())["keys"]
    assert key["kid"] == Key(from_b64url(key["k"].encode())).kid
    transit = Transit.from_folder(tmp_path)
    assert transit.decrypt(0, transit.encrypt(0, b"words", "event"), "event") == b"words"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{}",
        "[]",
        "7",
        '{"keys":[]}',
        '{"keys":[{}]}',
        '{"keys":[{"k":"AAAA"}]}',
        '{"keys":[{"k":"not base64!"}]}',
        '{"keys":{"k":"AAAA"}}',
    ],
)
def test_a_folder_without_a_transit_key_stops_us(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "transit.jwks").write_text(content)
    with pytest.raises(SettingsError, match="firsthand init"):
        Transit.from_folder(tmp_path)


@pytest.mark.parametrize("k", ["7", "null", "[]"])
def test_a_transit_key_that_is_no_text_stops_us(tmp_path: Path, k: str) -> None:
    (tmp_path / "transit.jwks").write_text(f'{{"keys":[{{"k":{k}}}]}}')
    with pytest.raises(SettingsError):
        Transit.from_folder(tmp_path)
