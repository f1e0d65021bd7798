"""What both services serve alike, described: probes, problems, and their own descriptions."""

from shared.errors import NotFound
from shared.events.event import Json
from shared.events.refusals import REASONS, WARNINGS, Code
from shared.http.metrics import MEDIA_TYPE as METRICS
from shared.http.openapi import TEXT, Answer, Operation, Parameter
from shared.http.problems import PROBLEMS

JSON = "application/json"
TIME: Json = {"type": "string", "format": "date-time"}
DIGEST: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"}
WHOLE: Json = {"type": "integer", "minimum": 0}

FATE: Json = {
    "type": "object",
    "description": "What became of an event. `salt` is for its author alone.",
    "properties": {
        "id": TEXT,
        "author": TEXT,
        "subject": TEXT,
        "onbehalfof": TEXT,
        "verdict": {"enum": ["accepted", "refused"]},
        "refusal": {"enum": [code.value for code in Code]},
        "because": {"enum": sorted(set(REASONS.values()))},
        "warnings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"code": {"enum": list(WARNINGS)}, "because": TEXT},
                "required": ["code", "because"],
            },
        },
        "log": WHOLE,
        "index": WHOLE,
        "sequence": WHOLE,
        "planversion": WHOLE,
        "received": TIME,
        "recorded": TIME,
        "rules": WHOLE,
        "digest": DIGEST,
        "salt": DIGEST,
        "entry": {"type": "string", "description": "The entry's exact bytes, as text."},
    },
    "required": [
        *("id", "author", "subject", "verdict", "log", "index", "received", "recorded"),
        *("rules", "digest", "entry"),
    ],
}
RECEIPT: Json = {
    **FATE,
    "description": "The same with the proof that it stands in the log.",
    "properties": {
        **FATE["properties"],
        "proof": {"type": "string", "description": "C2SP tlog-proof.", "pattern": "^c2sp.org/"},
    },
    "required": [*FATE["required"], "proof"],
}
_RECORDING: Json = {
    "type": ["object", "null"],
    "description": "How far recording is behind; null where the queue does not answer.",
    "properties": {
        "messages": WHOLE,
        "oldest_seconds": {
            "type": "number",
            "minimum": 0,
            "description": "Of intake: how long the oldest message has waited.",
        },
        "stalled_seconds": {
            "type": "number",
            "minimum": 0,
            "description": "Of the ledger: for how long nothing was taken off the queue.",
        },
        "waits": {
            "type": "object",
            "description": "Why a partition waits, by its number.",
            "additionalProperties": TEXT,
        },
    },
    "required": ["messages", "waits"],
}
_READY: Json = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}, "why": TEXT, "recording": _RECORDING},
    "required": ["ready"],
}
_PROBLEM: Json = {
    "type": "object",
    "properties": dict.fromkeys(("type", "title", "remedy", "meaning"), TEXT),
    "required": ["type", "title", "remedy", "meaning"],
}
_SLUG = Parameter(
    "slug", "path", "The last part of a problem's `type`.", {"enum": list(PROBLEMS)}, "not-found"
)

BOTH = (
    Operation(
        "GET",
        "/livez",
        "livez",
        "The process answers.",
        {
            200: Answer(
                "It does.",
                {JSON: {"type": "object", "properties": {"alive": {"const": True}}}},
            )
        },
    ),
    Operation(
        "GET",
        "/readyz",
        "readyz",
        "Whether all that the service needs is there and set as it must be.",
        {200: Answer("It is.", {JSON: _READY}), 503: Answer("It is not; `why`.", {JSON: _READY})},
    ),
    Operation(
        "GET",
        "/metrics",
        "metrics",
        "Figures for Prometheus.",
        {200: Answer("The figures.", {METRICS.partition(";")[0]: TEXT})},
    ),
    Operation(
        "GET",
        "/problems/<slug>",
        "problem",
        "What a problem's `type` means, and what to do.",
        {200: Answer("The problem.", {JSON: _PROBLEM})},
        (NotFound,),
        (_SLUG,),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "openapi",
        "This description, as OpenAPI 3.1.",
        {200: Answer("The document.", {JSON: {"type": "object", "required": ["openapi"]}})},
    ),
    Operation(
        "GET",
        "/docs",
        "docs",
        "This description, as a page to read.",
        {200: Answer("The page.", {"text/html": TEXT}, ["Content-Security-Policy"])},
    ),
)
