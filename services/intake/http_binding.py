"""CloudEvents HTTP binding 1.0.2: parse requests of all three content modes to JSON objects.

| content mode | `Content-Type` | body |
| --- | --- | --- |
| structured | `application/cloudevents+json` | one event (JSON event format 1.0.2) |
| binary | `application/json`, attributes in `ce-…` headers | its `data` |
| batch | `application/cloudevents-batch+json` | a list of at most 1,000 events |

An event has the same canonical bytes in all three modes. In binary mode, a header's value is
unquoted (RFC 9110, section 5.6.4) and percent-decoded once, as UTF-8; a `%` that encodes nothing is
invalid; `expectedversion` is a decimal whole number. Pointers to faults refer to the structured
event: `/id` is the header `ce-id`, `/data/words` a member of the body. In a batch, a pointer begins
with the index of the event: `/3/data/words`. In structured mode, `ce-…` headers are ignored.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.http import parse_options_header

from services.intake.strict_json import parse, refuse, require_object
from shared.errors import FaultCode, TooLarge, UnsupportedMediaType
from shared.events.event import MAX_EVENT_BYTES, Json

MAX_BATCH = 1_000  # events
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_BODY_BYTES = 2 * MAX_EVENT_BYTES  # allows for white space and escapes
_HEADER = "HTTP_CE_"  # `ce-` in a WSGI environment (PEP 3333)
_NOT_ATTRIBUTES = frozenset({"data", "datacontenttype"})  # the body, and its Content-Type
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")


class ContentMode(StrEnum):
    """A content mode. The value is its media type."""

    STRUCTURED = "application/cloudevents+json"
    BINARY = "application/json"
    BATCH = "application/cloudevents-batch+json"

    @property
    def longest(self) -> int:
        """The maximum size of a body in bytes."""
        return MAX_BATCH_BYTES if self is ContentMode.BATCH else MAX_BODY_BYTES


def content_mode_of(environ: Mapping[str, Any]) -> ContentMode:
    """Return the content mode of a request (a WSGI environment).

    Raises UnsupportedMediaType, which names the type to send.
    """
    if "HTTP_CONTENT_ENCODING" in environ:
        raise UnsupportedMediaType("Content-Encoding is not supported; send the event unencoded.")
    mode = _content_mode(environ.get("CONTENT_TYPE", ""))
    if mode is ContentMode.BINARY and not any(name.startswith(_HEADER) for name in environ):
        raise UnsupportedMediaType(
            f"{ContentMode.BINARY} requires ce-… headers; "
            f"without them, send the event as {ContentMode.STRUCTURED}."
        )
    if isinstance(mode, ContentMode):
        return mode
    raise UnsupportedMediaType(mode)


@lru_cache(maxsize=256)
def _content_mode(content_type: str) -> ContentMode | str:
    """Return the content mode, or the error detail. Cached, because parsing a header is slow."""
    mimetype, options = parse_options_header(content_type)
    if mimetype.lower() not in set(ContentMode):
        return (
            f"The media type is {mimetype[:80] or 'missing'}; send one event as "
            f"{ContentMode.STRUCTURED}, or several as {ContentMode.BATCH}."
        )
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        return "JSON is UTF-8; remove the charset."
    return ContentMode(mimetype.lower())


def posted_events(mode: ContentMode, body: bytes, environ: Mapping[str, Any]) -> list[Json]:
    """Parse the events of a request to structured mode; raise MalformedBody or TooLarge."""
    return _PARSERS[mode](body, environ)


def _structured(body: bytes, _environ: Mapping[str, Any]) -> list[Json]:
    return [require_object(parse(body))]


def _binary(body: bytes, environ: Mapping[str, Any]) -> list[Json]:
    event: Json = {}
    for header, value in environ.items():
        if header.startswith(_HEADER):
            name = header.removeprefix(_HEADER).replace("_", "-").lower()
            event[name] = _attribute(name, value)
    event["data"] = parse(body, "/data", depth=2)
    return [event]


def _batch(body: bytes, _environ: Mapping[str, Any]) -> list[Json]:
    batch = parse(body, depth=0)
    if not isinstance(batch, list):
        refuse("", FaultCode.NOT_A_LIST, "A batch must be one JSON list of events.")
    if len(batch) > MAX_BATCH:
        raise TooLarge(f"A batch has at most {MAX_BATCH} events; this one has {len(batch)}.")
    return [require_object(event, f"/{index}") for index, event in enumerate(batch)]


_PARSERS: dict[ContentMode, Callable[[bytes, Mapping[str, Any]], list[Json]]] = {
    ContentMode.STRUCTURED: _structured,
    ContentMode.BINARY: _binary,
    ContentMode.BATCH: _batch,
}


def _attribute(name: str, value: str) -> str | int:
    """Parse the value of an attribute from its header (HTTP binding, section 3.1.3.2)."""
    if name in _NOT_ATTRIBUTES:
        refuse(f"/{name}", FaultCode.NOT_TAKEN, f"ce-{name} is not a header of the binding.")
    quoted = _QUOTED.fullmatch(value)
    text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if _STRAY.search(text):
        refuse(f"/{name}", FaultCode.NOT_TAKEN, f"A % in ce-{name} encodes nothing.")
    try:
        text = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        refuse(f"/{name}", FaultCode.NOT_UTF_8, f"ce-{name} is not UTF-8.")
    whole = name == "expectedversion" and _WHOLE.fullmatch(text)
    return int(text) if whole else text
