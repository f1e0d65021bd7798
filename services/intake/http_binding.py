"""The three forms in which CloudEvents come over HTTP (HTTP binding 1.0.2), to JSON objects.

| form | `Content-Type` | body |
| --- | --- | --- |
| structured | `application/cloudevents+json` | one event (JSON event format 1.0.2) |
| binary | `application/json`, attributes in `ce-…` headers | its `data` |
| batch | `application/cloudevents-batch+json` | a list of at most 1,000 events |

The three forms of one event have the same canonical bytes. In binary form a header's value is
taken out of double quotes (RFC 9110, section 5.6.4) and percent-decoded once, as UTF-8; a `%` that
encodes nothing is refused; `expectedversion` is a whole number in decimal. Faults are named as if
the event were structured: `/id` is the header `ce-id`, `/data/words` a member of the body. In a
batch a pointer begins with the event's place: `/3/data/words`. In the structured form the body
says everything, and `ce-…` headers say nothing.
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
MAX_BODY_BYTES = 2 * MAX_EVENT_BYTES  # white space and escapes may take some
_HEADER = "HTTP_CE_"  # as WSGI writes `ce-` (PEP 3333)
_NOT_ATTRIBUTES = frozenset({"data", "datacontenttype"})  # the body, and its Content-Type
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")


class ContentMode(StrEnum):
    """A form, by its media type."""

    STRUCTURED = "application/cloudevents+json"
    BINARY = "application/json"
    BATCH = "application/cloudevents-batch+json"

    @property
    def longest(self) -> int:
        """Bytes that a body of this form may have."""
        return MAX_BATCH_BYTES if self is ContentMode.BATCH else MAX_BODY_BYTES


def content_mode_of(environ: Mapping[str, Any]) -> ContentMode:
    """The form of a request (a WSGI environment); WrongMedia names the type to send."""
    if "HTTP_CONTENT_ENCODING" in environ:
        raise UnsupportedMediaType("No Content-Encoding is taken; send the event as it is.")
    form = _content_mode(environ.get("CONTENT_TYPE", ""))
    if form is ContentMode.BINARY and not any(name.startswith(_HEADER) for name in environ):
        raise UnsupportedMediaType(
            f"{ContentMode.BINARY} without ce-… headers is no event; "
            f"send one as {ContentMode.STRUCTURED}."
        )
    if isinstance(form, ContentMode):
        return form
    raise UnsupportedMediaType(form)


@lru_cache(maxsize=256)
def _content_mode(content_type: str) -> ContentMode | str:
    """The form, or why there is none. Few types are ever sent, and parsing one costs."""
    mimetype, options = parse_options_header(content_type)
    if mimetype.lower() not in set(ContentMode):
        told = f"{ContentMode.STRUCTURED}, or several as {ContentMode.BATCH}"
        return f"The media type is {mimetype[:80] or 'none'}; send one event as {told}."
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        return "JSON is UTF-8; leave the charset out."
    return ContentMode(mimetype.lower())


def posted_events(form: ContentMode, body: bytes, environ: Mapping[str, Any]) -> list[Json]:
    """The events of a request, in structured form; Malformed or TooLarge names the place."""
    return _READERS[form](body, environ)


def _structured(body: bytes, _environ: Mapping[str, Any]) -> list[Json]:
    return [require_object(parse(body))]


def _binary(body: bytes, environ: Mapping[str, Any]) -> list[Json]:
    told: Json = {}
    for header, value in environ.items():
        if header.startswith(_HEADER):
            name = header.removeprefix(_HEADER).replace("_", "-").lower()
            told[name] = _attribute(name, value)
    told["data"] = parse(body, "/data", depth=2)
    return [told]


def _batch(body: bytes, _environ: Mapping[str, Any]) -> list[Json]:
    batch = parse(body, depth=0)
    if not isinstance(batch, list):
        refuse("", FaultCode.NOT_A_LIST, "A batch must be one JSON list of events.")
    if len(batch) > MAX_BATCH:
        raise TooLarge(f"A batch has at most {MAX_BATCH} events; this one has {len(batch)}.")
    return [require_object(each, f"/{place}") for place, each in enumerate(batch)]


_READERS: dict[ContentMode, Callable[[bytes, Mapping[str, Any]], list[Json]]] = {
    ContentMode.STRUCTURED: _structured,
    ContentMode.BINARY: _binary,
    ContentMode.BATCH: _batch,
}


def _attribute(name: str, value: str) -> str | int:
    """An attribute's value out of its header (HTTP binding, section 3.1.3.2)."""
    if name in _NOT_ATTRIBUTES:
        refuse(f"/{name}", FaultCode.NOT_TAKEN, f"ce-{name} is no header of the binding.")
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
