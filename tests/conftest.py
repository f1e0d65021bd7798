"""Fixtures that every test may ask for: real servers, a fresh database, a clean queue.

A test that asks for `database` or `inbox_url` runs once on each server that this machine has.
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
    """Be ready to be stopped, clear up after runs that were killed, and start to count."""

    def stop(number: int, frame: FrameType | None) -> None:
        """End as Ctrl-C does, once: fixtures are torn down, servers stop; workers of xdist, too."""
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
    """Stop where xdist does not group tests any more: what they share would be made twice."""
    if hasattr(session.config, "workerinput") and session.config.getoption("loadgroup"):
        for each in session.items:
            if each.get_closest_marker("xdist_group") and "@" not in each.nodeid:
                raise pytest.UsageError(f"pytest-xdist does not group {each.nodeid}")


def _forget_the_shell() -> None:
    """Run the same in every shell: without its settings, and without a proxy on this machine."""
    for name in [each for each in os.environ if each.startswith("FIRSTHAND_")]:
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
    """Valkey for the whole session; a test asks for `valkey`, which is clean."""
    yield from _serve(servers.ValkeyServer)


@pytest.fixture(scope="session")
def redis_process() -> Iterator[servers.RedisServer]:
    """Redis for the whole session; a test asks for `redis_server`, which is clean."""
    yield from _serve(servers.RedisServer)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """One cluster for the session; a test asks for `database`, which is its own."""
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
    """An empty Valkey, which the test may kill and start again."""
    return _clean(valkey_process, request)


@pytest.fixture
def redis_server(
    redis_process: servers.RedisServer, request: pytest.FixtureRequest
) -> servers.RedisLikeServer:
    """An empty Redis, which the test may kill and start again."""
    return _clean(redis_process, request)


@pytest.fixture(params=QUEUES)
def inbox_server(request: pytest.FixtureRequest) -> servers.RedisLikeServer:
    """An empty queue server, once on each kind that this machine has."""
    server: servers.RedisLikeServer = request.getfixturevalue(f"{request.param}_process")
    return _clean(server, request)


@pytest.fixture
def valkey_url(valkey: servers.RedisLikeServer) -> str:
    """The address of an empty Valkey."""
    return valkey.url


@pytest.fixture
def redis_url(redis_server: servers.RedisLikeServer) -> str:
    """The address of an empty Redis."""
    return redis_server.url


@pytest.fixture
def inbox_url(inbox_server: servers.RedisLikeServer) -> str:
    """The address of an empty queue server, once on each kind that this machine has."""
    return inbox_server.url


@pytest.fixture
def fake_redis(request: pytest.FixtureRequest) -> fakeredis.FakeStrictRedis:
    """A pretended Redis of this test's own, scripts included: quick, and proof of nothing."""
    matrix.note(request, matrix.QUEUE, "fakeredis", importlib.metadata.version("fakeredis"))
    return fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[postgres.Database]:
    """A fresh database, once on each store: `owner_url`, `app_url`, `app_role`, `kind`."""
    if request.param == "sqlite":
        opened = postgres.sqlite_database(tmp_path)
    else:
        opened = request.getfixturevalue("postgres_server").database()
    with opened as fresh:
        matrix.note(request, matrix.STORE, fresh.kind, fresh.version)
        yield fresh


@pytest.fixture
def owner_url(database: postgres.Database) -> str:
    """The database as its owner: may make tables and roles."""
    return database.owner_url


@pytest.fixture
def app_url(database: postgres.Database) -> str:
    """The database as the application: on PostgreSQL a role that the test's own code makes."""
    return database.app_url


@pytest.fixture
def database_url(database: postgres.Database) -> str:
    """The database, where only one role matters: its owner's."""
    return database.owner_url


@pytest.fixture
def in_matrix(request: pytest.FixtureRequest) -> Callable[..., None]:
    """For a test that starts its servers itself: `in_matrix(store="sqlite", queue="valkey")`."""

    def say(*, store: str | None = None, queue: str | None = None, version: str = "") -> None:
        for what, name in ((matrix.STORE, store), (matrix.QUEUE, queue)):
            if name is not None:
                matrix.note(request, what, name, version)

    return say
