"""Intake's routes: post an event, and look up what may be posted."""

import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.http import parse_options_header

from services.intake.cloudevents import MEDIA_TYPE, read
from services.intake.types import all_types, one_type
from shared.callers import AUTHORS, Caller, Callers
from shared.catalogue import EventType
from shared.durability import Durability
from shared.event import MAX_EVENT_BYTES, Event, partition_of, timestamp
from shared.inbox import Inbox
from shared.problems import Forbidden, Refused, TooLarge, Unavailable, WrongMedia
from shared.web import as_json

MAX_BODY_BYTES = 2 * MAX_EVENT_BYTES  # white space and escapes may take some
MAX_HEARD_BYTES = 1024 * 1024  # of a body that is too long, so that its sender hears why
MAX_WAIT = 30  # seconds
BODY_SECONDS = 1.0  # that a request waits for others' slow bodies
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,20})\"?(?=$|[,;\s])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Intake:
    """What can be asked of intake, over its neighbours.

    `may_read` bounds the requests whose body is still coming, `may_wait` those that wait for a
    verdict: neither may keep all threads.
    """

    callers: Callers
    inbox: Inbox
    partitions: int
    may_read: threading.Semaphore
    may_wait: threading.Semaphore
    clock: Callable[[], datetime]

    def routes(self) -> Blueprint:
        """The routes."""
        intake = Blueprint("intake", __name__)
        intake.add_url_rule("/events", view_func=self.post_event, methods=["POST"])
        intake.add_url_rule("/event-types", "all", lambda: as_json(all_types()))
        intake.add_url_rule("/event-types/<name>", "one", lambda name: as_json(one_type(name)))
        return intake

    def post_event(self) -> Response:
        """One event: who, what shape, safe; and its fate, if the caller waits for it."""
        caller = g.caller = self.callers.of(request.headers.get("Authorization"))
        body, received = self._body(), self.clock()
        row, kept = read(body, received)
        _may_author(caller, row)
        seconds = _wait_seconds()
        waits = seconds > 0 and self.may_wait.acquire(blocking=False)
        try:
            event = Event.of(
                kept,
                author=caller.subject,
                via=caller.via,
                issuer=caller.issuer,
                received=timestamp(received),
                waiter=uuid.uuid4().hex if waits else None,
            )
            return self._publish(event, seconds)
        finally:
            if waits:
                self.may_wait.release()

    def _publish(self, event: Event, seconds: int) -> Response:
        partition = partition_of(event.subject, self.partitions)
        durability = self.inbox.publish(partition, [event])
        if durability.level is None:
            raise Unavailable(f"The event is not safe yet: {durability.why}.")
        if event.waiter is not None:
            answer = self.inbox.receipt(partition, event.waiter, seconds)
            if answer is not None:
                return _decided(answer, event)
        return _accepted(event, durability, waited=event.waiter is not None)

    def _body(self) -> bytes:
        if not self.may_read.acquire(timeout=BODY_SECONDS):
            raise Unavailable("Too many slow bodies at once.")
        try:
            return _body()
        finally:
            self.may_read.release()


def _body() -> bytes:
    """The posted bytes; WrongMedia or TooLarge before anything is parsed."""
    if "Content-Encoding" in request.headers:
        raise WrongMedia("No Content-Encoding is taken; send the event as it is.")
    refused = _media_refusal(request.environ.get("CONTENT_TYPE", ""))
    if refused:
        raise WrongMedia(refused)
    too_large = TooLarge(f"A body has at most {MAX_BODY_BYTES} bytes.")
    if (request.content_length or 0) > MAX_HEARD_BYTES:
        raise too_large
    body = request.stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        request.stream.read(MAX_HEARD_BYTES)  # who still sends would see a reset, not the answer
        raise too_large
    return body


@lru_cache(maxsize=256)
def _media_refusal(content_type: str) -> str:
    """Why a Content-Type is not taken; empty if it is. Few are ever sent, and parsing one costs."""
    mimetype, options = parse_options_header(content_type)
    if mimetype.lower() != MEDIA_TYPE:
        return f"The media type is {mimetype[:80] or 'none'}; send one event as {MEDIA_TYPE}."
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        return "JSON is UTF-8; leave the charset out."
    return ""


def _may_author(caller: Caller, row: EventType) -> None:
    """Tokens that may author nothing, or nothing of this kind, stop here; the rest is recorded."""
    if caller.role not in AUTHORS:
        raise Forbidden(f"The role '{caller.role}' authors no events.")
    if row.token_scope not in caller.scopes:
        raise Forbidden(f"'{row.name}' needs a token with the scope '{row.token_scope}'.")


def _wait_seconds() -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most 30; 0 without it."""
    if "HTTP_PREFER" not in request.environ:
        return 0
    found = _WAIT.search(", ".join(request.headers.getlist("Prefer")))
    return min(int(found[1]), MAX_WAIT) if found else 0


def _place(event: Event) -> str:
    return f"/people/{event.subject}/events/{event.id}"


def _accepted(event: Event, durability: Durability, *, waited: bool) -> Response:
    """202: safe, and not yet decided. `ledger` is the path of its fate at the read API."""
    told = {"id": event.id, "durability": durability.level, "ledger": _place(event)}
    response = as_json(told, 202)
    if waited:
        response.headers["Preference-Applied"] = "wait"
    return response


def _decided(answer: bytes, event: Event) -> Response:
    r"""201, 200 or a problem, by the ledger's answer `<status>\n<receipt>`."""
    status, receipt = answer.split(b"\n", 1)
    headers = {"Preference-Applied": "wait", "Location": _place(event)}
    if int(status) < 400:
        return Response(receipt, int(status), headers, mimetype="application/json")
    told = orjson.loads(receipt)
    raise Refused(
        int(status),
        f"It was refused: {told['because']}.",
        {"code": told["refusal"], "receipt": told},
        headers=headers,
    )
