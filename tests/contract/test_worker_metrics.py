"""What a worker tells of its batches: figures for Prometheus, and one line each."""

import json
import urllib.request
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.ledger.writer.metrics import STAGES, TRACES
from shared.inbox.redis_keys import inbox_key, waiting_key
from tests.contract.ledgers import Ledger
from tests.contract.workers import Worker, until_drained
from tests.given import ada, sam
from tests.ports import free_port
from tests.process import PATIENCE, wait_until

TOLD = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(20))]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Where the worker of this test serves its figures."""
    port = free_port()
    monkeypatch.setenv("FIRSTHAND_METRICS_PORT", str(port))
    return port


def figures(port: int) -> dict[tuple[str, str], float]:
    """Samples by name and value of their one label."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (each.name, next(iter(each.labels.values()), "")): each.value
        for family in families
        for each in family.samples
    }


def batches(worker: Worker) -> list[dict[str, Any]]:
    """The lines of its batches that had messages."""
    lines = [json.loads(each) for each in worker.said().splitlines() if each.startswith("{")]
    return [each for each in lines if each["event"] == "batch" and each["messages"]]


def test_what_was_recorded_is_counted_once_and_told_in_one_line(
    on_valkey: Ledger, port: int
) -> None:
    refused = sam.writes("Food", "Meat")
    on_valkey.post(*TOLD, TOLD[3], refused)
    on_valkey.inbox().redis.xadd(inbox_key(0), {"e": b"not ours"})
    with Worker(on_valkey) as worker:
        until_drained(on_valkey, PATIENCE)
        wait_until(lambda: bool(batches(worker)), "the line")
        told, (line,) = figures(port), batches(worker)
    assert told["firsthand_entries_total", "accepted"] == len(TOLD)
    assert told["firsthand_entries_total", "refused"] == 1
    assert told["firsthand_refusals_total", "not-yours-to-say"] == 1
    assert told["firsthand_refusals_total", "our-fault"] == 0
    assert told["firsthand_repeated_events_total", ""] == 1
    assert told["firsthand_cached_plans", ""] == 1
    assert told["firsthand_batch_messages_sum", ""] == len(TOLD) + 3
    for stage in STAGES:
        assert told["firsthand_batch_stage_duration_seconds_count", stage] >= 1
    assert line["verdicts"] == {"accepted": len(TOLD), "not-yours-to-say": 1}
    assert (line["messages"], line["size"]) == (len(TOLD) + 3, len(TOLD) + 1)
    assert (line["repeats"], line["unreadable"]) == (1, 1)
    assert list(line["stages"]) == list(STAGES)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_batch_names_the_traces_that_it_came_from(on_valkey: Ledger) -> None:
    traces = [f"{number:032x}" for number in range(1, TRACES + 4)]
    with_trace = [
        each._replace(traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        for each, trace in zip(TOLD[1:], traces, strict=False)
    ]
    on_valkey.post(TOLD[0], *with_trace)
    with Worker(on_valkey) as worker:
        until_drained(on_valkey, PATIENCE)
        wait_until(lambda: bool(batches(worker)), "the line")
        (line,) = batches(worker)
    assert (line["traces"], line["more_traces"]) == (traces[:TRACES], 3)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_drain_that_fails_is_counted(on_valkey: Ledger, port: int) -> None:
    redis = on_valkey.inbox().redis
    redis.set(inbox_key(0), "garbage")
    with Worker(on_valkey) as worker:
        wait_until(lambda: bool(redis.exists(waiting_key(0))), "the reason")
        assert figures(port)["firsthand_drain_failures_total", ""] >= 1
        assert "WRONGTYPE" in worker.said()
