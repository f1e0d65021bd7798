"""The actors of the simulation: an intake with its clients, and a worker. Each can die."""

import threading
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, cast

from redis import Redis
from sqlalchemy import Engine

from services.intake.app import create_app, now
from services.ledger.writer.projector import Projector
from services.ledger.writer.worker import Drainer
from shared.events.event import timestamp
from shared.inbox import doorbell
from shared.inbox.inbox import Inbox
from tests.chaos.checks import Posted
from tests.simulation.faulty import FaultyRedis

if TYPE_CHECKING:
    from tests.simulation.world import World

TAKEN = frozenset({200, 201, 202})


class OneRound(threading.Event):
    """The event that a sweeper waits on: it lets the sweeper run once each time."""

    over = True

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as the event has it
        """Return whether to stop: every second time."""
        self.over = not self.over
        return self.over


class Intake:
    """One intake process, and its clients."""

    def __init__(self, world: "World") -> None:
        self.world, self.busy = world, False
        self.begin()

    def begin(self) -> None:
        """Start a process without any state."""
        world = self.world
        redis = FaultyRedis(server=world.server)
        redis.begin(world.fate, world.ahead)
        ring: Any = Bell(world)
        inbox = Inbox(
            redis,
            world.template.transit,
            ring=lambda partition: doorbell.ring(ring, partition),
            blocking=cast(Redis, self),
        )
        self.door = create_app(world.template.callers, inbox).test_client(use_cookies=False)

    def blmove(self, key: str, *_: object) -> None:
        """Do not wait for a receipt; `World.judge` reads it at the end."""
        self.waiter = key

    def act(self) -> None:
        """Post a person's next event, or one that was posted before."""
        dice, world = self.world.dice, self.world
        who = dice.choice(sorted(world.outboxes.keys() - world.posting) or [""])
        if not who:
            return
        world.posting.add(who)
        try:
            if world.taken[who] and dice.random() < 0.1:
                self._post(dice.choice(list(world.taken[who])))
            elif world.outboxes[who] and self._post(world.outboxes[who][-1]):
                world.taken[who].setdefault(world.outboxes[who].pop(), timestamp(now()))
        finally:
            world.posting.remove(who)

    def _post(self, posted: Posted) -> bool:
        """Return whether the event was acknowledged and the client got the answer."""
        self.waiter = ""
        headers = {"Authorization": f"Bearer {self.world.template.tokens[posted[0]]}"}
        if self.world.dice.random() < 0.3:
            headers["Prefer"] = "wait=1"
        try:
            status = self.door.post(
                "/events",
                data=posted[1],
                headers=headers,
                content_type="application/cloudevents+json",
            ).status_code
        finally:
            if self.waiter:
                self.world.waiting.append((self.waiter, posted))
        return status in TAKEN and self.world.dice.random() < 0.95


class Bell:
    """RQ's queue, reduced to the numbers of partitions."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def enqueue_call(self, _function: str, *, args: Sequence[int], **_: object) -> None:
        """Add a job."""
        self.world.bells.append(args[0])


class Worker:
    """One worker process: it answers a bell, or sweeps."""

    drainer: Drainer | None = None

    def __init__(self, world: "World", engine: Engine) -> None:
        self.world, self.engine, self.busy = world, engine, False

    def begin(self) -> None:
        """Drop the dead process's uncommitted work. `act` starts a new process."""
        self.engine.dispose()
        self.drainer = None

    def _start(self) -> Drainer:
        """Start a process without any state."""
        world = self.world
        vault = world.template.vault(self.engine)
        redis = FaultyRedis(server=world.server)
        redis.begin(world.fate, world.ahead)
        inbox = Inbox(redis, world.template.transit)
        signers = world.template.signers
        projector = Projector(self.engine, inbox, vault, signers, world.now, skew=inf)
        ring: Any = Bell(world)
        drainer = Drainer(projector, lambda partition: doorbell.ring(ring, partition), world.clock)
        drainer.stopping = OneRound()
        return drainer

    def act(self) -> None:
        """Take the next bell if there is one, or sweep. A worker that dies loses its bell."""
        if self.drainer is None:
            if sum(worker.busy for worker in self.world.workers) > 1:
                return  # it would wait for the head's lock, but all actors share one thread
            self.drainer = self._start()
        if self.world.bells and not self.world.calm and self.world.dice.random() < 0.7:
            self.drainer.drain(self.world.bells.pop(0))
        else:
            self.drainer.sweep()
