"""The doorbell rings one thing only, whatever was planted in the queue."""

import json
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import fakeredis
import pytest

from shared.inbox import doorbell
from shared.inbox.doorbell import ALLOWED, DRAIN, DrainJob, JSONSerializer, bell, ring

if TYPE_CHECKING:
    from rq import Queue  # at run time only the doorbell imports rq: it sets the keys' prefix

NAME = "planted"


@pytest.fixture
def queue() -> "Iterator[Queue]":
    """A bell that hangs on nothing."""
    with fakeredis.FakeStrictRedis() as connection:
        yield bell(connection)


def plant(queue: "Queue", data: object, **more: str) -> DrainJob:
    """Write a job as somebody with write access to Redis would, and fetch it as a worker does."""
    raw = data if isinstance(data, bytes) else zlib.compress(json.dumps(data).encode())
    key = DrainJob.key_for(NAME)
    queue.connection.hset(key, "data", raw)
    for name, value in {"status": "queued", "origin": queue.name, **more}.items():
        queue.connection.hset(key, name, value)
    queue.connection.rpush(queue.key, NAME)
    job = queue.fetch_job(NAME)
    assert isinstance(job, DrainJob)
    return job


def test_a_ring_is_one_job_that_drains_one_partition(queue: "Queue") -> None:
    ring(queue, 3)
    (job,) = queue.jobs
    assert isinstance(job, DrainJob)
    assert (job.func_name, list(job.args), job.kwargs) == (DRAIN, [3], {})


def test_a_ring_leaves_nothing_behind_and_no_alarm_running(queue: "Queue") -> None:
    ring(queue, 3)
    (job,) = queue.jobs
    assert (job.timeout, job.result_ttl, job.failure_ttl) == (-1, 0, 60)
    assert job.webhooks == []
    assert not job.retries_left


def test_every_ring_has_an_id_of_its_own(queue: "Queue") -> None:
    for _ in range(20):
        ring(queue, 3)
    assert len(set(queue.job_ids)) == 20


def test_all_keys_of_the_bell_stand_in_one_slot(queue: "Queue") -> None:
    ring(queue, 3)
    keys = list(queue.connection.scan_iter())
    assert keys
    assert all(key.startswith(b"{firsthand}:rq") for key in keys)


def test_the_bell_speaks_json(queue: "Queue") -> None:
    assert queue.serializer is JSONSerializer
    assert queue.job_class is DrainJob
    ring(queue, 3)
    (job,) = queue.jobs
    raw = queue.connection.hget(job.key, "data")
    assert isinstance(raw, bytes)
    assert json.loads(zlib.decompress(raw)) == [DRAIN, None, [3], {}]


def test_one_function_is_allowed() -> None:
    assert {doorbell.DRAIN, doorbell.SWITCH} == ALLOWED


@pytest.mark.parametrize(
    "data",
    [
        ["os.system", None, ["touch /tmp/planted"], {}],
        ["subprocess.call", None, [["true"]], {}],
        ["builtins.eval", None, ["1"], {}],
        ["drain", None, [0], {}],
        [DRAIN + " ", None, [0], {}],
        ["services.ledger.writer.worker.os.system", None, [0], {}],
        ["__class__", "a text", [0], {}],
        [DRAIN, "an instance", [0], {}],
        [DRAIN, {}, [0], {}],
        [DRAIN, [], [0], {}],
        [DRAIN, 0, [0], {}],
        [DRAIN, None, [], {}],
        [DRAIN, None, [0, 1], {}],
        [DRAIN, None, ["0"], {}],
        [DRAIN, None, [0.0], {}],
        [DRAIN, None, [None], {}],
        [DRAIN, None, [[0]], {}],
        [DRAIN, None, "0", {}],
        [DRAIN, None, [0], {"partition": 1}],
        [DRAIN, None, [], {"partition": 1}],
        [None, None, [0], {}],
    ],
    ids=str,
)
def test_no_other_job_runs(queue: "Queue", data: list[object]) -> None:
    with pytest.raises(ValueError, match="drain"):
        _ = plant(queue, data).func


STRANGE = [
    [["a"], None, [0], {}],
    [{}, None, [0], {}],
    [DRAIN, None, 0, {}],
    [DRAIN, None, {"0": 0}, {}],
]


@pytest.mark.parametrize("data", STRANGE)
def test_no_job_of_a_strange_shape_runs(queue: "Queue", data: list[object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        _ = plant(queue, data).func


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch /tmp/planted'\ntR.",
        zlib.compress(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."),
        zlib.compress(b"not json"),
        b"",
        b"\xff",
        zlib.compress(b"[]"),
        zlib.compress(b"7"),
    ],
)
def test_no_pickle_is_opened(queue: "Queue", data: bytes) -> None:
    with pytest.raises(Exception, match=r".*") as caught:
        _ = plant(queue, data).func
    assert type(caught.value).__name__ in ("DeserializationError", "ValueError")


@pytest.mark.parametrize("partition", [True, False, -1])
def test_a_partition_is_a_number_from_zero_up(queue: "Queue", partition: object) -> None:
    with pytest.raises(ValueError, match="partition"):
        _ = plant(queue, [DRAIN, None, [partition], {}]).func


GOOD: list[object] = [DRAIN, None, [0], {}]


def called_back(job: DrainJob) -> object:
    """What RQ would call after the job."""
    return job.success_callback or job.failure_callback or job.stopped_callback


@pytest.mark.parametrize("when", ["success", "failure", "stopped"])
def test_no_planted_callback_is_even_imported(queue: "Queue", when: str) -> None:
    job = plant(queue, GOOD, **{f"{when}_callback_name": "os.system"})
    try:
        assert called_back(job) is None
    except ValueError as refused:
        assert "drain" in str(refused)  # noqa: PT017 - a refusal is as good as none to call


def test_no_planted_webhook_is_sent(queue: "Queue") -> None:
    hook = {"url": "http://169.254.169.254/latest", "job_status": "finished"}
    assert plant(queue, GOOD, webhooks=json.dumps([hook])).webhooks == []
