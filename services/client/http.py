"""HTTP client of the services, for the commands: posts events, reads plans."""

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
VARIABLES = {  # of the commands that send requests to a running service, and their meanings
    "FIRSTHAND_TOKEN": "Bearer token that `post`, `plan` and `history` send",
    ADDRESSES["intake"]: "Where intake answers (default: what `up` wrote, or port 8081)",
    ADDRESSES["ledger"]: "Where the ledger answers (default: what `up` wrote, or port 8082)",
}
NOT_NOW = frozenset(
    {408, 425, 429, 500, 502, 503, 504}
)  # statuses that leave the outcome of an event unknown
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds


class NoResponse(FirsthandError):
    """The service did not respond, was unavailable for too long, or sent an invalid response."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, headers (names in any case) and body of a response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float:
        """Seconds of `Retry-After`; 0 if it is missing or a date."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isascii() and value.isdigit() else 0.0

    def json(self) -> Any:
        """Return the body parsed as JSON, or as text if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode("utf-8", "replace")


class ServiceClient:
    """Client of a service over one persistent connection; SettingsError if the URL is invalid."""

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
    """Return the operating system's message, which urllib3 wraps in its own."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return str(fault) or type(fault).__name__


def send(url: str, token: str, *, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return the answer to one GET over a connection of its own; NoResponse if none came."""
    parts = urlsplit(url)
    with closing(ServiceClient(f"{parts.scheme}://{parts.netloc}")) as service:
        return service.send(url.removeprefix(service.url), token, headers=headers)


def address(service: str, port: int) -> str:
    """Return the URL of a service: its variable in ADDRESSES, what `up` wrote, or the default."""
    url = os.environ.get(ADDRESSES[service]) or addresses_from_up(Settings.load().data).get(service)
    return (url or f"http://127.0.0.1:{port}").rstrip("/")


def addresses_from_up(data: Path) -> dict[str, str]:
    """Return the URLs that `up` wrote into its folder; nothing if there is no valid file."""
    try:
        urls = json.loads((data / "up.json").read_text())
        return {name: str(urls[name]) for name in ("intake", "ledger")}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def events_in(text: str) -> list[dict[str, Any]]:
    """Parse one JSON event, a JSON list of them, or one per line; raise ValueError if invalid."""
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
    """Return the `sub` of a token, without verifying it; raise ValueError if there is none.

    >>> subject_of("e30.eyJzdWIiOiJwZXJzb246YWRhIn0.")
    'person:ada'
    """
    try:
        return str(json.loads(from_b64url(token.split(".")[1].encode()))["sub"])
    except (ValueError, LookupError, TypeError):
        raise ValueError("this is no token that names a speaker") from None


def complete(event: dict[str, Any], author: str) -> dict[str, Any]:
    """Return an event with its missing attributes: version, id, source, subject."""
    defaults = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/command"}
    if author.startswith("person:"):
        defaults["subject"] = author
    return defaults | event


def body_of(event: dict[str, Any]) -> bytes:
    """Encode an event. Half of a surrogate pair is escaped, so that intake can report it."""
    try:
        return json.dumps(event, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(event).encode()


def deliver(
    intake: ServiceClient, token: str, body: bytes, *, wait: int, patience: float = PATIENCE
) -> HttpResponse:
    """Post an event, and retry with the same bytes until its outcome is known.

    Between retries it waits for `Retry-After`, and a pause that doubles. Raises NoResponse after
    `patience` seconds; the caller may send the same bytes again.
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
        seconds = requested + pause * uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
        if time.monotonic() + seconds > end:
            raise NoResponse(why)
        time.sleep(seconds)
        pause = min(2 * pause, _LONGEST_PAUSE)
