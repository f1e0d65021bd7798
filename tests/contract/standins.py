"""Neighbours that die, stall, fail or answer as a test wants them to."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from services.ledger.log.signed_note import Signer
from shared.inbox.inbox import Inbox, Reply
from tests.contract.ledgers import Ledger
from tests.given import ada

TOLD = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(8))]
IDS = [each.id for each in TOLD]
WAITING = "firsthand:{p0}:waiting"


class Dies(Inbox):
    """An inbox of a process that dies between COMMIT and delete."""

    def acknowledge(self, *_: object, **__: object) -> None:
        """Never get there."""
        raise KeyboardInterrupt


class Stalls(Inbox):
    """An inbox of a process that is stopped between COMMIT and publishing, until `go`."""

    def stall(self) -> "Stalls":
        """Begin to."""
        self.there, self.go = threading.Event(), threading.Event()
        return self

    def acknowledge(
        self,
        partition: int,
        places: Sequence[bytes],
        receipts: Iterable[Reply],
        checkpoint: bytes | None,
    ) -> None:
        """Late."""
        self.there.set()
        assert self.go.wait(10)
        super().acknowledge(partition, places, receipts, checkpoint)


class FailsOnce(Signer):
    """A signer that fails at its first head: everything was judged, nothing is committed."""

    failed = False

    def checkpoint(self, size: int, root: bytes) -> str:
        """Fail, then sign."""
        if not self.failed:
            self.failed = True
            raise RuntimeError("the signer is away")
        return super().checkpoint(size, root)


def like(kind: type[Inbox], ledger: Ledger) -> Inbox:
    own = ledger.inbox()
    return kind(own.redis, own.transit)


@contextmanager
def answering(status: int, answer: str) -> Iterator[str]:
    """A server that answers every POST so; its address."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
