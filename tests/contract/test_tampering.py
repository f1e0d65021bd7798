"""One byte of what is stored is changed, by SQL and past the guards: a replay names the place."""

import pytest
from sqlalchemy import Connection, select, update

from services.ledger.config import signers
from services.ledger.store import tables
from tests.contract.ledgers import Ledger
from tests.contract.tampering import findings, spoil
from tests.given import ADA, EVE

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
    ("plans", "planversion", "plan", "plans.planversion"),
    ("plans", "rules", "plan", "plans.plan"),
    ("snapshots", "plan", "plan", "snapshots.plan"),
    ("snapshots", "sequence", "plan", "snapshots.sequence snapshots.plan"),
    ("snapshots", "planversion", "plan", "snapshots.planversion"),
    ("snapshots", "recorded", "plan", "snapshots.recorded"),
    ("snapshots", "rules", "plan", "snapshots.plan"),
    ("people", "sequence", "person", "people.sequence"),
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


def test_nothing_changed_is_nothing_found(lived: Ledger) -> None:
    """And no test here has left a trace."""
    assert lived.replay().findings == []
    for who in (ADA, EVE, "person:nobody"):
        assert lived.replay(who).findings == []
