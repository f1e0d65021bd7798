"""Somebody who may write to Redis plants jobs: a real worker runs none of them, and works on."""

import base64
import json
import os
import pickle
import zlib
from pathlib import Path

import pytest
from redis import Redis

from tests.contract.ledgers import Ledger
from tests.contract.test_worker import SWEPT, TOLD, in_order, ringing
from tests.contract.workers import Worker, until_drained
from tests.process import wait_until

QUEUE = "{firsthand}:rq:queue:drain"


class Exploit:
    """What pickle does when it opens this."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self.command,)


def plant(redis: "Redis", name: str, data: bytes, **more: str) -> None:
    """A job as RQ stores it."""
    key = f"{{firsthand}}:rq:job:{name}"
    redis.hset(key, "data", data)
    for field, value in {"status": "queued", "origin": "drain", **more}.items():
        redis.hset(key, field, value)
    redis.sadd("{firsthand}:rq:queues", QUEUE)
    redis.rpush(QUEUE, name)


def packed(*data: object) -> bytes:
    return zlib.compress(json.dumps(data).encode())


def test_no_planted_job_leaves_a_trace(on_valkey: Ledger, tmp_path: Path) -> None:
    trace, log = tmp_path / "trace", tmp_path / "module"
    touch = f"touch {trace}"
    evil = log / "evil_module.py"
    log.mkdir()
    evil.write_text(f"import os\nos.system({touch!r})\ndef call(*_): os.system({touch!r})\n")
    exploit = pickle.dumps(Exploit(touch))
    jobs: dict[str, bytes] = {
        "system": packed("os.system", None, [touch], {}),
        "pickled": zlib.compress(exploit),
        "bare pickle": exploit,
        "instance": packed("system", "os", [touch], {}),
        "pickled instance": packed("drain", base64.b64encode(exploit).decode(), [0], {}),
        "keyword": packed("services.ledger.writer.worker.drain", None, [], {"partition": touch}),
        "eval": packed("builtins.eval", None, [f"__import__('os').system({touch!r})"], {}),
        "module": packed("evil_module.call", None, [0], {}),
        "text": packed("services.ledger.writer.worker.drain", None, [touch], {}),
        "negative": packed("services.ledger.writer.worker.drain", None, [-1], {}),
        "nothing": packed("services.ledger.writer.worker.drain", None, [], {}),
        "not json": b"\xff\x00\xff",
        "empty": b"",
    }
    redis = on_valkey.inbox().redis
    worker = Worker(on_valkey, "--no-sweeper")
    with worker:
        for name, data in jobs.items():
            plant(redis, name, data)
        for moment in ("success", "failure", "stopped"):
            plant(
                redis,
                f"callback at {moment}",
                packed(
                    "services.ledger.writer.worker.drain",
                    None,
                    [0 if moment == "success" else "x"],
                    {},
                ),
                **{f"{moment}_callback_name": "evil_module.call"},
            )
        plant(redis, "elsewhere", packed("services.ledger.writer.worker.drain", None, [10**9], {}))
        wait_until(lambda: redis.llen(QUEUE) == 0, "the planted jobs to be taken")
        ringing(on_valkey).publish(0, TOLD)
        until_drained(on_valkey, SWEPT)
        assert worker.lives
        assert not trace.exists()
    in_order(on_valkey, TOLD)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_unheard_of_job_does_not_stop_the_bell(on_valkey: Ledger) -> None:
    """An id in the queue whose job is gone."""
    redis = on_valkey.inbox().redis
    with Worker(on_valkey, "--no-sweeper") as worker:
        redis.rpush(QUEUE, "gone", "gone", "also gone")
        ringing(on_valkey).publish(0, TOLD)
        until_drained(on_valkey, SWEPT)
        assert worker.lives
    in_order(on_valkey, TOLD)
