"""The read API. It has no write route, and until grants open it only the person reads here.

What is not the caller's is 404 with the same body as what does not exist.
"""

from hashlib import sha256

from flask import Blueprint, Response, request
from sqlalchemy import Engine

from services.ledger.history import Reader, view
from services.ledger.log import entry
from services.ledger.people import unwrap_keys
from services.ledger.receipts import Recorded, receipt
from services.ledger.sentences import Names, aloud
from services.ledger.store import reads
from services.ledger.store.engine import transaction
from services.ledger.vault import Vault
from shared.callers import Callers
from shared.event import canonical, partition_of, timestamp
from shared.problems import Fault, Invalid, NotFound
from shared.seal import b64url
from shared.shapes import parse_time
from shared.web import as_json, caller_of

PAGE, LONGEST_PAGE = 100, 500


def api(
    engine: Engine, vault: Vault, callers: Callers, names: Names, *, partitions: int
) -> Blueprint:
    """The routes, over their neighbours."""
    people = Blueprint("people", __name__, url_prefix="/people/<subject>")

    @people.get("/plan")
    def plan(subject: str) -> Response:
        _only_the_person(callers, subject)
        version, as_of = _number("version"), _moment("as-of")
        if version is not None and as_of is not None:
            _wrong("as-of", "Ask for a version or for a moment, not both.")
        log = partition_of(subject, partitions)
        with transaction(engine) as connection:
            found = Reader(connection, vault, log, subject).plan(version=version, as_of=as_of)
        if found is None:
            raise NotFound
        shown = view(found)
        if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
            return _cached(aloud(names, found, shown).encode(), "text/plain; charset=utf-8")
        return _cached(canonical(shown), "application/json")

    @people.get("/history")
    def history(subject: str) -> Response:
        _only_the_person(callers, subject)
        after, limit = _number("cursor"), _number("limit")
        limit = min(PAGE if limit is None else max(limit, 1), LONGEST_PAGE)
        log = partition_of(subject, partitions)
        with transaction(engine) as connection:
            told = Reader(connection, vault, log, subject).history(
                names, after=-1 if after is None else after, limit=limit
            )
        more = {"next": told[-1]["index"]} if len(told) == limit else {}
        return _cached(canonical({"subject": subject, "entries": told, **more}), "application/json")

    @people.get("/events/<name>")
    def event(subject: str, name: str) -> Response:
        caller = caller_of(callers, "read")
        log = partition_of(subject, partitions)
        with transaction(engine) as connection:
            unwrap_keys(connection, vault, [subject])
            rows = reads.entry_of(connection, log, subject, name)
            seen = [row for row in rows if caller.subject in (row["author"], subject)]
            head = reads.head(connection, log)
        if not seen or head is None:
            raise NotFound
        told = [
            receipt(Recorded(log, row["index"], entry.read(row["leaf"])), vault, head.checkpoint)
            for row in seen
        ]
        return as_json(told[0] | ({"also": told[1:]} if told[1:] else {}))

    return people


def _only_the_person(callers: Callers, subject: str) -> None:
    if caller_of(callers, "read").subject != subject:
        raise NotFound


def _wrong(name: str, detail: str) -> None:
    raise Invalid(f"The query parameter '{name}' is wrong.", errors=[Fault(name, "query", detail)])


def _number(name: str) -> int | None:
    given = request.args.get(name)
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 15:
        _wrong(name, "Must be a whole number, 0 or more.")
    return int(given)


def _moment(name: str) -> str | None:
    given = request.args.get(name)
    if given is None:
        return None
    try:
        return timestamp(parse_time(given))
    except ValueError:
        _wrong(name, "Must be an RFC 3339 date-time with offset ('+' is sent as %2B).")
    return None


def _cached(body: bytes, media_type: str) -> Response:
    """An answer that may be asked for again with its ETag, the hash of its body."""
    response = Response(body, content_type=media_type)
    response.set_etag(b64url(sha256(body).digest()).decode())
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept, Authorization"
    response.make_conditional(request)
    return response
