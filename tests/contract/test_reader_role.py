"""The read API's database role may read, and nothing else (S22)."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from redis.exceptions import NoPermissionError
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from services.ledger.bootstrap import open_store
from services.ledger.maintenance.init import init
from services.ledger.store import append_only
from services.ledger.store.database import connect, transaction
from services.operations.provision import ACCOUNTS
from shared.errors import PreconditionFailed
from shared.inbox.lag import backlogs
from shared.inbox.redis_keys import inbox_key, published_key, waiting_key, wake_key
from shared.inbox.servers import connect as connect_queue
from tests.contract.examined import POSTGRESQL, SQLITE, named
from tests.contract.ledgers import Ledger
from tests.contract.standins import TOLD
from tests.servers import RedisLikeServer

WRITES = {
    "heads": "UPDATE heads SET size = size + 1",
    "people": "DELETE FROM people",
    "keys": "INSERT INTO keys SELECT 'person:eve', kid, wrapped FROM keys",
    "entries": "INSERT INTO entries SELECT * FROM entries",
    "plans": "UPDATE plans SET sequence = 0",
    "checkpoints": "TRUNCATE checkpoints",
    "tables": "CREATE TABLE public.mine (n int)",
    "drop": "DROP TABLE tiles",
    "ledger": "UPDATE ledger SET partitions = 9",
}


@pytest.fixture
def with_reader(on_valkey: Ledger) -> Iterator[Ledger]:
    """A ledger whose read API has a role of its own."""
    role = f"{on_valkey.database.app_role}_reader"
    url = make_url(on_valkey.database.app_url).set(username=role)
    address = url.render_as_string(hide_password=False)
    on_valkey.settings = replace(on_valkey.settings, database_reader_url=address)
    init(on_valkey.settings)
    on_valkey.post(*TOLD)
    on_valkey.drain()
    yield on_valkey
    with on_valkey.as_owner() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def as_reader(ledger: Ledger, statement: str) -> None:
    """Do something as somebody who has the role's password: `read only` is the client's word."""
    engine = connect(ledger.settings.reading_url, write=True)
    try:
        with transaction(engine) as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


@POSTGRESQL
@pytest.mark.parametrize("what", WRITES)
def test_the_readers_role_cannot_write(with_reader: Ledger, what: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        as_reader(with_reader, WRITES[what])
    assert not with_reader.replay().findings


@POSTGRESQL
def test_the_read_api_opens_the_store_with_it_and_may_not_have_more(with_reader: Ledger) -> None:
    engine, _ = open_store(with_reader.settings, write=False)
    with transaction(engine) as connection:
        assert f"{connection.scalar(text('SELECT current_user'))}".endswith("_reader")
    engine.dispose()
    named(with_reader, "read API's role", "ok", "read privileges only", "")
    role = f"{with_reader.database.app_role}_reader"
    with_reader.change(f"GRANT UPDATE (size) ON heads TO {role}")
    with pytest.raises(PreconditionFailed, match="may UPDATE heads"):
        open_store(with_reader.settings, write=False)
    named(with_reader, "read API's role", "error", "may UPDATE heads", "run 'firsthand init'")


@POSTGRESQL
def test_a_read_api_that_shares_the_services_role_is_told_as_odd(on_valkey: Ledger) -> None:
    named(
        on_valkey, "read API's role", "warning", "which may write", "FIRSTHAND_DATABASE_READER_URL"
    )


@SQLITE
def test_on_sqlite_the_file_is_opened_for_reading(on_valkey: Ledger) -> None:
    with on_valkey.as_services(write=False) as connection:
        append_only.check_reader(connection)
        with pytest.raises(DBAPIError, match="readonly"):
            connection.execute(text("DELETE FROM people"))
    named(on_valkey, "read API's role", "ok", "is opened read-only", "")


def test_the_readers_account_in_the_queue_sees_no_message(valkey: RedisLikeServer) -> None:
    """It may see what /readyz tells: how many wait, why, and what was published."""
    account = ACCOUNTS.format(queue="0" * 64, reader="0" * 64, extra="")
    (rules,) = (each for each in account.splitlines() if each.startswith("user reader "))
    with closing(valkey.client()) as owner:
        owner.xadd(inbox_key(0), {"e": "sealed"})
        owner.set(waiting_key(0), "why")
        owner.set(published_key(0), "note")
        owner.set(wake_key(0), "1")
        words = rules.replace(f"#{'0' * 64}", ">secret").split()[2:]
        owner.execute_command("ACL", "SETUSER", "reader", *words)
        try:
            sees_no_message(valkey.url.replace("unix://", "unix://reader:secret@"))
        finally:
            owner.execute_command("ACL", "DELUSER", "reader")


def sees_no_message(address: str) -> None:
    with closing(connect_queue(address)) as reader:
        (found,) = backlogs(reader, 1)
        assert (found.messages, found.waits, found.published) == (1, "why", b"note")
        for words in (
            ("XRANGE", inbox_key(0), "-", "+"),
            ("XREAD", "STREAMS", inbox_key(0), "0"),
            ("XINFO", "STREAM", inbox_key(0), "FULL"),
            ("DUMP", inbox_key(0)),
            ("GET", wake_key(0)),
            ("SET", published_key(0), "x"),
            ("DEL", inbox_key(0)),
            ("KEYS", "*"),
        ):
            with pytest.raises(NoPermissionError):
                reader.execute_command(*words)
