"""Query parameters of the read API. An invalid one raises InvalidQuery with its name."""

import re
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from services.ledger.queries.time_travel import PlanSelector
from shared.errors import FaultCode, FieldError, InvalidQuery, escape_pointer
from shared.events.event import timestamp
from shared.events.schema_fields import parse_time

_TIME = "an RFC 3339 date-time with offset, such as 2026-05-03T10:00:00Z."
_MOMENT = f"Must be {_TIME}"
_POINT = f"Must be a version, such as 3, or {_TIME}"
_PLUS = re.compile(r"\d:\d\d(\.\d+)? \d\d:\d\d\Z")  # a '+' that was decoded as a space


@dataclass(frozen=True, slots=True)
class QueryParams:
    """The parameters of a query; any that is not `known` is an error."""

    query: MultiDict[str, str]
    known: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.query:
            if name not in self.known:
                raise invalid_parameter(
                    name, f"Unknown parameter; known are {_listed(self.known)}."
                )
            if len(self.query.getlist(name)) > 1:
                raise invalid_parameter(name, "Must not be repeated.")

    def when(self) -> PlanSelector:
        """Return the requested plan, from `version`, `as-of` and `true-at`."""
        version, as_of = self.number("version"), self.moment("as-of")
        true_at = self.moment("true-at")
        for name, moment in (("as-of", as_of), ("true-at", true_at)):
            if version is not None and moment is not None:
                raise invalid_parameter(name, "Cannot be combined with 'version'.")
        return PlanSelector(version, as_of, true_at)

    def point(self, name: str, default: PlanSelector | None = None) -> PlanSelector:
        """Return a version, or a moment as of which events were recorded, from one parameter."""
        value = self.query.get(name)
        if value is None:
            if default is None:
                raise invalid_parameter(name, _POINT)
            return default
        return (
            PlanSelector(self.number(name))
            if value.isdigit()
            else PlanSelector(as_of=self.moment(name, _POINT))
        )

    def number(self, name: str) -> int | None:
        """Return a whole number; None if the parameter is missing."""
        value = self.query.get(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdigit() or len(value) > 15:
            raise invalid_parameter(name, "Must be a whole number, 0 or more.")
        return int(value)

    def moment(self, name: str, expected: str = _MOMENT) -> str | None:
        """Return a moment as a timestamp; None if the parameter is missing."""
        value = self.query.get(name)
        try:
            return None if value is None else timestamp(parse_time(value))
        except (ValueError, OverflowError):
            unencoded = value is not None and _PLUS.search(value)
            raise invalid_parameter(
                name, f"{expected} Encode '+' as %2B." if unencoded else expected
            ) from None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def invalid_parameter(name: str, detail: str) -> InvalidQuery:
    """Return the error of a parameter; its pointer is into the query as an object (RFC 6901)."""
    pointer = f"/{escape_pointer(name)}"
    fault = FieldError(pointer, FaultCode.QUERY, detail)
    return InvalidQuery(f"The query parameter '{name}' is invalid.", errors=[fault])
