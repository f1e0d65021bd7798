"""What the query of a request to read asks for. A wrong one is Invalid, and names its parameter."""

import re
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from services.ledger.queries.time_travel import PlanSelector
from shared.errors import FaultCode, FieldError, InvalidQuery, escape_pointer
from shared.events.event import timestamp
from shared.events.schema_fields import parse_time

_MOMENT = "Must be an RFC 3339 date-time with offset, as 2026-05-03T10:00:00Z."
_POINT = "Must be a version, as 3, or an RFC 3339 date-time with offset, as 2026-05-03T10:00:00Z."
_PLUS = re.compile(r"\d:\d\d(\.\d+)? \d\d:\d\d\Z")  # that an address made a space


@dataclass(frozen=True, slots=True)
class QueryParams:
    """A query, by its parameters; any but those `known` is wrong, rather than left out."""

    query: MultiDict[str, str]
    known: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.query:
            if name not in self.known:
                raise invalid_parameter(
                    name, f"There is no such parameter here; there is {_listed(self.known)}."
                )
            if len(self.query.getlist(name)) > 1:
                raise invalid_parameter(name, "Must be given once.")

    def when(self) -> PlanSelector:
        """Which plan is asked for, by `version`, `as-of` and `true-at`."""
        version, as_of = self.number("version"), self.moment("as-of")
        true_at = self.moment("true-at")
        for name, given in (("as-of", as_of), ("true-at", true_at)):
            if version is not None and given is not None:
                raise invalid_parameter(name, "Ask for a version or for a moment, not both.")
        return PlanSelector(version, as_of, true_at)

    def point(self, name: str, default: PlanSelector | None = None) -> PlanSelector:
        """A version, or a moment as of which something was known, in one parameter."""
        given = self.query.get(name)
        if given is None:
            if default is None:
                raise invalid_parameter(name, _POINT)
            return default
        return (
            PlanSelector(self.number(name))
            if given.isdigit()
            else PlanSelector(as_of=self.moment(name, _POINT))
        )

    def number(self, name: str) -> int | None:
        """A whole number; None if it is not there."""
        given = self.query.get(name)
        if given is None:
            return None
        if not given.isascii() or not given.isdigit() or len(given) > 15:
            raise invalid_parameter(name, "Must be a whole number, 0 or more.")
        return int(given)

    def moment(self, name: str, told: str = _MOMENT) -> str | None:
        """A moment, as a timestamp; None if it is not there."""
        given = self.query.get(name)
        try:
            return None if given is None else timestamp(parse_time(given))
        except (ValueError, OverflowError):
            plus = given is not None and _PLUS.search(given)
            raise invalid_parameter(name, f"{told} '+' is sent as %2B." if plus else told) from None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{each}'" for each in names)


def invalid_parameter(name: str, detail: str) -> InvalidQuery:
    """A wrong query: its pointer is into the query as one object (RFC 6901)."""
    pointer = f"/{escape_pointer(name)}"
    fault = FieldError(pointer, FaultCode.QUERY, detail)
    return InvalidQuery(f"The query parameter '{name}' is wrong.", errors=[fault])
