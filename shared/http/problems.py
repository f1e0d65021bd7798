"""Problem details: RFC 9457 error responses (application/problem+json).

`type` is `/problems/<slug>`, relative to the service that answers (RFC 9457, 3.1.1); both
services serve that page. Faults in a body are in `errors: [{pointer, code, detail}]`, with pointers
as in RFC 6901.
"""

from dataclasses import asdict
from typing import Any

import orjson

from shared.errors import (
    Forbidden,
    InternalError,
    InvalidEvent,
    InvalidQuery,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    Problem,
    Refused,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

MEDIA_TYPE = "application/problem+json"
PROBLEMS: dict[str, type[Problem]] = {
    kind.slug: kind
    for kind in (
        MalformedBody,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        TooLarge,
        UnsupportedMediaType,
        InvalidEvent,
        InvalidQuery,
        TooManyRequests,
        Refused,
        InternalError,
        Unavailable,
    )
}


def problem_json(problem: Problem) -> bytes:
    """Return the problem details object as JSON."""
    members: dict[str, Any] = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        members["errors"] = [asdict(fault) for fault in problem.errors]
    return orjson.dumps(members | problem.extra)
