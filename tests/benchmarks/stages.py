"""Cost of one event by stage: CPU microseconds of the real services, in a separate process.

    python -m tests.benchmarks.stages intake|projector FOLDER QUEUE EVENTS

It prints one JSON object. The services' log lines go to standard error, as usual.

Both services announce their crash points (shared/crashpoints.py); a clock of this thread's CPU time
listens. Work without a crash point, such as parsing and validating a body, opening a message or
writing an entry, is repeated alone with the same input, and subtracted from the stage around it.
Waiting for the queue or the disk costs no CPU and does not count.
"""

import collections
import contextlib
import gc
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from services.intake.app import create_app
from services.intake.http_binding import ContentMode, posted_events
from services.intake.validation import validate_event
from services.ledger.bootstrap import open_store
from services.ledger.config import LedgerSettings, signers
from services.ledger.log import entry
from services.ledger.log.entry import StreamPosition, VerdictRecord
from services.ledger.plan.decide import RULES
from services.ledger.writer.projector import Projector
from shared import crashpoints, log_setup
from shared.auth.tokens import Callers
from shared.crypto.jwe import Key
from shared.crypto.transit import Transit
from shared.events.event import Event
from shared.inbox.inbox import Inbox
from shared.inbox.servers import connect
from shared.process import tune_gc
from tests.benchmarks import sample
from tests.benchmarks.ours import RECEIVED, Ours
from tests.benchmarks.processes import ROOT, SERVER_CORE, on_core

WARM = 200  # events that are not counted
Posts = Sequence[tuple[str, bytes]]  # (author, body)
Stages = dict[str, float]  # CPU µs an event


class Clock:
    """CPU seconds of this thread between one crash point and the next."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = collections.defaultdict(float)
        self._since = 0.0

    def begin(self) -> None:
        """Start counting now."""
        self._since = time.thread_time()

    def past(self, point: str) -> None:
        """Add the time since the last crash point to this one."""
        now = time.thread_time()
        self.spent[point] += now - self._since
        self._since = now


@contextlib.contextmanager
def listening() -> Iterator[Clock]:
    """Count at every crash point, with a worker's settings for garbage collection."""
    clock, thresholds = Clock(), gc.get_threshold()
    crashpoints.listener = clock.past
    tune_gc()
    try:
        yield clock
    finally:
        crashpoints.listener = None
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def alone(works: Sequence[Callable[[], object]]) -> float:
    """Return the CPU seconds of this work alone."""
    began = time.thread_time()
    for work in works:
        work()
    return time.thread_time() - began


def intake(ledger: Ours, posts: Posts) -> Stages:
    """Measure one event per request, from the WSGI call to the last byte of the answer."""
    tokens = ledger.tokens([author for author, _ in posts])
    queue = connect(ledger.redis_url, timeout=30)
    keys = ledger.data / "keys"
    box = Inbox(queue, Transit.from_folder(keys))
    app = create_app(Callers.from_folder(keys, "firsthand"), box)
    environs = [_environ(body, tokens[author]) for author, body in posts]
    with on_core(SERVER_CORE), contextlib.closing(queue), listening() as clock:
        for number, environ in enumerate(environs):
            if number == WARM:
                clock.spent.clear()
            clock.begin()
            answer = b"".join(app(environ, _started))
            clock.past("end")
            assert b'"durability"' in answer, answer
        return _per_event(_intake_stages(clock, posts[WARM:]), len(posts) - WARM)


def _intake_stages(clock: Clock, posts: Posts) -> Stages:
    now, spent = datetime.now(UTC), clock.spent
    parse = alone([partial(posted_events, ContentMode.STRUCTURED, body, {}) for _, body in posts])
    parsed = [posted_events(ContentMode.STRUCTURED, body, {})[0] for _, body in posts]
    validate = alone([partial(validate_event, event, now) for event in parsed])
    return {
        "parse": parse,
        "validate": validate,
        "seal": spent["intake-sealed"],
        "publish": spent["intake-appended"] + spent["intake-answered"] + spent["intake-safe"],
        "answer": spent["end"],
        "framework, token": max(0.0, spent["intake-received"] - parse - validate),
    }


def _environ(body: bytes, token: str) -> dict[str, Any]:
    """Return a request as a WSGI server passes it on."""
    headers = Headers({"Authorization": f"Bearer {token}"})
    environ = EnvironBuilder(
        "/events", method="POST", data=body, content_type=ContentMode.STRUCTURED, headers=headers
    ).get_environ()
    return {**environ, "wsgi.input": io.BytesIO(body)}


def _started(status: str, _headers: object, _fault: object = None) -> Callable[[bytes], object]:
    assert status.startswith("202"), status
    return io.BytesIO().write


def projector(ledger: Ours, posts: Posts) -> Stages:
    """Measure from a full inbox to settled batches, on the ledger's own store."""
    ledger.fill(posts)
    settings = LedgerSettings.load(data=ledger.data, redis_url=ledger.redis_url)
    engine, vault = open_store(settings, write=True)
    queue = connect(ledger.redis_url, timeout=30)
    box = Inbox(queue, Transit.from_folder(settings.key_folder))
    try:
        messages = [sealed for _, sealed in box.peek(0, len(posts))[0]]
        work = Projector(engine, box, vault, signers(settings), lambda: datetime.now(UTC))
        with on_core(SERVER_CORE), listening() as clock:
            clock.begin()
            while work.batch(0):
                pass
            return _per_event(_projector_stages(clock, box.transit, messages), len(posts))
    finally:
        engine.dispose()
        queue.close()


def _projector_stages(clock: Clock, transit: Transit, messages: Sequence[bytes]) -> Stages:
    def read_event(sealed: bytes) -> Event:
        return Event.from_message(transit.decrypt(0, sealed, "event"))

    events, key, spent = [read_event(sealed) for sealed in messages], Key.fresh(), clock.spent
    ruling, standing = VerdictRecord(RULES, RECEIVED, None, False, ()), StreamPosition(1, 1)
    opening = alone([partial(read_event, sealed) for sealed in messages])
    writing = alone(
        [partial(entry.write, event, ruling, key=key, position=standing) for event in events]
    )
    return {
        "lock": spent["batch-locked"],
        "read": spent["batch-read"],
        "open": opening,
        "judge": max(0.0, spent["batch-judged"] - opening - writing),
        "entry": writing,
        "tree": spent["batch-signed"],
        "append": spent["batch-inserting"] + spent["batch-written"],
        "commit": spent["batch-committed"],
        "settle": spent["batch-settled"],
    }


def _per_event(stages: Stages, events: int) -> Stages:
    return {name: seconds * 1e6 / events for name, seconds in stages.items()}


def measure(service: str, ledger: Ours, events: int) -> Stages:
    """Run this file for a ledger; return the stages' costs by name."""
    words = [service, str(ledger.data.parent), ledger.redis_url, str(events)]
    with Path(ledger.data.parent, f"{service}.log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.stages", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            check=True,
        )
    costs: Stages = json.loads(done.stdout)
    return costs


def main() -> None:
    """Measure one service."""
    service, folder, queue, count = sys.argv[1:]
    log_setup.configure("info")
    ledger, events = Ours(Path(folder), queue), int(count)
    if service == "intake":
        costs = intake(ledger, sample.statements(100, events, seed=8))
    else:
        costs = projector(ledger, sample.story(min(1_000, events // 20), events, seed=3))
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
