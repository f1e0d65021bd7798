"""The read API. It has no write route, and until grants open it only the person reads here.

What is not the caller's is 404 with the same body as what does not exist.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import overload

from flask import Blueprint, Response, request

from services.ledger.aloud import aloud
from services.ledger.history import Reader
from services.ledger.sentences import Names
from services.ledger.store.engine import Engine, transaction
from services.ledger.vault import Vault
from services.ledger.view import view
from services.ledger.watermark import Published, Watermark
from shared.callers import Callers
from shared.event import Json, canonical, partition_of, timestamp
from shared.fields import parse_time
from shared.problems import Fault, Invalid, NotFound
from shared.seal import b64url
from shared.web import as_json, caller_of

PAGE, LONGEST_PAGE = 100, 500


@dataclass(frozen=True, slots=True)
class Api:
    """The things that can be read, over their neighbours."""

    engine: Engine
    vault: Vault
    callers: Callers
    names: Names
    watermark: Watermark
    partitions: int
    clock: Callable[[], datetime]

    def routes(self) -> Blueprint:
        """The routes, each below /people/<subject>."""
        people = Blueprint("people", __name__, url_prefix="/people/<subject>")
        people.add_url_rule("/plan", view_func=self.plan)
        people.add_url_rule("/history", view_func=self.history)
        people.add_url_rule("/events/<name>", view_func=self.event)
        people.add_url_rule("/events/<name>/receipt", view_func=self.receipt)
        return people

    def plan(self, subject: str) -> Response:
        """The plan, now or as it was; JSON, or plain text for reading aloud."""
        self._only_the_person(subject)
        version, as_of = _number("version"), _moment("as-of")
        if version is not None and as_of is not None:
            raise _wrong("as-of", "Ask for a version or for a moment, not both.")
        with self._reader(subject) as reader:
            found, until = reader.plan_until(version=version, as_of=as_of)
            current = None if version is None and as_of is None else reader.now()
        if found is None:
            raise NotFound
        shown = view(found, until or timestamp(self.clock()), current)
        if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
            text = aloud(self.names, shown)
            return _cached(text.encode(), "text/plain; charset=utf-8")
        return _cached(canonical(shown), "application/json")

    def history(self, subject: str) -> Response:
        """Everything that was done or tried, page by page; `next` is the next page's cursor."""
        self._only_the_person(subject)
        after, limit = _number("cursor", -1), min(max(_number("limit", PAGE), 1), LONGEST_PAGE)
        with self._reader(subject) as reader:
            told = reader.history(self.names, after=after, limit=limit)
        more = {"next": told[-1]["index"]} if len(told) == limit else {}
        return _cached(canonical({"subject": subject, "entries": told, **more}), "application/json")

    def event(self, subject: str, name: str) -> Response:
        """The fate of an event, for its author and the person."""
        return as_json(self._told(subject, name, Reader.fates))

    def receipt(self, subject: str, name: str) -> Response:
        """The same with its proof; as plain text the proof alone, as C2SP tlog-proof writes it."""
        told = self._told(subject, name, Reader.receipts)
        if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
            return Response(told["proof"], content_type="text/plain; charset=utf-8")
        return as_json(told)

    def _told(
        self, subject: str, name: str, find: Callable[[Reader, str, Published], list[Json]]
    ) -> Json:
        """What is told of an event. The salt, which opens guesses at its words, is its author's."""
        caller = caller_of(self.callers, "read")
        if not (subject + name).isprintable():
            raise NotFound  # no id is like that, and PostgreSQL takes no NUL
        log = partition_of(subject, self.partitions)
        with self.watermark.reading(log) as (connection, published):
            found = find(Reader(connection, self.vault, log, subject), name, published)
        told = [each for each in found if caller.subject in (subject, each["author"])]
        if not told:
            raise NotFound
        for each in told:
            if each["author"] != caller.subject:
                del each["salt"]
        return told[0] | ({"also": told[1:]} if told[1:] else {})

    def _only_the_person(self, subject: str) -> None:
        if caller_of(self.callers, "read").subject != subject:
            raise NotFound

    @contextmanager
    def _reader(self, subject: str) -> Iterator[Reader]:
        with transaction(self.engine) as connection:
            yield Reader(connection, self.vault, partition_of(subject, self.partitions), subject)


def _wrong(name: str, detail: str) -> Invalid:
    """A wrong query: its pointer is into the query as one object."""
    fault = Fault(f"/{name}", "query", detail)
    return Invalid(f"The query parameter '{name}' is wrong.", errors=[fault])


@overload
def _number(name: str, default: int) -> int: ...
@overload
def _number(name: str, default: None = None) -> int | None: ...
def _number(name: str, default: int | None = None) -> int | None:
    given = request.args.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 15:
        raise _wrong(name, "Must be a whole number, 0 or more.")
    return int(given)


def _moment(name: str) -> str | None:
    given = request.args.get(name)
    try:
        return None if given is None else timestamp(parse_time(given))
    except (ValueError, OverflowError):
        told = "Must be an RFC 3339 date-time with offset ('+' is sent as %2B)."
        raise _wrong(name, told) from None


def _cached(body: bytes, media_type: str) -> Response:
    """An answer that may be asked for again with its ETag, the hash of its body."""
    response = Response(body, content_type=media_type)
    response.set_etag(b64url(sha256(body).digest()).decode())
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept, Authorization"
    response.make_conditional(request)
    return response
