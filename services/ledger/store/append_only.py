"""What makes entries append-only, and kept checkpoints, and the check that it is still in force.

SQLite: triggers refuse UPDATE, DELETE, and an INSERT that any unique key of an entry stands
against (its place, its event's name and digest, its rowid), since REPLACE deletes that entry
without a word to the other two; our connections refuse to drop or alter guarded tables (an
authorizer, `deny_drop`). PostgreSQL: the services' role has INSERT and SELECT on entries and
owns nothing, and triggers, ENABLE ALWAYS, refuse UPDATE, DELETE and TRUNCATE on `entries` and
on every partition, made by the function that makes partitions. The read API may have a role of its
own, the reader's, with SELECT and nothing else.
"""

from sqlalchemy import Connection, text

from shared.errors import PreconditionFailed

REFUSAL = "entries are append-only"

SQLITE_TRIGGERS = {
    "entries_no_update": f"""CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    "entries_no_delete": f"""CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    "entries_no_replace": f"""CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE log = NEW.log AND "index" = NEW."index")
  OR EXISTS (SELECT 1 FROM entries WHERE log = NEW.log AND id = NEW.id
             AND author = NEW.author AND digest = NEW.digest)
  OR EXISTS (SELECT 1 FROM entries WHERE rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",  # noqa: S608 - no query, and our own text
}

CHECKPOINT_TRIGGERS = {
    "checkpoints_no_update": f"""CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    "checkpoints_no_delete": f"""CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    "checkpoints_no_replace": f"""CREATE TRIGGER checkpoints_no_replace BEFORE INSERT ON checkpoints
WHEN EXISTS (SELECT 1 FROM checkpoints WHERE log = NEW.log AND size = NEW.size
             AND cosignatures = NEW.cosignatures)
  OR EXISTS (SELECT 1 FROM checkpoints WHERE rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",  # noqa: S608 - no query, and our own text
}

_REFUSE = f"BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'insufficient_privilege'; END"

POSTGRESQL_FUNCTIONS = f"""
CREATE FUNCTION entries_refuse() RETURNS trigger LANGUAGE plpgsql AS $${_REFUSE}$$;

CREATE FUNCTION guard_entries(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON %I
        FOR EACH ROW EXECUTE FUNCTION entries_refuse()', name);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER no_change', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER no_truncate', name);
END $$;

CREATE FUNCTION make_log(number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF entries FOR VALUES IN (%s)',
        'entries_' || number, number);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER no_change', 'entries_' || number);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I
        FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse()', 'entries_' || number);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER no_truncate', 'entries_' || number);
END $$;
"""

_GUARDED = """(SELECT oid, relname FROM pg_class
    WHERE oid IN ('entries'::regclass, 'checkpoints'::regclass) OR oid IN (
    SELECT inhrelid FROM pg_inherits WHERE inhparent = 'entries'::regclass)) AS c"""
# `tgtype` is a sum of bits: BEFORE UPDATE OR DELETE for each row, BEFORE TRUNCATE.
_POSTGRESQL_UNGUARDED = f"""
SELECT c.relname FROM {_GUARDED} WHERE 2 <> (
    SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
    AND (t.tgname, t.tgtype) IN (('no_change', 27), ('no_truncate', 34))
    AND t.tgfoid = 'entries_refuse'::regproc AND t.tgqual IS NULL AND t.tgattr = ''
)
UNION ALL
SELECT proname FROM pg_proc WHERE oid = 'entries_refuse'::regproc AND prosrc <> :refuse
"""  # noqa: S608 - our own words
_POSTGRESQL_TOO_MUCH = f"""
SELECT privilege FROM {_GUARDED},
    unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege
WHERE has_table_privilege(c.oid, privilege)
   OR (privilege = 'UPDATE' AND has_any_column_privilege(c.oid, privilege))
"""  # noqa: S608 - our own words
_ALLOWED = {
    "SELECT": "ledger, heads, entries, keys, people, plans, snapshots, tiles, checkpoints, "
    "unreadable, held, alarms, alembic_version",
    "INSERT": "entries, keys, people, plans, snapshots, tiles, checkpoints, unreadable, held, "
    "alarms",
    "UPDATE": "heads, people, plans",
    "DELETE": "people, plans, snapshots, tiles, held",
}
_COUNTERS = "unreadable_number_seq, held_number_seq, alarms_number_seq"


_READERS_TOO_MUCH = """
SELECT privilege, t.relname FROM pg_class t, unnest(ARRAY[
    'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p')
AND (has_table_privilege(t.oid, privilege) OR (
    privilege IN ('INSERT', 'UPDATE') AND has_any_column_privilege(t.oid, privilege)))
ORDER BY t.relname, privilege
"""

_GUARD_AGAIN = (
    "find out who changed it, make it again as "
    "services/ledger/store/append_only.py has it, and run "
    "'firsthand replay --all'"
)


def grant(connection: Connection, role: str) -> None:
    """Give the services' role what it needs and nothing more (PostgreSQL)."""
    quoted = connection.dialect.identifier_preparer.quote(role)
    for privilege, tables in _ALLOWED.items():
        connection.execute(text(f"GRANT {privilege} ON {tables} TO {quoted}"))
    connection.execute(text(f"GRANT USAGE ON SEQUENCE {_COUNTERS} TO {quoted}"))


def grant_reading(connection: Connection, role: str) -> None:
    """Give the read API's role what it needs: SELECT, and nothing more (PostgreSQL)."""
    quoted = connection.dialect.identifier_preparer.quote(role)
    connection.execute(text(f"GRANT SELECT ON {_ALLOWED['SELECT']} TO {quoted}"))


def check_reader(connection: Connection) -> None:
    """Raise Unsafe, naming a table, if this role may do more than read (PostgreSQL). On SQLite who
    reads opens the file for reading alone.
    """
    if connection.dialect.name == "sqlite":
        return
    too_much = connection.execute(text(_READERS_TOO_MUCH)).first()
    if too_much is not None:
        raise PreconditionFailed(
            f"the read API's database role may {too_much.privilege} {too_much.relname}; let "
            "FIRSTHAND_DATABASE_READER_URL name a role of its own, and run 'firsthand init'"
        )


def check(connection: Connection) -> None:
    """Raise Unsafe, naming what is missing, unless entries are append-only on this store."""
    if connection.dialect.name == "sqlite":
        _check_sqlite(connection)
    else:
        _check_postgresql(connection)


def _check_sqlite(connection: Connection) -> None:
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    there: dict[str, str] = {row.name: row.sql for row in found}
    wanted = SQLITE_TRIGGERS | CHECKPOINT_TRIGGERS
    missing = [name for name, sql in wanted.items() if there.get(name) != sql]
    if missing:
        raise PreconditionFailed(
            f"entries are not append-only here: trigger {missing[0]} is missing or changed; "
            f"{_GUARD_AGAIN}"
        )


def _check_postgresql(connection: Connection) -> None:
    unguarded = connection.scalars(text(_POSTGRESQL_UNGUARDED), {"refuse": _REFUSE}).all()
    if unguarded:
        raise PreconditionFailed(
            f"entries are not append-only here: {unguarded[0]} has not its triggers as they were; "
            f"{_GUARD_AGAIN}"
        )
    too_much = connection.scalars(text(_POSTGRESQL_TOO_MUCH)).all()
    if too_much:
        raise PreconditionFailed(
            f"this database role may {too_much[0]} entries; let the services connect as a role "
            "that 'firsthand init' made, not as the owner"
        )
