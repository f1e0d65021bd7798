"""For each of the doctor's checks of store and services: it is broken, and named with a remedy."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from services.ledger.config import signers
from services.ledger.maintenance.key_rotation import rotate_log_key
from services.ledger.store import setup
from services.ledger.vault import Vault
from services.operations.doctor.checks import CHECKS
from shared.inbox.redis_keys import inbox_key
from tests.contract.examined import POSTGRESQL, SQLITE, examined, named
from tests.contract.ledgers import Ledger
from tests.contract.test_start_checks import TOO_MUCH, UNGUARDED
from tests.given import ada


@pytest.fixture
def keys(on_valkey: Ledger) -> Path:
    """The ledger's key files."""
    return on_valkey.settings.key_folder


@SQLITE
def test_no_ledger_at_all(on_valkey: Ledger) -> None:
    (on_valkey.settings.data.parent / "ledger.db").unlink()
    named(on_valkey, "database", "error", "no ledger at", "run 'firsthand init'")


@POSTGRESQL
def test_a_database_that_is_away(on_valkey: Ledger) -> None:
    url = "postgresql+psycopg://nobody:secret@127.0.0.1:9/none"
    on_valkey.settings = replace(on_valkey.settings, database_url=url)
    found = examined(on_valkey)["database"]
    assert (found.state, found.down) == ("skipped", True)
    assert "does not answer" in found.detail
    assert "secret" not in found.detail


HOLDS = """INSERT INTO held (log, subject, place, reason, seen, message)
VALUES (0, 'person:ada', '1-0', 'no key', '2026', 'sealed')"""
LOSES = """INSERT INTO alarms (log, kind, seen, missing, detail)
VALUES (0, 'queue-replaced', '2999', 4, 'the queue was emptied')"""
BROKEN: dict[str, tuple[str, str, str]] = {  # by check: what is done, what is said, the remedy
    "tables": (
        "UPDATE alembic_version SET version_num = '9999'",
        "revision 9999",
        "run the newer version",
    ),
    "ledger": ("UPDATE ledger SET partitions = 4", "created with 4 partitions", "set it to 4"),
    "heads": ("UPDATE heads SET size = 3", "a head of size 3", "'firsthand replay --all'"),
    "held": (HOLDS, "held back about person:ada (1: no key)", "continues by itself"),
    "queue's completeness": (LOSES, "emptied (4 in the last 7 days)", "from their outboxes"),
    "signatures": (
        "UPDATE heads SET checkpoint = 'x'",
        "log-0.key is not the key",
        "restore the key",
    ),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_store_that_is_not_as_it_must_be(on_valkey: Ledger, check: str) -> None:
    statement, why, remedy = BROKEN[check]
    on_valkey.change(statement)
    named(on_valkey, check, "error", why, remedy)


def test_another_origin(on_valkey: Ledger) -> None:
    on_valkey.settings = replace(on_valkey.settings, origin="example.org/other")
    named(on_valkey, "ledger", "error", "FIRSTHAND_ORIGIN is", "set it to the ledger's")


@POSTGRESQL
def test_a_postgresql_that_is_too_old(on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OLDEST_POSTGRESQL", 990000)
    named(on_valkey, "database version", "error", "is too old", "use 14 or newer")


@SQLITE
def test_a_sqlite_that_keeps_no_wal(on_valkey: Ledger) -> None:
    with on_valkey.as_owner() as connection:
        connection.execute(text("COMMIT"))
        connection.execute(text("PRAGMA journal_mode=DELETE"))
        connection.execute(text("BEGIN"))
    named(on_valkey, "database settings", "error", "journal_mode is delete", "sets WAL")


@POSTGRESQL
def test_a_postgresql_that_does_not_wait_for_its_disk(on_valkey: Ledger) -> None:
    url = on_valkey.settings.database_url
    option = "options=-csynchronous_commit%3Doff"
    on_valkey.settings = replace(on_valkey.settings, database_url=f"{url}&{option}")
    found = examined(on_valkey)["database settings"]
    assert found.state == "ok"  # our connections say otherwise, whatever the address says


@pytest.mark.parametrize(
    ("database", "statements"),
    [
        ("sqlite", UNGUARDED["sqlite"]["no update"]),
        ("postgresql", UNGUARDED["postgresql"]["disabled"]),
        ("postgresql", UNGUARDED["postgresql"]["not for replicas"]),
    ],
    indirect=["database"],
)
def test_guards_that_are_gone(on_valkey: Ledger, statements: list[str]) -> None:
    with on_valkey.as_owner() as connection:
        for each in statements:
            connection.execute(text(each))
    named(on_valkey, "append-only", "error", "not append-only", "'firsthand replay --all'")


@POSTGRESQL
def test_a_role_that_may_too_much(on_valkey: Ledger) -> None:
    role = on_valkey.database.app_role
    with on_valkey.as_owner() as connection:
        connection.execute(text(TOO_MUCH["DELETE"].format(role)))
    named(on_valkey, "append-only", "error", "may DELETE entries", "let the services connect as")


def test_another_key_encryption_key(on_valkey: Ledger, keys: Path) -> None:
    (keys / "kek").unlink()
    Vault.make(keys)
    named(on_valkey, "vault", "error", "cannot be unwrapped with this kek", "restore the kek")


def test_an_older_copy_of_the_database(on_valkey: Ledger) -> None:
    ahead = signers(on_valkey.settings)[0].checkpoint(5, bytes(32))
    on_valkey.inbox().acknowledge(0, [], [], ahead.encode())
    named(on_valkey, "published", "error", "but 5 entries were published", "restore the newer")


def test_a_new_log_key_is_said_until_worker_and_ledger_have_it(on_valkey: Ledger) -> None:
    on_valkey.post(ada.starts())
    on_valkey.drain()
    for finish in (False, True):
        rotate_log_key(on_valkey.settings, 0, finish=finish)
        says = "log 0 has a new key that is not in use"
        named(on_valkey, "published", "warning", says, "restart worker and ledger")
    on_valkey.projector().batch(0)  # as a worker's start does
    assert examined(on_valkey)["published"].state == "ok"


def test_what_was_published_is_not_ours(on_valkey: Ledger) -> None:
    on_valkey.inbox().redis.set("firsthand:{p0}:published", "garbage")
    named(on_valkey, "published", "error", "is invalid", "which other program writes to the queue")


def test_messages_that_did_not_open(on_valkey: Ledger) -> None:
    on_valkey.inbox().redis.xadd(inbox_key(0), {"e": b"not ours"})
    on_valkey.drain()
    named(
        on_valkey, "unreadable", "error", "1 messages could not be decrypted", "which other program"
    )
    late: Callable[[], datetime] = lambda: datetime.now(UTC) + timedelta(days=8)  # noqa: E731 - a clock
    found = examined(on_valkey, clock=late)["unreadable"]
    assert found.state == "ok"
    assert found.detail.startswith("1 messages could not be decrypted, the last one on 20")


@POSTGRESQL
def test_the_databases_clock_is_looked_at_too(on_valkey: Ledger) -> None:
    clock: Callable[[], datetime] = lambda: datetime.now(UTC) + timedelta(seconds=60)  # noqa: E731 - a clock
    found = examined(on_valkey, clock=clock)["database's clock"]
    assert found.state == "skipped"  # told once, of the queue's clock
    assert found.detail == "unknown, for the same reason as 'queue's clock'"


# the services


@SQLITE
@pytest.mark.parametrize(("check", "name"), [("intake", "intake"), ("read API", "ledger")])
def test_a_service_that_does_not_answer(on_valkey: Ledger, check: str, name: str) -> None:
    found = examined(on_valkey, services={name: "http://127.0.0.1:9"})[check]
    assert (found.state, found.down) == ("skipped", True)
    assert "does not answer at http://127.0.0.1:9" in found.detail
    assert "start it" in found.remedy


def test_every_check_is_broken_by_a_test_here() -> None:
    files = ("test_doctor_store.py", "test_doctor.py", "test_partitions.py", "test_reader_role.py")
    said = "".join(Path(__file__).with_name(each).read_text() for each in files)
    assert [name for name in CHECKS if f'"{name}"' not in said] == []
