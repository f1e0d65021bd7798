"""Where a reader begins to fold: snapshots in the midst of a batch, and plans that were kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

import pytest

from services.ledger.fold import SNAPSHOT_BYTES as STEP
from services.ledger.fold import PersonState
from services.ledger.plan.model import Plan, dump
from services.ledger.queries.read_cache import LIMIT, ReadCache
from services.ledger.queries.reader import Reader
from services.ledger.queries.time_travel import PlanSelector
from services.ledger.vault import Vault
from shared.events.event import Event
from tests.contract.ledgers import Ledger
from tests.given import ADA, ada, fold, started

LONG = 200  # events: several snapshots


@contextmanager
def reader(ledger: Ledger, kept: ReadCache) -> Iterator[Reader]:
    with ledger.as_services(write=False) as connection:
        vault = Vault.from_folder(ledger.settings.key_folder)
        yield Reader(connection, vault, 0, ADA, kept)


def life(length: int) -> list[Event]:
    """A plan, and a wish that is reworded as often as that."""
    return [started, ada.states("0"), *(ada.rewords(str(each)) for each in range(1, length))]


def plan_of(events: list[Event]) -> bytes:
    plan = Plan(ADA)
    fold(plan, events)
    return dump(plan)


def seen(ledger: Ledger, kept: ReadCache, version: int | None = None) -> bytes:
    with reader(ledger, kept) as reading:
        plan = reading.plan(PlanSelector(version))
        assert plan is not None
        return dump(plan)


def _before(weights: Sequence[int], number: int) -> int:
    """How many steps the plan's accepted bytes had passed before an entry."""
    return weights[number - 2] // STEP if number > 1 else 0


def test_a_batch_leaves_snapshots_in_its_midst_and_each_is_true(on_valkey: Ledger) -> None:
    events = life(LONG)
    inbox = on_valkey.inbox()
    inbox.publish(0, events)
    assert on_valkey.projector().batch(0) == len(events)
    places = [row["sequence"] for row in on_valkey.table("snapshots")]
    weights = list(accumulate(len(each.canonical) for each in events))
    wanted = [n for n in range(1, len(events) + 1) if weights[n - 1] // STEP > _before(weights, n)]
    assert places == wanted
    assert len(places) > 1
    assert on_valkey.replay().findings == []
    first = places[0]
    for version in (1, first - 1, first, first + 1, LONG):
        assert seen(on_valkey, ReadCache(), version) == plan_of(events[:version])


def test_what_is_kept_is_what_would_be_folded(on_valkey: Ledger) -> None:
    """The same answers in any order, while more is recorded, and as from a new process."""
    events, kept = life(40), ReadCache()
    on_valkey.post(*events[:30])
    on_valkey.drain()
    assert seen(on_valkey, kept) == plan_of(events[:30])
    on_valkey.post(*events[30:])
    on_valkey.drain()
    for version in (None, 30, 41, None, 35, 30, 1):
        told = plan_of(events[:version] if version else events)
        assert seen(on_valkey, kept, version) == seen(on_valkey, ReadCache(), version) == told


def test_a_reader_folds_on_from_what_is_kept(on_valkey: Ledger) -> None:
    events, kept = life(64), ReadCache()
    on_valkey.post(*events[:40])
    on_valkey.drain()
    seen(on_valkey, kept)
    on_valkey.post(*events[40:])
    on_valkey.drain()
    on_valkey.change("UPDATE plans SET plan = :spoilt", spoilt=b"spoilt")
    assert seen(on_valkey, kept) == plan_of(events)


def test_what_was_kept_of_another_history_is_not_taken(on_valkey: Ledger) -> None:
    """A database put back to an older copy, and gone on with: the same places, other entries."""
    kept, events = ReadCache(), life(10)
    on_valkey.post(*events)
    on_valkey.drain()
    last = on_valkey.rows()[-1]["leaf"]
    with reader(on_valkey, kept) as reading:
        kid = reading.past.vault.person(ADA)
        assert kid is not None
        stranger = PersonState(Plan(ADA, "started", 7), 5)
        kept.keep(kid.kid, b"an entry that is not there", stranger)
    assert seen(on_valkey, kept) == plan_of(events)
    found = kept.find(kid.kid, last)
    assert found is not None
    assert found.sequence == len(events)


@pytest.mark.parametrize("length", [1, LIMIT // 3, LIMIT + 1])
def test_no_more_is_kept_than_there_is_room_for(length: int) -> None:
    kept, entries = ReadCache(), {str(each): [ADA] for each in range(length)}
    people = [PersonState(Plan(ADA, entries=entries), number) for number in range(1, 9)]
    for each in people:
        kept.keep("kid", bytes([each.sequence]), each)
    there = [each for each in people if kept.find("kid", bytes([each.sequence]))]
    assert there == people[-max(1, min(8, LIMIT // length)) :]
    assert kept.newest("kid") == (bytes([8]), people[-1])
    assert kept.newest("another") is None
