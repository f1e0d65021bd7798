"""Nothing that is logged holds a word of anybody's, a body, a token or a query: at debug level, in
every process, on every route, and when things fail.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from services.ledger.config import LedgerSettings
from services.ledger.store import database
from shared.inbox.redis_keys import inbox_key
from shared.inbox.servers import connect
from tests.contract.ledgers import Ledger
from tests.contract.workers import ROOT
from tests.e2e.running import MEDIA_TYPE, Up, event
from tests.given import ada
from tests.integration.broken import WORDS
from tests.postgres import sqlite_database
from tests.process import wait_until
from tests.servers import RedisLikeServer

pytestmark = pytest.mark.xdist_group("logs")
ADA, SAM = "person:ada", "partner:sam"
MARK = "Marzipan"
STARTED = {"name_to_use": f"{MARK} Ada", "language": "en"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything, running, and as talkative as it can be."""
    with Up(tmp_path_factory.mktemp("up"), FIRSTHAND_LOG_LEVEL="debug") as up:
        yield up


def lines(up: Up, what: str) -> list[dict[str, object]]:
    """The lines of one sort, whole."""
    told = [each for each in up.errors.splitlines() if each.startswith("{") and each.endswith("}")]
    return [line for each in told if (line := json.loads(each))["event"] == what]


def bodies() -> Iterator[tuple[bytes, str]]:
    """What may be posted, badly: bytes and media type."""
    good = event("aspiration.stated", {"words": MARK}, ADA)
    for wrong in (
        good | {"type": MARK},
        good | {"id": MARK},
        good | {MARK.lower(): MARK},
        good | {"data": {MARK: MARK}},
        good | {"data": MARK},
        good | {"traceparent": MARK},
        event("plan.started", {"name_to_use": MARK, "language": MARK}, ADA),
    ):
        yield json.dumps(wrong).encode(), MEDIA_TYPE
    yield b'{"%b": "%b' % (MARK.encode(), MARK.encode()), MEDIA_TYPE
    yield b'{"%b": 1, "%b": 2}' % (MARK.encode(), MARK.encode()), MEDIA_TYPE
    yield MARK.encode() + b"\xff", MEDIA_TYPE
    yield MARK.encode() * 20_000, MEDIA_TYPE
    yield json.dumps(good).encode(), f"text/{MARK}"


def ask_everything(up: Up) -> None:
    """Each route of both services, with marked words wherever words can stand."""
    said = up.say(ADA, "plan.started", STARTED, ADA)
    up.say(ADA, "aspiration.stated", {"id": "sea", "words": f"{MARK} by the sea."}, ADA)
    up.post(SAM, event("aspiration.stated", {"words": MARK}, ADA))
    up.post(ADA, said)
    for body, media_type in bodies():
        headers = {**up.bearer(ADA), "Content-Type": media_type, "Prefer": f"wait={MARK}"}
        up.client.post(f"{up.intake}/events", content=body, headers=headers)
    for base in (up.intake, up.ledger):
        for path in ("livez", "readyz", "metrics", "problems/refused", f"problems/{MARK}", MARK):
            up.client.get(f"{base}/{path}?q={MARK}", headers={"Authorization": f"Bearer {MARK}"})
            up.client.request(MARK.upper(), f"{base}/{path}")
    for path in ("event-types", "event-types/plan.started", f"event-types/{MARK}"):
        up.client.get(f"{up.intake}/{path}?q={MARK}")
    for path in ("plan", "history", f"events/{said['id']}", f"events/{MARK}"):
        for query in ("", f"?version={MARK}", f"?cursor={MARK}", f"?as-of={MARK}", f"?{MARK}=1"):
            up.get(ADA, path + query, ADA)
            up.get(SAM, path + query, f"person:{MARK}")


def words_in(said: str) -> list[str]:
    """The lines that hold the mark."""
    return [each for each in said.splitlines() if MARK.lower() in each.lower()]


def test_no_word_is_logged_on_any_route_or_in_a_batch(up: Up) -> None:
    ask_everything(up)
    requests, batches = lines(up, "request"), lines(up, "batch")
    assert len(requests) > 60
    assert {each["service"] for each in requests} == {"intake", "ledger"}
    assert sum(int(str(each["messages"])) for each in batches) >= 4
    assert words_in(up.errors) == []
    token = up.bearer(ADA)["Authorization"].split(".")[1]
    assert token not in up.errors


def test_no_word_is_logged_of_a_message_that_does_not_open(up: Up) -> None:
    settings = LedgerSettings.load(data=up.data)
    with connect(settings.queue_url) as queue:
        queue.xadd(inbox_key(0), {MARK: MARK, "e": MARK})
    wait_until(lambda: bool(lines(up, "message_unreadable")), "the line")
    assert words_in(up.errors) == []


def test_a_trace_is_named_on_the_way_but_does_not_change_the_event(up: Up) -> None:
    ann = "person:ann"
    told = event("plan.started", STARTED, ann)
    headers = {**up.bearer(ann), "Content-Type": MEDIA_TYPE, "traceparent": TRACEPARENT}
    answer = up.client.post(f"{up.intake}/events", json=told, headers=headers)
    assert answer.status_code == 202
    wait_until(lambda: any("traces" in each for each in lines(up, "batch")), "the batch")
    (batch,) = (each for each in lines(up, "batch") if "traces" in each)
    (request,) = (each for each in lines(up, "request") if "trace" in each)
    assert (batch["traces"], request["trace"]) == ([TRACE], TRACE)
    receipt = up.get(ann, f"events/{told['id']}", ann)
    assert TRACE not in receipt.text


def test_no_word_is_logged_when_the_store_fails(tmp_path: Path) -> None:
    """The last one, since it leaves no store behind."""
    with Up(tmp_path, FIRSTHAND_LOG_LEVEL="debug") as up:
        up.say(ADA, "plan.started", STARTED, ADA)
        owner = database.connect(
            LedgerSettings.load(data=up.data).store_url, write=True, owner=True
        )
        with owner.begin() as connection:
            connection.execute(text("ALTER TABLE people RENAME TO elsewhere"))
            connection.execute(text("ALTER TABLE snapshots RENAME TO nowhere"))
        owner.dispose()
        said = event("aspiration.stated", {"words": MARK}, ADA)
        assert up.post(ADA, said, wait=1).status_code == 202
        assert up.get(ADA, "plan?version=1", ADA).status_code == 503
        wait_until(lambda: bool(lines(up, "partition_blocked")), "the fault")
        assert "no such table: people" in str(lines(up, "partition_blocked")[0]["why"])
        assert words_in(up.errors) == []


@pytest.mark.parametrize("service", ["intake", "ledger", "worker"])
def test_a_fault_that_quotes_words_is_told_without_them(
    service: str, tmp_path: Path, valkey: RedisLikeServer
) -> None:
    with sqlite_database(tmp_path) as store:
        ledger = Ledger(tmp_path, store, valkey.url)
        ledger.post(ada.starts(WORDS))
        if service == "ledger":
            ledger.drain()
        ledger.close()
        told = {**os.environ, **ledger.environment, "FIRSTHAND_LOG_LEVEL": "debug"}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.integration.broken", service],
            cwd=ROOT,
            env=told,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            if service == "worker":
                wait_until(lambda: ledger.waiting() == 0, "the verdict", 15)
                process.terminate()
            assert process.stderr is not None
            said = process.stderr.read()
        assert process.returncode == 0, said
        ledger.close()
    assert "tests/integration/broken.py" in said
    assert "KeyError" in said
    assert words_in(said) == []
