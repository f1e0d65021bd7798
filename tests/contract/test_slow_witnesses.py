"""A witness that answers a byte at a time delays nobody but itself (S14)."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aics_witness import WitnessHTTPServer

from services.ledger.checkpoints.witnesses import Witness, WitnessRefused, request_cosignature
from services.ledger.log.signed_note import COSIGNATURE, Verifier
from tests.contract.ledgers import Ledger
from tests.contract.standins import TOLD
from tests.contract.test_witnesses import House, house, known, running
from tests.contract.workers import Worker
from tests.process import PATIENCE, ServerError, wait_until

__all__ = ["running"]  # the fixture
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
DRIPS = {
    "nothing": b"",
    "head": b"X-Filler: " + b"x" * 60_000,
    "body": b"\r\n" + b"x" * 60_000,
}
SLOW = Verifier("witness.example/slow", COSIGNATURE, bytes(32))


@contextmanager
def dripping(made: bytes) -> Iterator[tuple[str, threading.Semaphore]]:
    """A server that reads a request and answers a byte at a time; its address, and how often it was
    asked.
    """
    asked, over = threading.Semaphore(0), threading.Event()

    def answer(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.recv(65_536)
            asked.release()
            line.sendall(HEAD if made else b"")
            for place in range(len(made)):
                if over.wait(0.05):
                    return
                line.sendall(made[place : place + 1])
            over.wait(PATIENCE)

    def serve() -> None:
        with suppress(OSError):
            while not over.is_set():
                line, _ = server.accept()
                threading.Thread(target=answer, args=(line,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        over.set()
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def held(server: WitnessHTTPServer, gate: threading.Event) -> Iterator[str]:
    """An address where a witness answers when the gate is open."""

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            gate.wait(PATIENCE)
            there = HTTPConnection(server.url.partition("//")[2].rstrip("/"))
            there.request("POST", self.path, body, {"Content-Type": "text/plain"})
            answer = there.getresponse()
            with suppress(OSError):
                self.send_response(answer.status)
                self.end_headers()
                self.wfile.write(answer.read())
            there.close()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{relay.server_port}"
        gate.set()
        relay.shutdown()
        thread.join()


def keeps(made: House, true: Callable[[], bool]) -> bool:
    """Whether it is true after another round of the keeper."""
    made.keep()
    return true()


@pytest.mark.parametrize("drip", DRIPS)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_whole_answer_has_a_deadline(on_valkey: Ledger, drip: str) -> None:
    with house(on_valkey) as made:
        note = made.grow(0, 2)
    with (
        dripping(DRIPS[drip]) as (url, _),
        pytest.raises(WitnessRefused, match="not whole within 3 s"),
    ):
        request_cosignature(Witness(url, SLOW), note, 0, lambda *_: [])


@pytest.mark.parametrize("drip", DRIPS)
def test_a_slow_witness_delays_neither_another_nor_the_checkpoint(
    on_valkey: Ledger, running: list[WitnessHTTPServer], drip: str
) -> None:
    honest = known(running[0])
    with (
        dripping(DRIPS[drip]) as (url, asked),
        house(on_valkey, Witness(url, SLOW), honest, quorum=1, grace=0.2) as made,
    ):
        for last in (2, 4, 6):
            published = made.grow(last - 2, last)
            wait_until(lambda: keeps(made, lambda: made.kept()[-1][1] == 1), "a cosignature")
            assert made.kept()[-1] == (last, 1)
            assert made.watermark.checkpoint(0).startswith(published)
        assert asked.acquire(timeout=PATIENCE)


def test_a_cosignature_that_comes_late_is_kept_under_its_checkpoint(
    on_valkey: Ledger, running: list[WitnessHTTPServer]
) -> None:
    """Tried a few times: on a busy machine the deadline may be over before the gate is open."""
    gate, (slow, quick) = threading.Event(), map(known, running)
    with (
        held(running[0], gate) as url,
        house(on_valkey, replace(slow, url=url), quick, quorum=2, grace=0.2) as made,
    ):

        def late() -> bool:
            return bool({size for size, count in made.kept() if count == 2} & {2, 5, 8})

        for first in (0, 3, 6):
            gate.clear()
            made.grow(first, first + 2)
            made.keep()
            assert (first + 2, 2) not in made.kept()
            made.grow(first + 2, first + 3)
            made.keep()
            gate.set()
            with suppress(ServerError):
                wait_until(lambda: keeps(made, late), "a late cosignature", 5)
                break
        assert late()
        wait_until(lambda: keeps(made, lambda: made.kept()[-1][1] == 2), "the newest one")


def test_a_worker_ends_while_a_witness_drips(on_valkey: Ledger) -> None:
    with dripping(DRIPS["body"]) as (url, asked):
        policy = {"quorum": 0, "witnesses": [{"url": url, "vkey": SLOW.vkey}]}
        (on_valkey.settings.key_folder / "witnesses.json").write_text(json.dumps(policy))
        with Worker(on_valkey) as worker:
            on_valkey.post(*TOLD)
            assert asked.acquire(timeout=PATIENCE)
            wait_until(lambda: bool(on_valkey.table("checkpoints")), "a checkpoint without it")
            assert worker.terminate() == 0
