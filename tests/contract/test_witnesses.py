"""Witnesses: a real one cosigns what grew, refuses a fork and a rollback, and holds nothing up."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from aics_tlog import parse_note, parse_vkey, verify_checkpoint
from aics_witness import (
    LogConfig,
    WitnessHTTPServer,
    WitnessStore,
    load_or_create_key,
    make_server,
)
from aics_witness import Witness as RealWitness

from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.archiver import CheckpointArchiver
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.checkpoints.witnesses import Policy, Witness
from services.ledger.config import signers, utc_now
from services.ledger.log.signed_note import Signature, Verifier
from services.ledger.maintenance.key_rotation import rotate_log_key
from shared.errors import Unavailable
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import published_key
from tests.contract.ledgers import Ledger
from tests.contract.standins import TOLD, answering
from tests.postgres import sqlite_database
from tests.process import PATIENCE, wait_until

NAME = "witness.example/{}"
FORK = "what it cosigned at size 4 is not this log: one of them is a fork"
AWAY = "http://127.0.0.1:1"


class House:
    """A ledger, a keeper of its checkpoints, and the witnesses it knows."""

    def __init__(self, ledger: Ledger, policy: Policy, grace: float) -> None:
        self.ledger = ledger
        self.queue = ledger.inbox().redis
        self.vkeys = [each.vkeys for each in signers(ledger.settings)]
        self._engine, _ = open_store(ledger.settings, write=True)
        self._reader, _ = open_store(ledger.settings, write=False)
        last = PublishedCheckpoints(self.queue)
        stores = self._engine, self._reader
        self.keeper = CheckpointArchiver(*stores, last, self.vkeys, policy, utc_now, grace=grace)
        self.watermark = PublishedView(self._reader, last, self.vkeys, policy)

    def close(self) -> None:
        """Ask no witness any more, and close both engines."""
        self.keeper.close()
        self._engine.dispose()
        self._reader.dispose()

    def grow(self, first: int, last: int) -> str:
        """Record some events; what is published then."""
        self.ledger.post(*TOLD[first:last])
        self.ledger.drain()
        return PublishedCheckpoints(self.queue).read(0)

    def keep(self) -> list[dict[str, Any]]:
        """What the keeper had to say about witnesses while it kept what is published."""
        with structlog.testing.capture_logs() as said:
            self.keeper.archive(0)
        return [dict(each) for each in said]

    def kept(self) -> list[tuple[int, int]]:
        """Size and number of cosignatures of each kept checkpoint."""
        rows = self.ledger.table("checkpoints")
        return [(row["size"], row["cosignatures"]) for row in rows]


@contextmanager
def house(
    ledger: Ledger, *witnesses: Witness, quorum: int = 0, grace: float = PATIENCE
) -> Iterator[House]:
    """A house with witnesses, which waits for their answers."""
    made = House(ledger, Policy(quorum, witnesses), grace)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def running(on_valkey: Ledger, tmp_path: Path) -> Iterator[list[WitnessHTTPServer]]:
    """Two witnesses of aics-witness that know the ledger's log."""
    (signer,) = signers(on_valkey.settings)
    servers, threads = [], []
    for number in range(2):
        key, _, _ = load_or_create_key(tmp_path / f"witness-{number}.key", environ={})
        store = WitnessStore(tmp_path / f"witness-{number}.db", create=True)
        vkeys = tuple(parse_vkey(each) for each in signer.vkeys)
        real = RealWitness(NAME.format(number), key, store, [LogConfig(signer.origin, vkeys)])
        servers.append(make_server(real))
        threads.append(threading.Thread(target=servers[-1].serve_forever, args=(0.02,)))
        threads[-1].start()
    yield servers
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()
        server.witness.store.close()


def known(server: WitnessHTTPServer) -> Witness:
    """A running witness, as our policy names it."""
    return Witness(server.url.rstrip("/"), Verifier.parse(server.witness.vkey_text))


def away(server: WitnessHTTPServer) -> Witness:
    """The same, where nobody answers."""
    return replace(known(server), url=AWAY)


def test_witnesses_cosign_a_log_that_grows(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    with house(on_valkey, *map(known, running), quorum=2) as told:
        for last in (1, 4, len(TOLD)):
            published = told.grow(told.kept()[-1][0] if told.kept() else 0, last)
            assert told.keep() == []
            note = told.watermark.checkpoint(0)
            assert note.startswith(published)
            judged = verify_checkpoint(
                parse_note(note),
                parse_vkey(told.vkeys[0][0]),
                [each.witness.vkey for each in running],
                quorum=2,
            )
            assert (judged.ok, judged.size, judged.cosignature_count) == (True, last, 2)
        assert told.kept() == [(1, 2), (4, 2), (len(TOLD), 2)]
        assert told.keep() == []
        assert len(told.kept()) == 3


def test_a_keeper_that_starts_anew_asks_from_where_the_witness_is(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    for last in (2, 7):
        with house(on_valkey, known(running[0])) as told:
            told.grow(last - 2 if last == 2 else 2, last)
            assert told.keep() == []
            assert told.kept()[-1] == (last, 1)


def test_a_witness_that_is_away_costs_a_cosignature_and_nothing_else(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    with house(on_valkey, known(running[0]), away(running[1])) as told:
        published = told.grow(0, 3)
        (said,) = told.keep()
        assert "does not answer" in said["why"]
        assert told.kept() == [(3, 1)]
        assert told.watermark.checkpoint(0).startswith(published)
    with house(on_valkey, known(running[0]), known(running[1])) as told:
        assert told.keep() == []  # it is back, and cosigns what it had missed
        assert told.kept() == [(3, 1), (3, 2)]


def test_what_lacks_its_quorum_is_not_served(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    with house(on_valkey, known(running[0]), away(running[1]), quorum=2) as told:
        told.grow(0, 3)
        told.keep()
        with pytest.raises(Unavailable, match="cosignatures"):
            told.watermark.checkpoint(0)
    with house(on_valkey, *map(known, running), quorum=2) as told:
        told.keep()
        before = told.watermark.checkpoint(0)
    with house(on_valkey, known(running[0]), away(running[1]), quorum=2) as told:
        told.grow(3, 5)
        told.keep()
        assert told.watermark.checkpoint(0) == before
        assert len(on_valkey.rows()) == 5


@contextmanager
def restored(ledger: Ledger, folder: Path) -> Iterator[Ledger]:
    """A ledger with the same keys and none of the entries, whose queue was lost too."""
    folder.mkdir()
    shutil.copytree(ledger.settings.key_folder, folder / "data" / "keys")
    ledger.inbox().redis.flushall()
    with sqlite_database(folder) as database:
        other = Ledger(folder, database, ledger.settings.redis_url)
        yield other
        other.close()


def test_a_witness_refuses_a_rollback_and_a_fork(
    on_valkey: Ledger, running: list[WitnessHTTPServer], tmp_path: Path
) -> None:
    """Nothing here remembers what was published: they do."""
    with house(on_valkey, known(running[0])) as told:
        told.grow(0, 4)
        assert told.keep() == []
    with (
        restored(on_valkey, tmp_path / "restored") as other,
        house(other, known(running[0]), quorum=1) as told,
    ):
        for first, last, why in (
            (0, 2, "it has cosigned size 4, and this log was published up to 2"),
            (2, 4, FORK),
            (4, 6, FORK),
        ):
            told.grow(first, last)
            (said,) = told.keep()
            assert said["why"] == why
            assert told.kept()[-1] == (last, 0)
        with pytest.raises(Unavailable, match="cosignatures"):
            told.watermark.checkpoint(0)


def test_an_unknown_log_gets_no_cosignature(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    with house(on_valkey, known(running[0])) as told:
        told.grow(0, 1)
        running[0].witness.set_logs([])
        (said,) = told.keep()
        assert said["why"] == "it answered 404"


def test_a_witness_knows_a_log_by_either_of_its_keys(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    with house(on_valkey, known(running[0])) as told:
        told.grow(0, 1)
        assert told.keep() == []
    rotate_log_key(on_valkey.settings, 0, finish=False)
    with house(on_valkey, known(running[0])) as told:
        told.grow(1, 2)
        assert told.keep() == []
        assert told.kept() == [(1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (200, "", "its answer is no cosignature"),
        (200, "nonsense\n", "its answer is no cosignature"),
        (200, "\u2014 witness.example/0 AAAAAAAA\n", "its answer is no cosignature"),
        (200, "{name_and_id}", "its answer is no cosignature"),
        (409, "", "its answer 409 holds no size"),
        (409, "-1\n", "its answer 409 holds no size"),
        (409, "9" * 30, "its answer 409 holds no size"),
        (409, "7\n", "it has cosigned size 7, and this log was published up to 3"),
        (409, "0\n", "what it cosigned at size 0 is not this log"),
        (403, "", "it answered 403"),
        (500, "", "it answered 500"),
        (302, "", "it answered 302"),
    ],
)
def test_whatever_a_witness_answers_it_holds_nothing_up(
    on_valkey: Ledger, running: list[WitnessHTTPServer], status: int, answer: str, why: str
) -> None:
    honest = known(running[0])
    forged = Signature(honest.key.name, honest.key.key_id, bytes(72)).line
    with (
        answering(status, answer.replace("{name_and_id}", forged)) as url,
        house(on_valkey, replace(honest, url=url)) as told,
    ):
        told.grow(0, 3)
        (said,) = told.keep()
        assert said["why"].startswith(why)
        assert told.kept() == [(3, 0)]


def test_the_keeper_goes_on_whatever_is_away(on_valkey: Ledger) -> None:
    with house(on_valkey) as told, structlog.testing.capture_logs() as said:
        told.grow(0, 2)
        told.queue.set(published_key(0), "garbage")
        stopping = threading.Event()
        keeping = threading.Thread(target=told.keeper.run, args=(stopping,))
        keeping.start()
        wait_until(lambda: bool(said), "a word of warning")
        told.queue.delete(published_key(0))
        told.grow(2, 5)
        wait_until(lambda: (5, 0) in told.kept(), "the checkpoint")
        stopping.set()
        keeping.join(10)
        assert not keeping.is_alive()
        assert {each["event"] for each in said if each["log_level"] == "warning"} == {
            "checkpoint_archive_failed"
        }
