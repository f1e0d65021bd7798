"""From granian's requests to WSGI's, and from WSGI's answers back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Response, request

from shared.errors import Unauthorized
from shared.http.app import BodyPolicy, Environ, Service, install
from shared.http.request_bodies import Bodies
from shared.http.rsgi import RsgiApp, environ_of


class Headers:
    """As granian's: names in lower case, each as often as it was sent."""

    def __init__(self, *sent: tuple[str, str]) -> None:
        self.sent = sent

    def keys(self) -> list[str]:
        """Every name once."""
        return list(dict.fromkeys(name for name, _ in self.sent))

    def get(self, key: str, default: Any = None) -> Any:
        """The first value."""
        return next((value for name, value in self.sent if name == key), default)

    def get_all(self, key: str) -> list[str]:
        """All values, in order."""
        return [value for name, value in self.sent if name == key]


@dataclass
class Asked:
    """A request."""

    headers: Headers = field(default_factory=Headers)
    method: str = "POST"
    path: str = "/echo"
    query_string: str = ""
    http_version: str = "1.1"
    scheme: str = "http"
    server: str = "127.0.0.1:8081"
    client: str = "127.0.0.1:40000"
    authority: str | None = None


class Stream:
    """An answer of unknown length; after `until` parts its reader is gone."""

    def __init__(self, until: int) -> None:
        self.until = until
        self.parts: list[bytes] = []

    async def send_bytes(self, part: bytes) -> None:
        """Take a part."""
        if len(self.parts) == self.until:
            raise RuntimeError("the reader is gone")
        self.parts.append(part)


class Answered:
    """Granian's end of a request."""

    def __init__(self, *chunks: bytes, until: int = 99) -> None:
        self.chunks = chunks
        self.read = False
        self.stream = Stream(until)
        self.status, self.headers, self.body = 0, dict[str, str](), b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read = True
        for each in self.chunks:
            yield each

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Keep the first answer, as granian does."""
        if not self.status:
            self.status, self.headers, self.body = status, dict(headers), body

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Stream:
        """Keep the beginning of an answer."""
        self.status, self.headers = status, dict(headers)
        return self.stream


class Anybody:
    """Reads the bodies of callers that have a name, the first time in a thread."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def known(self, environ: Environ) -> tuple[str, int] | None:
        """A name that was asked about."""
        name = environ.get("HTTP_AUTHORIZATION", "")
        return (name, 100) if name in self.names else None

    def ask(self, environ: Environ) -> tuple[str, int]:
        """Any name."""
        name = environ.get("HTTP_AUTHORIZATION", "")
        if not name:
            raise Unauthorized("no name")
        self.names.add(name)
        return name, 100


def service(accepts: BodyPolicy) -> Service:
    """Echoes bodies, and streams."""
    app = Service("test", static_folder=None)
    app.accepts["POST", "/echo"] = accepts
    app.add_url_rule("/echo", "echo", lambda: Response(request.get_data()), methods=["POST"])

    def parts() -> Iterator[bytes]:
        yield from (b"a", b"b", b"c")

    app.add_url_rule("/stream", "stream", lambda: Response(parts()))
    install(app, "test", lambda: None)
    return app


def ask(
    asked: Asked, answered: Answered, times: int = 1, accepts: BodyPolicy | None = None
) -> Answered:
    """Have a request answered."""

    async def run() -> None:
        app = RsgiApp(service(accepts or Anybody()), 2, Bodies(seconds=5))
        loop = asyncio.get_running_loop()
        app.__rsgi_init__(loop)
        for _ in range(times):
            await app.__rsgi__(asked, answered)
        app.__rsgi_del__(loop)

    asyncio.run(run())
    return answered


BEARER = ("authorization", "ada")


def test_a_body_is_handed_to_the_view() -> None:
    sent = Asked(Headers(BEARER, ("content-length", "4")))
    answered = ask(sent, Answered(b"he", b"re"), times=2)
    assert (answered.status, answered.body) == (200, b"here")


def test_a_request_that_is_refused_by_its_headers_is_answered_before_its_body() -> None:
    answered = ask(Asked(Headers(("content-length", "4"))), Answered(b"here"))
    assert (answered.status, answered.read) == (401, False)
    assert answered.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_no_body_is_read_where_none_is_taken() -> None:
    answered = ask(Asked(Headers(BEARER), path="/livez"), Answered(b"here"))
    assert (answered.status, answered.read) == (405, False)


def test_a_body_that_is_too_long_is_a_problem() -> None:
    answered = ask(Asked(Headers(BEARER)), Answered(b"x" * 101))
    assert answered.status == 413
    assert answered.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("until", "parts"), [(99, [b"a", b"b", b"c"]), (1, [b"a"])])
def test_an_answer_of_unknown_length_goes_out_in_parts(until: int, parts: list[bytes]) -> None:
    answered = ask(Asked(method="GET", path="/stream"), Answered(until=until))
    assert (answered.status, answered.stream.parts) == (200, parts)


def test_headers_are_named_as_wsgi_names_them() -> None:
    environ = environ_of(
        Asked(
            Headers(
                ("content-type", "a/b"),
                ("content-length", "1"),
                ("x-a", "1"),
                ("x-a", "2"),
                ("cookie", "a=1"),
                ("cookie", "b=2"),
                ("ce-subject", "person:ada"),
                ("ce_subject", "person:eve"),
                ("ce_id", "7"),
            ),
            path="/caf\N{LATIN SMALL LETTER E WITH ACUTE}",
            query_string="a=b",
            authority="intake.example",
        )
    )
    told = {name: value for name, value in environ.items() if not name.startswith("wsgi.")}
    assert told == {
        "SCRIPT_NAME": "",
        "SERVER_SOFTWARE": "Granian",
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/caf\u00c3\u00a9",
        "QUERY_STRING": "a=b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8081",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "1",
        "HTTP_X_A": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_CE_SUBJECT": "person:ada",
        "HTTP_HOST": "intake.example",
    }


class Broken(Anybody):
    """Fails in a way that nobody foresaw."""

    def ask(self, environ: Environ) -> tuple[str, int]:
        """No."""
        raise KeyError(environ["REQUEST_METHOD"])


def test_a_fault_before_the_body_is_a_problem_too() -> None:
    answered = ask(Asked(Headers(BEARER)), Answered(b"here"), accepts=Broken())
    assert answered.status == 500
    assert answered.headers["Content-Type"] == "application/problem+json"
    assert b"POST" not in answered.body
