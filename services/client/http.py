"""A small HTTP client for the command and the story: events out, plans in."""

import json
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import uniform
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from shared.crypto.jwe import from_b64url
from shared.errors import FirsthandError, SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool, Retry

TIMEOUT = 40  # seconds a request may take
PATIENCE = 30.0  # seconds for which one event is sent again
ADDRESSES = {"intake": "FIRSTHAND_INTAKE_URL", "ledger": "FIRSTHAND_LEDGER_URL"}
VARIABLES = {  # that the commands read which speak to a running service, and what they mean
    "FIRSTHAND_TOKEN": "Bearer token that `post`, `plan` and `history` send",
    ADDRESSES["intake"]: "Where intake answers (default: what `up` wrote, or port 8081)",
    ADDRESSES["ledger"]: "Where the ledger answers (default: what `up` wrote, or port 8082)",
}
NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})  # says nothing about the event's fate
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds


class NoResponse(FirsthandError):
    """The service did not answer, said 'not now' too often, or answered what it never says."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, headers (in any case of letters) and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float:
        """Seconds that `Retry-After` asks for; 0 if it names none, or a date."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isascii() and told.isdigit() else 0.0

    def json(self) -> Any:
        """The body as JSON; a text in quotes if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode("utf-8", "replace")


class ServiceClient:
    """A service, over one connection that is kept open; SettingsError if the URL is not one."""

    def __init__(self, url: str) -> None:
        if not _is_http(url):
            raise SettingsError(
                f"{url} is not the address of a service, as http://127.0.0.1:8081 is."
            )
        self.url, self._base_path = url, urlsplit(url).path
        self._pool: HTTPConnectionPool | None = None

    def send(
        self,
        path: str,
        token: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        retries: "Retry | Literal[False]" = False,
    ) -> HttpResponse:
        """Return the answer to one request, a POST if there is a body; NoResponse if none came."""
        import urllib3  # noqa: PLC0415 - slow; a command's help needs none of it

        method, headers = "GET" if body is None else "POST", {**(headers or {})}
        headers["Authorization"] = f"Bearer {token}"
        try:
            self._pool = self._pool or urllib3.connection_from_url(self.url, timeout=TIMEOUT)
            response = self._pool.request(
                method,
                self._base_path + path,
                body=body,
                headers=headers,
                retries=retries,
                redirect=False,
            )
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as fault:
            raise NoResponse(f"{self.url}: {_root_cause(fault)}") from None
        return HttpResponse(response.status, response.headers, response.data)

    def close(self) -> None:
        """Close the connection."""
        if self._pool is not None:
            self._pool.close()


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _root_cause(fault: BaseException) -> str:
    """Return what the system said; urllib3 wraps it in sentences about its pool."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return str(fault) or type(fault).__name__


def send(url: str, token: str, *, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return the answer to one GET over a connection of its own; NoResponse if none came."""
    parts = urlsplit(url)
    with closing(ServiceClient(f"{parts.scheme}://{parts.netloc}")) as service:
        return service.send(url.removeprefix(service.url), token, headers=headers)


def address(service: str, port: int) -> str:
    """Where a service answers: the variable in ADDRESSES, what `up` wrote, or the usual port."""
    url = os.environ.get(ADDRESSES[service]) or addresses_from_up(Settings.load().data).get(service)
    return (url or f"http://127.0.0.1:{port}").rstrip("/")


def addresses_from_up(data: Path) -> dict[str, str]:
    """Where services answer, as `up` wrote into its folder; nothing if it wrote nothing whole."""
    try:
        told = json.loads((data / "up.json").read_text())
        return {name: str(told[name]) for name in ("intake", "ledger")}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def events_in(text: str) -> list[dict[str, Any]]:
    """One JSON event, a JSON list of them, or one a line; ValueError says what is not JSON."""
    try:
        whole = json.loads(text)
        listed = whole if isinstance(whole, list) else [whole]
    except ValueError:
        lines = enumerate(text.split("\n"), 1)
        listed = [_line(number, line) for number, line in lines if line.strip()]
    if not all(isinstance(event, dict) for event in listed):
        raise ValueError("an event is a JSON object")
    return listed


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as fault:
        raise ValueError(f"line {number} is not JSON: {fault}") from None


def subject_of(token: str) -> str:
    """Who a token says is speaking. Its signature is for the services; ValueError if it names none.

    >>> subject_of("e30.eyJzdWIiOiJwZXJzb246YWRhIn0.")
    'person:ada'
    """
    try:
        return str(json.loads(from_b64url(token.split(".")[1].encode()))["sub"])
    except (ValueError, LookupError, TypeError):
        raise ValueError("this is no token that names a speaker") from None


def complete(event: dict[str, Any], author: str) -> dict[str, Any]:
    """An event with the attributes that need no thought: version, id, source, subject."""
    given = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/command"}
    if author.startswith("person:"):
        given["subject"] = author
    return given | event


def body_of(event: dict[str, Any]) -> bytes:
    """The bytes that are sent. Half of a surrogate pair goes as an escape, for intake to name."""
    try:
        return json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(event).encode()


def deliver(
    intake: ServiceClient, token: str, body: bytes, *, wait: int, patience: float = PATIENCE
) -> HttpResponse:
    """Post an event until there is an answer about it: the same bytes and id, again and again.

    Between two tries it waits for as long as `Retry-After` says, and a little longer each time.
    NoResponse after `patience` seconds; then the same bytes may be sent again.
    """
    headers = {"Content-Type": "application/cloudevents+json"}
    if wait:
        headers["Prefer"] = f"wait={wait}"
    pause, end = _FIRST_PAUSE, time.monotonic() + patience
    while True:
        requested = 0.0
        try:
            answer = intake.send("/events", token, body=body, headers=headers)
            if answer.status not in NOT_NOW:
                return answer
            why, requested = f"{intake.url}: status {answer.status}", answer.retry_after
        except NoResponse as fault:
            why = str(fault)
        seconds = requested + pause * uniform(0.5, 1)  # noqa: S311 - it spreads tries, no more
        if time.monotonic() + seconds > end:
            raise NoResponse(why)
        time.sleep(seconds)
        pause = min(2 * pause, _LONGEST_PAUSE)
