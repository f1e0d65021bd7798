"""One `firsthand up` for many tests, once on each store. Every test uses new people."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests import postgres
from tests.e2e.running import Up

STORES = ["sqlite", *(["postgresql"] if postgres.find_postgres() else [])]


@pytest.fixture(scope="session", params=STORES)
def shared_up(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Up]:
    """Start all services."""
    with ExitStack() as stack:
        settings = {}
        if request.param == "postgresql":
            server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
            store = stack.enter_context(server.database())
            settings["FIRSTHAND_DATABASE_URL"] = store.app_url
            settings["FIRSTHAND_DATABASE_OWNER_URL"] = store.owner_url
        yield stack.enter_context(Up(tmp_path_factory.mktemp("up"), **settings))


@pytest.fixture
def up(shared_up: Up, in_matrix: Callable[..., None], request: pytest.FixtureRequest) -> Up:
    """Return the running services, and note them in the matrix."""
    store = request.node.callspec.params["shared_up"]
    in_matrix(store=store, queue=shared_up.queue)
    return shared_up
