"""Logs: one canonical line a request and a batch; JSON, or in colour at a terminal.

Never a body, never anybody's words, never a token.
"""

import logging
import sys
from typing import Any

import orjson
import structlog


def configure(level: str) -> None:
    """Set up structlog on standard error at `level` (debug, info, warning, error)."""
    terminal = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer()
    if not terminal:  # bytes, straight: a request's line costs 6 µs rather than 30
        renderer = structlog.processors.JSONRenderer(serializer=orjson.dumps)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=(
            structlog.PrintLoggerFactory(sys.stderr)
            if terminal
            else structlog.BytesLoggerFactory(sys.stderr.buffer)
        ),
        cache_logger_on_first_use=True,
    )
