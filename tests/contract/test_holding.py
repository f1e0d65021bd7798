"""Damage to one person holds that person's events back, in order; everybody else's go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from services.cli import main
from services.ledger.vault import KeyUnwrapError
from services.ledger.writer import held_messages
from services.ledger.writer.projector import Projector
from shared.inbox.redis_keys import held_key
from tests.contract.examined import named
from tests.contract.ledgers import Ledger, waited_for
from tests.contract.standins import Dies, like
from tests.given import ADA, EVE, about, ada, eve, sam

EARLY = [ada.starts(), ada.states(), *(ada.writes("Food", f"Fish {n}") for n in range(3))]
LATE = [ada.rewords("Swim."), ada.writes("Home", "A window"), ada.writes("Home", "A door")]
EVES = [about(EVE, eve.starts()), about(EVE, eve.states())]


@contextmanager
def key_away(ledger: Ledger) -> Iterator[None]:
    """Without Ada's key, as long as a block lasts."""
    (row,) = [each for each in ledger.table("keys") if each["subject"] == ADA]
    ledger.change("DELETE FROM keys WHERE subject = 'person:ada'")
    yield
    with ledger.as_owner() as connection:
        connection.execute(
            text("INSERT INTO keys (kid, subject, wrapped) VALUES (:kid, :subject, :wrapped)"), row
        )


@contextmanager
def key_damaged(ledger: Ledger) -> Iterator[None]:
    """With one byte of Ada's wrapped key changed."""
    (row,) = [each for each in ledger.table("keys") if each["subject"] == ADA]
    wrapped = bytes(row["wrapped"])
    changed = bytes([wrapped[0] ^ 1]) + wrapped[1:]
    ledger.change("UPDATE keys SET wrapped = :raw WHERE subject = 'person:ada'", raw=changed)
    yield
    ledger.change("UPDATE keys SET wrapped = :raw WHERE subject = 'person:ada'", raw=wrapped)


@contextmanager
def entry_damaged(ledger: Ledger) -> Iterator[None]:
    """With one byte of one of Ada's sealed entries changed, and no stored plan to skip it."""
    leaf = bytes(ledger.rows()[1]["leaf"])
    place = leaf.index(b'"sealed":"') + 60
    changed = leaf[:place] + (b"A" if leaf[place : place + 1] != b"A" else b"B") + leaf[place + 1 :]
    ledger.rewrite(1, changed)
    yield
    ledger.rewrite(1, leaf)


@contextmanager
def verdict_changed(ledger: Ledger) -> Iterator[None]:
    """With the clear verdict of one of Ada's entries changed: a line would be missing."""
    leaf = bytes(ledger.rows()[1]["leaf"])
    changed = leaf.replace(b'"verdict":"accepted"', b'"refusal":"exists","verdict":"refused"')
    ledger.rewrite(1, orjson.dumps(orjson.loads(changed), option=orjson.OPT_SORT_KEYS))
    yield
    ledger.rewrite(1, leaf)


Damage = Callable[[Ledger], Any]
DAMAGES = [key_away, key_damaged, entry_damaged, verdict_changed]


def worked(ledger: Ledger) -> Projector:
    """A worker that has just started, so that nothing is in its memory."""
    projector = ledger.projector()
    ledger.drain(projector)
    return projector


def released(ledger: Ledger) -> None:
    """A new worker, which tries at once."""
    worked(ledger)
    ledger.projector().batch(0)


@pytest.mark.parametrize("damage", DAMAGES)
def test_others_go_on_and_the_held_are_judged_in_order_later(
    on_valkey: Ledger, damage: Damage
) -> None:
    on_valkey.post(*EARLY)
    on_valkey.drain()
    with damage(on_valkey):
        on_valkey.post(LATE[0], *EVES, sam.rewords("Lose weight."), LATE[1])
        worked(on_valkey)
        assert (on_valkey.ids(EVE), on_valkey.waiting()) == ([each.id for each in EVES], 0)
        on_valkey.post(LATE[2])
        worked(on_valkey)
        assert on_valkey.ids(ADA) == [each.id for each in EARLY]
        assert [row["subject"] for row in on_valkey.table("held")] == [ADA] * 4
        named(on_valkey, "held", "error", ADA, "continues by itself")
    released(on_valkey)
    said = [*EARLY, LATE[0], sam.rewords("Lose weight."), LATE[1], LATE[2]]
    assert [row["refusal"] for row in on_valkey.rows() if row["subject"] == ADA].count(None) == 8
    assert len(on_valkey.ids(ADA)) == len(said)
    assert [each for each in on_valkey.ids(ADA) if each in {e.id for e in LATE}] == [
        each.id for each in LATE
    ]
    assert on_valkey.table("held") == []
    assert on_valkey.replay().findings == []


def test_what_is_held_is_unreadable_without_keys(on_valkey: Ledger) -> None:
    on_valkey.post(*EARLY)
    on_valkey.drain()
    with key_away(on_valkey):
        on_valkey.post(*LATE)
        worked(on_valkey)
        rows = on_valkey.table("held")
        assert len(rows) == 3
        assert b"window" not in b"".join(bytes(row["message"]) for row in rows)


def test_a_crash_after_commit_holds_nothing_twice(on_valkey: Ledger) -> None:
    on_valkey.post(*EARLY)
    on_valkey.drain()
    with key_away(on_valkey):
        on_valkey.post(*LATE)
        with pytest.raises(KeyboardInterrupt):
            on_valkey.projector(inbox=like(Dies, on_valkey)).batch(0)
        assert (len(on_valkey.table("held")), on_valkey.waiting()) == (3, 3)
        worked(on_valkey)
        assert (len(on_valkey.table("held")), on_valkey.waiting()) == (3, 0)
    released(on_valkey)
    assert on_valkey.ids(ADA) == [each.id for each in [*EARLY, *LATE]]


def test_damage_is_noticed_when_a_person_is_loaded_and_nothing_in_between_is_lost(
    on_valkey: Ledger,
) -> None:
    projector = on_valkey.projector()
    on_valkey.post(*EARLY)
    on_valkey.drain(projector)
    with key_away(on_valkey):
        on_valkey.post(LATE[0])
        on_valkey.drain(projector)
        on_valkey.post(LATE[1])
        worked(on_valkey)
        assert on_valkey.ids(ADA) == [each.id for each in [*EARLY, LATE[0]]]
    released(on_valkey)
    assert on_valkey.ids(ADA) == [each.id for each in [*EARLY, *LATE[:2]]]


def test_the_worker_tries_again_by_itself_and_later_each_time(on_valkey: Ledger) -> None:
    now = [0.0]
    held = held_messages.HeldMessages(lambda: now[0])
    on_valkey.post(*EARLY)
    on_valkey.drain()
    with key_away(on_valkey):
        on_valkey.post(*LATE)
        worked(on_valkey)
    with on_valkey.as_services(write=False) as connection:
        held.refresh(connection, 0)
    assert held.people(0) == [ADA]
    pauses = []
    for _ in range(7):
        assert held.is_due(0)
        held.schedule_retry(0, released=False)
        assert not held.is_due(0)
        began = now[0]
        while not held.is_due(0):
            now[0] += 0.5
        pauses.append(now[0] - began)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    held.schedule_retry(0, released=True)
    now[0] += 2.0
    assert held.is_due(0)


def test_intake_hears_of_whom_no_more_can_be_held(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_messages, "MOST_MESSAGES", 3)
    on_valkey.post(*EARLY)
    on_valkey.drain()
    inbox = on_valkey.inbox()
    with key_away(on_valkey):
        on_valkey.post(*LATE[:2])
        worked(on_valkey)
        assert inbox.redis.smembers(held_key(0)) == set()
        on_valkey.post(LATE[2])
        worked(on_valkey)
        assert inbox.redis.smembers(held_key(0)) == {inbox.transit.alias(ADA).encode()}
        assert 0 < inbox.redis.ttl(held_key(0)) <= 60
    released(on_valkey)
    assert inbox.redis.smembers(held_key(0)) == set()


def run(ledger: Ledger, *words: str, code: int = 0) -> str:
    """A command, as it is typed."""
    done = CliRunner().invoke(main, words, env=ledger.environment)
    assert done.exit_code == code, done.output
    return done.output


def test_an_export_carries_what_is_held_and_a_restore_holds_it_again(
    on_valkey: Ledger, tmp_path: Path
) -> None:
    on_valkey.post(*EARLY)
    on_valkey.drain()
    with key_away(on_valkey):
        on_valkey.post(*LATE)
        worked(on_valkey)
        held = on_valkey.table("held")
        for name in ("export", "export.tar.gz"):
            said = run(on_valkey, "export", str(tmp_path / name))
            assert "3 messages held back, still encrypted" in said
            run(on_valkey, "audit", str(tmp_path / name))
        on_valkey.change("DELETE FROM held WHERE place = :last", last=held[-1]["place"])
        said = run(on_valkey, "restore", str(tmp_path / "export.tar.gz"), code=1)
        assert "1 messages held back again" in said
        assert [row["place"] for row in on_valkey.table("held")] == [row["place"] for row in held]
        path = tmp_path / "export" / "held.jsonl"
        path.write_bytes(path.read_bytes().replace(b"person:ada", b"person:bob"))
        said = run(on_valkey, "restore", str(tmp_path / "export"), code=3)
        assert "held.jsonl was not exported by this ledger" in said
    released(on_valkey)
    assert on_valkey.ids(ADA) == [each.id for each in [*EARLY, *LATE]]


def test_a_duplicate_of_what_is_held_is_one_entry(on_valkey: Ledger) -> None:
    on_valkey.post(*EARLY)
    on_valkey.drain()
    with key_away(on_valkey):
        on_valkey.post(LATE[0], LATE[0])
        worked(on_valkey)
        on_valkey.post(waited_for(LATE[0], "w"))
        worked(on_valkey)
    released(on_valkey)
    assert on_valkey.ids(ADA) == [each.id for each in [*EARLY, LATE[0]]]


def test_without_the_ledgers_own_key_everybody_waits(on_valkey: Ledger) -> None:
    """That is no one person's damage."""
    on_valkey.post(*EARLY)
    on_valkey.drain()
    on_valkey.change("UPDATE keys SET wrapped = :raw WHERE subject = 'ledger'", raw=bytes(40))
    with pytest.raises(KeyUnwrapError):
        on_valkey.projector()
