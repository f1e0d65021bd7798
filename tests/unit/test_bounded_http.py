"""A whole answer has a deadline and a size limit, whatever the server does."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from shared.bounded_http import request

SECONDS = 0.4
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers one connection; its address without the scheme."""

    def serve() -> None:
        with suppress(OSError):
            line, _ = server.accept()
            with line:
                line.recv(65_536)
                answer(line)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def drip(line: socket.socket) -> None:
    """Send a header byte by byte, for much longer than the deadline."""
    line.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    for _ in range(60):
        line.sendall(b"x")
        time.sleep(0.05)


def stay_silent(line: socket.socket) -> None:
    """Answer nothing for longer than the deadline."""
    line.settimeout(3 * SECONDS)
    with suppress(OSError):
        line.recv(65_536)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("answer", [drip, stay_silent])
def test_a_slow_answer_is_cut_at_the_deadline(
    scheme: str, answer: Callable[[socket.socket], None]
) -> None:
    with listening(answer) as address:
        begun = time.monotonic()
        with pytest.raises(OSError, match=r"within 0\.4 seconds|SSL"):
            request(f"{scheme}://{address}/", seconds=SECONDS, limit=100)
        assert time.monotonic() - begun < 2 * SECONDS + 1


def test_an_answer_may_be_as_large_as_the_limit_and_no_larger() -> None:
    def send(size: int) -> Callable[[socket.socket], None]:
        return lambda line: line.sendall(HEAD + b"%d\r\n\r\n" % size + b"x" * size)

    with listening(send(100)) as address:
        assert request(f"http://{address}/", seconds=5, limit=100) == (200, b"x" * 100)
    with listening(send(101)) as address, pytest.raises(OSError, match="more than 100 bytes"):
        request(f"http://{address}/", seconds=5, limit=100)


def test_what_is_not_http_is_an_error_of_the_system() -> None:
    with (
        listening(lambda line: line.sendall(b"SSH-2.0\r\n")) as address,
        pytest.raises(OSError, match="BadStatusLine"),
    ):
        request(f"http://{address}/", seconds=5, limit=100)
