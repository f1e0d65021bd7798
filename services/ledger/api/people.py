"""The read API. It has no write route, and until grants open it only the person reads here.

What is not the caller's is 404 with the same body as what does not exist. Every answer is complete
before its first byte is sent, and bounded: a history comes in pages.
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
    """The things that can be read, over their neighbours."""

    engine: Engine
    vault: Vault
    callers: Callers
    names: DisplayNames
    watermark: PublishedView
    clock: Callable[[], datetime]
    kept: ReadCache = field(default_factory=ReadCache)
    shares: CallerLimits = field(default_factory=CallerLimits)

    def routes(self) -> Blueprint:
        """The routes, each below /people/<subject>."""
        people = Blueprint("people", __name__, url_prefix="/people/<subject>")
        for each in (self.plan, self.history, self.diff, self.origins):
            name = each.__name__
            people.add_url_rule(f"/{name}", name, self._for_the_person(each))
        people.add_url_rule("/events/<name>", view_func=self.event)
        people.add_url_rule("/events/<name>/receipt", view_func=self.receipt)
        return people

    def _for_the_person(self, route: Callable[[str], Response]) -> Callable[[str], Response]:
        """A route for the person alone, within what one caller may use."""

        def answer(subject: str) -> Response:
            if require_caller(self.callers, "read").subject != subject:
                raise NotFound
            is_cheap = route.__name__ == "plan" and not request.args
            with self.shares.plan(subject) if is_cheap else self.shares.costly(subject):
                return route(subject)

        return answer

    def plan(self, subject: str) -> Response:
        """The plan, now or as it was; JSON, or plain text for reading aloud."""
        when, now = QueryParams(request.args, _WHEN).when(), timestamp(self.clock())
        with self._reader(subject) as reader:
            found, until = reader.plan_until(when)
            current = None if when.is_now else reader.now()
        if found is None:
            raise NotFound
        shown = plan_view(found, min(until or now, now), current)
        if _best("application/json", "text/plain") == "text/plain":
            return _cached(plan_text(self.names, shown).encode(), _PLAIN)
        return _cached(canonical(shown), "application/json")

    def diff(self, subject: str) -> Response:
        """What changed from one plan to a later one; JSON, or plain text."""
        asked = QueryParams(request.args, ("from", "to"))
        start, end = asked.point("from"), asked.point("to", NOW)
        try:
            with self._reader(subject) as reader:
                difference, first, last = reader.difference(self.names, start, end)
        except Backwards:
            raise invalid_parameter("from", "Must not be later than 'to'.") from None
        there = start.version in (None, first.version) and end.version in (None, last.version)
        if last.state != "started" or not there:
            raise NotFound
        if _best("application/json", "text/plain") == "text/plain":
            return _cached(difference.text(first, last).encode(), _PLAIN)
        told = {"subject": subject, "from": first.version, "to": last.version}
        return _cached(canonical({**told, "changes": difference.changes()}), "application/json")

    def origins(self, subject: str) -> Response:
        """Where the words of each line come from; JSON, or plain text."""
        when = QueryParams(request.args, _WHEN).when()
        if when.true_at is not None:
            raise invalid_parameter(
                "true-at", "Words are traced in a version, or 'as-of' a moment."
            )
        with self._reader(subject) as reader:
            origins, plan = reader.origins(self.names, when)
        if plan.state != "started" or when.version not in (None, plan.version):
            raise NotFound
        if _best("application/json", "text/plain") == "text/plain":
            return _cached(origins.text(plan).encode(), _PLAIN)
        told = {"subject": subject, "version": plan.version, "lines": origins.lines(plan)}
        return _cached(canonical(told), "application/json")

    def history(self, subject: str) -> Response:
        """A page of everything that was done or tried; JSON, or as NDJSON an entry a line. If there
        may be more, `Link` leads to the next page (RFC 8288), and so does the JSON's `next`.
        """
        asked = QueryParams(request.args, ("cursor", "limit"))
        cursor, limit = asked.number("cursor"), asked.number("limit")
        after = -1 if cursor is None else cursor
        as_lines = _best("application/json", NDJSON) == NDJSON
        if limit is None:
            limit = LONGEST_PAGE if as_lines else PAGE
        limit = min(max(limit, 1), LONGEST_PAGE)
        with self._reader(subject) as reader:
            page = reader.history(self.names, after=after, limit=limit)
        if as_lines:
            body = b"".join(canonical(each) + b"\n" for each in page.entries)
            response = _cached(body, NDJSON)
        else:
            more = {} if page.following is None else {"next": page.following}
            whole = {"subject": subject, "entries": page.entries, **more}
            response = _cached(canonical(whole), "application/json")
        if page.following is not None:
            link = f'<?cursor={page.following}&limit={limit}>; rel="next"'
            response.headers["Link"] = link
        return response

    def event(self, subject: str, name: str) -> Response:
        """The fate of an event, for its author and the person."""
        return as_json(self._told(subject, name, Reader.fates))

    def receipt(self, subject: str, name: str) -> Response:
        """The same with its proof; as plain text the proof alone, as C2SP tlog-proof writes it."""
        told = self._told(subject, name, Reader.receipts)
        if _best("application/json", "text/plain") == "text/plain":
            return Response(told["proof"], content_type=_PLAIN)
        return as_json(told)

    def _told(
        self, subject: str, name: str, find: Callable[[Reader, str, str, PublishedHead], list[Json]]
    ) -> Json:
        """What is told of an event. The salt, which opens guesses at its words, is its author's."""
        caller = require_caller(self.callers, "read")
        if not (subject + name).isprintable():
            raise NotFound  # no id is like that, and PostgreSQL takes no NUL
        log = partition_of(subject, self.watermark.partitions)
        with (
            self.shares.cheap(caller.subject),
            self.watermark.reading(log) as (connection, published),
        ):
            reader = Reader(connection, self.vault, log, subject)
            told = find(reader, name, caller.subject, published)
        if not told:
            raise NotFound
        for each in told:
            if each["author"] != caller.subject:
                del each["salt"]
        return told[0] | ({"also": told[1:]} if told[1:] else {})

    @contextmanager
    def _reader(self, subject: str) -> Iterator[Reader]:
        with transaction(self.engine) as connection:
            log = partition_of(subject, self.watermark.partitions)
            yield Reader(connection, self.vault, log, subject, self.kept)


def _best(*media_types: str) -> str | None:
    """Which of these forms is wanted most; the first of them, if all are wanted alike."""
    return request.accept_mimetypes.best_match(media_types)


def _cached(body: bytes, media_type: str) -> Response:
    """An answer that may be asked for again with its ETag, the hash of its body."""
    response = Response(body, content_type=media_type)
    response.set_etag(b64url(sha256(body).digest()).decode())
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept, Authorization"
    response.make_conditional(request)
    return response
