"""Append-only guards of entries and archived checkpoints, and the check that they are in force.

SQLite: triggers refuse UPDATE, DELETE, and an INSERT that conflicts with any unique key of an
entry (its index, its event's id and digest, its rowid), since REPLACE deletes the old entry without
firing the other two triggers. An authorizer (`_deny_drop`) stops our connections from dropping or
altering tables. PostgreSQL: the services' role owns nothing and has INSERT and SELECT on entries.
Triggers, ENABLE ALWAYS, refuse UPDATE, DELETE and TRUNCATE on `entries` and on every partition; the
function that creates partitions creates them. The read API may have a separate role, the reader's,
with SELECT only.
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
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",  # noqa: S608 - no query, constants only
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
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",  # noqa: S608 - no query, constants only
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
# `tgtype` is a bit mask: BEFORE UPDATE OR DELETE for every row, BEFORE TRUNCATE.
_POSTGRESQL_UNGUARDED = f"""
SELECT c.relname FROM {_GUARDED} WHERE 2 <> (
    SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A'
    AND (t.tgname, t.tgtype) IN (('no_change', 27), ('no_truncate', 34))
    AND t.tgfoid = 'entries_refuse'::regproc AND t.tgqual IS NULL AND t.tgattr = ''
)
UNION ALL
SELECT proname FROM pg_proc WHERE oid = 'entries_refuse'::regproc AND prosrc <> :refuse
"""  # noqa: S608 - constants only
_POSTGRESQL_EXCESS = f"""
SELECT privilege FROM {_GUARDED},
    unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege
WHERE has_table_privilege(c.oid, privilege)
   OR (privilege = 'UPDATE' AND has_any_column_privilege(c.oid, privilege))
"""  # noqa: S608 - constants only
_ALLOWED = {
    "SELECT": "ledger, heads, entries, keys, people, plans, snapshots, tiles, checkpoints, "
    "unreadable, held, alarms, alembic_version",
    "INSERT": "entries, keys, people, plans, snapshots, tiles, checkpoints, unreadable, held, "
    "alarms",
    "UPDATE": "heads, people, plans",
    "DELETE": "people, plans, snapshots, tiles, held",
}
_COUNTERS = "unreadable_number_seq, held_number_seq, alarms_number_seq"


_READER_EXCESS = """
SELECT privilege, t.relname FROM pg_class t, unnest(ARRAY[
    'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p')
AND (has_table_privilege(t.oid, privilege) OR (
    privilege IN ('INSERT', 'UPDATE') AND has_any_column_privilege(t.oid, privilege)))
ORDER BY t.relname, privilege
"""

_REMEDY = (
    "find out who changed it, restore it from services/ledger/store/append_only.py, and run "
    "'firsthand replay --all'"
)


def grant(connection: Connection, role: str) -> None:
    """Grant the services' role the privileges that it needs, no others (PostgreSQL)."""
    quoted = connection.dialect.identifier_preparer.quote(role)
    for privilege, tables in _ALLOWED.items():
        connection.execute(text(f"GRANT {privilege} ON {tables} TO {quoted}"))
    connection.execute(text(f"GRANT USAGE ON SEQUENCE {_COUNTERS} TO {quoted}"))


def grant_reading(connection: Connection, role: str) -> None:
    """Grant the read API's role SELECT and nothing else (PostgreSQL)."""
    quoted = connection.dialect.identifier_preparer.quote(role)
    connection.execute(text(f"GRANT SELECT ON {_ALLOWED['SELECT']} TO {quoted}"))


def check_reader(connection: Connection) -> None:
    """Raise PreconditionFailed, naming a table, if this role may do more than read.

    This applies to PostgreSQL. On SQLite the reader opens the file read-only.
    """
    if connection.dialect.name == "sqlite":
        return
    excess = connection.execute(text(_READER_EXCESS)).first()
    if excess is not None:
        raise PreconditionFailed(
            f"the read API's database role may {excess.privilege} {excess.relname}; set "
            "FIRSTHAND_DATABASE_READER_URL to a separate role, and run 'firsthand init'"
        )


def check(connection: Connection) -> None:
    """Raise PreconditionFailed, naming what is missing, unless entries are append-only."""
    if connection.dialect.name == "sqlite":
        _check_sqlite(connection)
    else:
        _check_postgresql(connection)


def _check_sqlite(connection: Connection) -> None:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    triggers: dict[str, str] = {row.name: row.sql for row in rows}
    expected = SQLITE_TRIGGERS | CHECKPOINT_TRIGGERS
    missing = [name for name, sql in expected.items() if triggers.get(name) != sql]
    if missing:
        raise PreconditionFailed(
            f"entries are not append-only: trigger {missing[0]} is missing or modified; {_REMEDY}"
        )


def _check_postgresql(connection: Connection) -> None:
    unguarded = connection.scalars(text(_POSTGRESQL_UNGUARDED), {"refuse": _REFUSE}).all()
    if unguarded:
        raise PreconditionFailed(
            f"entries are not append-only: the triggers on {unguarded[0]} are missing or modified; "
            f"{_REMEDY}"
        )
    excess = connection.scalars(text(_POSTGRESQL_EXCESS)).all()
    if excess:
        raise PreconditionFailed(
            f"this database role may {excess[0]} entries; let the services connect as a role "
            "that 'firsthand init' created, not as the owner"
        )
