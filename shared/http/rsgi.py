"""RSGI adapter: run a Flask application on granian, bodies on the event loop, views in threads.

Granian's RSGI interface passes a request as soon as its headers have arrived. Its body is read
here, on the event loop, with a deadline and a size limit (shared/http/request_bodies.py). Then the
application is called as a WSGI application (PEP 3333) with the bytes, in one of a fixed number of
threads.

The application's `accepts` decides by the headers which bodies are read, and up to which size. A
request that it rejects is answered before its body is read.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from queue import SimpleQueue
from typing import Any, Protocol

import structlog

from shared.errors import InternalError
from shared.http.app import PROBLEM, Environ, Service
from shared.http.problems import MEDIA_TYPE, problem_json
from shared.http.request_bodies import Bodies

_ALWAYS: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,  # the input ends where the body ends
    "wsgi.multiprocess": False,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
}
_WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_INTERNAL_ERROR = problem_json(InternalError("The service failed to answer this request."))
log_line = structlog.get_logger()


class Scope(Protocol):
    """A request of granian. Its headers are a multimap: a name may occur twice."""

    method: str
    path: str
    query_string: str
    http_version: str
    scheme: str
    server: str
    client: str
    authority: str | None
    headers: Any


class Exchange(Protocol):
    """Granian's protocol object of a request. Its methods may be called from any thread."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the chunks of the body."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a response, unless one was sent."""

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Any:
        """Begin a response of unknown length."""


class RsgiApp:
    """A Service as an RSGI application, with a fixed number of threads for its views."""

    def __init__(self, app: Service, threads: int, bodies: Bodies | None = None) -> None:
        self._app = app
        self._threads = threads
        self._bodies = bodies or Bodies()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the threads. Granian calls this before the first request."""
        self._loop = loop
        for number in range(self._threads):
            threading.Thread(target=self._work, name=f"view-{number}", daemon=True).start()

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Stop the threads. Granian calls this after the last response."""
        for _ in range(self._threads):
            self._jobs.put(None)

    async def __rsgi__(self, scope: Scope, proto: Exchange) -> None:
        """Answer a request."""
        environ = environ_of(scope)
        body = b""
        try:
            accepts = self._app.accepts.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            if accepts is not None:
                accepted = accepts.known(environ)
                if accepted is None:
                    accepted = await self._in_thread(lambda: accepts.ask(environ))
                caller, longest = accepted
                body = await self._bodies.read(proto, caller, longest, _length(environ))
        except Exception as fault:  # noqa: BLE001 - the application raises and handles it
            environ[PROBLEM] = fault
        environ["wsgi.input"] = BytesIO(body)
        await self._in_thread(lambda: self._answer(environ, proto))

    def _in_thread(self, call: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Run a call in one of the threads."""
        future = self._loop.create_future()
        self._jobs.put(lambda: self._call(call, future))
        return future

    def _call(self, call: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        settle: Callable[[Any], None] = future.set_result
        try:
            outcome = call()
        except Exception as fault:  # noqa: BLE001 - raised by `await`
            settle, outcome = future.set_exception, fault
        self._loop.call_soon_threadsafe(settle, outcome)

    def _work(self) -> None:
        while job := self._jobs.get():
            job()

    def _answer(self, environ: Environ, proto: Exchange) -> None:
        """Call the application and send its response, in a thread."""
        try:
            _send(self._app, environ, proto)
        except Exception:
            log_line.exception("unhandled_exception", route="none")
            proto.response_bytes(500, [("content-type", MEDIA_TYPE)], _INTERNAL_ERROR)


def _send(app: Service, environ: Environ, proto: Exchange) -> None:
    status, headers = 500, list[tuple[str, str]]()

    def start(
        line: str, response_headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[..., Any]:
        nonlocal status, headers
        status, headers = int(line[:3]), response_headers
        return _no_write

    parts = app(environ, start)
    try:
        if isinstance(parts, list) or any(name.lower() == "content-length" for name, _ in headers):
            proto.response_bytes(status, headers, b"".join(parts))
            return
        stream = proto.response_stream(status, headers)
        for part in parts:
            for _ in stream.send_bytes(part).__await__():  # raises if the client disconnected
                pass
    finally:
        if close := getattr(parts, "close", None):
            close()


def _no_write(_data: bytes) -> None:
    raise TypeError("the application must return its body; WSGI's write() is not supported")


def environ_of(scope: Scope) -> Environ:
    """Return the WSGI environment of a request, without its body.

    Headers with an underscore in their name are skipped: WSGI cannot distinguish them from names
    with a hyphen, so `ce_subject` would be read as `ce-subject`.
    """
    host, _, port = scope.server.rpartition(":")
    environ = {
        **_ALWAYS,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _latin_1(scope.path),
        "QUERY_STRING": _latin_1(scope.query_string),
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.url_scheme": scope.scheme,
    }
    for name in scope.headers.keys():  # noqa: SIM118 - granian's headers are not a mapping
        if "_" in name:
            continue
        variable = _WITHOUT_PREFIX.get(name)
        if variable is not None:
            environ[variable] = scope.headers.get(name, "")
        else:
            separator = "; " if name == "cookie" else ","
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = separator.join(
                scope.headers.get_all(name)
            )
    environ.setdefault("HTTP_HOST", scope.authority or "")
    return environ


def _latin_1(text: str) -> str:
    """Encode a text as WSGI requires: every byte of its UTF-8 as one character."""
    return text if text.isascii() else text.encode().decode("latin-1")


def _length(environ: Environ) -> int | None:
    """Return the Content-Length of the body; None if it is sent in chunks."""
    length = environ.get("CONTENT_LENGTH", "")
    return int(length) if length and "HTTP_TRANSFER_ENCODING" not in environ else None
