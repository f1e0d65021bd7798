"""Ledgers for the contract tests: the same promises on every store and every queue."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from shared.crypto.transit import Transit
from shared.inbox.servers import connect
from tests import matrix, postgres, servers
from tests.contract import mixed
from tests.contract.ledgers import Ledger
from tests.postgres import Database
from tests.servers import RedisLikeServer, RedisServer, ValkeyServer

REAL = [kind.name for kind in (ValkeyServer, RedisServer) if kind.find() is not None]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept_for_module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """A ledger on each store for all tests of a module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        opened = postgres.sqlite_database(folder)
    else:
        opened = request.getfixturevalue("postgres_server").database()
    with opened as database:
        ledger = Ledger(folder, database)
        yield ledger
        ledger.close()


@pytest.fixture
def kept(kept_for_module: Ledger, request: pytest.FixtureRequest) -> Ledger:
    """A ledger that other tests have met and will meet: leave it as it was found."""
    store = kept_for_module.database
    matrix.note(request, matrix.STORE, store.kind, store.version)
    return kept_for_module


@pytest.fixture
def stored(tmp_path: Path, database: Database) -> Iterator[Ledger]:
    """An empty ledger on each store, with no queue."""
    ledger = Ledger(tmp_path, database)
    yield ledger
    ledger.close()


@pytest.fixture
def ledger(tmp_path: Path, database: Database, inbox_url: str) -> Iterator[Ledger]:
    """An empty ledger on each store and each queue."""
    made = Ledger(tmp_path, database, inbox_url)
    yield made
    made.close()


@pytest.fixture
def on_valkey(tmp_path: Path, database: Database, valkey_url: str) -> Iterator[Ledger]:
    """An empty ledger on each store, over Valkey."""
    made = Ledger(tmp_path, database, valkey_url)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived_once(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    valkey_process: servers.ValkeyServer,
) -> Iterator[Ledger]:
    """A ledger in which everything has happened, for all tests here."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        opened = postgres.sqlite_database(folder)
    else:
        opened = request.getfixturevalue("postgres_server").database()
    valkey_process.reset()
    with opened as database:
        ledger = Ledger(folder, database, valkey_process.url)
        mixed.live(ledger)
        yield ledger
        ledger.close()


@pytest.fixture
def lived(lived_once: Ledger, request: pytest.FixtureRequest) -> Ledger:
    """The same, noted for the matrix."""
    store = lived_once.database
    matrix.note(request, matrix.STORE, store.kind, store.version)
    return lived_once


@pytest.fixture(params=["fakeredis", *REAL])
def queue(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """An empty queue of each kind."""
    if request.param == "fakeredis":
        yield request.getfixturevalue("fake_redis")
        return
    fixture = {"valkey": "valkey", "redis": "redis_server"}[request.param]
    server: RedisLikeServer = request.getfixturevalue(fixture)
    with connect(server.url) as client:
        yield client


@pytest.fixture
def transit(tmp_path: Path) -> Transit:
    """A transit key of this test's own."""
    Transit.make(tmp_path)
    return Transit.from_folder(tmp_path)
