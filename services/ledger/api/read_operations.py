"""The ledger's routes, described."""

from functools import cache

from services.ledger.api.response_schemas import SCHEMAS
from shared.errors import (
    Forbidden,
    InvalidQuery,
    NotFound,
    Problem,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from shared.http.common_operations import BOTH, JSON, TIME
from shared.http.openapi import TEXT, Answer, Operation, Parameter, document, schema

_TOLD = (
    "Serves what people said, and what became of it; takes nothing. What is not the caller's is "
    "404, with the same body as what does not exist."
)
LONGEST_NUMBER = 10**15 - 1
_POSTED = examples(CATALOGUE["plan.started"])[0]["event"]
_SUBJECT = Parameter(
    "subject",
    "path",
    "Whose plan it is: an opaque id.",
    {"type": "string", "pattern": "^person:[A-Za-z0-9._-]{1,64}$"},
    _POSTED["subject"],
)
_EVENT = Parameter(
    "name",
    "path",
    "The id of an event.",
    {"type": "string", "pattern": "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    _POSTED["id"],
)
_LOG = Parameter("n", "path", "The log's number.", {"type": "string", "pattern": "^[0-9]+$"}, "0")
_TILE = Parameter(
    "tile",
    "path",
    "Level, and place in groups of three digits; a tile that is not full says its width.",
    {
        "type": "string",
        "pattern": "^(?:[0-9]{1,2}|entries)/(?:x[0-9]{3}/)*[0-9]{3}(?:[.]p/[0-9]{1,3})?$",
    },
    "0/000.p/1",
)
_AS_OF = Parameter("as-of", "query", "What was known at that moment; not with `version`.", TIME)
_POINT: Json = {"anyOf": [{"type": "string", "pattern": "^[0-9]{1,15}$"}, TIME]}
_IF_NONE_MATCH = Parameter(
    "If-None-Match", "header", "An `ETag` from before: 304 if nothing changed.", TEXT
)
_CACHED = ("ETag", "Cache-Control", "Vary")
_SAME = Answer("As you have it already.", None, _CACHED)
_OF_LOG: tuple[type[Problem], ...] = (Unauthorized, Forbidden, NotFound, Unavailable)
_READING = (*_OF_LOG, TooManyRequests)


def _number(name: str, told: str) -> Parameter:
    number: Json = {"type": "integer", "minimum": 0, "maximum": LONGEST_NUMBER}
    return Parameter(name, "query", told, number)


OPERATIONS = (
    Operation(
        "GET",
        "/people/<subject>/plan",
        "plan",
        "The plan, now or as it was.",
        {
            200: Answer("The plan.", {JSON: schema("plan"), "text/plain": TEXT}, _CACHED),
            304: _SAME,
        },
        (*_READING, InvalidQuery),
        (
            _SUBJECT,
            _number("version", "The plan up to its last entry with that version."),
            _AS_OF,
            Parameter(
                "true-at", "query", "What was true at that moment; not with `version`.", TIME
            ),
            _IF_NONE_MATCH,
        ),
        scope="read",
        more="With `Accept: text/plain`, as text for reading aloud.",
    ),
    Operation(
        "GET",
        "/people/<subject>/diff",
        "diff",
        "What changed from one plan to a later one, line by line, and by which entries.",
        {
            200: Answer("The changes.", {JSON: schema("diff"), "text/plain": TEXT}, _CACHED),
            304: _SAME,
        },
        (*_READING, InvalidQuery),
        (
            _SUBJECT,
            Parameter(
                "from",
                "query",
                "A version (0: no plan yet), or a moment.",
                _POINT,
                "0",
                required=True,
            ),
            Parameter("to", "query", "The same; now, if it is not there.", _POINT),
            _IF_NONE_MATCH,
        ),
        scope="read",
        more="A moment stands for the plan as it was known then. With `Accept: text/plain`, told "
        "to the person.",
    ),
    Operation(
        "GET",
        "/people/<subject>/origins",
        "origins",
        "Where the present words of each line come from: who wrote, suggested, and vouched.",
        {
            200: Answer("The lines.", {JSON: schema("origins"), "text/plain": TEXT}, _CACHED),
            304: _SAME,
        },
        (*_READING, InvalidQuery),
        (
            _SUBJECT,
            _number("version", "The plan up to its last entry with that version."),
            _AS_OF,
            _IF_NONE_MATCH,
        ),
        scope="read",
        more="With `Accept: text/plain`, told to the person.",
    ),
    Operation(
        "GET",
        "/people/<subject>/history",
        "history",
        "Everything that was said or tried, in order, in sentences.",
        {
            200: Answer(
                "A page.",
                {JSON: schema("history"), "application/x-ndjson": schema("told")},
                _CACHED,
                ["Link"],
            ),
            304: _SAME,
        },
        (*_READING, InvalidQuery),
        (
            _SUBJECT,
            _number("cursor", "`next` of the page before."),
            _number(
                "limit",
                "Entries in a page: 100, or 500 as lines; at least 1 and at most 500 are told, and "
                "fewer where they are long.",
            ),
            _IF_NONE_MATCH,
        ),
        scope="read",
        more="With `Accept: application/x-ndjson`, an entry a line. `Link` leads to the next page.",
    ),
    Operation(
        "GET",
        "/people/<subject>/events/<name>",
        "event",
        "The fate of an event, for its author and the person; 404 until it is recorded.",
        {200: Answer("Its fate.", {JSON: schema("fate")})},
        _READING,
        (_SUBJECT, _EVENT),
        scope="read",
    ),
    Operation(
        "GET",
        "/people/<subject>/events/<name>/receipt",
        "receipt",
        "The same with its proof, once it is published.",
        {200: Answer("The receipt.", {JSON: schema("receipt"), "text/plain": TEXT})},
        _READING,
        (_SUBJECT, _EVENT),
        scope="read",
        more="With `Accept: text/plain`, the proof alone (C2SP tlog-proof).",
    ),
    Operation(
        "GET",
        "/logs/<n>/checkpoint",
        "checkpoint",
        "The last published checkpoint of a log (C2SP tlog-checkpoint).",
        {
            200: Answer("The checkpoint.", {"text/plain": TEXT}, ["ETag", "Cache-Control"]),
            304: Answer("As you have it already.", None, ["ETag", "Cache-Control"]),
        },
        (NotFound, Unavailable),
        (_LOG, _IF_NONE_MATCH),
    ),
    Operation(
        "GET",
        "/logs/<n>/vkey",
        "vkey",
        "The keys that signed a log's checkpoints, newest first.",
        {200: Answer("A vkey in each line.", {"text/plain": TEXT}, ["Cache-Control"])},
        (NotFound, Unavailable),
        (_LOG,),
    ),
    Operation(
        "GET",
        "/logs/<n>/tile/<path:tile>",
        "tile",
        "A tile of hashes, or a bundle of entries (C2SP tlog-tiles).",
        {200: Answer("The tile.", {"application/octet-stream": TEXT}, ["Cache-Control"])},
        _OF_LOG,
        (_LOG, _TILE),
        scope="log",
        anybody=True,
        more="Bundles of entries are for the tokens of auditors and operators.",
    ),
    *BOTH,
)


@cache
def described() -> Json:
    """The ledger's whole description, made when it is first asked for."""
    return document("ledger", _TOLD, OPERATIONS, SCHEMAS)
