"""Logging set-up: one line per request and per batch, as JSON or, at a terminal, in colour.

Logs never contain a body, a person's words, or a token. An exception is logged with its type and
its frames. Its message is logged only if our code, the queue, the store or the system raised it:
any other message may quote the value that was invalid.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

SAFE_PACKAGES = frozenset({"psycopg", "redis", "services", "shared", "sqlalchemy"})
MAX_MESSAGE_LENGTH = 300  # characters
MAX_FRAMES = 12  # per exception, innermost frames
# A logger caches the list that it saw when it was first used, so one list is changed in place.
_PROCESSORS: list[Any] = []


def describe_error(fault: BaseException) -> str:
    """Return an exception in one line: its type, and its message if that is safe to log."""
    kind = type(fault)
    message = str(fault).strip().partition("\n")[0][:MAX_MESSAGE_LENGTH]
    safe = kind.__module__.partition(".")[0] in SAFE_PACKAGES or isinstance(fault, OSError)
    return f"{kind.__name__}: {message}" if safe and message else kind.__name__


def describe_traceback(fault: BaseException) -> Iterator[str]:
    """Yield the lines of an exception: its description, its frames, then its causes likewise."""
    yield describe_error(fault)
    for frame in traceback.extract_tb(fault.__traceback__)[-MAX_FRAMES:]:
        yield f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} in {frame.name}"
    cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    if cause is not None:
        yield from describe_traceback(cause)


def redact_exception(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Replace `exc_info` in a log line by `raised`, the redacted description."""
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
    if not terminal:  # writing bytes takes 6 µs a line rather than 30
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
