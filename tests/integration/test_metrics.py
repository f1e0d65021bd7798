"""What Prometheus reads: true figures, and nobody's words or ids among them."""

import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from services.intake.app import create_app as create_intake
from services.ledger.api.app import create_app as create_ledger
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.writer.metrics import BatchMetrics, serve
from shared.auth.tokens import Callers
from shared.errors import PreconditionFailed
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import inbox_key
from tests.integration.together import ADA, EVE, SAM, SEA, STARTED, Door, Together, event
from tests.ports import free_port
from tests.servers import RedisLikeServer

Figures = dict[str, float]


def figures(text: str) -> Figures:
    """Samples by name and labels, as they are written: `name{label="value"}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            labels = ",".join(f'{name}="{told}"' for name, told in sorted(each.labels.items()))
            found[f"{each.name}{{{labels}}}" if labels else each.name] = each.value
    return found


def of(door: Door) -> Figures:
    """What intake shows."""
    answer = door.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return figures(answer.text)


def test_requests_are_counted_by_route_and_status(real_door: Door) -> None:
    real_door.post(event("plan.started", STARTED))
    real_door.post(event("plan.started", STARTED))
    real_door.post({"no": "event"})
    real_door.client.get("/nowhere/at/all?words=Sea")
    real_door.client.open("/events", method="SEA")
    told, name = of(real_door), "firsthand_http_request_duration_seconds"
    assert told[f'{name}_count{{route="/events",status="202"}}'] == 2
    assert told[f'{name}_count{{route="/events",status="422"}}'] == 1
    assert told[f'{name}_count{{route="none",status="404"}}'] == 1
    assert told[f'{name}_count{{route="none",status="405"}}'] == 1
    assert 0 < told[f'{name}_sum{{route="/events",status="202"}}'] < 60


def test_what_waits_is_told_by_partition(real_door: Door) -> None:
    nothing = of(real_door)
    assert nothing['firsthand_inbox_messages{partition="0"}'] == 0
    assert nothing['firsthand_inbox_oldest_seconds{partition="0"}'] == 0
    seconds, _ = real_door.inbox.redis.time()
    real_door.inbox.redis.xadd(inbox_key(0), {"e": b"x"}, id=f"{(seconds - 90) * 1000}-0")
    real_door.post(event("plan.started", STARTED))
    real_door.inbox.set_blocked_reason(0, "the database is away")
    told = of(real_door)
    assert told['firsthand_inbox_messages{partition="0"}'] == 2
    assert 89 <= told['firsthand_inbox_oldest_seconds{partition="0"}'] < 150
    assert told['firsthand_partition_blocked{partition="0"}'] == 1
    assert told['firsthand_published_events_total{partition="0"}'] == 1


def test_durability_is_asked_anew_each_time(real_door: Door) -> None:
    assert of(real_door)['firsthand_queue_durability{level="fsync"}'] == 1
    real_door.inbox.redis.config_set("appendfsync", "everysec")
    assert of(real_door)['firsthand_queue_durability{level="fsync"}'] == 0


def test_a_queue_that_is_away_is_told_as_away(real_door: Door, valkey: RedisLikeServer) -> None:
    valkey.kill()
    told = of(real_door)
    assert told["firsthand_queue_up"] == 0
    assert told['firsthand_queue_durability{level="fsync"}'] == 0
    assert not [name for name in told if name.startswith("firsthand_inbox")]
    valkey.start()
    assert of(real_door)["firsthand_queue_up"] == 1


def test_the_ledger_tells_the_size_of_its_logs_and_what_did_not_open(house: Together) -> None:
    house.post(ADA, "plan.started", STARTED)
    house.door.inbox.redis.xadd(inbox_key(0), {"e": b"not ours"})
    house.drain()
    told = figures(house.ledger.get("/metrics").text)
    assert told["firsthand_store_up"] == 1
    assert told['firsthand_log_entries{log="0"}'] == 1
    assert told["firsthand_unreadable_messages"] == 1


def test_a_store_that_is_away_is_told_as_away(small_house: Together) -> None:
    opened, vault = open_store(small_house.settings, write=False)
    watermark = PublishedView(opened, PublishedCheckpoints(small_house.door.inbox.redis), [])
    client = create_ledger(opened, vault, Callers({}, ""), {}, watermark).test_client()
    assert figures(client.get("/metrics").text)["firsthand_store_up"] == 1
    opened.dispose()
    (small_house.settings.data.parent / "ledger.db").rename(small_house.settings.data / "away")
    told = figures(client.get("/metrics").text)
    opened.dispose()
    assert told["firsthand_store_up"] == 0
    assert "firsthand_unreadable_messages" not in told


def test_no_label_holds_anything_of_a_person(small_house: Together) -> None:
    said = small_house.post(ADA, "plan.started", STARTED)
    small_house.door.post(event("aspiration.stated", SEA), SAM)
    small_house.get(ADA, f"events/{said['id']}?words=Sea")
    small_house.get(EVE, "plan")
    small_house.ledger.get(f"/people/{ADA}/nothing/{said['id']}")
    for client in (small_house.door.client, small_house.ledger):
        text = client.get("/metrics").text
        assert [each for each in (ADA, SAM, EVE, said["id"], "Sea") if each in text] == []


def test_a_registry_can_be_shared_with_others(door: Door) -> None:
    registry = CollectorRegistry()
    create_intake(Callers({}, ""), door.inbox, registry=registry)
    assert registry.get_sample_value("firsthand_queue_up") == 1


def test_the_workers_port_is_its_own_or_none() -> None:
    registry, port = CollectorRegistry(), free_port()
    BatchMetrics(registry)
    serve(registry, "127.0.0.1", 0, str)
    serve(registry, "127.0.0.1", port, str)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"firsthand_batch_messages_count 0.0" in answer.read()
    with pytest.raises(
        PreconditionFailed, match=f"{port}.*; set FIRSTHAND_METRICS_PORT to another"
    ):
        serve(registry, "127.0.0.1", port, str)
