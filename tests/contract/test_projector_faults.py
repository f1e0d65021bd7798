"""The projector when something fails, stalls or dies: nothing lost, nothing twice, in order."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.ledger.bootstrap import open_store
from services.ledger.config import signers, utc_now
from services.ledger.plan import decide as rules
from services.ledger.plan import evolve as changes
from services.ledger.plan.model import Plan
from services.ledger.store.database import CommitUnknown
from services.ledger.writer.projector import Projector
from services.ledger.writer.worker import Drainer
from shared.errors import PreconditionFailed
from shared.events.event import Event
from shared.inbox.redis_keys import inbox_key
from tests.contract.ledgers import Ledger, waited_for
from tests.contract.standins import IDS, TOLD, WAITING, Dies, FailsOnce, like
from tests.contract.test_projector import receipt
from tests.given import ADA, about, ada, event, sam


def test_a_crash_after_commit_gives_no_second_verdict(ledger: Ledger) -> None:
    ledger.post(*TOLD[:3], waited_for(TOLD[3], "w"))
    dying = ledger.projector(inbox=like(Dies, ledger))
    with pytest.raises(KeyboardInterrupt):
        dying.batch(0)
    assert (ledger.ids(ADA), ledger.waiting()) == (IDS[:4], 4)
    ledger.post(TOLD[4])
    assert ledger.drain() == 5
    assert (ledger.ids(ADA), ledger.waiting()) == (IDS[:5], 0)
    assert receipt(ledger, "w")[0] == 200
    assert not ledger.replay().findings


def test_a_repeat_is_deleted_only_after_a_commit_of_its_own(on_valkey: Ledger) -> None:
    on_valkey.post(TOLD[0])
    with pytest.raises(KeyboardInterrupt):
        on_valkey.projector(inbox=like(Dies, on_valkey)).batch(0)
    projector = on_valkey.projector()
    with on_valkey.as_owner() as connection:
        connection.execute(text("ALTER TABLE heads RENAME TO away"))
    with pytest.raises(SQLAlchemyError):
        projector.batch(0)
    assert on_valkey.waiting() == 1
    with on_valkey.as_owner() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO heads"))
    assert on_valkey.drain(projector) == 1
    assert (on_valkey.ids(ADA), on_valkey.waiting()) == (IDS[:1], 0)


def test_a_batch_that_does_not_commit_leaves_no_plan_behind(on_valkey: Ledger) -> None:
    """Its plans were changed in place and its keys made: both are dropped."""
    for part in (TOLD[:2], TOLD[2:]):
        opened, vault = open_store(on_valkey.settings, write=True)
        failing = [FailsOnce.from_skey(signers(on_valkey.settings)[0].skey)]
        projector = Projector(opened, on_valkey.inbox(), vault, failing, utc_now)
        on_valkey.post(*part)
        with pytest.raises(RuntimeError, match="the signer is away"):
            projector.batch(0)
        assert vault.person(ADA) is None
        assert on_valkey.drain(projector) == len(part)
        opened.dispose()
    assert on_valkey.ids(ADA) == IDS
    assert set(on_valkey.verdicts()) == {"accepted"}
    assert not on_valkey.replay().findings


def failing(name: str, fault: Exception, often: int) -> Callable[..., rules.Verdict]:
    """decide, but for one event, as often as said."""
    left = [often]

    def decide(plan: Plan, said: Event, *, reused: bool = False) -> rules.Verdict:
        if said.id == name and left[0]:
            left[0] -= 1
            raise fault
        return rules.decide(plan, said, reused=reused)

    return decide


@pytest.mark.parametrize("often", [1, 2, 9])
def test_a_fault_of_ours_is_recorded_at_the_second_time(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch, often: int
) -> None:
    decide = failing(IDS[3], ZeroDivisionError("ours"), often)
    monkeypatch.setattr("services.ledger.writer.batch.decide", decide)
    on_valkey.post(*TOLD)
    on_valkey.drain()
    assert on_valkey.ids(ADA) == IDS
    wanted = "accepted" if often == 1 else "our-fault"
    assert on_valkey.verdicts() == ["accepted"] * 3 + [wanted] + ["accepted"] * 5
    assert [row["sequence"] for row in on_valkey.rows()] == list(range(1, 10))
    monkeypatch.undo()
    assert not on_valkey.replay().findings


def test_a_change_that_fails_half_way_changes_nothing(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evolve(plan: Plan, said: Event) -> Plan:
        changes.evolve(plan, said)
        if said.id == IDS[3]:
            raise ZeroDivisionError
        return plan

    on_valkey.post(TOLD[0])
    on_valkey.drain()
    monkeypatch.setattr("services.ledger.writer.batch.evolve", evolve)
    on_valkey.post(*TOLD[1:])
    on_valkey.drain()
    assert on_valkey.verdicts() == ["accepted"] * 3 + ["our-fault"] + ["accepted"] * 5
    monkeypatch.undo()
    assert not on_valkey.replay().findings


def test_want_of_memory_never_becomes_a_refusal(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ledger.writer.batch.decide", failing(IDS[1], MemoryError(), 9))
    on_valkey.post(*TOLD)
    projector = on_valkey.projector()
    assert Drainer(projector, lambda _: None).drain(0) == 0
    assert (on_valkey.rows(), on_valkey.waiting()) == ([], 9)
    assert b"MemoryError" in (on_valkey.inbox().redis.get(WAITING) or b"")
    monkeypatch.undo()
    assert Drainer(projector, lambda _: None).drain(0) == 9
    assert on_valkey.ids(ADA) == IDS


def test_a_type_of_tomorrow_waits_for_a_newer_worker(on_valkey: Ledger) -> None:
    newer = event(ADA, {"type": "dream.told", "data": {"words": "I flew."}})
    on_valkey.post(*TOLD[:2], newer, TOLD[2])
    drainer = Drainer(on_valkey.projector(), lambda _: None)
    assert drainer.drain(0) == drainer.drain(0) == 0
    assert (on_valkey.ids(ADA), on_valkey.waiting()) == (IDS[:2], 2), "what came before is recorded"
    why = on_valkey.inbox().redis.get(WAITING)
    assert why == b"CatalogueTooNew: this worker does not know the event type dream.told"
    assert not drainer.stopping.is_set()


def test_a_database_that_fails_is_waited_for(ledger: Ledger) -> None:
    drainer = Drainer(ledger.projector(), lambda _: None)
    ledger.post(*TOLD[:2])
    assert drainer.drain(0) == 2
    with ledger.as_owner() as connection:
        connection.execute(text("ALTER TABLE people RENAME TO away"))
    ledger.post(*TOLD[2:], about("person:eve", ada.starts()))
    assert drainer.drain(0) == 0
    assert ledger.waiting() == 8
    why = ledger.inbox().redis.get(WAITING) or b""
    assert b"Error" in why
    assert b"person:eve" not in why
    with ledger.as_owner() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO people"))
    assert drainer.drain(0) == 8
    assert ledger.ids(ADA) == IDS
    assert ledger.inbox().redis.get(WAITING) is None
    assert not ledger.replay().findings


def test_a_stream_that_somebody_spoiled_is_waited_for(on_valkey: Ledger) -> None:
    """No drain raises for it: the sweeper's thread would end, and nobody would hear of it."""
    on_valkey.post(*TOLD)
    redis, key = on_valkey.inbox().redis, inbox_key(0)
    redis.rename(key, "aside")
    redis.set(key, "garbage")
    drainer = Drainer(on_valkey.projector(), lambda _: None)
    assert drainer.drain(0) == 0
    assert redis.get(WAITING)
    redis.delete(key)
    redis.rename("aside", key)
    assert drainer.drain(0) == 9
    assert on_valkey.ids(ADA) == IDS


def test_newer_rules_stop_the_projector(on_valkey: Ledger) -> None:
    on_valkey.post(*TOLD)
    projector = on_valkey.projector()
    with on_valkey.as_owner() as connection:
        connection.execute(text(f"UPDATE heads SET rules = {rules.RULES + 1}"))
    newer = f"log 0 was written by rules {rules.RULES + 1}, this worker has {rules.RULES}"
    with pytest.raises(PreconditionFailed, match=newer):
        projector.batch(0)
    assert (on_valkey.rows(), on_valkey.waiting()) == ([], 9)


def test_a_database_behind_what_was_published_stops_the_projector(on_valkey: Ledger) -> None:
    """A restored backup is a rollback."""
    ahead = signers(on_valkey.settings)[0].checkpoint(5, bytes(32))
    on_valkey.inbox().acknowledge(0, [], [], ahead.encode())
    on_valkey.post(*TOLD)
    with pytest.raises(PreconditionFailed, match="log 0 ends at 0, but 5 entries were published"):
        on_valkey.projector().batch(0)
    assert (on_valkey.rows(), on_valkey.waiting()) == ([], 9)


WARNS = """CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON heads DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION warn()"""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_warning_at_commit_is_no_commit(on_valkey: Ledger) -> None:
    """PostgreSQL says so when the wait for the standby is cut off: the fate is unknown."""
    with on_valkey.as_owner() as connection:
        connection.execute(text(WARNS))
    on_valkey.post(waited_for(TOLD[0], "w"))
    projector = on_valkey.projector()
    for _ in range(2):  # the second time it is a repeat, and as unknown
        with pytest.raises(CommitUnknown, match="canceling wait for synchronous replication"):
            projector.batch(0)
        assert (on_valkey.ids(ADA), on_valkey.waiting()) == (IDS[:1], 1)
        assert on_valkey.inbox().peek(0, 1)[1] is None
    with on_valkey.as_owner() as connection:
        connection.execute(text("DROP TRIGGER warn ON heads"))
    assert on_valkey.drain(projector) == 1
    assert (on_valkey.ids(ADA), on_valkey.waiting()) == (IDS[:1], 0)
    assert receipt(on_valkey, "w")[0] == 200
    assert not on_valkey.replay().findings


def test_a_partition_that_waits_holds_up_no_other(on_valkey: Ledger) -> None:
    on_valkey.post(sam.starts())
    drainer = Drainer(on_valkey.projector(), lambda _: None)
    assert drainer.drain(7) == 0
    assert drainer.drain(0) == 1
