"""The faults, one function each; together they are the table of faults.

A fault gets a `Run` (runs.py), starts the posters, causes the failure, and leaves the processes to
recover. F01–F15 and F53 are numbered as in the design's list; F23 is the queue's side of F10.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.crashpoints import POINTS
from shared.inbox import doorbell
from shared.inbox.redis_keys import waiting_key
from shared.inbox.servers import connect
from tests.chaos.proxy import Proxy
from tests.chaos.runs import Run

STALL = 0.5  # seconds more
ALL = ("sqlite", "postgresql")
TWO_WORKERS = ("postgresql",)  # a SQLite ledger takes one writing process, and refuses a second


@dataclass(frozen=True)
class Fault:
    """A failure: its description, its function, and the stores it applies to.

    The short form skips faults that are `slow`.
    """

    name: str
    says: str
    does: Callable[[Run], None]
    stores: tuple[str, ...] = ALL
    slow: bool = False


FAULTS: list[Fault] = []


def fault(
    name: str, says: str, *, stores: tuple[str, ...] = ALL, slow: bool = False
) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Add a function to the table."""

    def add(does: Callable[[Run], None]) -> Callable[[Run], None]:
        FAULTS.append(Fault(name, says, does, stores, slow))
        return does

    return add


@fault("F01", "intake dies before XADD")
def f01(run: Run) -> None:
    run.dies(run.system.intake, "intake-sealed", run.some(run.count // 40))


@fault("F02", "intake dies after XADD, before it looked how durable that is")
def f02(run: Run) -> None:
    run.dies(run.system.intake, "intake-appended", run.some(run.count // 40))


@fault("F03", "intake dies knowing it durable, before the bell")
def f03(run: Run) -> None:
    run.dies(run.system.intake, "intake-answered", 1)


@fault("F04", "intake dies with the flag set, before RQ's job")
def f04(run: Run) -> None:
    run.dies(run.system.intake, "bell-flagged", 1)


@fault("F05", "intake dies after RQ's job, before the reply")
def f05(run: Run) -> None:
    run.dies(run.system.intake, "intake-safe", run.some(run.count // 8))


@fault("F06", "the worker dies with RQ's job in hand")
def f06(run: Run) -> None:
    run.dies(run.system.worker, "drain-begun", 2)


@fault("F07", "the worker dies with the stream read, before it wrote")
def f07(run: Run) -> None:
    run.dies(run.system.worker, "batch-read", 1 + run.batch())


@fault("F08", "the worker dies between INSERTs")
def f08(run: Run) -> None:
    run.dies(run.system.worker, "batch-inserting", run.batch())


@fault("F09", "the worker dies with the new root signed, before COMMIT")
def f09(run: Run) -> None:
    run.dies(run.system.worker, "batch-written", run.batch())


@fault("F10", "COMMIT is done, its reply is cut off", stores=("postgresql",))
def f10(run: Run) -> None:
    folder = run.system.settings.store_url.rpartition("=")[2]
    with Proxy(Path(folder) / ".s.PGSQL.5432", run.folder / ".s.PGSQL.5432") as proxy:
        through = run.system.settings.store_url.replace(folder, str(run.folder))
        run.system.worker.again(database_url=through)
        run.waits_for_the_cut(proxy, b"COMMIT", reply=True, after=1 + run.batch())
        run.finish()
        run.system.worker.again()


@fault("F11", "the worker dies after COMMIT, before it deletes")
def f11(run: Run) -> None:
    run.dies(run.system.worker, "batch-committed", run.batch())


@fault("F12", "half of what follows COMMIT arrives: published, not deleted")
def f12(run: Run) -> None:
    with run.queue_proxy() as (proxy, through):
        run.system.worker.again(redis_url=through)
        run.waits_for_the_cut(proxy, b"XDEL", reply=False, after=run.batch())
        run.finish()
        run.system.worker.again()


@fault("F13", "events come between a drain's last look and its job's end; no sweeper")
def f13(run: Run) -> None:
    run.system.worker.again("drain-over:2:stop", "--no-sweeper")
    run.post_first()
    run.until(lambda: run.system.worker.stalls, "the drain to be over")
    run.post()
    run.until(lambda: run.posters.over, "all to be posted", 60)
    run.mark()
    run.system.worker.goes_on()


def stalls_and_wakes_up(run: Run, point: str) -> None:
    """Stall a drain at a crash point; let the second worker continue, then the first."""
    run.system.worker.again(f"{point}:stop")
    run.post()
    run.until(lambda: run.system.worker.stalls, "the drain to stall")
    run.mark()
    run.system.second.begin()
    run.until(run.recovered, "the second worker to go on", 60)
    run.system.worker.goes_on()


@fault(
    "F14",
    "a drain stalls until the store gives its lock away, and wakes up",
    stores=TWO_WORKERS,
    slow=True,
)
def f14(run: Run) -> None:
    stalls_and_wakes_up(run, f"batch-read:{1 + run.batch()}")


@fault(
    "F14a",
    "a drain stalls with all judged, until the store gives its lock away",
    stores=TWO_WORKERS,
    slow=True,
)
def f14a(run: Run) -> None:
    stalls_and_wakes_up(run, f"batch-signed:{1 + run.batch()}")


@fault("F14b", "a drain stalls after COMMIT, and publishes late", stores=TWO_WORKERS)
def f14b(run: Run) -> None:
    stalls_and_wakes_up(run, f"batch-committed:{run.batch()}")


@fault("F15", "a drain fails once, and a job raises")
def f15(run: Run) -> None:
    with connect(run.system.queue.url) as redis:
        bell = doorbell.bell(redis)
        bell.enqueue_call(doorbell.DRAIN, args=("no partition",))
    with run.table_away("people"):
        run.post()
        run.until(lambda: run.system.redis.exists(waiting_key(0)), "the partition to wait")
    run.mark()


@fault("F23", "the queue's reply to XADD is cut off")
def f23(run: Run) -> None:
    with run.queue_proxy() as (proxy, through):
        run.system.intake.again(redis_url=through)
        run.waits_for_the_cut(proxy, b"EVALSHA", reply=True, after=run.some(run.count // 40))
        run.finish()
        run.system.intake.again()


@fault("F53", "a drain stalls between reading and COMMIT while another drains", stores=TWO_WORKERS)
def f53(run: Run) -> None:
    run.system.worker.again(f"batch-read:{1 + run.batch()}:stop")
    run.post()
    run.until(lambda: run.system.worker.stalls, "the drain to stall")
    run.mark()
    run.system.second.begin()
    run.until(lambda: run.a_lock_is_waited_for() or run.system.second.answers(), "the second drain")
    time.sleep(STALL)
    run.system.worker.goes_on()


OFTEN = {"intake-received": 8, "intake-answered": 8, "intake-safe": 8}  # one in so many events
ONCE = {"bell-flagged", "bell-rung", "sweep-found", "drain-begun", "drain-cleared", "drain-over"}
AT_START = {"drain-begun", "drain-cleared", "batch-locked", "batch-read", "drain-over"}


def dies_at(point: str) -> Callable[[Run], None]:
    """Return a fault that kills the process at this crash point."""

    def does(run: Run) -> None:
        at_intake = point.startswith(("intake", "bell"))
        times = run.some(run.count // OFTEN[point]) if point in OFTEN else run.batch()
        times = 1 if point in ONCE else times
        times += point in AT_START  # a worker's first read of an empty stream passes it, too
        options = ("--no-rq",) if point == "sweep-found" else ()
        run.dies(run.system.intake if at_intake else run.system.worker, point, times, *options)

    return does


LONG = {  # only in the long form: one of the faults above dies at or next to this point
    "intake-received",
    "drain-cleared",
    "batch-locked",
    "batch-judged",
    "batch-signed",
    "intake-sealed",
    "intake-appended",
    "intake-answered",
    "intake-safe",
    "bell-flagged",
    "drain-begun",
    "batch-read",
    "batch-inserting",
    "batch-written",
    "batch-committed",
}
CRASHES = [Fault(point, says, dies_at(point), slow=point in LONG) for point, says in POINTS.items()]
EVERY = [*FAULTS, *CRASHES]
