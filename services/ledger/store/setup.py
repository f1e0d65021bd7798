"""Making a ledger, and the check at every start that it is still as it must be."""

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

NEWER = "run the newer version of Firsthand that made them"


def migrations() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def newest_revision() -> str:
    """The revision this code was written for."""
    return str(ScriptDirectory.from_config(migrations()).get_current_head())


def make_ledger(  # noqa: PLR0913 - all by name, from the settings of one command
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
    """Migrate the store and, if it is new, make its logs, heads and ledger key. Repeatable.

    Unavailable if the database does not answer.
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
            found = reads.ledger_row(connection)
            if found is None:
                fixed = {"format": FORMAT, "partitions": partitions, "origin": origin}
                connection.execute(insert(ledger), [fixed | {"created": created}])
                save_keys(connection, [vault.fresh(LEDGER)[1]])
                for log, signer in enumerate(signers):
                    _make_log(connection, log, signer, created)
            else:
                _same(found, partitions, origin)
            if not reads.keys_of(connection, [HOLD]):
                save_keys(connection, [vault.fresh(HOLD)[1]])
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    """The revision of the tables, None where there are none; Unsafe where they do not say it."""
    names, found = {*inspect(connection).get_table_names()}, None
    if "alembic_version" in names:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is None and names & {*metadata.tables}:
        raise PreconditionFailed(
            "the tables do not say which revision they have: alembic_version is empty or missing; "
            "restore a copy of the database"
        )
    return found


def _revisions() -> set[str]:
    """Every revision this code knows."""
    scripts = ScriptDirectory.from_config(migrations())
    return {each.revision for each in scripts.walk_revisions()}


def _other_tables(revision: str) -> PreconditionFailed:
    """What is said of tables of a revision that is not this code's newest."""
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
    """The services' role and, if it has an address, the reader's. Only the owner can: run as the
    services' role itself (`up` without the owner's address), they are there already.
    """
    _make_role(connection, services_url, append_only.grant)
    is_owner = connection.scalar(text("SELECT current_user")) != make_url(services_url).username
    if reader_url and is_owner:
        _make_role(connection, reader_url, append_only.grant_reading)


def _make_role(
    connection: Connection, address: str, grant: Callable[[Connection, str], None]
) -> None:
    """A role that services connect as: it owns nothing, and may do what `grant` gives it."""
    url = make_url(address)
    if url.username is None:
        raise PreconditionFailed("a database address names no role for the services to connect as")
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if connection.execute(known, {"name": url.username}).first() is None:
        quoted = connection.dialect.identifier_preparer.quote(url.username)
        connection.execute(text(f"CREATE ROLE {quoted} LOGIN"))
        if url.password:
            secret = "".join("''" if each == "'" else each for each in str(url.password))
            connection.exec_driver_sql(f"ALTER ROLE {quoted} PASSWORD '{secret}'")
    if url.username != connection.scalar(text("SELECT current_user")):
        grant(connection, url.username)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say of the ledger. An empty `origin` is whatever the ledger has."""

    partitions: int
    origin: str = ""


def check_ledger(connection: Connection, *, partitions: int, origin: str = "") -> None:
    """Raise Unsafe, with the remedy, unless the store is what this code was written for."""
    for check in CHECKS.values():
        check(connection, Wanted(partitions, origin))


def _check_tables(connection: Connection, _: Wanted) -> None:
    revision = _revision(connection)
    if revision is None:
        raise PreconditionFailed("this database holds no ledger; run 'firsthand init'")
    if revision != newest_revision():
        raise _other_tables(revision)


def _check_ledger(connection: Connection, wanted: Wanted) -> None:
    found = reads.ledger_row(connection)
    if found is None:
        raise PreconditionFailed("this database holds no ledger; run 'firsthand init'")
    _same(found, wanted.partitions, wanted.origin or found["origin"])


def _same(found: Any, partitions: int, origin: str) -> None:
    if found["format"] != FORMAT:
        raise PreconditionFailed(
            f"this ledger has format {found['format']}, this code format {FORMAT}; "
            "run the version of Firsthand that made it"
        )
    if found["partitions"] != partitions:
        raise PreconditionFailed(
            f"this ledger was made with {found['partitions']} partitions, and that is fixed, but "
            f"FIRSTHAND_PARTITIONS says {partitions}; set it to {found['partitions']}"
        )
    if found["origin"] != origin:
        raise PreconditionFailed(
            f"this ledger's origin is {found['origin']}, but FIRSTHAND_ORIGIN says {origin}; "
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


def _check_heads(connection: Connection, wanted: Wanted) -> None:
    for log in range(wanted.partitions):
        size, claimed = reads.sizes(connection, log)
        if claimed != size:
            told = "no head" if claimed is None else f"a head of size {claimed}"
            raise PreconditionFailed(
                f"log {log} has {size} entries and {told}; run 'firsthand replay --all'"
            )


# At each start, in this order, and by `firsthand doctor`, each for itself.
CHECKS: dict[str, Callable[[Connection, Wanted], None]] = {
    "tables": _check_tables,
    "ledger": _check_ledger,
    "database version": _check_version,
    "database settings": _check_settings,
    "append-only": _check_guards,
    "heads": _check_heads,
}
