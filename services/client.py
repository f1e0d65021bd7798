"""A small HTTP client for the command and the story: events out, plans in."""

import json
import os
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from shared.problems import FirsthandError
from shared.settings import Settings

TRIES, TIMEOUT = 20, 40  # of the same bytes; seconds a request may take


class NoAnswer(FirsthandError):
    """The service did not answer, or said 'not now' too often."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; a text in quotes if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode("utf-8", "replace")


def send(
    url: str,
    token: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request; NoAnswer if none came."""
    told = {"Authorization": f"Bearer {token}", **(headers or {})}
    request = Request(url, data=body, headers=told)  # noqa: S310 - http, from our own settings
    try:
        with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - the same
            return Answer(response.status, dict(response.headers), response.read())
    except HTTPError as fault:
        with fault:
            return Answer(fault.code, dict(fault.headers), fault.read())
    except (URLError, OSError) as fault:
        raise NoAnswer(f"{url}: {getattr(fault, 'reason', fault)}") from None


def address(service: str, port: int) -> str:
    """Where a service answers: FIRSTHAND_<SERVICE>_URL, what `up` wrote, or the usual port."""
    given = os.environ.get(f"FIRSTHAND_{service.upper()}_URL")
    place = Settings.load().data / "up.json"
    if not given and place.exists():
        given = str(json.loads(place.read_text())[service])
    return (given or f"http://127.0.0.1:{port}").rstrip("/")


def events_in(text: str) -> list[dict[str, Any]]:
    """One JSON event, a JSON list of them, or one a line; ValueError says what is not JSON."""
    try:
        whole = json.loads(text)
        listed = whole if isinstance(whole, list) else [whole]
    except ValueError:
        lines = enumerate(text.splitlines(), 1)
        listed = [_line(number, line) for number, line in lines if line.strip()]
    if not all(isinstance(event, dict) for event in listed):
        raise ValueError("an event is a JSON object")
    return listed


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as fault:
        raise ValueError(f"line {number} is not JSON: {fault}") from None


def complete(event: dict[str, Any], author: str) -> dict[str, Any]:
    """An event with the attributes that need no thought: version, id, source, subject."""
    given = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/command"}
    if author.startswith("person:"):
        given["subject"] = author
    return given | event


def post(intake: str, token: str, event: dict[str, Any], *, wait: int) -> Answer:
    """Post an event until its fate is known or safe: the same bytes and id, again and again.

    NoAnswer when the service stays away; then the same event may be posted again.
    """
    body = json.dumps(event, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/cloudevents+json"}
    if wait:
        headers["Prefer"] = f"wait={wait}"
    why = "no answer"
    for attempt in range(TRIES):
        try:
            answer = send(f"{intake}/events", token, body=body, headers=headers)
        except NoAnswer as fault:
            why, pause = str(fault), 0.25
        else:
            if answer.status not in (429, 500, 502, 503, 504):
                return answer
            why, pause = f"status {answer.status}", float(answer.headers.get("Retry-After", "1"))
        if attempt + 1 < TRIES:
            time.sleep(min(pause, 5))
    raise NoAnswer(f"event {event['id']}: {why}; post it again with the same id")
