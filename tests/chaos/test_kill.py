"""All processes are killed repeatedly while people post: no event is lost, duplicated or reordered.

`firsthand up` runs as for any user. Its whole process group (intake, ledger, worker, queue,
supervisor) gets SIGKILL at random moments and is restarted on the same folder. Posters send the
same bytes until they get a 202.

    make test                        1,500 events of 60 people, 2 kills, each store
    FIRSTHAND_CHAOS=long make test   10,000 events of 200 people, 5 kills, each store
    FIRSTHAND_CHAOS_SEED=7 …         the same events, killed after the same number of 202s

A failure prints its seed.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from services.cli import main
from services.ledger.config import signers
from services.ledger.fold import unwrap_keys
from services.ledger.vault import Vault
from services.operations.embedded_queue import queue_server
from shared.auth.tokens import local_token
from tests.chaos.checks import Observed, tally
from tests.chaos.posters import Posters, made_up_posts
from tests.contract.ledgers import Ledger
from tests.contract.workers import ROOT
from tests.ports import free_port
from tests.postgres import Database
from tests.process import PATIENCE, Server, is_running, wait_until

LONG = os.environ.get("FIRSTHAND_CHAOS") == "long"
EVENTS, PEOPLE, KILLS = (10_000, 200, 5) if LONG else (1_500, 60, 2)
POSTERS = 8
say = logging.getLogger(__name__).warning


class Up(Server):
    """`firsthand up` of a ledger, killed with its whole process group."""

    name = "up"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.intake, self.ledger = free_port(), free_port()
        self._environment = ledger.environment | {"PYTHONPATH": str(ROOT)}

    def command(self) -> list[str]:
        """Return the command as a person types it."""
        ports = ["--intake-port", str(self.intake), "--ledger-port", str(self.ledger)]
        return [sys.executable, "-m", "services.cli", "up", *ports, "--metrics-port=0"]

    def environment(self) -> dict[str, str]:
        """Return the ledger's settings, added to ours."""
        return {**os.environ, **self._environment}

    def answers(self) -> bool:
        """Return whether it has printed its welcome since the last start."""
        return self.log.read_text().count("Ctrl-C stops all services.") > self._welcomes

    def _launch(self) -> None:
        self._welcomes = self.log.read_text().count("Ctrl-C stops") if self.log.exists() else 0
        super()._launch()

    def kill(self) -> None:
        """SIGKILL the whole group at once."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        wait_until(lambda: not any(map(is_running, _group(process.pid))), "the group to be gone")


def _group(leader: int) -> list[int]:
    """Return the processes of a group."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the process has ended
        if int(facts[2]) == leader:
            members.append(int(stat.parent.name))
    return members


@pytest.fixture
def seed() -> int:
    """Choose and print the seed of this run."""
    number = int(os.environ.get("FIRSTHAND_CHAOS_SEED", time.time_ns() % 10**6))
    say("FIRSTHAND_CHAOS_SEED=%d", number)
    return number


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="it finds a group's processes in /proc")
def test_what_was_acknowledged_is_there_once_and_in_order(
    tmp_path: Path, database: Database, seed: int, in_matrix: Callable[..., None]
) -> None:
    in_matrix(queue=queue_server().name.lower())
    if database.kind == "sqlite":  # `up` stores it in its folder
        (tmp_path / "data").mkdir(mode=0o700)
        url = f"sqlite:///{tmp_path / 'data' / 'ledger.db'}"
        database = replace(database, owner_url=url, app_url=url)
    ledger = Ledger(tmp_path, database)
    events = made_up_posts(PEOPLE, EVENTS, seed)
    keys = ledger.settings.key_folder
    authors = {author for posted in events.values() for author, _ in posted}
    up = Up(ledger)
    posters = Posters(up.intake, {author: local_token(keys, author) for author in authors})
    with up:
        posters.start(events, POSTERS)
        _kill_now_and_then(up, posters, sum(map(len, events.values())), Random(seed))
        posters.join()
        assert not posters.failed, f"seed {seed}: {posters.failed}"
        inbox = ledger.inbox()
        wait_until(lambda: inbox.length(0) == 0, f"seed {seed}: all events to be recorded")
        vkeys = [signer.vkeys for signer in signers(ledger.settings)]
        observed = Observed(vkeys, receipts=posters.receipts)
        observed.publish(0, inbox.peek(0, 1)[1])
        up.stop()
    say("%d accepted, %d sent again", posters.taken, posters.again)
    _holds(ledger, posters, observed, f"seed {seed}")
    ledger.close()


def _kill_now_and_then(up: Up, posters: Posters, count: int, dice: Random) -> None:
    """Kill shortly after some acknowledgements, while events remain to be posted."""
    for at in sorted(dice.sample(range(count // 20, count * 12 // 20), KILLS)):
        wait_until(partial(posters.took, at), f"{at} events to be accepted", 4 * PATIENCE)
        assert not posters.over, posters.failed
        time.sleep(dice.random() / 50)
        say("killed when %d events were accepted", posters.taken)
        up.kill()
        up.start()


def _holds(ledger: Ledger, posters: Posters, observed: Observed, seed: str) -> None:
    """Check every invariant of checks.py, and that a replay agrees."""
    vault = Vault.from_folder(ledger.settings.key_folder)
    with ledger.as_services(write=False) as connection:
        unwrap_keys(connection, vault, posters.first)
    result = tally(ledger.rows(), vault, posters.first, observed)
    assert (result.broken, result.recorded) == ([], sum(map(len, posters.first.values()))), seed
    assert ledger.table("unreadable") == [], seed
    replayed = CliRunner().invoke(main, ["replay", "--all", "--json"], env=ledger.environment)
    assert replayed.exit_code == 0, f"{seed}: {replayed.output[-2000:]}"
