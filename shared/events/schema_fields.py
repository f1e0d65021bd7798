"""Schema fields: the marshmallow fields and validators of event data.

These checks need no plan: members, types, lengths, ranges. The ledger checks an event against the
plan. A few members are optional here, because the ledger records and refuses events without them
(`missing-observable`, `wording-missing`, `invalid-change`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from shared.events.type_names import KINDS

ID_PATTERN = r"(?:person|partner|team|service|auditor|operator):[A-Za-z0-9._-]{1,64}"
SCOPES = ("read", "observe", "interpret", "propose", "audit")
UNTIL_WITHDRAWN = "until-withdrawn"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"  # some Python versions accept 24:00, others do not
_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"  # datetime has no year 0000
_DAY = "(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MOMENT = rf"{_YEAR}-{_DAY}T{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,9}})?(?:Z|[+-]{_CLOCK})"
_TIME = re.compile(_MOMENT)


def parse_time(text: str) -> datetime:
    """Parse an RFC 3339 date-time with offset; ValueError if it is invalid.

    Digits beyond microseconds are dropped.
    """
    if not _TIME.fullmatch(text):
        raise ValueError("not an RFC 3339 date-time with offset")
    return datetime.fromisoformat(text)


class Pattern(validate.Regexp):
    """A regular expression for the whole text, with the anchors that JSON Schema needs.

    It is matched with `fullmatch`, because Python's `$` also matches before a final line feed.
    """

    def __init__(self, pattern: str, error: str = "Not of the form {regex}.") -> None:
        super().__init__(f"^{pattern}$", error=error)
        self._whole = re.compile(f"^{pattern}$").fullmatch

    def __call__(self, value: str) -> str:  # type: ignore[override]  # of texts only
        """Return the text; ValidationError if it does not match."""
        if self._whole(value) is None:
            raise ValidationError(self._format_error(value))
        return value


class Moment(Pattern):
    """An RFC 3339 date-time with offset, or the one word that `unless` names instead."""

    def __init__(self, unless: str = "") -> None:
        pattern = f"(?:{_MOMENT}|{unless})" if unless else _MOMENT
        super().__init__(pattern, "Not an RFC 3339 date-time with offset.")
        self._unless = unless

    def __call__(self, value: str) -> str:  # type: ignore[override]  # of texts only
        """Return the text; ValidationError if it is neither."""
        try:
            if not self._unless or value != self._unless:
                parse_time(value)
        except ValueError:
            raise ValidationError(self._format_error(value)) from None
        return value


class NotBlank(validate.Regexp):
    """A text that is not blank. The pattern names all characters that Python strips."""

    def __init__(self) -> None:
        super().__init__(r"[^\s\x1c-\x1f\x85]", error="Must not be blank.")

    def __call__(self, value: str) -> str:  # type: ignore[override]  # of texts only
        """Return the text; ValidationError if it is blank."""
        if not value.strip():
            raise ValidationError(self._format_error(value))
        return value


class AnyJson(fields.Dict):
    """An object with any members; intake checks only that it is valid JSON."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(keys=fields.String(), required=required)


class WholeNumber(fields.Integer):
    """A JSON whole number. True and false are invalid."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class TrueOrFalse(fields.Boolean):
    """JSON true or false. Other values that marshmallow would convert are invalid."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def text(*, required: bool = True, longest: int = 20_000) -> fields.String:
    """Return a field for words: any code points, unchanged, not blank."""
    return fields.String(
        required=required, validate=[validate.Length(min=1, max=longest), NotBlank()]
    )


def slug(*, required: bool = True) -> fields.String:
    """Return a field for the name of a line in a plan: a chosen name, or the id of its event."""
    return fields.String(required=required, validate=Pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"))


def party(kinds: str = "person|partner", *, required: bool = True) -> fields.String:
    """Return a field for an opaque id of one of `kinds`."""
    return fields.String(
        required=required, validate=Pattern(rf"(?:{kinds}):[A-Za-z0-9._-]{{1,64}}")
    )


def tag() -> fields.String:
    """Return a field for a language tag, as "en" or "de-AT" (a subset of RFC 5646)."""
    return fields.String(required=True, validate=Pattern(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*"))


def version() -> fields.Integer:
    return WholeNumber(required=True, validate=validate.Range(min=1, max=1_000_000))


def one_to_ten() -> fields.Integer:
    return WholeNumber(validate=validate.Range(min=1, max=10))


def moment(*, required: bool = True) -> fields.String:
    return fields.String(required=required, validate=Moment(), metadata={"format": "date-time"})


def until() -> fields.String:
    """Return a field for an expiry: a date-time, or "until-withdrawn"."""
    metadata = {"anyOf": [{"format": "date-time"}, {"const": UNTIL_WITHDRAWN}]}
    return fields.String(required=True, validate=Moment(UNTIL_WITHDRAWN), metadata=metadata)


def whole_number(*, required: bool = True) -> fields.Integer:
    """Return a field for a whole number of a scale, between minus and plus a million."""
    return WholeNumber(required=required, validate=validate.Range(min=-1_000_000, max=1_000_000))


def list_of(
    item: fields.Field[Any], *, longest: int = 100, required: bool = True
) -> fields.Field[Any]:
    """Return a field for a list of 1 to `longest` items."""
    return fields.List(item, required=required, validate=validate.Length(min=1, max=longest))


def one_of(*names: str, required: bool = True) -> fields.String:
    return fields.String(required=required, validate=validate.OneOf(names))


def https() -> fields.String:
    return fields.String(validate=Pattern(r"https://[!-~]{1,500}"))


def part(*, required: bool = True, **members: fields.Field[Any]) -> fields.Field[Any]:
    return fields.Nested(Schema.from_dict(members), required=required)


def grantee() -> fields.String:
    """Return a field for the grantee of an access grant: a partner, a team, or "emergency"."""
    return fields.String(
        required=True, validate=Pattern(r"(?:(?:partner|team):[A-Za-z0-9._-]{1,64}|emergency)")
    )


def type_name() -> fields.String:
    return fields.String(validate=validate.OneOf(tuple(KINDS)))


def is_valid(schema: Schema, data: Mapping[str, Any]) -> bool:
    """Return True if `data` is valid under `schema`.

    Most events are valid, so the validators of the fields are first called in a plain loop, at a
    fifth of the cost of marshmallow. marshmallow decides on everything that this loop rejects.
    """
    return is_plainly_valid(schema, data) or not schema.validate(data)


_Check = Callable[[Any], object]  # raises ValidationError
_PLAIN: dict[type, type] = {
    fields.String: str,
    WholeNumber: int,
    TrueOrFalse: bool,
    AnyJson: dict,
    fields.Raw: dict,
    fields.List: list,
    fields.Nested: dict,
}


def is_plainly_valid(schema: Schema, data: object) -> bool:
    """Return True only if `data` is valid under `schema`, which has no hooks.

    False does not mean invalid: marshmallow must decide.
    """
    try:
        _members(schema)(data)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=1024)
def _members(schema: Schema) -> _Check:
    known = {name: _plain(field) for name, field in schema.load_fields.items()}
    required = frozenset(name for name, field in schema.load_fields.items() if field.required)
    unknown = _plain(fields.Field())

    def check(data: Any) -> None:
        if type(data) is not dict or not required <= data.keys():
            raise ValidationError("")
        for name, value in data.items():
            kind, checks = known.get(name, unknown)
            if type(value) is not kind:
                raise ValidationError("")
            for validator in checks:
                validator(value)

    return check


def _plain(field: fields.Field[Any]) -> tuple[type | None, tuple[_Check, ...]]:
    """Return the exact type and the validators of a field for the plain loop."""
    checks: tuple[_Check, ...] = tuple(field.validators)
    if type(field) is fields.List:
        checks = *checks, _items(*_plain(field.inner))
    if type(field) is fields.Nested:
        checks = *checks, _members(field.schema)
    if type(field) is AnyJson:
        checks = *checks, _names
    return _PLAIN.get(type(field)), checks


def _names(members: Any) -> None:
    if not all(type(name) is str for name in members):
        raise ValidationError("")


def _items(kind: type | None, checks: tuple[_Check, ...]) -> _Check:
    def check(values: Any) -> None:
        for value in values:
            if type(value) is not kind:
                raise ValidationError("")
            for validator in checks:
                validator(value)

    return check
