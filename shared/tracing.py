"""Trace context (W3C): the `traceparent` that came with a request, and its trace id.

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
    """The header's value as we carry it on; None if it is not a valid one, which is ignored.

    Of a version newer than 00 the part that all versions share is kept (section 3.2.4).
    """
    found = _FORM.fullmatch(header.strip()) if header else None
    if found is None or (found[2] is not None and found[1].startswith("00")):
        return None
    return found[1]


def trace_of(traceparent: str | None) -> str | None:
    """The trace id of a `traceparent`; None if there is none, or it is not valid."""
    valid = traceparent_of(traceparent)
    return valid[3:35] if valid else None
