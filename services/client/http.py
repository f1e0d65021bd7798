"""A small HTTP client for the command and the story: events out, plans in."""

import json
import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import count
from pathlib import Path
from random import uniform
from typing import Any
from urllib.parse import urlsplit

from shared.crypto.jwe import from_b64url
from shared.errors import FirsthandError, SettingsError
from shared.settings import Settings

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
    """Status, headers (named in small letters) and body of an answer."""

    status: int
    headers: dict[str, str]
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
    """A service, over one connection that is kept while it lasts; SettingsError if it is none."""

    def __init__(self, url: str) -> None:
        try:
            whole = urlsplit(url)
            kind = {"http": HTTPConnection, "https": HTTPSConnection}[whole.scheme]
            self._connection = kind(whole.netloc, timeout=TIMEOUT)
        except (KeyError, ValueError, HTTPException):
            told = f"{url} is not the address of a service, as http://127.0.0.1:8081 is."
            raise SettingsError(told) from None
        self.url, self._below = url, whole.path

    def send(
        self,
        path: str,
        token: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        """One request, a POST if there is a body; NoAnswer if no answer came."""
        told = {"Authorization": f"Bearer {token}", **(headers or {})}
        method = "GET" if body is None else "POST"
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have said why, before
                self._connection.request(method, self._below + path, body, told)
            heard = self._connection.getresponse()
            named = {name.lower(): value for name, value in heard.getheaders()}
            return HttpResponse(heard.status, named, heard.read())
        except (OSError, HTTPException, ValueError) as fault:
            self.close()  # the next request makes a new connection
            raise NoResponse(f"{self.url}: {str(fault) or type(fault).__name__}") from None

    def close(self) -> None:
        """Leave no connection behind."""
        self._connection.close()


def send(url: str, token: str, *, headers: dict[str, str] | None = None) -> HttpResponse:
    """One GET over a connection of its own; NoAnswer if no answer came."""
    whole = urlsplit(url)
    service = ServiceClient(f"{whole.scheme}://{whole.netloc}")
    try:
        return service.send(url.removeprefix(service.url), token, headers=headers)
    finally:
        service.close()


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
    NoAnswer after `patience` seconds; then the same bytes may be sent again.
    """
    headers = {"Content-Type": "application/cloudevents+json"}
    if wait:
        headers["Prefer"] = f"wait={wait}"
    end = time.monotonic() + patience
    for attempt in count():
        told = 0.0
        try:
            answer = intake.send("/events", token, body=body, headers=headers)
            if answer.status not in NOT_NOW:
                return answer
            why, told = f"{intake.url}: status {answer.status}", answer.retry_after
        except NoResponse as fault:
            why = str(fault)
        pause = min(_FIRST_PAUSE * 2 ** min(attempt, 10), _LONGEST_PAUSE)
        pause = told + pause * uniform(0.5, 1)  # noqa: S311 - it spreads tries, and hides nothing
        if time.monotonic() + pause > end:
            raise NoResponse(why)
        time.sleep(pause)
    raise AssertionError("counting never ends")
