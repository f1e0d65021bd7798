"""A small world in one process, where chance decides at every crash point what happens next.

Two intakes, two workers, a queue whose connection fails, and people who retry each event until it
is accepted. At a crash point the process goes on, dies, fails, or another actor goes first: the
other intake publishes, or the other worker drains as far as the lock on the head allows. When all
events are posted, the faults end and the sweeper runs. Then all invariants are checked
(chaos/checks.py) and the log is replayed. The queue's server and the store never lose acknowledged
data.
"""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import fakeredis
import orjson
from sqlalchemy import select
from structlog.testing import capture_logs

from services.ledger.audit.replay import Replay
from services.ledger.fold import unwrap_keys
from services.ledger.store import tables
from services.ledger.store.database import transaction
from services.ledger.vault import Vault
from shared import crashpoints
from shared.inbox.redis_keys import inbox_key, published_key
from tests.chaos.checks import Observed, Posted, Tally, tally
from tests.chaos.posters import made_up_posts
from tests.simulation.actors import Intake, Worker
from tests.simulation.faulty import Fate
from tests.simulation.template import EVENTS, PEOPLE, Template

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
ROUNDS = 50  # of the sweeper, before a partition counts as stuck
FAILS = ("drain", "batch")  # where a process may also fail and live on


class Killed(BaseException):
    """A process died here. `except Exception` does not catch it."""


class World:
    """The world of one seed."""

    def __init__(self, template: Template, seed: int) -> None:
        template.renew()
        self.template = template
        self.dice, self.seconds, self.calm, self.depth = Random(seed), 0, False, 0
        self.died: Counter[str] = Counter()
        self.bells: list[int] = []
        self.posting: set[str] = set()  # a person's events are posted one at a time
        self.observed = Observed([signer.vkeys for signer in template.signers])
        self.waiting: list[tuple[str, Posted]] = []
        self.server = fakeredis.FakeServer()
        self.plain: Any = fakeredis.FakeStrictRedis(server=self.server)
        self.outboxes = {
            who: list(reversed(all_)) for who, all_ in made_up_posts(PEOPLE, EVENTS, seed).items()
        }
        self.taken: dict[str, dict[Posted, str]] = {who: {} for who in self.outboxes}
        self.intakes = [Intake(self), Intake(self)]
        self.workers = [Worker(self, engine) for engine in template.writers]

    def run(self) -> list[str]:
        """Run until all events are posted and recorded; return the invariants that were broken."""
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # an unsafe ledger sends it
        crashpoints.listener = self.pass_by
        try:
            with capture_logs():
                while any(self.outboxes.values()):
                    self.let_one_act()
                self.calm = True
                stuck = not self._recover()
                return [*self.judge().broken, *(["I13"] if stuck else []), *self.replay()]
        finally:
            crashpoints.listener = None
            signal.signal(signal.SIGTERM, before)
            for worker in self.workers:
                worker.begin()

    def pass_by(self, name: str) -> None:
        """Decide what happens at a crash point: mostly nothing."""
        if self.calm:
            return
        fate = self.dice.random()
        if fate < 0.03:
            self.died[name] += 1
            raise Killed
        if fate < 0.05 and name.startswith(FAILS):
            raise OSError("it failed")
        if fate < 0.25 and self.depth < 3:
            self.let_one_act()

    def fate(self, commands: int) -> tuple[Fate, int]:
        """Decide the fate of a round trip of so many commands."""
        if self.calm or self.dice.random() > 0.05:
            return Fate.ANSWERED, 0
        return self.dice.choice(list(Fate)), self.dice.randrange(commands)

    def ahead(self) -> int:
        """Return the offset of the queue's clock: a message may seem old, or from the future."""
        return 60 if self.calm else self.dice.choice((0, 5, -5))

    def clock(self) -> float:
        """Return seconds of the workers' clocks; a drain may find that its time is over."""
        self.seconds += 0 if self.calm else self.dice.choice((0, 0, 0, 3))
        return self.seconds

    def now(self) -> datetime:
        """Return the time of the ledger's clock, which may be set back."""
        return START + timedelta(seconds=self.seconds - self.dice.choice((0, 0, 3600)))

    def let_one_act(self) -> None:
        """Let an idle actor act; restart it if it dies."""
        actors: list[Intake | Worker] = [*self.intakes, *self.workers]
        idle = [actor for actor in actors if not actor.busy]
        if not idle:
            return
        actor = self.dice.choice(idle)
        actor.busy, self.depth = True, self.depth + 1
        try:
            actor.act()
        except Killed:
            actor.begin()
        finally:
            actor.busy, self.depth = False, self.depth - 1
        self.observed.publish(0, self.plain.get(published_key(0)))

    def _recover(self) -> bool:
        """Return whether the sweeper gets everything recorded, without faults and bells."""
        for _ in range(ROUNDS):
            for worker in self.workers:
                worker.act()
            if not self.plain.xlen(inbox_key(0)):
                return True
        return False

    def judge(self) -> Tally:
        """Check all invariants."""
        self.observed.publish(0, self.plain.get(published_key(0)))
        for key, posted in self.waiting:
            for sealed in self.plain.lrange(key, 0, -1):
                waiter = key.rpartition(":")[2]
                opened = self.template.transit.decrypt(0, sealed, "receipt", waiter)
                receipt = opened.split(b"\n", 1)[1]
                self.observed.receipts.append((posted, orjson.loads(receipt)))
        vault = self.template.vault(self.template.reader)
        with transaction(self.template.reader) as connection:
            unwrap_keys(connection, vault, self.taken)
            ordered = select(tables.entries).order_by(tables.entries.c.index)
            rows = [dict(row) for row in connection.execute(ordered).mappings()]
        return tally(rows, vault, self.taken, self.observed)

    def replay(self) -> list[str]:
        """Check I6, I7 and I8: root, projection and verdicts follow from the entries alone."""
        vault = Vault.from_folder(self.template.settings.key_folder)
        with transaction(self.template.reader) as connection:
            work = Replay(connection, vault, self.observed.vkeys)
            work.everything()
        return [f"replay: {finding}" for finding in work.report.findings]


def simulate(
    template: Template, seeds: Sequence[int], tick: Callable[[int, World, list[str]], None]
) -> None:
    """Run each seed; call `tick` with the seed, its world, and the invariants broken."""
    for seed in seeds:
        world = World(template, seed)
        tick(seed, world, world.run())
