"""A fleet with outboxes under each outage: no acknowledged event may be lost without an alarm."""

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator

from shared.inbox.redis_keys import inbox_key
from tests.attack import leap, stores
from tests.attack.alarms import Alarms, accept_queue, drained
from tests.attack.attacks import Run, attack
from tests.attack.clients import writes
from tests.attack.fleet import Fleet, Judgement

CLIENTS = 6
RECORDED = 10  # seconds in which others' events, or released ones, must be recorded


class Outage:
    """A fleet on a system, from before a fault to the judgement after it."""

    def __init__(self, run: Run) -> None:
        self.run, self.system = run, run.system
        self.fleet = Fleet(run, run.size(CLIENTS, 3))
        self.fleet.post(run.size(20, 3))
        assert drained(self.system, 30), "the events before the fault were not recorded"
        self.alarms: Alarms

    def waiting(self, count: int) -> None:
        """Post events that wait for a worker; alarms count from here on."""
        self.system.worker.stop()
        self.fleet.post(count)
        self.alarms = Alarms(self.system)

    def watch(self, *, long: int = 15, short: int = 4) -> bool:
        """Give the ledger time to raise an alarm."""
        self.system.worker.begin()
        return self.alarms.wait(self.run.size(long, short))

    def judged(self) -> Judgement:
        """Drain, compare with the acknowledged events, send again, and judge."""
        run, fleet = self.run, self.fleet
        acknowledged = fleet.acknowledged
        drained(self.system, run.size(30, 8))
        before = fleet.entries()
        fleet.resend(run.size(60, 8))
        drained(self.system, 10)
        self.alarms.look(doctor=not self.alarms.raised)
        after = fleet.entries()
        judgement = Judgement.of(acknowledged, before, after, alarmed=self.alarms.numbered)
        judgement.add_to(
            run.figures, fleet.made, len({row["id"] for row in after}), named=self.alarms.named()
        )
        run.figures.add("events without a receipt in the end", fleet.without_receipt, limit="= 0")
        return judgement


def _wiped(run: Run, strike: Callable[[Run], None]) -> None:
    """Empty the queue; the operator accepts it after the ledger's alarm."""
    outage = Outage(run)
    outage.waiting(run.size(20, 3))
    strike(run)
    alarmed = outage.watch()
    accepted = accept_queue(run.system)
    run.figures.add("alarm before the operator did anything", alarmed, limit="= 1")
    run.figures.add(
        "accepted by the operator", accepted, note="" if accepted else "no such command"
    )
    outage.judged()
    run.figures.add("missing messages that were named", outage.alarms.missing)


@attack("wiped", "FLUSHALL while acknowledged events wait", short=("sqlite",))
def wiped(run: Run) -> None:
    _wiped(run, lambda run: run.system.redis.flushall())


@attack("emptied", "the queue starts on an empty folder")
def emptied(run: Run) -> None:
    def strike(run: Run) -> None:
        queue = run.system.queue
        queue.kill()
        for path in queue.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != queue.log:
                path.unlink()
        queue.start()

    _wiped(run, strike)


@attack("trimmed", "XTRIM while acknowledged events wait", short=("postgresql",))
def trimmed(run: Run) -> None:
    outage = Outage(run)
    outage.waiting(run.size(20, 3))
    run.system.redis.xtrim(inbox_key(0), maxlen=0, approximate=False)
    outage.watch()
    judgement = outage.judged()
    missing = outage.alarms.missing
    run.figures.add("missing messages that were named", missing, limit=f"= {judgement.lost}")


@attack("aof", "the append-only file is switched off and on, then kill -9")
def aof(run: Run) -> None:
    outage = Outage(run)
    outage.waiting(run.size(20, 3))
    redis, queue, fleet = run.system.redis, run.system.queue, outage.fleet
    redis.config_set("appendonly", "no")
    unsafe = fleet.post(2, seconds=1)
    # A large queue takes seconds to rewrite its file; a pause at each key makes a small one slow.
    redis.config_set("rdb-key-save-delay", 2_000_000)
    redis.config_set("appendonly", "yes")
    rewriting = fleet.post(5, seconds=1)
    queue.kill()
    queue.start()
    run.figures.add("acknowledged while the file was off", unsafe, limit="= 0")
    run.figures.add("acknowledged while it was rewritten", rewriting)
    outage.watch(long=5, short=1)
    # Alarms after this are those of the accounting; no event answered 202 may be lost at all.
    judgement = outage.judged()
    run.figures.add("acknowledged as durable and lost", judgement.lost, limit="= 0")


@attack("clock", f"the worker's clock leaps {leap.YEARS} years ahead")
def clock(run: Run) -> None:
    outage = Outage(run)
    outage.waiting(run.size(20, 3))
    with _leap(run):
        alarmed = outage.watch(long=20, short=6)
        run.system.worker.kill()
    run.system.worker.begin()
    outage.judged()
    future = stores.recorded_in_the_future(outage.fleet.entries())
    run.figures.add("alarm while the clock was wrong", alarmed, limit="= 1")
    run.figures.add("entries recorded in the future", future, limit="= 0")
    run.unusable = future > 0


@contextlib.contextmanager
def _leap(run: Run) -> Iterator[None]:
    """Have a worker started now run with another clock."""
    usual, run.system.program = run.system.program, (sys.executable, "-m", leap.__name__)
    try:
        yield
    finally:
        run.system.program = usual


@attack("key", "the key of one person is missing, and comes back", short=("sqlite",))
def key(run: Run) -> None:
    _of_one_person(run, stores.key_removed)


@attack("entry", "one byte of one person's newest entry is damaged")
def entry(run: Run) -> None:
    _of_one_person(run, stores.entry_damaged)


Damage = Callable[..., contextlib.AbstractContextManager[Callable[[], None]]]


def _of_one_person(run: Run, damage: Damage) -> None:
    """Check that others' events are recorded meanwhile, and this person's afterwards."""
    outage = Outage(run)
    outage.waiting(0)
    victim, other = outage.fleet.outboxes[:2]
    with damage(run.system, victim.client.author) as restore:
        run.system.worker.begin()
        for _ in range(3):
            victim.post(victim.make(), time.monotonic() + 5)
        sent, patience = other.make(), run.size(60, 12)
        waited = other.client.seconds_until_recorded(sent, patience)
        other.acknowledged.add(sent["id"])
        alarmed = outage.alarms.wait(run.size(15, 4))
        restore()
        began, last = time.monotonic(), victim.events[-1]
        while victim.client.fate(last) is None and time.monotonic() - began < patience:
            time.sleep(0.1)
        released = time.monotonic() - began
    note = f"not yet after {patience} s" if waited >= patience else ""
    run.figures.add("another's event recorded in", waited, "s", f"<= {RECORDED}", note)
    run.figures.add("alarm while it lasted", alarmed, limit="= 1")
    run.figures.add("the person's own recorded after it was over", released, "s", f"<= {RECORDED}")
    outage.judged()


@attack("older", "an older database, and a wiped queue")
def older(run: Run) -> None:
    outage, system = Outage(run), run.system
    system.ledger.kill()
    system.worker.stop()
    copy = stores.OlderCopy(system)
    system.worker.again()
    system.ledger.again()
    outage.fleet.post(run.size(20, 3))
    drained(system, 30)
    outage.waiting(run.size(20, 3))
    system.ledger.kill()
    copy.swap()
    had = stores.count_entries(system)
    system.redis.flushall()
    system.ledger.again()
    system.worker.begin()
    bob = run.client(run.name("person:bob"))
    bob.seconds_until_recorded(writes(bob.author, "Fish"), run.size(15, 4))
    alarmed = outage.alarms.wait(1)
    written = stores.count_entries(system) - had
    system.ledger.kill()
    system.worker.kill()
    copy.swap()
    system.ledger.again()
    system.worker.begin()
    outage.alarms.wait(run.size(10, 3))
    accept_queue(system)
    run.figures.add("alarm before the operator did anything", alarmed, limit="= 1")
    run.figures.add("entries written to the older database", written, limit="= 0")
    outage.judged()
    copy.close()
    run.unusable = written > 0


@attack("database", "the database is away for a minute")
def database(run: Run) -> None:
    outage = Outage(run)
    outage.waiting(run.size(20, 3))
    seconds = run.size(60, 4)
    end = time.monotonic() + seconds
    with stores.away(run.system):
        run.system.worker.begin()
        taken = outage.fleet.post(run.size(20, 3), seconds=seconds)
        time.sleep(max(0.0, end - time.monotonic()))
    run.figures.add("acknowledged while it was away", taken)
    outage.judged()
