"""A small HTTP server of the tests' own: it answers as it is told, and remembers what it heard.

    with Answering(cut, status(503), to(up.intake)) as intake:
        ...
        intake.heard

The answers are given in turn, the last one for ever. One that is None is no answer: the connection
is cut.
"""

import contextlib
import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Heard:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Said = tuple[int, dict[str, str], bytes]
Answer = Callable[[Heard], Said | None]


def cut(_: Heard) -> None:
    """No answer at all."""


def half(_: Heard) -> Said:
    """An answer that ends in the middle."""
    return 202, {"Content-Length": "500"}, b'{"id":'


def status(code: int, members: Any = None, **headers: str) -> Answer:
    """Always this; headers are named with _ for -."""
    kind = "application/problem+json" if code >= 400 else "application/json"
    named = {"Content-Type": kind} | {
        each.replace("_", "-"): told for each, told in headers.items()
    }
    return lambda _: (code, named, json.dumps(members or {}).encode())


def to(url: str) -> Answer:
    """What somebody else answers, over a connection for each request."""

    def ask(heard: Heard) -> Said:
        there = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        try:
            there.request(heard.method, heard.path, heard.body, heard.headers)
            said = there.getresponse()
            return said.status, {"Content-Type": said.headers["Content-Type"]}, said.read()
        finally:
            there.close()

    return ask


class Answering:
    """The server, on a free port."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()
        self.heard: list[Heard] = []

    def __enter__(self) -> Self:
        """Listen."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.answer(self)

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                """It says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = asked.rfile.read(int(asked.headers.get("Content-Length", "0")))
        heard = Heard(asked.command, asked.path, dict(asked.headers), body)
        with self._lock:
            self.heard.append(heard)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        said = answer(heard)
        if said is None:
            asked.close_connection = True
            return
        with contextlib.suppress(OSError):  # who asked may have been killed
            self._say(asked, *said)

    @staticmethod
    def _say(
        asked: BaseHTTPRequestHandler, code: int, headers: dict[str, str], content: bytes
    ) -> None:
        asked.send_response(code)
        for name, told in {"Content-Length": str(len(content)), **headers}.items():
            asked.send_header(name, told)
        asked.end_headers()
        asked.wfile.write(content)
        asked.close_connection = headers.get("Content-Length", str(len(content))) != str(
            len(content)
        )
