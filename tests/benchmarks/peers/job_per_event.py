"""The peer: one RQ job for every event, as a plain Flask service would do it.

    gunicorn job_per_event:app          the route: one job enqueued for each POST, then 202
    python job_per_event.py fill        a job for each line of standard input
    python job_per_event.py work        a SimpleWorker: each job commits one row, until none is left

PEER_REDIS_URL says where the queue is, PEER_DATABASE where the rows go: a file for SQLite, a
connection string for PostgreSQL. Both sides are as durable as ours: Valkey syncs every write,
SQLite runs with synchronous=FULL, PostgreSQL with synchronous_commit=on.
"""

import contextlib
import functools
import json
import os
import sqlite3
import sys
from typing import Any

import psycopg
from flask import Flask, request
from flask.typing import ResponseReturnValue
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

TABLE = "CREATE TABLE IF NOT EXISTS entry (id TEXT PRIMARY KEY, subject TEXT, event TEXT)"

app = Flask(__name__)


@functools.cache
def queue() -> Queue:
    """Return one queue, with one pool of connections for the process."""
    connection = Redis.from_url(os.environ["PEER_REDIS_URL"])
    return Queue("events", connection=connection, serializer=JSONSerializer)


def enqueue(event: dict[str, Any]) -> None:
    """Enqueue one job for one event; its result is not stored."""
    queue().enqueue_call("job_per_event.record", args=(event,), result_ttl=0)


@app.post("/events")
def post() -> ResponseReturnValue:
    """Read, enqueue, answer."""
    event = request.get_json(force=True)
    enqueue(event)
    return {"id": event["id"]}, 202


@functools.cache
def database() -> "sqlite3.Connection | psycopg.Connection":
    """Return one connection for the life of the worker; every statement commits."""
    url = os.environ["PEER_DATABASE"]
    if url.startswith("postgresql:"):
        connection = psycopg.connect(url, autocommit=True)
        connection.execute(TABLE)
        return connection
    file = sqlite3.connect(url, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    file.execute(TABLE)
    return file


def record(event: dict[str, Any]) -> None:
    """Store one row in one commit."""
    connection = database()
    row = (event["id"], event["subject"], json.dumps(event))
    if isinstance(connection, sqlite3.Connection):
        connection.execute("INSERT INTO entry VALUES (?, ?, ?)", row)
    else:
        connection.execute("INSERT INTO entry VALUES (%s, %s, %s)", row)


def main() -> None:
    """Run `fill` or `work`."""
    if sys.argv[1] == "fill":
        for line in sys.stdin:
            enqueue(json.loads(line))
    else:
        connection = queue().connection
        worker = SimpleWorker([queue()], connection=connection, serializer=JSONSerializer)
        worker.work(burst=True, logging_level="WARNING")
        with contextlib.closing(database()):
            pass


if __name__ == "__main__":
    main()
