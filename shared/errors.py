"""Every error that Firsthand raises on purpose; shared/http/problems.py answers them over HTTP.

FirsthandError
├── SettingsError            a setting is wrong; names the variable (exit 2)
├── SealBroken               a sealed text does not open; says why
├── TooNew                   sealed by a newer catalogue; the partition waits
├── KeyAway                  sealed under a transit key we do not have; the partition waits
├── Misplaced                an event in another partition than its person's; it is moved
├── ClockLeap                a clock is too far from another; the partition waits
├── QueueReplaced            the queue lost what was published; the partition waits
├── Unsafe                   the store or the queue is not set as it must be
└── Problem                  answered over HTTP as application/problem+json
    ├── Malformed      400   the bytes are not a JSON object we take
    ├── Unauthorised   401   no token, or one we do not trust
    ├── Forbidden      403   the token may author nothing here
    ├── NotFound       404   not there, or not yours: one body for both
    ├── WrongMethod    405
    ├── TooLarge       413
    ├── WrongMedia     415   names the media type to send
    ├── Invalid        422   JSON, but not an event of the catalogue
    ├── WrongQuery     422   a query parameter that is wrong
    ├── TooFast        429   too much of one caller; nothing is said of an event's fate
    ├── Refused   403, 409   recorded: the ledger said no, and the person can see it
    ├── OurFault       500   a fault of ours; never the caller's
    └── Unavailable    503   says nothing about the event's fate: send the same bytes again
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self


class FirsthandError(Exception):
    """Anything Firsthand raises on purpose."""


class SettingsError(FirsthandError):
    """A setting is missing or wrong. The message names every such variable."""


class DecryptionError(FirsthandError):
    """A sealed text did not open: wrong key, wrong header, or changed bytes."""


class CatalogueTooNew(FirsthandError):
    """A message is of a newer catalogue than this process knows: the partition waits."""


class KeyUnavailable(FirsthandError):
    """A message is sealed under a transit key that this process does not have, or not yet."""


class MisroutedEvent(FirsthandError):
    """An event stands in another partition than its person's: nothing of the batch is recorded."""


class ClockJump(FirsthandError):
    """A clock is too far from the queue's: what is recorded would keep its time for good."""


class QueueReplaced(FirsthandError):
    """The queue was emptied or replaced, or the database is an older copy: an operator decides."""


class PreconditionFailed(FirsthandError):
    """The store or the queue is not set as it must be; the message names the remedy."""


def escape_pointer(name: object) -> str:
    """One reference token of a pointer (RFC 6901, section 3)."""
    return str(name).replace("~", "~0").replace("/", "~1")


class FaultCode(StrEnum):
    """The code of a fault: clients read it, so it never changes its meaning."""

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
            "JSON that we do not take: a member twice, a name not in ASCII, a decimal; "
            "or a header that we do not take"
        ),
    )
    TOO_DEEP = "too-deep", "more than 16 levels"
    NUL = "nul", "a text holds U+0000"
    LONE_SURROGATE = "lone-surrogate", "a text holds half of a surrogate pair"
    MISSING = "missing", "a required member is not there"
    UNKNOWN = "unknown", "a member that the type does not have"
    INVALID = "invalid", "a member whose value is not of its shape; `detail` says why"
    TOO_LARGE = "too-large", "an event of a batch has too many bytes"
    FORBIDDEN = "forbidden", "an event of a batch that this token may not author"
    QUERY = "query", "a query parameter; `pointer` is its name"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong in a body: where (RFC 6901 pointer), which kind, and in words."""

    pointer: str
    code: FaultCode
    detail: str


class Problem(FirsthandError):
    """An error with an HTTP answer. Subclasses fix status, slug, title and remedy.

    `other_statuses` are other statuses of the same problem, `response_headers` the headers that always come with it.
    """

    status: int = 500
    other_statuses: ClassVar[tuple[int, ...]] = ()
    response_headers: ClassVar[tuple[str, ...]] = ()
    slug: ClassVar[str] = "our-fault"
    title: ClassVar[str] = "Something of ours went wrong"
    remedy: ClassVar[str] = "Send the same bytes again later; tell the operator if it lasts."

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
    """The body is not a JSON object of the kind we take (400)."""

    status = 400
    slug = "malformed"
    title = "The body cannot be read"
    remedy = "Mend the bytes at the pointer named in errors and send the event under a new id."


class Unauthorized(Problem):
    """No token, or one that nobody we trust vouches for (401)."""

    status = 401
    response_headers = ("WWW-Authenticate",)
    slug = "unauthorised"
    title = "We do not know who is speaking"
    remedy = "Send 'Authorization: Bearer <token>' with a token from a configured issuer."

    def __init__(self, detail: str, *, challenge: str = 'Bearer error="invalid_token"') -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """The token is good, but may not do this anywhere (403)."""

    status = 403
    slug = "forbidden"
    title = "This token may not do that"
    remedy = "Ask for a token with the role or scope that the detail names."


class NotFound(Problem):
    """Nothing there for this caller (404): the same body whether absent or not theirs."""

    status = 404
    slug = "not-found"
    title = "Nothing here for you"
    remedy = "Check the address and whose token you sent; an event not yet recorded is also 404."

    def __init__(self, detail: str = "There is nothing at this address for you.") -> None:
        super().__init__(detail)


class MethodNotAllowed(Problem):
    """The address exists, the method does not (405)."""

    status = 405
    response_headers = ("Allow",)
    slug = "wrong-method"
    title = "This address does not take that method"
    remedy = "Use a method named in the Allow header."


class TooLarge(Problem):
    """More bytes than we take (413)."""

    status = 413
    slug = "too-large"
    title = "Too many bytes"
    remedy = "Keep the event within 36 KiB, its data within 32 KiB; send less under a new id."


class UnsupportedMediaType(Problem):
    """A media type or encoding we do not take (415)."""

    status = 415
    slug = "wrong-media-type"
    title = "This service does not read that media type"
    remedy = "Send an event as application/cloudevents+json, without Content-Encoding."


class InvalidEvent(Problem):
    """Readable JSON, but not an event of the catalogue (422)."""

    status = 422
    slug = "invalid"
    title = "This is not an event we know"
    remedy = "Mend what errors names and send the event under a new id; see /event-types."


class InvalidQuery(Problem):
    """An address whose query asks for what cannot be, or has a parameter that is none (422)."""

    status = 422
    slug = "wrong-query"
    title = "This address cannot be asked like that"
    remedy = "Mend the query parameter that errors names, and ask again; see /docs."


class Refused(Problem):
    """Recorded, and refused by the ledger: 403 for no standing, 409 for the rest."""

    status = 409
    other_statuses = (403,)
    response_headers = ("Preference-Applied", "Location")
    slug = "refused"
    title = "The event was recorded, and refused"
    remedy = "Read the code; nothing changed, and the person can see the attempt."

    def __init__(
        self, status: int, detail: str, extra: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        super().__init__(detail, headers=headers, extra={"recorded": True, **extra})
        self.status = status


class TooManyRequests(Problem):
    """The caller posts, or reads, more than it may (429). Nothing is said of an event's fate."""

    status = 429
    response_headers = ("Retry-After",)
    slug = "too-fast"
    title = "Too much at once"
    remedy = "Send the same request again after Retry-After seconds: an event with the same id."

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class InternalError(Problem):
    """Ours (500). Its detail says nothing of what was inside."""


class Unavailable(Problem):
    """The queue or the store is away or not safe (503). Nothing is said of the fate."""

    status = 503
    response_headers = ("Retry-After",)
    slug = "unavailable"
    title = "Not now"
    remedy = "Send the same bytes with the same id again after Retry-After seconds."

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})
