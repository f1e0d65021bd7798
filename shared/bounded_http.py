"""One HTTP request whose whole answer has a deadline and a size limit.

It is for addresses of others, who may be slow or hostile: issuers and witnesses. A client's
time-out begins again with each byte, urllib3's too, so a server that sends a byte a second is never
late. Here a timer cuts the connection. No redirect is followed and no proxy is used.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from urllib.parse import urlsplit


def request(
    url: str,
    *,
    seconds: float,
    limit: int,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Return the status and body of the answer to a GET, or a POST if there is a body.

    OSError if there is no answer, if it takes longer than `seconds` or has more than `limit` bytes.
    """
    parts, until = urlsplit(url), time.monotonic() + seconds
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with closing(kind(str(parts.hostname), parts.port, timeout=seconds)) as connection:
            connection.connect()  # a TLS handshake has the time-out as a whole
            with _cut_at(until, connection.sock):
                sent = {"Connection": "close", **(headers or {})}
                connection.request("GET" if body is None else "POST", target, body, sent)
                with connection.getresponse() as response:
                    status, content = response.status, response.read(limit + 1)
    except (OSError, HTTPException) as fault:
        _check_time(until, seconds)
        if isinstance(fault, OSError):
            raise
        raise OSError(f"{type(fault).__name__}: {fault}") from None
    _check_time(until, seconds)
    if len(content) > limit:
        raise OSError(f"more than {limit} bytes")
    return status, content


@contextmanager
def _cut_at(until: float, connected: socket.socket) -> Iterator[None]:
    """Shut the connection down at this moment, also while another thread reads from it."""
    with socket.socket(fileno=os.dup(connected.fileno())) as line:
        timer = Timer(until - time.monotonic(), _shut_down, [line])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut_down(line: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        line.shutdown(socket.SHUT_RDWR)


def _check_time(until: float, seconds: float) -> None:
    if time.monotonic() >= until:
        raise TimeoutError(f"not whole within {seconds:g} seconds") from None
