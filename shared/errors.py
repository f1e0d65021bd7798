"""Exceptions of Firsthand; shared/http/problems.py maps them to HTTP responses.

FirsthandError
├── SettingsError                a setting is invalid; the message names it (exit 2)
├── DecryptionError              a ciphertext cannot be decrypted
├── CatalogueTooNew              encrypted by a newer catalogue; the partition waits
├── KeyUnavailable               encrypted under a missing transit key; the partition waits
├── MisroutedEvent               an event in the wrong partition; it is moved
├── ClockJump                    two clocks differ too much; the partition waits
├── QueueReplaced                the queue lost published messages; the partition waits
├── PreconditionFailed           the store or the queue is not in the required state
└── Problem                      has an HTTP response, application/problem+json
    ├── MalformedBody        400   not a JSON object that intake accepts
    ├── Unauthorized         401   no token, or an invalid or untrusted one
    ├── Forbidden            403   the token does not permit this request
    ├── NotFound             404   missing, or not the caller's: the same body for both
    ├── MethodNotAllowed     405
    ├── TooLarge             413
    ├── UnsupportedMediaType 415   names the media type to send
    ├── InvalidEvent         422   JSON, but not an event of the catalogue
    ├── InvalidQuery         422   an invalid query parameter
    ├── TooManyRequests      429   the caller exceeds a limit; the outcome of the event is unknown
    ├── Refused         403, 409   the ledger recorded the event and refused it
    ├── InternalError        500   a fault of the service
    └── Unavailable          503   the outcome of the event is unknown: retry with the same bytes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self


class FirsthandError(Exception):
    """Base class of all errors that Firsthand raises."""


class SettingsError(FirsthandError):
    """A setting is missing or invalid. The message names every such variable."""


class DecryptionError(FirsthandError):
    """A ciphertext cannot be decrypted: wrong key, wrong header, or modified bytes."""


class CatalogueTooNew(FirsthandError):
    """A message has a newer catalogue version than this process: the partition waits."""


class KeyUnavailable(FirsthandError):
    """A message is encrypted under a transit key that this process does not have, or not yet."""


class MisroutedEvent(FirsthandError):
    """An event is in the wrong partition for its person: nothing of the batch is recorded."""


class ClockJump(FirsthandError):
    """A clock differs too much from the queue's: entries would permanently have a wrong time."""


class QueueReplaced(FirsthandError):
    """The queue was emptied or replaced, or the database is an old copy: an operator must act."""


class PreconditionFailed(FirsthandError):
    """The store or the queue is not in the required state. The message names the remedy."""


def escape_pointer(name: object) -> str:
    """Escape one reference token of a JSON pointer (RFC 6901, section 3)."""
    return str(name).replace("~", "~0").replace("/", "~1")


class FaultCode(StrEnum):
    """The code of a fault. Clients depend on it: the meaning of a code never changes."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """Return a member whose value is `code`."""
        member = str.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member

    NOT_UTF_8 = "not-utf-8", "the bytes are not UTF-8"
    NOT_JSON = "not-json", "the text is not JSON"
    NOT_AN_OBJECT = "not-an-object", "JSON, but not an object"
    NOT_A_LIST = "not-a-list", "the body of a batch is not a list"
    NOT_TAKEN = (
        "not-taken",
        (
            "JSON that intake does not accept: a duplicate member, a name that is not ASCII, "
            "a decimal; or a header that intake does not accept"
        ),
    )
    TOO_DEEP = "too-deep", "more than 16 levels"
    NUL = "nul", "a text contains U+0000"
    LONE_SURROGATE = "lone-surrogate", "a text contains half of a surrogate pair"
    MISSING = "missing", "a required member is missing"
    UNKNOWN = "unknown", "a member that the type does not have"
    INVALID = "invalid", "a member with an invalid value; `detail` says why"
    TOO_LARGE = "too-large", "an event of a batch has too many bytes"
    FORBIDDEN = "forbidden", "an event of a batch that this token may not author"
    QUERY = "query", "a query parameter; `pointer` is its name"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in a body: its location (RFC 6901 pointer), its code, and a description."""

    pointer: str
    code: FaultCode
    detail: str


class Problem(FirsthandError):
    """An error with an HTTP response. Subclasses fix status, slug, title and remedy.

    `other_statuses` are further statuses of the same problem. `response_headers` are the headers
    that its response always has.
    """

    status: int = 500
    other_statuses: ClassVar[tuple[int, ...]] = ()
    response_headers: ClassVar[tuple[str, ...]] = ()
    slug: ClassVar[str] = "our-fault"
    title: ClassVar[str] = "Internal server error"
    remedy: ClassVar[str] = (
        "Retry later with the same bytes; report it to the operator if it persists."
    )

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class MalformedBody(Problem):
    """The body is not a JSON object that intake accepts (400)."""

    status = 400
    slug = "malformed"
    title = "Malformed request body"
    remedy = "Correct the bytes at the pointers in errors, and send the event under a new id."


class Unauthorized(Problem):
    """The token is missing, invalid, or not of a trusted issuer (401)."""

    status = 401
    response_headers = ("WWW-Authenticate",)
    slug = "unauthorized"
    title = "Authentication failed"
    remedy = "Send 'Authorization: Bearer <token>' with a token from a configured issuer."

    def __init__(self, detail: str, *, challenge: str = 'Bearer error="invalid_token"') -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """The token is valid, but its role or scopes do not permit this (403)."""

    status = 403
    slug = "forbidden"
    title = "Forbidden"
    remedy = "Use a token with the role or scope named in the detail."


class NotFound(Problem):
    """The resource is missing, or not the caller's (404). The body is the same for both."""

    status = 404
    slug = "not-found"
    title = "Not found"
    remedy = "Check the address and the token; an event that is not recorded yet is also 404."

    def __init__(self, detail: str = "Not found, or not accessible to this caller.") -> None:
        super().__init__(detail)


class MethodNotAllowed(Problem):
    """The address exists, but does not support the method (405)."""

    status = 405
    response_headers = ("Allow",)
    slug = "method-not-allowed"
    title = "Method not allowed"
    remedy = "Use a method named in the Allow header."


class TooLarge(Problem):
    """The body or the event exceeds the size limit (413)."""

    status = 413
    slug = "too-large"
    title = "Request body too large"
    remedy = "Keep the event within 36 KiB, its data within 32 KiB; send less under a new id."


class UnsupportedMediaType(Problem):
    """The media type or content encoding is not supported (415)."""

    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"
    remedy = "Send an event as application/cloudevents+json, without Content-Encoding."


class InvalidEvent(Problem):
    """The body is JSON, but not a valid event of the catalogue (422)."""

    status = 422
    slug = "invalid"
    title = "Invalid event"
    remedy = (
        "Correct the members named in errors, and send the event under a new id; see /event-types."
    )


class InvalidQuery(Problem):
    """A query parameter is unknown or has an invalid value (422)."""

    status = 422
    slug = "invalid-query"
    title = "Invalid query"
    remedy = "Correct the query parameter named in errors, and retry; see /docs."


class Refused(Problem):
    """The ledger recorded the event and refused it: 403 without authorization, else 409."""

    status = 409
    other_statuses = (403,)
    response_headers = ("Preference-Applied", "Location")
    slug = "refused"
    title = "Event recorded and refused"
    remedy = "See the refusal code; the plan is unchanged, and the person can see the attempt."

    def __init__(
        self, status: int, detail: str, extra: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        super().__init__(detail, headers=headers, extra={"recorded": True, **extra})
        self.status = status


class TooManyRequests(Problem):
    """The caller exceeds a rate limit (429). The outcome of the event is unknown."""

    status = 429
    response_headers = ("Retry-After",)
    slug = "too-many-requests"
    title = "Too many requests"
    remedy = "Retry the same request, with the same id, after Retry-After seconds."

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class InternalError(Problem):
    """The service failed (500). The detail reveals nothing internal."""


class Unavailable(Problem):
    """The queue or the store is unavailable or not durable (503). The outcome is unknown."""

    status = 503
    response_headers = ("Retry-After",)
    slug = "unavailable"
    title = "Service unavailable"
    remedy = "Retry with the same bytes and the same id after Retry-After seconds."

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
