"""The shape of each type's `data`, as marshmallow schemas. Unknown members are errors.

What is checked here needs no plan: members, types, lengths, ranges. Whether it fits the plan is
the ledger's to say. A few members are optional here because the ledger refuses their absence
on the record (`missing-observable`, `wording-missing`, `invalid-change`).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

ID_PATTERN = r"(?:person|partner|team|service|auditor|operator):[A-Za-z0-9._-]{1,64}"
SCOPES = ("read", "observe", "interpret", "propose", "audit")
UNTIL_WITHDRAWN = "until-withdrawn"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"  # 24:00 is a time to some Pythons, and none to others
_TIME = re.compile(
    rf"\d{{4}}-\d{{2}}-\d{{2}}T{_CLOCK}:[0-5]\d(?:\.\d{{1,9}})?(?:Z|[+-]{_CLOCK})", re.ASCII
)
_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


def parse_time(text: str) -> datetime:
    """An RFC 3339 date-time with offset; ValueError if it is not one. Digits past microseconds
    are dropped.
    """
    if not _TIME.fullmatch(text):
        raise ValueError("not an RFC 3339 date-time with offset")
    return datetime.fromisoformat(_MICROSECONDS.sub(r"\1", text))


def is_time(moment: str) -> None:
    """Raise marshmallow's ValidationError unless `moment` is an RFC 3339 date-time with offset."""
    try:
        parse_time(moment)
    except ValueError:
        raise ValidationError("Not an RFC 3339 date-time with offset.") from None


class Pattern(validate.Regexp):
    """A whole text, with JSON Schema's anchors; Python's `$` alone lets a line feed pass."""

    def __init__(self, pattern: str, error: str = "Not of the form {regex}.") -> None:
        super().__init__(f"^{pattern}$", error=error)

    def __call__(self, value: str) -> str:  # type: ignore[override]  # of texts only
        """The text, if it is of the form; marshmallow's ValidationError if not."""
        if value.endswith("\n"):
            raise ValidationError(self._format_error(value))
        return super().__call__(value)


class WholeNumber(fields.Integer):
    """A JSON whole number; true and false are not numbers here."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class TrueOrFalse(fields.Boolean):
    """JSON true or false, and nothing that merely looks like it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def _not_blank(text: str) -> None:
    if not text.strip():
        raise ValidationError("Must not be blank.")


def _time_or_withdrawn(text: str) -> None:
    if text != UNTIL_WITHDRAWN:
        is_time(text)


def text(*, required: bool = True, longest: int = 20_000) -> fields.String:
    """Somebody's words: any code points, kept as they are, not blank."""
    return fields.String(
        required=required, validate=[validate.Length(min=1, max=longest), _not_blank]
    )


def slug(*, required: bool = True) -> fields.String:
    """The name of one thing in a plan: what the author called it, or the id of its event."""
    return fields.String(required=required, validate=Pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"))


def party(kinds: str = "person|partner", *, required: bool = True) -> fields.String:
    """An opaque id of one of `kinds`."""
    return fields.String(
        required=required, validate=Pattern(rf"(?:{kinds}):[A-Za-z0-9._-]{{1,64}}")
    )


def one_to_ten() -> fields.Integer:
    """An optional whole number from 1 to 10."""
    return WholeNumber(validate=validate.Range(min=1, max=10))


def moment() -> fields.String:
    """A required RFC 3339 date-time with offset."""
    return fields.String(required=True, validate=is_time, metadata={"format": "date-time"})


class PlanStarted(Schema):
    """plan.started"""

    name_to_use = text(longest=200)
    language = fields.String(
        required=True, validate=Pattern(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
    )


class AboutMeWritten(Schema):
    """about-me.written"""

    section = text(longest=200)
    words = text()


class AspirationStated(Schema):
    """aspiration.stated"""

    id = slug(required=False)
    words = text()
    why = text(required=False)
    importance = one_to_ten()


class AspirationReworded(Schema):
    """aspiration.reworded"""

    aspiration = slug()
    words = text()


class AspirationLetGo(Schema):
    """aspiration.let-go"""

    aspiration = slug()
    words = text(required=False)


class ActionPlanned(Schema):
    """action.planned"""

    id = slug(required=False)
    what = text()
    by = party()
    when = text(required=False, longest=200)
    aspiration = slug(required=False)
    confidence = one_to_ten()


class ActionDone(Schema):
    """action.done"""

    action = slug()
    words = text(required=False)


class Change(Schema):
    """A proposed change: a *plan* type and its data. The ledger judges whether it is one."""

    type = fields.String(required=True, validate=validate.Length(min=1, max=64))
    data = fields.Dict(keys=fields.String(), required=True)


class ProposalMade(Schema):
    """proposal.made"""

    change = fields.Nested(Change, required=True)
    why = text()
    options = text(required=False)
    their_words = TrueOrFalse()
    expires = moment()


class ProposalAccepted(Schema):
    """proposal.accepted"""

    proposal = slug()
    in_my_words = fields.Dict(keys=fields.String())


class ProposalDeclined(Schema):
    """proposal.declined"""

    proposal = slug()
    words = text(required=False)


class ObservationRecorded(Schema):
    """observation.recorded"""

    seen_or_heard = text(required=False)
    who_saw = text(longest=200)
    where = text(required=False, longest=200)
    verbatim = text(required=False)
    value = text(required=False, longest=64)
    unit = text(required=False, longest=32)
    about = party("person|partner|team|service", required=False)


class DisagreementStated(Schema):
    """disagreement.stated"""

    entry = slug()
    words = text()


class AccessGranted(Schema):
    """access.granted"""

    to = party("partner")
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)),
        required=True,
        validate=validate.Length(min=1, max=len(SCOPES)),
    )
    until = fields.String(required=True, validate=_time_or_withdrawn)
    purpose = text(longest=2_000)
    wording = text(required=False)


class AccessWithdrawn(Schema):
    """access.withdrawn"""

    grant = slug()


def fits(schema: Schema, data: Mapping[str, Any]) -> bool:
    """True when `data` has the shape of `schema`."""
    return not schema.validate(data)
