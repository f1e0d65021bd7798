"""Ledgers for the contract tests: the same promises on every store and every queue."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.ledgers import Ledger
from tests.postgres import Database


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
