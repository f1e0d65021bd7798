"""Entries and keys changed by SQL, past the guards: a replay names the place."""

import orjson
import pytest
from sqlalchemy import Connection, select, text, update

from services.ledger.plan.decide import RULES
from services.ledger.store import tables
from services.ledger.vault import LEDGER, Vault
from shared.crypto.jwe import Key
from tests.contract.ledgers import Ledger
from tests.contract.tampering import findings
from tests.given import ADA, EVE


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
        ("accepted", "rules", RULES + 1),
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
    assert {"heads.root", "heads.checkpoint"} <= fields


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
