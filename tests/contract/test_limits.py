"""What nobody can do to others: slow their reads, stop their partition, spoil what is derived."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from services.ledger.queries.reader import Reader
from services.ledger.store import writes
from services.ledger.vault import Vault
from shared.crypto.jwe import Key, encrypt
from shared.crypto.transit import Transit
from shared.errors import CatalogueTooNew, KeyUnavailable
from shared.events.event import Event, canonical
from tests.contract.ledgers import Ledger
from tests.given import ADA, ada, sam, started

MANY = 1_500


def reworded(said: Event, number: int) -> Event:
    """The same author and id, another event."""
    posted = json.loads(said.canonical)
    posted["data"] |= {"seen_or_heard": f"version {number}"}
    return said._replace(data=posted["data"], canonical=canonical(posted))


def test_many_events_under_one_id_are_told_apart_without_reading_them(on_valkey: Ledger) -> None:
    said = sam.observes()
    reused = [reworded(said, number) for number in range(MANY)]
    projector = on_valkey.projector()
    on_valkey.inbox().publish(0, [started, *reused])
    assert on_valkey.drain(projector) == MANY + 1
    on_valkey.inbox().publish(0, reused)  # all repeats, each beside as many others
    assert on_valkey.drain(projector) == MANY
    assert len(on_valkey.rows()) == MANY + 1
    with on_valkey.as_services(write=False) as connection:
        looked_at = writes.existing_entries(connection, 0, {said.id})
    assert {"leaf"}.isdisjoint(looked_at[0].keys())  # bytes of none are fetched to find repeats


def test_attempts_without_standing_are_not_read_with_the_plan(on_valkey: Ledger) -> None:
    on_valkey.post(started, ada.states(), *[sam.states(f"w{number}") for number in range(20)])
    on_valkey.drain()
    vault = Vault.from_folder(on_valkey.settings.key_folder)
    with on_valkey.as_services(write=False) as connection:
        plan = Reader(connection, vault, 0, ADA).plan()
        assert plan is not None
        assert plan.version == 2
        explain = "EXPLAIN QUERY PLAN" if on_valkey.kind == "sqlite" else "EXPLAIN"
        if on_valkey.kind == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
        asked = (
            f"{explain} SELECT leaf FROM entries WHERE log = 0 AND subject = 'a' "
            "AND sequence > 1 ORDER BY sequence"
        )
        told = str(connection.execute(text(asked)).all())
    assert "sequence" in told


@pytest.mark.parametrize("damage", ["plan", "rules", "sequence"])
def test_a_damaged_stored_plan_is_folded_again_from_the_entries(
    on_valkey: Ledger, damage: str
) -> None:
    on_valkey.post(started, ada.states())
    on_valkey.drain()
    set_to = {"plan": "plan = :bytes", "rules": "rules = 7", "sequence": "sequence = sequence + 3"}
    values = {"bytes": b"\x00"} if damage == "plan" else {}
    with on_valkey.as_owner() as connection:
        connection.execute(text(f"UPDATE plans SET {set_to[damage]}"), values)
    on_valkey.post(ada.writes("Food", "Fish."))
    on_valkey.drain()
    assert [row["planversion"] for row in on_valkey.rows()] == [1, 2, 3]


def test_a_message_of_a_newer_catalogue_waits_for_a_newer_worker() -> None:
    key = Key.fresh()
    sealed = encrypt(key, b"x", {"partition": 0, "catalogue": 99, "use": "event"})
    with pytest.raises(CatalogueTooNew, match="catalogue 99"):
        Transit([key]).decrypt(0, sealed, "event")
    with pytest.raises(KeyUnavailable):
        Transit([Key.fresh()]).decrypt(0, sealed, "event")


def test_key_files_are_made_whole_and_never_made_over(tmp_path: Path) -> None:
    Transit.make(tmp_path)
    first = (tmp_path / "transit.jwks").read_bytes()
    Transit.make(tmp_path)
    assert (tmp_path / "transit.jwks").read_bytes() == first
    assert json.loads(first)["keys"]
    assert (tmp_path / "transit.jwks").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["transit.jwks"]
