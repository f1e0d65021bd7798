"""Logs: one canonical line a request and a batch; JSON, or in colour at a terminal.

Never a body, never anybody's words, never a token. What was raised is told by its type and the
places it went through; its message only where it is ours, the queue's, the store's or the
system's, since any other may quote the value that it could not take.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

TOLD = frozenset({"psycopg", "redis", "services", "shared", "sqlalchemy"})  # whose messages we tell
LONGEST = 300  # characters of a message
FRAMES = 12  # of each fault, the last ones
# A logger keeps the list that it saw when it was first used, so there is one, changed in place.
_PROCESSORS: list[Any] = []


def describe_error(fault: BaseException) -> str:
    """A fault in one line: its type, and its message where that holds nobody's words."""
    kind = type(fault)
    message = str(fault).strip().partition("\n")[0][:LONGEST]
    ours = kind.__module__.partition(".")[0] in TOLD or isinstance(fault, OSError)
    return f"{kind.__name__}: {message}" if ours and message else kind.__name__


def describe_traceback(fault: BaseException) -> Iterator[str]:
    """A fault, the places it went through, and then what caused it, likewise."""
    yield describe_error(fault)
    for frame in traceback.extract_tb(fault.__traceback__)[-FRAMES:]:
        yield f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} in {frame.name}"
    cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    if cause is not None:
        yield from describe_traceback(cause)


def redact_exception(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """A line as it is written: where it had `exc_info`, what was `raised`."""
    fault = line.pop("exc_info", None)
    if fault is True:
        fault = sys.exc_info()[1]
    if isinstance(fault, BaseException):
        line["raised"] = list(describe_traceback(fault))
    return line


def configure(level: str) -> None:
    """Set up structlog on standard error at `level` (debug, info, warning, error)."""
    terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer()
    if not terminal:  # bytes, straight: a request's line costs 6 µs rather than 30
        renderer = structlog.processors.JSONRenderer(serializer=orjson.dumps)
    _PROCESSORS[:] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact_exception,
        renderer,
    ]
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=(
            structlog.PrintLoggerFactory(sys.stderr)
            if terminal
            else structlog.BytesLoggerFactory(sys.stderr.buffer)
        ),
        cache_logger_on_first_use=True,
    )
