"""Fixtures for every test: real servers, a fresh database, an empty queue.

A test that uses `database` or `inbox_url` runs once on each server that this machine has.
Servers start once per test process, on first use; see `servers.py` and `postgres.py`.
"""

import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TypeVar

import fakeredis
import pytest

from shared.process import sent_again
from tests import launch, matrix, postgres, process, servers

QUEUES = [
    server.name
    for server in (servers.ValkeyServer, servers.RedisServer)
    if server.find() is not None
] or ["valkey"]
AnyServer = TypeVar("AnyServer", bound=servers.RedisLikeServer)
DATABASES = ["sqlite", *(["postgresql"] if postgres.find_postgres() else [])]


def pytest_configure(config: pytest.Config) -> None:
    """Handle SIGTERM, remove what killed runs left, and start counting."""

    def stop(number: int, frame: FrameType | None) -> None:
        """End as Ctrl-C does, once: fixtures are torn down, servers and xdist workers stop."""
        if sent_again(number, frame):
            return
        signal.signal(number, signal.SIG_IGN)
        if config.pluginmanager.hasplugin("dsession"):
            for worker in process.children_of(os.getpid()):
                os.kill(worker, number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    _forget_the_shell()
    if not hasattr(config, "workerinput"):
        process.sweep_abandoned_folders()
        config.pluginmanager.register(matrix.Matrix(), "firsthand-matrix")
    elif sys.platform == "linux":
        launch.die_with(os.getppid(), signal.SIGTERM)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop if xdist no longer groups tests: shared objects would be created twice."""
    if hasattr(session.config, "workerinput") and session.config.getoption("loadgroup"):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError(f"pytest-xdist does not group {item.nodeid}")


def _forget_the_shell() -> None:
    """Drop the shell's Firsthand settings, and bypass proxies for this machine."""
    for name in [key for key in os.environ if key.startswith("FIRSTHAND_")]:
        if not name.startswith("FIRSTHAND_CHAOS"):
            del os.environ[name]
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = "127.0.0.1,localhost"


def _serve(kind: type[AnyServer]) -> Iterator[AnyServer]:
    if kind.find() is None:
        pytest.skip(f"{kind.name} is not on this machine: {kind.where()}")
    with kind() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_process() -> Iterator[servers.ValkeyServer]:
    """Start Valkey for the whole session; a test uses `valkey`, which is empty."""
    yield from _serve(servers.ValkeyServer)


@pytest.fixture(scope="session")
def redis_process() -> Iterator[servers.RedisServer]:
    """Start Redis for the whole session; a test uses `redis_server`, which is empty."""
    yield from _serve(servers.RedisServer)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """Start one cluster for the session; a test uses `database`, which is not shared."""
    if postgres.find_postgres() is None:
        pytest.skip(f"PostgreSQL is not on this machine: {postgres.where_postgres_is_sought()}")
    with postgres.PostgresServer() as server:
        yield server


def _clean(
    server: servers.RedisLikeServer, request: pytest.FixtureRequest
) -> servers.RedisLikeServer:
    server.reset()
    matrix.note(request, matrix.QUEUE, server.name, server.version)
    return server


@pytest.fixture
def valkey(
    valkey_process: servers.ValkeyServer, request: pytest.FixtureRequest
) -> servers.RedisLikeServer:
    """Return an empty Valkey that the test may kill and restart."""
    return _clean(valkey_process, request)


@pytest.fixture
def redis_server(
    redis_process: servers.RedisServer, request: pytest.FixtureRequest
) -> servers.RedisLikeServer:
    """Return an empty Redis that the test may kill and restart."""
    return _clean(redis_process, request)


@pytest.fixture(params=QUEUES)
def inbox_server(request: pytest.FixtureRequest) -> servers.RedisLikeServer:
    """Return an empty queue server, once for each kind that this machine has."""
    server: servers.RedisLikeServer = request.getfixturevalue(f"{request.param}_process")
    return _clean(server, request)


@pytest.fixture
def valkey_url(valkey: servers.RedisLikeServer) -> str:
    """Return the URL of an empty Valkey."""
    return valkey.url


@pytest.fixture
def redis_url(redis_server: servers.RedisLikeServer) -> str:
    """Return the URL of an empty Redis."""
    return redis_server.url


@pytest.fixture
def inbox_url(inbox_server: servers.RedisLikeServer) -> str:
    """Return the URL of an empty queue server, once for each kind that this machine has."""
    return inbox_server.url


@pytest.fixture
def fake_redis(request: pytest.FixtureRequest) -> fakeredis.FakeStrictRedis:
    """Return a fake Redis for this test only, with scripts. Quick, but proves nothing."""
    matrix.note(request, matrix.QUEUE, "fakeredis", importlib.metadata.version("fakeredis"))
    return fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[postgres.Database]:
    """Create a fresh database, once on each store: `owner_url`, `app_url`, `app_role`, `kind`."""
    if request.param == "sqlite":
        opened = postgres.sqlite_database(tmp_path)
    else:
        opened = request.getfixturevalue("postgres_server").database()
    with opened as fresh:
        matrix.note(request, matrix.STORE, fresh.kind, fresh.version)
        yield fresh


@pytest.fixture
def owner_url(database: postgres.Database) -> str:
    """Return the URL of the database's owner, who may create tables and roles."""
    return database.owner_url


@pytest.fixture
def app_url(database: postgres.Database) -> str:
    """Return the application's URL; on PostgreSQL, the test creates the role."""
    return database.app_url


@pytest.fixture
def database_url(database: postgres.Database) -> str:
    """Return the owner's URL, for tests where only one role matters."""
    return database.owner_url


@pytest.fixture
def in_matrix(request: pytest.FixtureRequest) -> Callable[..., None]:
    """For tests that start their own servers: `in_matrix(store="sqlite", queue="valkey")`."""

    def say(*, store: str | None = None, queue: str | None = None, version: str = "") -> None:
        for what, name in ((matrix.STORE, store), (matrix.QUEUE, queue)):
            if name is not None:
                matrix.note(request, what, name, version)

    return say
