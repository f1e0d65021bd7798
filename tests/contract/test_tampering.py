"""One byte of what is stored is changed, by SQL and past the guards: a replay names the place.

Each change is made in a transaction of the owner's, replayed inside it, and taken back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import orjson
import pytest
from sqlalchemy import Connection, select, text, update

from services.ledger.config import signers
from services.ledger.replay import Finding, Replay
from services.ledger.store import tables
from services.ledger.vault import LEDGER, Vault
from shared.seal import Key
from tests import matrix, postgres, servers
from tests.contract import mixed
from tests.contract.ledgers import GUARDS, Ledger
from tests.given import ADA, EVE

Change = Callable[[Connection], None]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived_once(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    valkey_process: servers.ValkeyServer,
) -> Iterator[Ledger]:
    """A ledger in which everything has happened, for all tests here."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        opened = postgres.sqlite_database(folder)
    else:
        opened = request.getfixturevalue("postgres_server").database()
    valkey_process.reset()
    with opened as database:
        ledger = Ledger(folder, database, valkey_process.url)
        mixed.live(ledger)
        yield ledger
        ledger.close()


@pytest.fixture
def lived(lived_once: Ledger, request: pytest.FixtureRequest) -> Ledger:
    """The same, noted for the matrix."""
    store = lived_once.database
    matrix.note(request, matrix.STORE, store.kind, store.version)
    return lived_once


class TakenBack(Exception):
    """The end of a transaction that never was."""


@contextmanager
def unguarded(ledger: Ledger) -> Iterator[Connection]:
    """A transaction of the owner's, past the guards, that is taken back."""
    with suppress(TakenBack), ledger.as_owner() as connection:
        off = (
            "ALTER TABLE {} DISABLE TRIGGER ALL"
            if ledger.kind == "postgresql"
            else "DROP TRIGGER {}"
        )
        for name in connection.scalars(text(GUARDS[ledger.kind])).all():
            connection.execute(text(off.format(name)))
        yield connection
        raise TakenBack


def findings(ledger: Ledger, change: Change, person: str | None = None) -> list[Finding]:
    """What a replay finds after the change."""
    found: list[Finding] = []
    with unguarded(ledger) as connection:
        change(connection)
        vault = Vault.from_folder(ledger.settings.key_folder)
        work = Replay(connection, vault, [each.vkey for each in signers(ledger.settings)])
        work.person(0, person) if person else work.everything()
        found += work.report.findings
    return found


def spoil(table: str, column: str) -> Change:
    """Change one byte, digit or letter of the newest fitting row of Ada's (or of the log's)."""

    def change(connection: Connection) -> None:
        where = tables.metadata.tables[table]
        wanted = select(where).where(where.c[column].is_not(None))
        if "subject" in where.c:
            wanted = wanted.where(where.c.subject == ADA)
        order = where.c["index"] if "index" in where.c else next(iter(where.primary_key))
        row = connection.execute(wanted.order_by(order.desc())).mappings().first()
        assert row is not None
        same = [key == row[key.name] for key in where.primary_key]
        value = {column: _other(row[column])}
        assert connection.execute(update(where).where(*same).values(value)).rowcount == 1

    return change


def _other(value: object) -> object:
    match value:
        case bytes():
            middle = len(value) // 2
            return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        case int():
            return value + 1
        case _:
            text = str(value)
            return text[:-1] + ("1" if text[-1] != "1" else "2")


# Table and column that is changed; code and field of the finding.
BYTES = [
    *(
        ("entries", name, "column", name)
        for name in (
            "id",
            "author",
            "kind",
            "verdict",
            "refusal",
            "sequence",
            "planversion",
            "recorded",
            "digest",
        )
    ),
    ("plans", "plan", "plan", "plans.plan"),
    ("plans", "sequence", "plan", "plans.sequence plans.plan"),
    ("plans", "index", "plan", "plans.index"),
    ("plans", "planversion", "plan", "plans.planversion"),
    ("plans", "rules", "plan", "plans.plan"),
    ("snapshots", "plan", "plan", "snapshots.plan"),
    ("snapshots", "sequence", "plan", "snapshots.sequence snapshots.plan"),
    ("snapshots", "index", "plan", "snapshots.index"),
    ("snapshots", "planversion", "plan", "snapshots.planversion"),
    ("snapshots", "recorded", "plan", "snapshots.recorded"),
    ("snapshots", "rules", "plan", "snapshots.plan"),
    ("people", "sequence", "person", "people.sequence"),
    ("people", "index", "person", "people.index"),
    ("people", "planversion", "person", "people.planversion"),
]


@pytest.mark.parametrize(
    ("table", "column", "code", "field"), BYTES, ids=[".".join(each[:2]) for each in BYTES]
)
def test_a_changed_byte_is_named(
    lived: Ledger, table: str, column: str, code: str, field: str
) -> None:
    for person in (None, ADA):
        found = findings(lived, spoil(table, column), person)
        named = [each for each in found if each.code == code and each.field in field.split()]
        assert named, found
        assert (named[0].person, named[0].log) == (ADA, 0)
        assert named[0].version is not None
    assert findings(lived, spoil(table, column), EVE) == []


@pytest.mark.parametrize("table", ["plans", "snapshots", "people"])
def test_a_plan_of_somebody_else_is_named(lived: Ledger, table: str) -> None:
    found = findings(lived, spoil(table, "subject"))
    assert {(each.person, each.field.partition(".")[0]) for each in found} >= {
        ("person:ad1", table)
    }


@pytest.mark.parametrize("table", ["plans", "snapshots", "people"])
def test_what_is_stored_of_another_log_is_named(lived: Ledger, table: str) -> None:
    """Nobody replays log 1 of a ledger that has one log."""
    for person in (None, ADA):
        found = findings(lived, spoil(table, "log"), person)
        assert [(each.person, each.field) for each in found] == [(ADA, f"{table}.log")]
        assert found[0].version is not None


def test_plans_that_were_exchanged_are_named(lived: Ledger) -> None:
    def change(connection: Connection) -> None:
        plan, where = tables.snapshots.c.plan, tables.snapshots.c
        rows = connection.execute(select(where.sequence, plan).where(where.subject == ADA)).all()
        for place, each in enumerate(rows):
            other = update(tables.snapshots).values(plan=rows[place - 1].plan)
            same = where.subject == ADA, where.sequence == each.sequence
            connection.execute(other.where(*same))

    found = findings(lived, change)
    assert {(each.person, each.field) for each in found} == {(ADA, "snapshots.plan")}
    assert "a stored plan of another sequence" in found[0].detail


HEAD = ["size", "root", "frontier", "checkpoint", "recorded"]


@pytest.mark.parametrize("column", HEAD)
def test_a_changed_head_is_named(lived: Ledger, column: str) -> None:
    found = findings(lived, spoil("heads", column))
    assert {(each.code, each.log, each.field) for each in found} == {("head", 0, f"heads.{column}")}


def test_a_head_that_another_key_signed_is_named(lived: Ledger) -> None:
    def change(connection: Connection) -> None:
        signer = type(signers(lived.settings)[0])("example.org/other/0", bytes(32))
        (head,) = connection.execute(select(tables.heads)).all()
        note = signer.checkpoint(head.size, head.root)
        connection.execute(update(tables.heads).values(checkpoint=note))

    (found,) = findings(lived, change)
    assert (found.code, found.field) == ("head", "heads.checkpoint")


def entry_at(connection: Connection, index: int) -> bytes:
    leaf = connection.scalar(select(tables.entries.c.leaf).where(tables.entries.c.index == index))
    assert isinstance(leaf, bytes)
    return leaf


def write_at(connection: Connection, index: int, **values: object) -> None:
    where = tables.entries.c.index == index
    assert connection.execute(update(tables.entries).where(where).values(values)).rowcount == 1


def last_of(ledger: Ledger, verdict: str = "accepted", who: str = ADA) -> int:
    """The place of somebody's last entry with that verdict."""
    rows = [row for row in ledger.rows() if row["subject"] == who]
    return max(int(row["index"]) for row in rows if verdict in (row["verdict"], row["refusal"]))


def test_changed_bytes_of_an_entry_are_named(lived: Ledger) -> None:
    place = last_of(lived)

    def change(connection: Connection) -> None:
        leaf = entry_at(connection, place)
        write_at(connection, place, leaf=leaf.replace(b'"v":1', b'"v":2'))

    found = findings(lived, change)
    assert ("entry", place, ADA, "leaf") in [
        (each.code, each.index, each.person, each.field) for each in found
    ]
    assert {"heads.root", "heads.checkpoint"} <= {each.field for each in found}


@pytest.mark.parametrize(
    ("verdict", "member", "value"),
    [
        ("accepted", "verdict", "refused"),
        ("unknown-target", "refusal", None),
        ("unknown-target", "refusal", "exists"),
        ("our-fault", "refusal", "exists"),
        ("accepted", "refusal", "our-fault"),
        ("accepted", "sequence", 7),
        ("accepted", "planversion", 0),
        ("accepted", "rules", 2),
        ("accepted", "author", "person:eve"),
        ("accepted", "digest", "x" * 43),
        ("accepted", "received", "2027-01-01T00:00:00.000Z"),
    ],
)
def test_an_entry_rewritten_with_its_columns_is_named(
    lived: Ledger, verdict: str, member: str, value: object
) -> None:
    """By somebody who knows the format: canonical bytes, columns to match, but no keys."""
    place = last_of(lived, verdict)

    def change(connection: Connection) -> None:
        members = orjson.loads(entry_at(connection, place)) | {member: value}
        if member == "refusal":
            members["verdict"] = "accepted" if value is None else "refused"
        members = {name: each for name, each in members.items() if each is not None}
        values = {
            name: members.get(name)
            for name in ("verdict", "refusal", "sequence", "planversion", "author", "digest")
        }
        leaf = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
        write_at(connection, place, leaf=leaf, **values)

    found = findings(lived, change)
    assert {"heads.root", "heads.checkpoint"} <= {each.field for each in found}
    # An expiry may lie between the two moments, or not; and a fault of ours is believed.
    if member != "received" and value != "our-fault":
        assert [each for each in found if (each.index, each.person) == (place, ADA)], found


def test_an_entry_that_is_gone_is_named(lived: Ledger) -> None:
    place = last_of(lived)

    def change(connection: Connection) -> None:
        gone = text('DELETE FROM entries WHERE "index" = :place')
        assert connection.execute(gone, {"place": place}).rowcount == 1

    found = findings(lived, change)
    assert {"heads.size", "heads.root"} <= {each.field for each in found}
    assert "people.sequence" in {each.field for each in found if each.person == ADA}
    assert found[0].index is None or found[0].detail == f"{place} was next"
    one = findings(lived, change, ADA)
    assert "people.sequence" in {each.field for each in one}


@pytest.mark.parametrize("lived_once", ["sqlite"], indirect=True)
def test_an_entry_in_a_log_that_is_none_is_named(lived: Ledger) -> None:
    """PostgreSQL has no partition for it."""
    place = last_of(lived)
    found = findings(lived, lambda connection: write_at(connection, place, log=7))
    assert (ADA, "entries.log", "7; this ledger has 1 log(s)") in {
        (each.person, each.field, each.detail) for each in found
    }


def test_a_hole_in_the_log_is_named_once(lived: Ledger) -> None:
    def change(connection: Connection) -> None:
        connection.execute(text('DELETE FROM entries WHERE "index" = 100'))

    order = [each for each in findings(lived, change) if each.code == "order"]
    assert [(each.index, each.detail) for each in order] == [(101, "100 was next")]


def test_entries_that_changed_places_are_named(lived: Ledger) -> None:
    first, second = last_of(lived), last_of(lived, who=EVE)

    def change(connection: Connection) -> None:
        one, other = entry_at(connection, first), entry_at(connection, second)
        for place, aside in ((first, 10**6), (second, first), (10**6, second)):
            move = text('UPDATE entries SET "index" = :aside WHERE "index" = :place')
            connection.execute(move, {"place": place, "aside": aside})
        assert (entry_at(connection, first), entry_at(connection, second)) == (other, one)

    fields = {each.field for each in findings(lived, change)}
    assert {"heads.root", "people.index"} <= fields


@pytest.mark.parametrize("name", ["wrapped", "replaced", "kid", "gone", "ledger's"])
def test_a_key_that_is_not_the_one_is_named(lived: Ledger, name: str) -> None:
    subject = LEDGER if name == "ledger's" else ADA
    other = Key.fresh()
    vault = Vault.from_folder(lived.settings.key_folder)

    def change(connection: Connection) -> None:
        row = tables.keys.c.subject == subject
        _, fresh = vault.fresh(subject)
        values: dict[str, dict[str, object]] = {
            "wrapped": {"wrapped": bytes(40)},
            "replaced": {"kid": fresh["kid"], "wrapped": fresh["wrapped"]},
            "kid": {"kid": other.kid},
            "ledger's": {"kid": fresh["kid"], "wrapped": fresh["wrapped"]},
        }
        if name == "gone":
            connection.execute(tables.keys.delete().where(row))
        else:
            connection.execute(update(tables.keys).where(row).values(values[name]))

    found = findings(lived, change)
    assert {each.code for each in found} == {"sealed"}
    assert {each.field for each in found} == {"sealed"}
    assert ADA in {each.person for each in found}
    if subject == ADA:
        assert {each.person for each in found} == {ADA}
        assert findings(lived, change, EVE) == []


def test_nothing_changed_is_nothing_found(lived: Ledger) -> None:
    """And no test here has left a trace."""
    assert lived.replay().findings == []
    for who in (ADA, EVE, "person:nobody"):
        assert lived.replay(who).findings == []
