"""The peers, started and measured: a bare echo, and one RQ job for every event.

`python` is that of the peers' environment, which `processes.peer_python` makes.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence

import redis

from tests.benchmarks.processes import (
    LOAD_CORE,
    PEERS,
    Service,
    drain_rate,
    on_core,
)
from tests.ports import free_port
from tests.process import wait_until

# The same server as ours, with the WSGI interface that is usual for a Flask application.
GRANIAN = ("--interface", "wsgi", "--workers", "1", "--no-ws", "--log-level", "warning")
THREADS = 8  # of gunicorn; more were no faster on one core
QUEUE = "rq:queue:events"


@contextlib.contextmanager
def echo(threads: int) -> Iterator[Service]:
    """Start the bare echo, on the same server with the same options as ours."""
    port = free_port()
    words = [sys.executable, "-m", "granian", *GRANIAN, "--blocking-threads", str(threads)]
    words += ["--host", "127.0.0.1", "--port", str(port), "echo:app"]
    variables = {"PYTHONPATH": str(PEERS)}
    with Service("echo", words, port=port, variables=variables) as service:
        yield service


@contextlib.contextmanager
def job_route(python: str, redis_url: str) -> Iterator[Service]:
    """Start the route that enqueues one job for each POST, on gunicorn with threads."""
    port = free_port()
    words = [python, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1"]
    words += ["--threads", str(THREADS), "--log-level", "warning", "--keep-alive", "60"]
    words += ["--bind", f"127.0.0.1:{port}", "job_per_event:app"]
    variables = {"PYTHONPATH": str(PEERS), "PEER_REDIS_URL": redis_url}
    with Service("job-route", words, port=port, variables=variables) as service:
        yield service


def job_per_event_rate(
    python: str, redis_url: str, database: str, events: Sequence[bytes]
) -> float:
    """Return jobs a second of one SimpleWorker, each job committing one row.

    `database` is a file for SQLite, a connection string for PostgreSQL.
    """
    variables = {
        "PYTHONPATH": str(PEERS),
        "PEER_REDIS_URL": redis_url,
        "PEER_DATABASE": database,
    }
    program = [python, str(PEERS / "job_per_event.py")]
    with on_core(LOAD_CORE):
        subprocess.run([*program, "fill"], input=b"\n".join(events), env=variables, check=True)
    with redis.Redis.from_url(redis_url) as client:
        worker = Service("job-worker", [*program, "work"], variables=variables)
        with worker, on_core(LOAD_CORE):
            rate = drain_rate(lambda: client.llen(QUEUE), lambda: worker.pid is not None)
            wait_until(lambda: worker.pid is None, "the last job to end")
            return rate
