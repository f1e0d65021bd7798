"""Intake's routes: post events, and look up what may be posted."""

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
Said = Callable[..., Event]  # `Event.of`, with what is the same for all events of a request


@dataclass(frozen=True, slots=True)
class Intake:
    """What can be asked of intake, over its neighbours.

    `may_wait` bounds the requests that wait for a verdict: they may not keep all threads.
    """

    callers: Callers
    inbox: Inbox
    partitions: int
    may_wait: threading.Semaphore
    clock: Callable[[], datetime]
    status: QueueStatus

    def routes(self) -> Blueprint:
        """The routes."""
        intake = Blueprint("intake", __name__)
        intake.add_url_rule("/events", view_func=self.post_events, methods=["POST"])
        intake.add_url_rule("/event-types", "all", lambda: as_json(all_types()))
        intake.add_url_rule("/event-types/<name>", "one", lambda name: as_json(one_type(name)))
        return intake

    def post_events(self) -> Response:
        """Who, in which form, what shape; then safe, or not at all."""
        environ = request.environ  # rather than `request.headers`: each look through Flask costs
        caller = g.caller = _caller(self.callers, environ)
        form = _form(caller, environ)
        body, received = _body(environ, form.longest), self.clock()
        told = posted_events(form, body, environ)
        said = partial(
            Event.from_canonical,
            author=caller.subject,
            via=caller.via,
            issuer=caller.issuer,
            received=timestamp(received),
            traceparent=traceparent_of(environ.get("HTTP_TRACEPARENT")),
        )
        if form is ContentMode.BATCH:
            return self._post_batch(caller, told, received, said)
        return self._post_one(caller, told[0], received, said, _wait_seconds(environ))

    def _post_one(
        self, caller: Caller, told: Json, received: datetime, said: Said, seconds: int
    ) -> Response:
        """One event; and its fate, if the caller waits so long for it."""
        row, kept = validate_event(told, received)
        refused = _refusal(caller, row)
        if refused:
            raise Forbidden(refused)
        waits = seconds > 0 and self.may_wait.acquire(blocking=False)
        try:
            waiter = uuid.uuid4().hex if waits else None
            event = said(kept, told, waiter=waiter)
            _trace(event)
            partition = partition_of(event.subject, self.partitions)
            self.status.check(partition, {event.subject})
            durability = self._publish(partition, [event])
            if waiter is not None:
                answer = self.inbox.receipt(partition, waiter, seconds)
                crashpoint("intake-decided")
                decided = None if answer is None else _decided(answer, event)
                if decided is not None:
                    return decided
            return _accepted(event, durability, waited=waits)
        finally:
            if waits:
                self.may_wait.release()

    def _post_batch(
        self, caller: Caller, told: Sequence[Json], received: datetime, said: Said
    ) -> Response:
        """Events of any persons, all or none of them well-formed; nobody waits for their fates.

        They are published partition by partition. If one fails nothing is said of any: whoever
        sends the same bytes again records none twice.
        """
        batch = validate_batch(told, received)
        faults = [
            FieldError(f"/{place}/type", FaultCode.FORBIDDEN, refused)
            for place, (row, _) in enumerate(batch)
            if (refused := _refusal(caller, row))
        ]
        if faults:
            raise Forbidden(faults[0].detail, errors=faults[:MAX_FAULTS])
        events = [said(kept, each) for each, (_, kept) in zip(told, batch, strict=True)]
        _trace(*events[-1:])
        homes = [partition_of(each.subject, self.partitions) for each in events]
        shares: dict[int, list[Event]] = defaultdict(list)
        for home, each in zip(homes, events, strict=True):
            shares[home].append(each)
        for home, own in shares.items():
            self.status.check(home, {each.subject for each in own})
        levels = {home: self._publish(home, own) for home, own in shares.items()}
        told_back = [_told(each, levels[home]) for home, each in zip(homes, events, strict=True)]
        return as_json(told_back, 202)

    def _publish(self, partition: int, events: Sequence[Event]) -> Durability:
        crashpoint("intake-received")
        durability = self.inbox.publish(partition, events)
        if durability.level is None:
            raise Unavailable(f"What was posted is not safe yet: {durability.why}.")
        crashpoint("intake-safe")
        return durability


@dataclass(frozen=True, slots=True)
class PostedBodies:
    """Whose bodies are read at /events, and how much of them: who may author nothing is answered
    before.
    """

    callers: Callers

    def known(self, environ: Environ) -> tuple[str, int] | None:
        """By a token that was verified before."""
        caller = self.callers.known(environ.get("HTTP_AUTHORIZATION"))
        return (caller.subject, _form(caller, environ).longest) if caller else None

    def ask(self, environ: Environ) -> tuple[str, int]:
        """By any token; its issuer's keys may have to be fetched."""
        caller = _caller(self.callers, environ)
        return caller.subject, _form(caller, environ).longest


def _caller(callers: Callers, environ: Environ) -> Caller:
    return callers.of(environ.get("HTTP_AUTHORIZATION"))


def _form(caller: Caller, environ: Environ) -> ContentMode:
    """The form of a request; Forbidden or WrongMedia by its headers alone."""
    if caller.role not in AUTHORS:
        raise Forbidden(f"The role '{caller.role}' authors no events.")
    return content_mode_of(environ)


def _body(environ: Environ, longest: int) -> bytes:
    """The posted bytes; TooLarge before anything is parsed."""
    if (get_content_length(environ) or 0) > longest:
        raise too_large(longest)
    body = get_input_stream(environ).read(longest + 1)
    if len(body) > longest:
        raise too_large(longest)
    return body


def _trace(event: Event | None = None) -> None:
    """For the log line: the event's own trace rather than the request's."""
    if event is not None and event.traceparent is not None:
        g.trace = trace_of(event.traceparent)


def _refusal(caller: Caller, row: EventType) -> str:
    """Tokens that may author nothing of this kind stop here; the rest is recorded."""
    if row.token_scope not in caller.scopes:
        return f"'{row.name}' needs a token with the scope '{row.token_scope}'."
    return ""


def _wait_seconds(environ: Json) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most 30; 0 without it."""
    found = _WAIT.search(environ.get("HTTP_PREFER", ""))
    return min(int(found[1]), MAX_WAIT) if found else 0


def _place(event: Event) -> str:
    return f"/people/{event.subject}/events/{event.id}"


def _told(event: Event, durability: Durability) -> Json:
    """That an event is safe, and not yet decided. `ledger` is its fate's path at the read API."""
    return {"id": event.id, "durability": durability.level, "ledger": _place(event)}


def _accepted(event: Event, durability: Durability, *, waited: bool) -> Response:
    response = as_json(_told(event, durability), 202)
    if waited:
        response.headers["Preference-Applied"] = "wait"
    return response


def _decided(answer: bytes, event: Event) -> Response | None:
    r"""201, 200 or a problem, by the ledger's answer `<status>\n<receipt>`.

    None if it is about another event: then this one is safe, and its fate is not known here.
    """
    status, receipt = answer.split(b"\n", 1)
    told = orjson.loads(receipt)
    about = told.get("id"), told.get("author"), told.get("subject")
    if about != (event.id, event.author, event.subject):
        log_line.error("receipt-of-another-event", id=event.id)
        return None
    headers = {"Preference-Applied": "wait", "Location": _place(event)}
    if int(status) < 400:
        return Response(receipt, int(status), headers, mimetype="application/json")
    raise Refused(
        int(status),
        f"It was refused: {told['because']}.",
        {"code": told["refusal"], "receipt": told},
        headers=headers,
    )
