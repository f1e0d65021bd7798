"""A replay needs entries and keys alone, and every view of the past is a fold from scratch."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from services.cli import main
from services.ledger.fold import PersonState, apply_entry, unwrap_keys
from services.ledger.log import entry
from services.ledger.plan.model import Plan, dump
from services.ledger.queries.reader import Reader
from services.ledger.queries.time_travel import PlanSelector
from services.ledger.vault import Vault
from tests.contract import mixed
from tests.contract.ledgers import DERIVED, Ledger, Together
from tests.given import ADA, EVE
from tests.postgres import Database


@pytest.fixture
def lived(tmp_path: Path, database: Database, valkey_url: str) -> Iterator[Ledger]:
    """A ledger in which everything has happened."""
    ledger = Ledger(tmp_path, database, valkey_url)
    mixed.live(ledger)
    mixed.is_mixed(ledger)
    yield ledger
    ledger.close()


def replay(ledger: Ledger, *words: str) -> Result:
    """`firsthand replay`, as it is typed."""
    return CliRunner().invoke(main, ["replay", *words], env=ledger.environment)


def report(ledger: Ledger, *words: str) -> dict[str, Any]:
    """Its report; it must be clean."""
    result = replay(ledger, *words, "--json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["findings"] == []
    return told


def test_entries_and_keys_are_enough(lived: Ledger) -> None:
    before = report(lived, "--all")
    verdicts = lived.verdicts()
    assert all(before["compared"].values()), before["compared"]
    assert before["entries"] == len(verdicts)
    plans = {person["subject"]: person for person in before["people"]}
    assert set(plans) == {ADA, EVE, *mixed.PEOPLE}
    assert plans[ADA]["sequence"] > 128
    lived.change(*(f"DELETE FROM {name}" for name in DERIVED))
    lived.inbox().redis.flushall()
    after = report(lived, "--all")
    assert not any(after["compared"].values())
    assert lived.verdicts() == verdicts
    for name in ("entries", "logs", "verdicts", "people", "skipped"):
        assert after[name] == before[name], name


def test_the_worker_goes_on_from_entries_and_keys(lived: Ledger) -> None:
    """Stored plans are only a short cut: without them the same is folded, and stored again."""
    before = report(lived, "--all")["people"]
    with lived.as_owner() as connection:
        for name in ("snapshots", "plans", "people"):
            connection.execute(text(f"DELETE FROM {name}"))
    again = mixed.told()
    lived.post(*again[:3], *again[-3:])
    lived.drain()
    assert report(lived, "--all")["people"] == before


def test_one_person_alone(lived: Ledger) -> None:
    whole = {person["subject"]: person for person in report(lived, "--all")["people"]}
    for who in (ADA, EVE, *mixed.PEOPLE):
        told = report(lived, who)
        assert told["people"] == [whole[who]]
        assert told["logs"] == []
    unheard = replay(lived, "person:unheard-of")
    assert (unheard.exit_code, "no entries about" in unheard.output) == (2, True)
    assert report(lived, "person:nobody")["people"] == []


def test_the_text_says_what_was_looked_at(lived: Ledger) -> None:
    result = replay(lived, "--all")
    assert result.exit_code == 0
    assert f"Replayed {len(lived.rows())} entries" in result.stdout
    assert "0 findings." in result.stdout
    assert "Not compared" not in result.stdout
    lived.change("DELETE FROM snapshots", "DELETE FROM plans")
    assert "no rows are stored or requested: plans, snapshots" in replay(lived, "--all").stdout


def test_a_finding_is_an_exit_status_and_a_sentence(lived: Ledger) -> None:
    lived.change("UPDATE people SET planversion = planversion + 1 WHERE subject = :who", who=ADA)
    result = replay(lived, "--all")
    assert result.exit_code == 1
    assert "person: log 0, person:ada, version " in result.stdout
    assert ", people.planversion: " in result.stdout
    one = replay(lived, ADA, "--json")
    assert one.exit_code == 1
    (finding,) = json.loads(one.stdout)["findings"]
    assert (finding["person"], finding["field"]) == (ADA, "people.planversion")
    assert isinstance(finding["version"], int)
    assert replay(lived, EVE).exit_code == 0


def test_usage(lived: Ledger) -> None:
    assert replay(lived).exit_code == replay(lived, ADA, "--all").exit_code == 2


@pytest.mark.parametrize("who", [ADA, EVE])
def test_every_version_is_a_fold_from_scratch(lived: Ledger, who: str) -> None:
    with lived.as_services(write=False) as connection:
        vault = Vault.from_folder(lived.settings.key_folder)
        reader = Reader(connection, vault, 0, who)
        unwrap_keys(connection, vault, [who])
        person, moments, versions = PersonState(Plan(who)), {}, {}
        for row in lived.rows():
            if row["subject"] == who:
                if row["sequence"] is not None:
                    apply_entry(vault, person, entry.parse(row["leaf"]))
                versions[person.plan.version] = moments[row["recorded"]] = dump(person.plan)
        assert len(moments) > (8 if who == ADA else 0)
        for version, whole in versions.items():
            found = reader.plan(PlanSelector(version))
            assert (None if found is None else dump(found)) == (whole if version else None)
        for moment, whole in moments.items():
            seen = reader.plan(PlanSelector(as_of=moment))
            assert seen is None or dump(seen) == whole
            assert (seen is None) == (b'"state":"started"' not in whole)
        assert reader.plan(PlanSelector(max(versions) + 1)) is None
        assert reader.plan(PlanSelector(as_of="2026-01-01T00:00:00.000Z")) is None
        now = reader.plan()
        assert now is not None
        assert dump(now) == dump(person.plan)


def test_a_replay_beside_a_worker_finds_nothing(on_valkey: Ledger) -> None:
    """It looks at one moment of a ledger that moves on."""
    events = mixed.told()
    over = threading.Event()

    def write() -> None:
        projector = on_valkey.projector()
        for start in range(0, len(events), 20):
            on_valkey.post(*events[start : start + 20])
            on_valkey.drain(projector)
        over.set()

    def look() -> None:
        while not over.is_set():
            assert on_valkey.replay().findings == []
            assert on_valkey.replay(ADA).findings == []

    with Together(write, look):
        pass
    assert on_valkey.replay().findings == []
