"""People API: plan, history, diff, origins and receipts of one person. Read only.

Only the person reads here, and the author of an event its outcome. What a caller may not read gets
the same 404 as what does not exist. Responses are bounded and are built before the first byte is
sent: a history comes in pages.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from flask import Blueprint, Response, request

from services.ledger.api.caller_limits import CallerLimits
from services.ledger.api.query_params import QueryParams, invalid_parameter
from services.ledger.checkpoints.published_view import PublishedHead, PublishedView
from services.ledger.presentation.plan_text import plan_text
from services.ledger.presentation.plan_view import plan_view
from services.ledger.presentation.sentences import DisplayNames
from services.ledger.queries.read_cache import ReadCache
from services.ledger.queries.reader import Backwards, Reader
from services.ledger.queries.time_travel import NOW
from services.ledger.store.database import Engine, transaction
from services.ledger.vault import Vault
from shared.auth.tokens import Callers
from shared.crypto.jwe import b64url
from shared.errors import NotFound
from shared.events.event import Json, canonical, partition_of, timestamp
from shared.http.app import as_json, require_caller

PAGE, LONGEST_PAGE = 100, 500
_WHEN = ("version", "as-of", "true-at")
NDJSON, _PLAIN = "application/x-ndjson", "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PeopleApi:
    """Routes of a person's data, and their dependencies."""

    engine: Engine
    vault: Vault
    callers: Callers
    names: DisplayNames
    watermark: PublishedView
    clock: Callable[[], datetime]
    cache: ReadCache = field(default_factory=ReadCache)
    shares: CallerLimits = field(default_factory=CallerLimits)

    def routes(self) -> Blueprint:
        """Return the routes, all below /people/<subject>."""
        people = Blueprint("people", __name__, url_prefix="/people/<subject>")
        for route in (self.plan, self.history, self.diff, self.origins):
            name = route.__name__
            people.add_url_rule(f"/{name}", name, self._for_the_person(route))
        people.add_url_rule("/events/<name>", view_func=self.event)
        people.add_url_rule("/events/<name>/receipt", view_func=self.receipt)
        return people

    def _for_the_person(self, route: Callable[[str], Response]) -> Callable[[str], Response]:
        """Restrict a route to the person, and apply the caller's limits."""

        def restricted(subject: str) -> Response:
            if require_caller(self.callers, "read").subject != subject:
                raise NotFound
            is_cheap = route.__name__ == "plan" and not request.args
            with self.shares.plan(subject) if is_cheap else self.shares.costly(subject):
                return route(subject)

        return restricted

    def plan(self, subject: str) -> Response:
        """Return the plan, now or at an earlier point, as JSON or as plain text to read aloud."""
        when, now = QueryParams(request.args, _WHEN).when(), timestamp(self.clock())
        with self._reader(subject) as reader:
            plan, until = reader.plan_until(when)
            current = None if when.is_now else reader.now()
        if plan is None:
            raise NotFound
        shown = plan_view(plan, min(until or now, now), current)
        if _best("application/json", "text/plain") == "text/plain":
            return _cached(plan_text(self.names, shown).encode(), _PLAIN)
        return _cached(canonical(shown), "application/json")

    def diff(self, subject: str) -> Response:
        """Return the changes from one plan to a later one, as JSON or plain text."""
        parameters = QueryParams(request.args, ("from", "to"))
        start, end = parameters.point("from"), parameters.point("to", NOW)
        try:
            with self._reader(subject) as reader:
                difference, first, last = reader.difference(self.names, start, end)
        except Backwards:
            raise invalid_parameter("from", "Must not be later than 'to'.") from None
        exists = start.version in (None, first.version) and end.version in (None, last.version)
        if last.state != "started" or not exists:
            raise NotFound
        if _best("application/json", "text/plain") == "text/plain":
            return _cached(difference.text(first, last).encode(), _PLAIN)
        header = {"subject": subject, "from": first.version, "to": last.version}
        return _cached(canonical({**header, "changes": difference.changes()}), "application/json")

    def origins(self, subject: str) -> Response:
        """Return where the words of each line come from, as JSON or plain text."""
        when = QueryParams(request.args, _WHEN).when()
        if when.true_at is not None:
            raise invalid_parameter("true-at", "Not supported here; use 'version' or 'as-of'.")
        with self._reader(subject) as reader:
            origins, plan = reader.origins(self.names, when)
        if plan.state != "started" or when.version not in (None, plan.version):
            raise NotFound
        if _best("application/json", "text/plain") == "text/plain":
            return _cached(origins.text(plan).encode(), _PLAIN)
        document = {"subject": subject, "version": plan.version, "lines": origins.lines(plan)}
        return _cached(canonical(document), "application/json")

    def history(self, subject: str) -> Response:
        """Return a page of all accepted and refused events, as JSON or NDJSON.

        `Link` (RFC 8288) and the JSON's `next` refer to the next page, if there may be one.
        """
        parameters = QueryParams(request.args, ("cursor", "limit"))
        cursor, limit = parameters.number("cursor"), parameters.number("limit")
        after = -1 if cursor is None else cursor
        as_lines = _best("application/json", NDJSON) == NDJSON
        if limit is None:
            limit = LONGEST_PAGE if as_lines else PAGE
        limit = min(max(limit, 1), LONGEST_PAGE)
        with self._reader(subject) as reader:
            page = reader.history(self.names, after=after, limit=limit)
        if as_lines:
            body = b"".join(canonical(entry) + b"\n" for entry in page.entries)
            response = _cached(body, NDJSON)
        else:
            cursor_member = {} if page.following is None else {"next": page.following}
            document = {"subject": subject, "entries": page.entries, **cursor_member}
            response = _cached(canonical(document), "application/json")
        if page.following is not None:
            link = f'<?cursor={page.following}&limit={limit}>; rel="next"'
            response.headers["Link"] = link
        return response

    def event(self, subject: str, name: str) -> Response:
        """Return the outcome of an event, to its author and the person."""
        return as_json(self._outcome(subject, name, Reader.fates))

    def receipt(self, subject: str, name: str) -> Response:
        """Return the receipt of an event; as plain text only its proof (C2SP tlog-proof)."""
        receipt = self._outcome(subject, name, Reader.receipts)
        if _best("application/json", "text/plain") == "text/plain":
            return Response(receipt["proof"], content_type=_PLAIN)
        return as_json(receipt)

    def _outcome(
        self, subject: str, name: str, find: Callable[[Reader, str, str, PublishedHead], list[Json]]
    ) -> Json:
        """Return the outcomes of an event. Only its author gets the salt, which allows guessing its
        words.
        """
        caller = require_caller(self.callers, "read")
        if not (subject + name).isprintable():
            raise NotFound  # no id has such characters, and PostgreSQL rejects NUL
        log = partition_of(subject, self.watermark.partitions)
        with (
            self.shares.cheap(caller.subject),
            self.watermark.reading(log) as (connection, published),
        ):
            reader = Reader(connection, self.vault, log, subject)
            outcomes = find(reader, name, caller.subject, published)
        if not outcomes:
            raise NotFound
        for outcome in outcomes:
            if outcome["author"] != caller.subject:
                del outcome["salt"]
        return outcomes[0] | ({"also": outcomes[1:]} if outcomes[1:] else {})

    @contextmanager
    def _reader(self, subject: str) -> Iterator[Reader]:
        with transaction(self.engine) as connection:
            log = partition_of(subject, self.watermark.partitions)
            yield Reader(connection, self.vault, log, subject, self.cache)


def _best(*media_types: str) -> str | None:
    """Return the media type that the client prefers; the first one by default."""
    return request.accept_mimetypes.best_match(media_types)


def _cached(body: bytes, media_type: str) -> Response:
    """Return a response with an ETag, the hash of its body, for conditional requests."""
    response = Response(body, content_type=media_type)
    response.set_etag(b64url(sha256(body).digest()).decode())
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept, Authorization"
    response.make_conditional(request)
    return response
