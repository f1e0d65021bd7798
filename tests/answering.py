"""A small HTTP server that gives prepared answers and records the requests it receives.

    with Answering(cut, status(503), to(up.intake)) as intake:
        ...
        intake.requests

The answers are used in turn; the last one repeats. An answer of None cuts the connection.
"""

import contextlib
import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Response = tuple[int, dict[str, str], bytes]
Answer = Callable[[Request], Response | None]


def cut(_: Request) -> None:
    """Close the connection without an answer."""


def half(_: Request) -> Response:
    """Return an answer that ends in the middle."""
    return 202, {"Content-Length": "500"}, b'{"id":'


def status(code: int, members: Any = None, **headers: str) -> Answer:
    """Return an answer that is always the same. In `headers`, write _ for -."""
    kind = "application/problem+json" if code >= 400 else "application/json"
    all_headers = {"Content-Type": kind} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return lambda _: (code, all_headers, json.dumps(members or {}).encode())


def to(url: str) -> Answer:
    """Return an answer that forwards the request to another server, on a new connection."""

    def forward(request: Request) -> Response:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        try:
            connection.request(request.method, request.path, request.body, request.headers)
            response = connection.getresponse()
            kind = {"Content-Type": response.headers["Content-Type"]}
            return response.status, kind, response.read()
        finally:
            connection.close()

    return forward


class Answering:
    """A server on a free port."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        """Start listening."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.answer(self)

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        request = Request(handler.command, handler.path, dict(handler.headers), body)
        with self._lock:
            self.requests.append(request)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        response = answer(request)
        if response is None:
            handler.close_connection = True
            return
        with contextlib.suppress(OSError):  # the client may have been killed
            self._say(handler, *response)

    @staticmethod
    def _say(
        handler: BaseHTTPRequestHandler, code: int, headers: dict[str, str], content: bytes
    ) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = headers.get("Content-Length", str(len(content))) != str(
            len(content)
        )
