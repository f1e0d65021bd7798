"""One run: people post, a fault happens, the processes recover, and all invariants are checked."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from sqlalchemy import text

from services.ledger.store import database
from tests.chaos.checks import Observed, tally
from tests.chaos.posters import Posters, made_up_posts
from tests.chaos.proxy import Proxy
from tests.chaos.system import Process, System
from tests.process import scratch_folder, wait_until

PEOPLE, POSTERS = 24, 8
WAITS = 0.03  # of the requests wait for their verdict
BATCHES = 0.3  # of them contain several events
SENT_AGAIN = 5  # events, at the end
LOOKS = 0.02  # seconds between two looks at the published checkpoints
START = 0.2  # seconds, for a worker's drain at its start to be over
LOCK_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
STUCK = 60.0  # seconds without recovery until a partition is called stuck


@dataclass
class Outcome:
    """A line of build/kill.json. `acknowledged` counts events, not answers."""

    fault: str
    seed: int
    store: str
    queue: str
    posted: int = 0
    acknowledged: int = 0
    recorded: int = 0
    lost: int = 0
    doubled: int = 0
    untrue: int = 0
    out_of_order: int = 0
    rewritten: int = 0
    stuck: int = 0
    seconds_to_recover: float = 0.0
    broken: tuple[str, ...] = ()

    def members(self) -> dict[str, Any]:
        """Return the JSON members."""
        return asdict(self)


class Run:
    """The argument of a fault."""

    def __init__(
        self, system: System, fault: str, seed: int, count: int, *, repeats: float = 0.05
    ) -> None:
        self.system, self.fault, self.seed, self.count = system, fault, seed, count
        self.dice = Random(f"{fault} {seed}")
        name = f"{fault.lower()}-{seed}-"
        self.events = made_up_posts(PEOPLE, count, self.dice.getrandbits(32), name, repeats)
        authors = {author for events in self.events.values() for author, _ in events}
        assert system.intake.port is not None
        tokens = {author: system.token(author) for author in authors}
        self.posters = Posters(system.intake.port, tokens, WAITS, BATCHES)
        self.observed = Observed(system.vkeys, system.trees)
        self.folder = scratch_folder()
        self._since, self._taken, self._last, self._seconds = 0.0, 0, b"", 0.0
        self.began = self.spent = 0.0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def some(self, most: int) -> int:
        """Return a random number from 1 to `most`, by the seed."""
        return self.dice.randint(1, most)

    def batch(self) -> int:
        """Return the number of a batch, from 1, among the first batches of the run."""
        return self.some(max(2, min(6, self.count // 100)))

    def post(self) -> None:
        """Let people post all their remaining events."""
        self.began = time.monotonic()
        self.posters.start(self.events, POSTERS)

    def post_first(self) -> None:
        """Let each person post one event."""
        first = {who: events[:1] for who, events in self.events.items()}
        self.events = {who: events[1:] for who, events in self.events.items()}
        self.posters.start(first, 1)

    def until(self, true: Callable[[], Any], what: str, patience: float = 30) -> None:
        """Wait until the condition is true; raise ServerError if it stays false."""
        wait_until(lambda: bool(true()), what, patience)

    def mark(self) -> None:
        """Note the moment of the fault."""
        self._since, self._taken = time.monotonic(), self.posters.taken
        self._last = self.system.last()

    def recovered(self) -> bool:
        """Return whether events are accepted again and those from before the fault recorded."""
        taken = self.posters.took(self._taken + 1)
        if taken and self.system.is_past(self._last) and not self._seconds:
            self._seconds = time.monotonic() - self._since
        return bool(self._seconds)

    def dies(self, process: Process, at: str, times: int, *options: str) -> None:
        """Kill the process at this crash point, and restart it with default settings."""
        process.again(f"{at}:{times}", *options)
        time.sleep(START)
        self.post()
        self.until(lambda: process.pid is None, f"a death at {at}")
        self.mark()
        process.begin()

    def waits_for_the_cut(self, proxy: Proxy, at: bytes, *, reply: bool, after: int) -> None:
        """Post until the proxy has cut at this text."""
        proxy.cut(at, reply=reply, after=after)
        self.post()
        self.until(lambda: proxy.cuts, f"a cut at {at!r}")
        self.mark()

    def finish(self) -> None:
        """Wait until it has recovered and all posters have ended."""
        self.until(self.recovered, "recovery", STUCK)
        self.posters.join()
        self.system.drained(STUCK)
        self.spent = time.monotonic() - self.began

    @contextlib.contextmanager
    def queue_proxy(self) -> Iterator[tuple[Proxy, str]]:
        """Start a proxy before the queue; yield it and the URL through it."""
        path = self.folder / "queue.sock"
        with Proxy(self.system.queue.socket, path) as proxy:
            yield proxy, f"unix://{path}?db=0"

    @contextlib.contextmanager
    def table_away(self, name: str) -> Iterator[None]:
        """Rename that table for the block, so that it is missing."""
        self._as_owner(f"ALTER TABLE {name} RENAME TO away")
        try:
            yield
        finally:
            self._as_owner(f"ALTER TABLE away RENAME TO {name}")

    def a_lock_is_waited_for(self) -> bool:
        """On PostgreSQL: return whether a drain waits for the lock on the log's head."""
        return self._as_owner(LOCK_WAITS) > 0

    def _as_owner(self, statement: str) -> int:
        """Execute a statement; return the number that it selects, or 0."""
        opened = database.connect(self.system.database.owner_url, write=True, owner=True)
        with database.transaction(opened) as connection:
            done = connection.execute(text(statement))
            answer = int(done.scalar_one()) if done.returns_rows else 0
        opened.dispose()
        return answer

    def outcome(self, does: Callable[["Run"], None]) -> Outcome:
        """Post, run the fault, recover, and check all invariants."""
        for partition in range(self.system.settings.partitions):
            self.system.inbox.clear_wake(partition)
        self._watch.start()
        stuck = ""
        try:
            does(self)
            self.finish()
            self._send_again()
            self.system.drained(STUCK)
        except Exception as fault:  # noqa: BLE001 - record any error and go on
            last = self.system.intake.log.read_text(errors="replace").splitlines()[-3:]
            stuck = f"{type(fault).__name__}: {fault}; intake's last lines: {last}"
            self.posters.failed.append(stuck)
            self.posters.join()
            for process in (self.system.intake, self.system.worker):
                process.again()
        finally:
            self._over.set()
            self._watch.join()
            self.system.second.kill()
            self.system.intake.as_meant()
            self.system.worker.as_meant()
        return self._judged(stuck or " ".join(self.posters.failed))

    def _judged(self, stuck: str) -> Outcome:
        self.observed.receipts += self.posters.receipts
        taken = self.posters.first
        result = tally(self.system.new_rows(), self.system.vault(list(taken)), taken, self.observed)
        counts = asdict(result)
        return Outcome(
            self.fault,
            self.seed,
            self.system.database.kind,
            self.system.queue.name,
            posted=self.posters.taken + self.posters.again,
            acknowledged=sum(map(len, taken.values())),
            stuck=bool(stuck),
            seconds_to_recover=round(self._seconds, 2),
            broken=(*result.broken, *([f"stuck: {stuck}"] if stuck else [])),
            **counts,
        )

    def _look(self) -> None:
        while not self._over.wait(LOOKS):
            self.system.look(self.observed)

    def _send_again(self) -> None:
        """Send some acknowledged events again: the answer must be the same entry."""
        connection = http.client.HTTPConnection("127.0.0.1", self.posters.port, timeout=5)
        acknowledged = [post for taken in self.posters.first.values() for post in taken]
        for posted in self.dice.sample(acknowledged, min(SENT_AGAIN, len(acknowledged))):
            self.posters.resend(connection, posted)
        connection.close()
