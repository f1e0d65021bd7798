"""Doors and houses for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest

from services.intake.app import create_app
from shared.auth.tokens import Callers, make_local_issuer
from shared.crypto.transit import Transit
from shared.inbox.inbox import Inbox
from shared.inbox.servers import connect
from tests import matrix
from tests.conforming import Conforming
from tests.integration.together import ADA, GRANT, SEA, STARTED, Door, Together
from tests.postgres import Database, sqlite_database
from tests.servers import RedisLikeServer


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a local issuer and a transit key."""
    folder = tmp_path_factory.mktemp("keys")
    make_local_issuer(folder)
    Transit.make(folder)
    return folder


@pytest.fixture
def door(keys: Path, fake_redis: fakeredis.FakeStrictRedis) -> Iterator[Door]:
    """Intake over a pretended queue, which is never durable: for what never gets that far."""
    with fake_redis:
        inbox = Inbox(fake_redis, Transit.from_folder(keys))
        app = create_app(Callers.from_folder(keys, "firsthand"), inbox)
        app.test_client_class = Conforming
        yield Door(keys, app.test_client(), inbox)


@pytest.fixture
def real_door(keys: Path, valkey: RedisLikeServer) -> Iterator[Door]:
    """Intake over a real queue, and nobody who drains it: what it answers is made up by a test."""
    rung: list[int] = []
    with connect(valkey.url) as queue, connect(valkey.url, timeout=35) as blocking:
        transit = Transit.from_folder(keys)
        inbox = Inbox(queue, transit, ring=rung.append, blocking=blocking)
        app = create_app(Callers.from_folder(keys, "firsthand"), inbox, threads=4)
        yield Door(keys, app.test_client(), inbox, rung)


@pytest.fixture
def house(tmp_path: Path, valkey: RedisLikeServer, database: Database) -> Iterator[Together]:
    """Everything in one process, once on each store."""
    with Together(tmp_path / "data", valkey.url, database) as together:
        yield together


@pytest.fixture
def small_house(
    tmp_path: Path, valkey: RedisLikeServer, request: pytest.FixtureRequest
) -> Iterator[Together]:
    """The same, on SQLite alone: for what the store has no part in."""
    with (
        sqlite_database(tmp_path) as store,
        Together(tmp_path / "data", valkey.url, store) as together,
    ):
        matrix.note(request, matrix.STORE, store.kind, store.version)
        yield together


@pytest.fixture
def begun(house: Together) -> Together:
    """Ada has a plan and says what she wants; Sam may write down what Sam sees."""
    house.post(ADA, "plan.started", STARTED)
    house.post(ADA, "aspiration.stated", SEA)
    house.post(ADA, "access.granted", GRANT)
    return house
