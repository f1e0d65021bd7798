"""A service that is stopped completes its current work, accepts nothing new, and loses nothing."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from shared.auth.tokens import local_token
from tests.contract.ledgers import Ledger
from tests.contract.workers import ROOT, Worker, until_drained
from tests.e2e.running import MEDIA_TYPE, event
from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.process import PATIENCE, Server, wait_until
from tests.servers import RedisLikeServer
from tests.steady import Steady

PEOPLE = [f"person:p{number}" for number in range(6)]


class Web(Server):
    """Intake or the read API, as a separate process."""

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        super().__init__()
        self.name, self.port = name, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment

    def command(self) -> list[str]:
        """Return the command as a person types it."""
        return [sys.executable, "-m", "services.cli", self.name, f"--port={self.port}"]

    def environment(self) -> dict[str, str]:
        """Return the ledger's settings, added to ours."""
        return {**super().environment(), **self._environment, "PYTHONPATH": str(ROOT)}

    def answers(self) -> bool:
        """Return whether it is ready."""
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def ask_to_stop(self) -> "subprocess.Popen[bytes]":
        """Send SIGTERM; return the process, to wait for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process


@pytest.fixture
def ledger(
    tmp_path: Path,
    valkey: RedisLikeServer,
    postgres_server: PostgresServer,
    in_matrix: Callable[..., None],
) -> Iterator[Ledger]:
    """Return a ledger on PostgreSQL, which allows several workers."""
    in_matrix(store="postgresql", version=postgres_server.version)
    with postgres_server.database() as database:
        made = Ledger(tmp_path, database, valkey.url)
        yield made
        made.close()


def bearer(ledger: Ledger, who: str) -> str:
    return local_token(ledger.settings.key_folder, who)


def test_intake_answers_waiting_clients_and_accepts_no_new_ones(ledger: Ledger) -> None:
    answers: list[int] = []

    def post_and_wait() -> None:
        headers = {"Authorization": f"Bearer {bearer(ledger, 'person:ada')}"}
        headers |= {"Content-Type": MEDIA_TYPE, "Prefer": "wait=12"}
        sent = event("plan.started", {"name_to_use": "Ada", "language": "en"}, "person:ada")
        posted = httpx.post(f"{intake.url}/events", json=sent, headers=headers, timeout=PATIENCE)
        answers.append(posted.status_code)

    with Web("intake", ledger.environment) as intake:
        waiting = threading.Thread(target=post_and_wait)
        waiting.start()
        wait_until(lambda: ledger.waiting() == 1, "the event to be accepted")
        stopping = intake.ask_to_stop()
        wait_until(lambda: not intake.answers(), "intake to refuse new requests")
        assert stopping.poll() is None, "a client still waits for an answer"
        waiting.join()
        assert stopping.wait(PATIENCE) == 0
    assert answers == [202]


def test_the_read_api_ends_at_once_when_nobody_reads(ledger: Ledger) -> None:
    with Web("ledger", ledger.environment) as reading:
        assert reading.ask_to_stop().wait(PATIENCE) == 0


def test_a_worker_ends_with_its_batch_and_leaves_the_rest(ledger: Ledger) -> None:
    with Web("intake", ledger.environment) as intake, Worker(ledger) as worker:
        tokens = {who: bearer(ledger, who) for who in PEOPLE}
        with Steady([intake.port], tokens, pause=0) as steady:
            steady.more(100)
            assert worker.terminate() == 0
            recorded = len(ledger.rows())
            steady.more(100)
        assert len(ledger.rows()) == recorded, "entries were recorded without a worker"
        assert ledger.waiting() >= 100
        worker.start()
        until_drained(ledger, PATIENCE)
    holds(ledger, steady)


def test_restarting_each_in_turn_loses_nothing(ledger: Ledger) -> None:
    """Two intakes, two workers, one read API; posters retry without a 202."""
    with ExitStack() as stack:
        intakes = [stack.enter_context(Web("intake", ledger.environment)) for _ in range(2)]
        workers = [stack.enter_context(Worker(ledger)) for _ in range(2)]
        reading = stack.enter_context(Web("ledger", ledger.environment))
        tokens = {who: bearer(ledger, who) for who in PEOPLE}
        with Steady([web.port for web in intakes], tokens) as steady:
            for web in (*intakes, reading):
                steady.more(30)
                assert web.ask_to_stop().wait(PATIENCE) == 0
                web.start()
            for worker in workers:
                steady.more(30)
                assert worker.terminate() == 0
                worker.start()
            steady.more(30)
        until_drained(ledger, PATIENCE)
    holds(ledger, steady)


def holds(ledger: Ledger, steady: Steady) -> None:
    """Check that every acknowledged event is recorded once, in the order of the 202s."""
    for who, ids in steady.taken.items():
        assert ledger.ids(who) == ids
    assert len(ledger.rows()) == steady.count()
    assert not ledger.replay().findings
