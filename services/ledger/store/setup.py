"""Creation of a ledger, and the checks of its database at every start."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, make_url, text

from services.ledger.log.merkle import Frontier
from services.ledger.log.signed_note import Signer
from services.ledger.store import append_only, reads
from services.ledger.store.database import OLDEST_POSTGRESQL, answering, connect, transaction
from services.ledger.store.tables import FORMAT, heads, ledger, metadata
from services.ledger.store.writes import save_keys
from services.ledger.vault import HOLD, LEDGER, Vault
from shared.errors import PreconditionFailed

NEWER = "run the newer version of Firsthand that created them"


def migrations() -> Config:
    """Return the configuration of Alembic; it has no file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def newest_revision() -> str:
    """Return the revision of the tables that this code needs."""
    return str(ScriptDirectory.from_config(migrations()).get_current_head())


def make_ledger(  # noqa: PLR0913 - keywords only, from the settings of one command
    owner_url: str,
    services_url: str,
    *,
    partitions: int,
    origin: str,
    created: str,
    signers: list[Signer],
    vault: Vault,
    reader_url: str = "",
) -> None:
    """Migrate the database and, if it is new, create its logs, heads and ledger key.

    Idempotent. Raises Unavailable if the database cannot be reached.
    """
    engine = connect(owner_url, write=True, owner=True)
    try:
        with answering(), transaction(engine) as connection:
            config = migrations()
            config.attributes["connection"] = connection
            revision = _revision(connection)
            if revision is not None and revision not in _revisions():
                raise _other_tables(revision)
            command.upgrade(config, "head")
            if connection.dialect.name == "postgresql":
                _make_roles(connection, services_url, reader_url)
            row = reads.ledger_row(connection)
            if row is None:
                columns = {"format": FORMAT, "partitions": partitions, "origin": origin}
                connection.execute(insert(ledger), [columns | {"created": created}])
                save_keys(connection, [vault.fresh(LEDGER)[1]])
                for log, signer in enumerate(signers):
                    _make_log(connection, log, signer, created)
            else:
                _same(row, partitions, origin)
            if not reads.keys_of(connection, [HOLD]):
                save_keys(connection, [vault.fresh(HOLD)[1]])
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    """Return the revision of the tables, or None if there are none.

    Raises PreconditionFailed if tables exist without a revision.
    """
    names, revision = {*inspect(connection).get_table_names()}, None
    if "alembic_version" in names:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is None and names & {*metadata.tables}:
        raise PreconditionFailed(
            "the revision of the tables is unknown: alembic_version is empty or missing; "
            "restore a backup of the database"
        )
    return revision


def _revisions() -> set[str]:
    """Return all revisions that this code knows."""
    scripts = ScriptDirectory.from_config(migrations())
    return {script.revision for script in scripts.walk_revisions()}


def _other_tables(revision: str) -> PreconditionFailed:
    """Return the error for tables whose revision is not the newest one."""
    older = "run 'firsthand init' with this version"
    remedy = older if revision in _revisions() else NEWER
    return PreconditionFailed(
        f"the tables have revision {revision}, this code {newest_revision()}; {remedy}"
    )


def _make_log(connection: Connection, log: int, signer: Signer, created: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT make_log(:log)"), {"log": log})
    empty = Frontier()
    head: dict[str, Any] = {
        "log": log,
        "size": 0,
        "frontier": b"",
        "root": empty.root(),
        "checkpoint": signer.checkpoint(0, empty.root()),
        "recorded": created,
        "rules": 0,
    }
    connection.execute(insert(heads), [head])


def _make_roles(connection: Connection, services_url: str, reader_url: str) -> None:
    """Create the services' role and, if it has a URL, the reader's.

    Only the owner can create roles. If `up` runs as the services' role, they exist already.
    """
    _make_role(connection, services_url, append_only.grant)
    is_owner = connection.scalar(text("SELECT current_user")) != make_url(services_url).username
    if reader_url and is_owner:
        _make_role(connection, reader_url, append_only.grant_reading)


def _make_role(
    connection: Connection, address: str, grant: Callable[[Connection, str], None]
) -> None:
    """Create a role for services to connect as; it owns nothing and gets the rights of `grant`."""
    url = make_url(address)
    if url.username is None:
        raise PreconditionFailed("the database URL names no role for the services to connect as")
    query = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if connection.execute(query, {"name": url.username}).first() is None:
        quoted = connection.dialect.identifier_preparer.quote(url.username)
        connection.execute(text(f"CREATE ROLE {quoted} LOGIN"))
        if url.password:
            secret = str(url.password).replace("'", "''")
            connection.exec_driver_sql(f"ALTER ROLE {quoted} PASSWORD '{secret}'")
    if url.username != connection.scalar(text("SELECT current_user")):
        grant(connection, url.username)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The ledger as the settings describe it. An empty `origin` accepts the ledger's."""

    partitions: int
    origin: str = ""


def check_ledger(connection: Connection, *, partitions: int, origin: str = "") -> None:
    """Raise PreconditionFailed unless the database fits this code and these settings."""
    for check in CHECKS.values():
        check(connection, Wanted(partitions, origin))


def _check_tables(connection: Connection, _: Wanted) -> None:
    revision = _revision(connection)
    if revision is None:
        raise PreconditionFailed("this database contains no ledger; run 'firsthand init'")
    if revision != newest_revision():
        raise _other_tables(revision)


def _check_ledger(connection: Connection, expected: Wanted) -> None:
    row = reads.ledger_row(connection)
    if row is None:
        raise PreconditionFailed("this database contains no ledger; run 'firsthand init'")
    _same(row, expected.partitions, expected.origin or row["origin"])


def _same(row: Any, partitions: int, origin: str) -> None:
    if row["format"] != FORMAT:
        raise PreconditionFailed(
            f"this ledger has format {row['format']}, this code format {FORMAT}; "
            "run the version of Firsthand that created it"
        )
    if row["partitions"] != partitions:
        raise PreconditionFailed(
            f"this ledger was created with {row['partitions']} partitions, which cannot change; "
            f"FIRSTHAND_PARTITIONS is {partitions}; set it to {row['partitions']}"
        )
    if row["origin"] != origin:
        raise PreconditionFailed(
            f"this ledger's origin is {row['origin']}, but FIRSTHAND_ORIGIN is {origin}; "
            "set it to the ledger's, or leave it out"
        )


def _check_version(connection: Connection, _: Wanted) -> None:
    if connection.dialect.name == "postgresql":
        version = int(str(connection.scalar(text("SHOW server_version_num"))))
        if version < OLDEST_POSTGRESQL:
            raise PreconditionFailed(f"PostgreSQL {version // 10000} is too old; use 14 or newer")


def _check_settings(connection: Connection, _: Wanted) -> None:
    if connection.dialect.name == "sqlite":
        mode = connection.scalar(text("PRAGMA journal_mode"))
        if mode != "wal":
            raise PreconditionFailed(
                f"SQLite's journal_mode is {mode}; start the worker, which sets WAL"
            )
        return
    for name in ("fsync", "full_page_writes"):
        if connection.scalar(text(f"SHOW {name}")) != "on":
            raise PreconditionFailed(f"PostgreSQL runs with {name} off; set it on")
    if connection.scalar(text("SHOW synchronous_commit")) == "off":
        raise PreconditionFailed("PostgreSQL runs with synchronous_commit off; set it on")


def _check_guards(connection: Connection, _: Wanted) -> None:
    append_only.check(connection)


def _check_heads(connection: Connection, expected: Wanted) -> None:
    for log in range(expected.partitions):
        size, head_size = reads.sizes(connection, log)
        if head_size != size:
            description = "no head" if head_size is None else f"a head of size {head_size}"
            raise PreconditionFailed(
                f"log {log} has {size} entries and {description}; run 'firsthand replay --all'"
            )


# Run at every start, in this order, and by `firsthand doctor`, one by one.
CHECKS: dict[str, Callable[[Connection, Wanted], None]] = {
    "tables": _check_tables,
    "ledger": _check_ledger,
    "database version": _check_version,
    "database settings": _check_settings,
    "append-only": _check_guards,
    "heads": _check_heads,
}
