"""The connection pools: no thread closes another's connection, and none waits long for its own."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.pool import QueuePool

from services.ledger.store.database import POOL, Engine, connect, transaction
from tests.contract.ledgers import Ledger, Together

MOST = POOL["pool_size"] + POOL["max_overflow"]


@pytest.mark.parametrize("write", [False, True])
def test_the_pool_is_a_queue_with_an_explicit_timeout(kept: Ledger, write: bool) -> None:
    opened = connect(kept.settings.store_url, write=write)
    assert type(opened.pool) is QueuePool
    assert opened.pool.timeout() == POOL["pool_timeout"] <= 5
    opened.dispose()


def test_more_threads_than_connections_never_share_or_lose_one(kept: Ledger) -> None:
    """With a pool by thread, the 17th connection closed one that was in use."""
    opened = connect(kept.settings.store_url, write=False)
    there = threading.Barrier(MOST)

    def read() -> None:
        with transaction(opened) as connection:
            there.wait(10)
            for _ in range(20):
                assert connection.scalar(text("SELECT count(*) FROM ledger")) == 1

    try:
        for _ in range(3):  # new threads each time, as a server that ends idle ones has them
            with Together(*[read] * MOST):
                pass
    finally:
        opened.dispose()


def test_a_reader_who_finds_no_free_connection_gives_up_soon(kept: Ledger) -> None:
    opened = connect(kept.settings.store_url, write=False)
    held = [opened.connect() for _ in range(MOST)]
    try:
        with pytest.raises(NoneFree):
            _read(opened)
    finally:
        for each in held:
            each.close()
        opened.dispose()


def _read(opened: Engine) -> None:
    with transaction(opened) as connection:
        connection.execute(text("SELECT 1"))
