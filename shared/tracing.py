"""Trace context (W3C): parse the `traceparent` header and its trace id.

    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    version, trace id (not all zero), parent id (not all zero), flags; in lower case

>>> trace_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
'4bf92f3577b34da6a3ce929d0e0e4736'
"""

import re

_FORM = re.compile(
    r"((?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?"
)


def traceparent_of(header: str | None) -> str | None:
    """Return the `traceparent` to propagate; None if the header is missing or invalid.

    A version newer than 00 is cut to the part that all versions share (section 3.2.4).
    """
    match = _FORM.fullmatch(header.strip()) if header else None
    if match is None or (match[2] is not None and match[1].startswith("00")):
        return None
    return match[1]


def trace_of(traceparent: str | None) -> str | None:
    """Return the trace id of a `traceparent`; None if it is missing or invalid."""
    valid = traceparent_of(traceparent)
    return valid[3:35] if valid else None
