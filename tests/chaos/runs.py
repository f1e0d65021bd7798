"""One run: people post, a fault strikes, everything recovers, and is held against everything."""

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
from tests.chaos.checks import Heard, tally
from tests.chaos.posters import Posters, told
from tests.chaos.proxy import Proxy
from tests.chaos.rig import Process, Rig
from tests.process import scratch_folder, wait_until

PEOPLE, POSTERS = 24, 8
WAITS = 0.03  # of the requests wait for their verdict
BATCHES = 0.3  # of them bring several events
SENT_AGAIN = 5  # events, at the end
LOOKS = 0.02  # seconds between two looks at what is published
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
        """As JSON."""
        return asdict(self)


class Run:
    """What a fault is handed."""

    def __init__(
        self, rig: Rig, fault: str, seed: int, count: int, *, repeats: float = 0.05
    ) -> None:
        self.rig, self.fault, self.seed, self.count = rig, fault, seed, count
        self.dice = Random(f"{fault} {seed}")
        name = f"{fault.lower()}-{seed}-"
        self.events = told(PEOPLE, count, self.dice.getrandbits(32), name, repeats)
        authors = {author for events in self.events.values() for author, _ in events}
        assert rig.intake.port is not None
        tokens = {each: rig.token(each) for each in authors}
        self.posters = Posters(rig.intake.port, tokens, WAITS, BATCHES)
        self.heard = Heard(rig.vkeys, rig.trees)
        self.folder = scratch_folder()
        self._since, self._taken, self._place, self._seconds = 0.0, 0, b"", 0.0
        self.began = self.spent = 0.0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def some(self, most: int) -> int:
        """A number from 1, by the seed."""
        return self.dice.randint(1, most)

    def batch(self) -> int:
        """The number of a batch, from 1: of the first that there will be."""
        return self.some(max(2, min(6, self.count // 100)))

    def post(self) -> None:
        """Let people post all they have to say, or what is left of it."""
        self.began = time.monotonic()
        self.posters.start(self.events, POSTERS)

    def post_first(self) -> None:
        """Let each post one event."""
        first = {who: events[:1] for who, events in self.events.items()}
        self.events = {who: events[1:] for who, events in self.events.items()}
        self.posters.start(first, 1)

    def until(self, true: Callable[[], Any], what: str, patience: float = 30) -> None:
        """Wait; ServerError if it does not come true."""
        wait_until(lambda: bool(true()), what, patience)

    def mark(self) -> None:
        """The fault strikes now."""
        self._since, self._taken = time.monotonic(), self.posters.taken
        self._place = self.rig.last()

    def recovered(self) -> bool:
        """Whether events are taken again, and what waited when the fault struck is recorded."""
        taken = self.posters.took(self._taken + 1)
        if taken and self.rig.is_past(self._place) and not self._seconds:
            self._seconds = time.monotonic() - self._since
        return bool(self._seconds)

    def dies(self, process: Process, at: str, times: int, *options: str) -> None:
        """The process dies there, and is started again as it was meant."""
        process.again(f"{at}:{times}", *options)
        time.sleep(START)
        self.post()
        self.until(lambda: process.pid is None, f"a death at {at}")
        self.mark()
        process.begin()

    def waits_for_the_cut(self, proxy: Proxy, at: bytes, *, reply: bool, after: int) -> None:
        """Post until the proxy has cut there."""
        proxy.cut(at, reply=reply, after=after)
        self.post()
        self.until(lambda: proxy.cuts, f"a cut at {at!r}")
        self.mark()

    def finish(self) -> None:
        """Until it has recovered and nobody posts any more."""
        self.until(self.recovered, "recovery", STUCK)
        self.posters.join()
        self.rig.drained(STUCK)
        self.spent = time.monotonic() - self.began

    @contextlib.contextmanager
    def queue_proxy(self) -> Iterator[tuple[Proxy, str]]:
        """A proxy before the queue, and the address through it."""
        place = self.folder / "queue.sock"
        with Proxy(self.rig.queue.socket, place) as proxy:
            yield proxy, f"unix://{place}?db=0"

    @contextlib.contextmanager
    def table_away(self, name: str) -> Iterator[None]:
        """Without that table for the block."""
        self._as_owner(f"ALTER TABLE {name} RENAME TO away")
        try:
            yield
        finally:
            self._as_owner(f"ALTER TABLE away RENAME TO {name}")

    def a_lock_is_waited_for(self) -> bool:
        """On PostgreSQL: whether a drain waits for the log's head."""
        return self._as_owner(LOCK_WAITS) > 0

    def _as_owner(self, statement: str) -> int:
        """Run it; the number it answers, if it is a question."""
        opened = database.connect(self.rig.database.owner_url, write=True, owner=True)
        with database.transaction(opened) as connection:
            done = connection.execute(text(statement))
            answer = int(done.scalar_one()) if done.returns_rows else 0
        opened.dispose()
        return answer

    def outcome(self, does: Callable[["Run"], None]) -> Outcome:
        """Post, strike, recover, and hold it all together."""
        for partition in range(self.rig.settings.partitions):
            self.rig.inbox.clear_wake(partition)
        self._watch.start()
        stuck = ""
        try:
            does(self)
            self.finish()
            self._send_again()
            self.rig.drained(STUCK)
        except Exception as fault:  # noqa: BLE001 - whatever it was, the rest of the run is told
            last = self.rig.intake.log.read_text(errors="replace").splitlines()[-3:]
            stuck = f"{type(fault).__name__}: {fault}; intake's last lines: {last}"
            self.posters.failed.append(stuck)
            self.posters.join()
            for each in (self.rig.intake, self.rig.worker):
                each.again()
        finally:
            self._over.set()
            self._watch.join()
            self.rig.second.kill()
            self.rig.intake.as_meant()
            self.rig.worker.as_meant()
        return self._judged(stuck or " ".join(self.posters.failed))

    def _judged(self, stuck: str) -> Outcome:
        self.heard.receipts += self.posters.receipts
        taken = self.posters.first
        found = tally(self.rig.new_rows(), self.rig.vault(list(taken)), taken, self.heard)
        counts = asdict(found)
        return Outcome(
            self.fault,
            self.seed,
            self.rig.database.kind,
            self.rig.queue.name,
            posted=self.posters.taken + self.posters.again,
            acknowledged=sum(map(len, taken.values())),
            stuck=bool(stuck),
            seconds_to_recover=round(self._seconds, 2),
            broken=(*found.broken, *([f"stuck: {stuck}"] if stuck else [])),
            **counts,
        )

    def _look(self) -> None:
        while not self._over.wait(LOOKS):
            self.rig.look(self.heard)

    def _send_again(self) -> None:
        """Some of what was acknowledged: whoever sends it again hears of the same entry."""
        connection = http.client.HTTPConnection("127.0.0.1", self.posters.port, timeout=5)
        mine = [each for taken in self.posters.first.values() for each in taken]
        for posted in self.dice.sample(mine, min(SENT_AGAIN, len(mine))):
            self.posters.resend(connection, posted)
        connection.close()
