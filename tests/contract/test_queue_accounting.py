"""Nothing that was acknowledged disappears from the queue without an alarm that says how much."""

import pytest
from click.testing import CliRunner

from services.cli import main
from services.ledger.config import signers
from services.ledger.writer.projector import Projector
from services.ledger.writer.worker import Drainer
from shared.errors import PreconditionFailed, QueueReplaced
from shared.inbox.redis_keys import inbox_key, published_key
from tests.contract.examined import named
from tests.contract.ledgers import Ledger
from tests.contract.standins import IDS, TOLD, WAITING, Dies, like
from tests.given import ADA


def alarms(ledger: Ledger) -> list[tuple[str, int]]:
    """Every alarm that was kept: its kind, and how many messages are missing."""
    return [(row["kind"], row["missing"]) for row in ledger.table("alarms")]


def accept(ledger: Ledger, *words: str, code: int = 0) -> str:
    """`firsthand accept-queue`, as it is typed."""
    done = CliRunner().invoke(main, ["accept-queue", *words], env=ledger.environment)
    assert done.exit_code == code, done.output
    return done.output


def recorded(ledger: Ledger, projector: Projector | None = None) -> Projector:
    """A ledger with a first batch, published, and a second one that saw that it was."""
    projector = projector or ledger.projector()
    for each in TOLD[:2]:
        ledger.post(each)
        ledger.drain(projector)
    return projector


def test_a_sound_queue_raises_no_alarm(ledger: Ledger) -> None:
    """Whatever dies in between: each message counts once."""
    projector = recorded(ledger)
    ledger.post(*TOLD[2:4])
    with pytest.raises(KeyboardInterrupt):
        ledger.projector(inbox=like(Dies, ledger)).batch(0)
    ledger.post(TOLD[4], TOLD[4])
    ledger.drain(projector)
    ledger.post(*TOLD[5:])
    ledger.drain()
    ledger.drain(projector)
    assert alarms(ledger) == []
    assert not projector.needs_batch(0, ledger.inbox().summarize(0))
    (head,) = ledger.table("heads")
    assert (head["added"], head["taken"], head["moved"]) == (10, 10, 0)
    assert head["published"] <= head["size"] == 9


@pytest.mark.parametrize("left", [0, 1])
def test_messages_that_are_trimmed_are_counted(ledger: Ledger, left: int) -> None:
    """Also where nothing comes after them: the sweeper looks at the counts."""
    projector = recorded(ledger)
    ledger.post(*TOLD[2:6])
    ledger.inbox().redis.xtrim(inbox_key(0), maxlen=left, approximate=False)
    glance = ledger.inbox().summarize(0)
    assert projector.needs_batch(0, glance)
    assert projector.batch(0) == left
    assert alarms(ledger) == [("queue-lost-messages", 4 - left)]
    assert not projector.needs_batch(0, ledger.inbox().summarize(0))
    named(ledger, "queue's completeness", "error", "removed from the queue", "outboxes")
    ledger.post(*TOLD[2:])
    ledger.drain(projector)
    assert sorted(ledger.ids(ADA)) == sorted(IDS)
    assert len(ledger.rows()) == len(TOLD)
    assert len(alarms(ledger)) == 1, "it is said once"


def test_a_wiped_queue_stops_the_writer_until_somebody_accepts_it(ledger: Ledger) -> None:
    projector = recorded(ledger)
    drainer = Drainer(projector, lambda _: None)
    ledger.post(*TOLD[2:6])
    inbox = ledger.inbox()
    assert projector.needs_batch(0, inbox.summarize(0)) is False
    inbox.redis.flushall()
    ledger.post(*TOLD[6:8])
    assert drainer.drain(0) == 0
    assert not drainer.stopping.is_set(), "it waits"
    assert b"run 'firsthand accept-queue'" in (inbox.redis.get(WAITING) or b"")
    assert (len(ledger.rows()), ledger.waiting()) == (2, 2)
    assert "Log 0: published again, 2 entries." in accept(ledger)
    assert "nothing to do" in accept(ledger), "the second time"
    assert drainer.drain(0) == 2
    assert alarms(ledger) == [("queue-replaced", 4)]
    ledger.post(*TOLD[2:])
    ledger.drain(projector)
    assert len(ledger.rows()) == len(TOLD)
    assert ledger.replay().findings == []


def test_what_an_intake_saw_is_counted_where_no_worker_did(ledger: Ledger) -> None:
    recorded(ledger)
    ledger.inbox().redis.flushall()
    ledger.inbox().save_added(0, 32)
    accept(ledger)
    ledger.post(*TOLD[2:])
    ledger.drain()
    assert alarms(ledger) == [("queue-replaced", 30)]
    ledger.inbox().redis.delete(inbox_key(0))
    ledger.post(*TOLD)
    ledger.drain()
    assert alarms(ledger)[1:] == [("queue-replaced", 0)], "the count began again"


def test_a_stream_that_is_removed_alone_is_counted_and_the_writer_goes_on(ledger: Ledger) -> None:
    projector = recorded(ledger)
    ledger.post(*TOLD[2:6])
    projector.needs_batch(0, ledger.inbox().summarize(0))
    ledger.inbox().redis.delete(inbox_key(0))
    ledger.post(*TOLD[6:])
    assert projector.batch(0) == 3
    assert alarms(ledger) == [("queue-replaced", 4)]


def test_a_kill_between_the_first_commit_and_its_publishing_goes_on_by_itself(
    ledger: Ledger,
) -> None:
    ledger.post(*TOLD[:3])
    with pytest.raises(KeyboardInterrupt):
        ledger.projector(inbox=like(Dies, ledger)).batch(0)
    assert ledger.inbox().peek(0, 1).published is None
    ledger.post(*TOLD[3:])
    assert ledger.drain() == len(TOLD)
    assert ledger.ids(ADA) == IDS
    assert alarms(ledger) == []


def test_an_older_database_is_refused_with_a_wiped_queue_too(on_valkey: Ledger) -> None:
    """The queue cannot say how far it was published any more: a kept checkpoint does."""
    recorded(on_valkey)
    kept = on_valkey.settings.data / "kept"
    kept.write_text(signers(on_valkey.settings)[0].checkpoint(7, bytes(32)))
    on_valkey.inbox().redis.flushall()
    with pytest.raises(QueueReplaced, match="at least 1 entries of log 0 were published"):
        on_valkey.projector().batch(0)
    said = accept(on_valkey, "--checkpoint", str(kept), code=3)
    assert "log 0 ends at 2, and 7 entries were published" in said
    assert "this database is an older copy" in said
    assert on_valkey.inbox().peek(0, 1).published is None, "nothing was accepted"


def test_a_database_that_is_another_one_is_not_accepted(on_valkey: Ledger) -> None:
    recorded(on_valkey)
    kept = on_valkey.settings.data / "kept"
    kept.write_text(signers(on_valkey.settings)[0].checkpoint(2, bytes(32)))
    on_valkey.inbox().redis.delete(published_key(0))
    said = accept(on_valkey, "--checkpoint", str(kept), code=3)
    assert "differs from the 2 entries that were published" in said


@pytest.mark.parametrize("spoil", ["garbage", "a list", "an earlier checkpoint"])
def test_whatever_is_put_in_the_place_of_what_was_published(ledger: Ledger, spoil: str) -> None:
    """Garbage counts as nothing; an earlier checkpoint is one that this log signed."""
    projector, redis = recorded(ledger), ledger.inbox().redis
    earlier = redis.get(published_key(0)) or b""
    ledger.post(TOLD[2])
    ledger.drain(projector)
    redis.delete(published_key(0))
    if spoil == "garbage":
        redis.set(published_key(0), b"\xff garbage")
    elif spoil == "a list":
        redis.lpush(published_key(0), "garbage")
    else:
        redis.set(published_key(0), earlier)
    ledger.post(*TOLD[3:])
    if spoil != "an earlier checkpoint":
        with pytest.raises(QueueReplaced):
            projector.batch(0)
        accept(ledger)
    ledger.drain(projector)
    assert ledger.ids(ADA) == IDS
    (head,) = ledger.table("heads")
    assert redis.get(published_key(0)) == head["checkpoint"].encode()
    assert alarms(ledger) == []


def test_garbage_there_is_nothing_to_a_log_of_which_nothing_was_published(ledger: Ledger) -> None:
    ledger.inbox().redis.set(published_key(0), "garbage")
    ledger.post(*TOLD)
    assert ledger.drain() == len(TOLD)


def test_a_database_behind_what_was_published_stops_the_worker_as_ever(ledger: Ledger) -> None:
    ahead = signers(ledger.settings)[0].checkpoint(5, bytes(32))
    ledger.inbox().republish_checkpoint(0, ahead.encode())
    ledger.post(*TOLD)
    with pytest.raises(PreconditionFailed, match="log 0 ends at 0, but 5 entries were published"):
        ledger.projector().batch(0)
