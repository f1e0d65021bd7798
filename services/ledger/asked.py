"""What a request to read asks for: its query, and the form of the answer."""

from typing import overload

from flask import request

from services.ledger.past import When
from shared.event import timestamp
from shared.fields import parse_time
from shared.problems import Fault, Invalid

_EITHER = "Must be a version, as 3, or an RFC 3339 date-time with offset ('+' is sent as %2B)."


def best(*media_types: str) -> str | None:
    """Which of these forms is wanted most; the first of them, if all are wanted alike."""
    return request.accept_mimetypes.best_match(media_types)


def when(*names: str) -> When:
    """The moment of the plan that is asked for, by these parameters or any."""
    names = names or ("version", "as-of", "true-at")
    version, as_of = number("version"), moment("as-of")
    true_at = moment("true-at") if "true-at" in names else None
    for name, given in (("as-of", as_of), ("true-at", true_at)):
        if version is not None and given is not None:
            raise wrong(name, "Ask for a version or for a moment, not both.")
    return When(version, as_of, true_at)


def point(name: str, default: When | None = None) -> When:
    """A version, or a moment as of which something was known, in one parameter."""
    given = request.args.get(name)
    if given is None:
        if default is None:
            raise wrong(name, _EITHER)
        return default
    if given.isdigit():
        return When(version=number(name))
    return When(as_of=moment(name, _EITHER))


def wrong(name: str, detail: str) -> Invalid:
    """A wrong query: its pointer is into the query as one object."""
    fault = Fault(f"/{name}", "query", detail)
    return Invalid(f"The query parameter '{name}' is wrong.", errors=[fault])


@overload
def number(name: str, default: int) -> int: ...
@overload
def number(name: str, default: None = None) -> int | None: ...
def number(name: str, default: int | None = None) -> int | None:
    """A whole number in the query, or the default."""
    given = request.args.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 15:
        raise wrong(name, "Must be a whole number, 0 or more.")
    return int(given)


def moment(
    name: str,
    told: str = "Must be an RFC 3339 date-time with offset ('+' is sent as %2B).",
) -> str | None:
    """A moment in the query, as a timestamp; None if it is not there."""
    given = request.args.get(name)
    try:
        return None if given is None else timestamp(parse_time(given))
    except (ValueError, OverflowError):
        raise wrong(name, told) from None
