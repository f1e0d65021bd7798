"""Intake routes: post events, and list the event types."""

import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import orjson
import structlog
from flask import Blueprint, Response, g, request
from werkzeug.wsgi import get_content_length, get_input_stream

from services.intake.event_types import all_types, one_type
from services.intake.http_binding import ContentMode, content_mode_of, posted_events
from services.intake.validation import MAX_FAULTS, validate_batch, validate_event
from shared.auth.tokens import AUTHORS, Caller, Callers
from shared.crashpoints import crashpoint
from shared.errors import FaultCode, FieldError, Forbidden, Refused, Unavailable
from shared.events.catalogue import EventType
from shared.events.event import Event, Json, partition_of, timestamp
from shared.http.app import Environ, as_json
from shared.http.request_bodies import too_large
from shared.inbox.durability import Durability
from shared.inbox.inbox import Inbox
from shared.inbox.queue_status import QueueStatus
from shared.tracing import trace_of, traceparent_of

MAX_WAIT = 30  # seconds
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,20})\"?(?=$|[,;\s])", re.IGNORECASE)
log_line = structlog.get_logger()
EventFactory = Callable[..., Event]  # `Event.from_canonical`, with the members of the request


@dataclass(frozen=True, slots=True)
class Intake:
    """The views of intake and their dependencies.

    `may_wait` limits the requests that wait for a verdict, so that they do not block all threads.
    """

    callers: Callers
    inbox: Inbox
    partitions: int
    may_wait: threading.Semaphore
    clock: Callable[[], datetime]
    status: QueueStatus

    def routes(self) -> Blueprint:
        """Return the blueprint with the routes."""
        intake = Blueprint("intake", __name__)
        intake.add_url_rule("/events", view_func=self.post_events, methods=["POST"])
        intake.add_url_rule("/event-types", "all", lambda: as_json(all_types()))
        intake.add_url_rule("/event-types/<name>", "one", lambda name: as_json(one_type(name)))
        return intake

    def post_events(self) -> Response:
        """Authenticate the caller, parse, validate and publish the posted events."""
        environ = request.environ  # `request.headers` costs more per access
        caller = g.caller = _caller(self.callers, environ)
        mode = _permitted_mode(caller, environ)
        body, received = _body(environ, mode.longest), self.clock()
        posted = posted_events(mode, body, environ)
        make_event = partial(
            Event.from_canonical,
            author=caller.subject,
            via=caller.via,
            issuer=caller.issuer,
            received=timestamp(received),
            traceparent=traceparent_of(environ.get("HTTP_TRACEPARENT")),
        )
        if mode is ContentMode.BATCH:
            return self._post_batch(caller, posted, received, make_event)
        return self._post_one(caller, posted[0], received, make_event, _wait_seconds(environ))

    def _post_one(
        self,
        caller: Caller,
        posted: Json,
        received: datetime,
        make_event: EventFactory,
        seconds: int,
    ) -> Response:
        """Publish one event. Return its verdict if it is known within `seconds`, else a 202."""
        row, encoded = validate_event(posted, received)
        refused = _refusal(caller, row)
        if refused:
            raise Forbidden(refused)
        waits = seconds > 0 and self.may_wait.acquire(blocking=False)
        try:
            waiter = uuid.uuid4().hex if waits else None
            event = make_event(encoded, posted, waiter=waiter)
            _trace(event)
            partition = partition_of(event.subject, self.partitions)
            self.status.check(partition, {event.subject})
            durability = self._publish(partition, [event])
            if waiter is not None:
                reply = self.inbox.receipt(partition, waiter, seconds)
                crashpoint("intake-decided")
                decided = None if reply is None else _decided(reply, event)
                if decided is not None:
                    return decided
            return _accepted(event, durability, waited=waits)
        finally:
            if waits:
                self.may_wait.release()

    def _post_batch(
        self, caller: Caller, batch: Sequence[Json], received: datetime, make_event: EventFactory
    ) -> Response:
        """Publish a batch of events about any persons, if all are valid. It never waits.

        They are published partition by partition. If one publish fails, the whole request fails.
        The caller can retry with the same bytes: posting is idempotent.
        """
        valid = validate_batch(batch, received)
        faults = [
            FieldError(f"/{index}/type", FaultCode.FORBIDDEN, refused)
            for index, (row, _) in enumerate(valid)
            if (refused := _refusal(caller, row))
        ]
        if faults:
            raise Forbidden(faults[0].detail, errors=faults[:MAX_FAULTS])
        events = [
            make_event(encoded, posted) for posted, (_, encoded) in zip(batch, valid, strict=True)
        ]
        _trace(*events[-1:])
        partitions = [partition_of(event.subject, self.partitions) for event in events]
        shares: dict[int, list[Event]] = defaultdict(list)
        for partition, event in zip(partitions, events, strict=True):
            shares[partition].append(event)
        for partition, share in shares.items():
            self.status.check(partition, {event.subject for event in share})
        levels = {partition: self._publish(partition, share) for partition, share in shares.items()}
        published = zip(partitions, events, strict=True)
        return as_json([_queued(event, levels[partition]) for partition, event in published], 202)

    def _publish(self, partition: int, events: Sequence[Event]) -> Durability:
        crashpoint("intake-received")
        durability = self.inbox.publish(partition, events)
        if durability.level is None:
            raise Unavailable(f"The event could not be stored durably: {durability.why}.")
        crashpoint("intake-safe")
        return durability


@dataclass(frozen=True, slots=True)
class PostedBodies:
    """The body policy of /events: read bodies only of callers that may author events."""

    callers: Callers

    def known(self, environ: Environ) -> tuple[str, int] | None:
        """Decide by a token that is in the cache."""
        caller = self.callers.known(environ.get("HTTP_AUTHORIZATION"))
        return (caller.subject, _permitted_mode(caller, environ).longest) if caller else None

    def ask(self, environ: Environ) -> tuple[str, int]:
        """Decide by any token. This may fetch the keys of its issuer."""
        caller = _caller(self.callers, environ)
        return caller.subject, _permitted_mode(caller, environ).longest


def _caller(callers: Callers, environ: Environ) -> Caller:
    return callers.of(environ.get("HTTP_AUTHORIZATION"))


def _permitted_mode(caller: Caller, environ: Environ) -> ContentMode:
    """Return the content mode by the headers; raise Forbidden or UnsupportedMediaType."""
    if caller.role not in AUTHORS:
        raise Forbidden(f"The role '{caller.role}' may not author events.")
    return content_mode_of(environ)


def _body(environ: Environ, longest: int) -> bytes:
    """Return the body; raise TooLarge if it exceeds `longest` bytes."""
    if (get_content_length(environ) or 0) > longest:
        raise too_large(longest)
    body = get_input_stream(environ).read(longest + 1)
    if len(body) > longest:
        raise too_large(longest)
    return body


def _trace(event: Event | None = None) -> None:
    """Set the trace of the log line: an event's trace overrides that of the request."""
    if event is not None and event.traceparent is not None:
        g.trace = trace_of(event.traceparent)


def _refusal(caller: Caller, row: EventType) -> str:
    """Return why the token may not post this type; empty if it may. The ledger checks the rest."""
    if row.token_scope not in caller.scopes:
        return f"'{row.name}' requires a token with the scope '{row.token_scope}'."
    return ""


def _wait_seconds(environ: Json) -> int:
    """Return the seconds of `Prefer: wait=N` (RFC 7240), at most 30; 0 without it."""
    match = _WAIT.search(environ.get("HTTP_PREFER", ""))
    return min(int(match[1]), MAX_WAIT) if match else 0


def _receipt_path(event: Event) -> str:
    return f"/people/{event.subject}/events/{event.id}"


def _queued(event: Event, durability: Durability) -> Json:
    """Return the body for a durable event without a verdict. `ledger` is a path of the read API."""
    return {"id": event.id, "durability": durability.level, "ledger": _receipt_path(event)}


def _accepted(event: Event, durability: Durability, *, waited: bool) -> Response:
    response = as_json(_queued(event, durability), 202)
    if waited:
        response.headers["Preference-Applied"] = "wait"
    return response


def _decided(reply: bytes, event: Event) -> Response | None:
    r"""Return a 201 or 200, or raise Refused, by the ledger's reply `<status>\n<receipt>`.

    Returns None if the receipt is of another event: the event is durable, but its verdict is
    unknown.
    """
    status, encoded = reply.split(b"\n", 1)
    receipt = orjson.loads(encoded)
    identity = receipt.get("id"), receipt.get("author"), receipt.get("subject")
    if identity != (event.id, event.author, event.subject):
        log_line.error("receipt-of-another-event", id=event.id)
        return None
    headers = {"Preference-Applied": "wait", "Location": _receipt_path(event)}
    if int(status) < 400:
        return Response(encoded, int(status), headers, mimetype="application/json")
    raise Refused(
        int(status),
        f"It was refused: {receipt['because']}.",
        {"code": receipt["refusal"], "receipt": receipt},
        headers=headers,
    )
