"""Refusal codes and their reasons. The order of `Code` is the order of the checks.

The first four mean that the author is not authorized. Their entries contain no words. Every author
but the person gets the same `no-grant` whether the person has a plan, was erased or never existed.
"""

from enum import StrEnum


class Code(StrEnum):
    """The code of a refusal. Entries contain it: the meaning of a code never changes."""

    NOT_YOURS_TO_SAY = "not-yours-to-say"
    NO_GRANT = "no-grant"
    NO_SUCH_PLAN = "no-such-plan"
    PLAN_ERASED = "plan-erased"
    ID_REUSED = "id-reused"
    VERSION_CONFLICT = "version-conflict"
    PLAN_EXISTS = "plan-exists"
    NO_BASIS = "no-basis"
    UNKNOWN_TARGET = "unknown-target"
    UNKNOWN_ADDRESSEE = "unknown-addressee"
    LAPSED = "lapsed"
    ALREADY_ANSWERED = "already-answered"
    INVALID_CHANGE = "invalid-change"
    NOT_ITS_AUTHOR = "not-its-author"
    NOT_IN_YOUR_NAME = "not-in-your-name"
    NOT_TO_BE_HANDED_ON = "not-to-be-handed-on"
    OWN_PROMISE = "own-promise"
    WRONG_ADDRESSEE = "wrong-addressee"
    WRONG_STATE = "wrong-state"
    EXISTS = "exists"
    UNCHANGED = "unchanged"
    BAD_RANGE = "bad-range"
    OUT_OF_RANGE = "out-of-range"
    VERSION_MISMATCH = "version-mismatch"
    MISSING_OBSERVABLE = "missing-observable"
    BASIS_MISSING = "basis-missing"
    WORDING_MISSING = "wording-missing"
    TOO_MANY = "too-many"
    PLAN_FULL = "plan-full"
    OUR_FAULT = "our-fault"

    @property
    def standing(self) -> bool:
        """True if the author was authorized and a rule of the plan refused the event."""
        return self not in NO_STANDING

    @property
    def http_status(self) -> int:
        """403 if the author may not post this, 409 if it conflicts with the plan."""
        return 403 if self in (Code.NOT_YOURS_TO_SAY, Code.NO_GRANT) else 409


NO_STANDING = frozenset({Code.NOT_YOURS_TO_SAY, Code.NO_GRANT, Code.NO_SUCH_PLAN, Code.PLAN_ERASED})

# A reason follows "it was refused: " in a sentence. At most seven words, to keep that short.
REASONS: dict[Code, str] = {
    Code.NOT_YOURS_TO_SAY: "only the person may say this",
    Code.NO_GRANT: "the person has not allowed it",
    Code.NO_SUCH_PLAN: "no plan has been started",
    Code.PLAN_ERASED: "this plan was erased",
    Code.ID_REUSED: "this id belongs to another event",
    Code.VERSION_CONFLICT: "the plan had changed meanwhile",
    Code.PLAN_EXISTS: "a plan was already started",
    Code.NO_BASIS: "it rests on no observation",
    Code.UNKNOWN_TARGET: "what it points at is not there",
    Code.UNKNOWN_ADDRESSEE: "whom it names takes no part here",
    Code.LAPSED: "its time had run out",
    Code.ALREADY_ANSWERED: "it had been answered before",
    Code.INVALID_CHANGE: "no plan can hold that change",
    Code.NOT_ITS_AUTHOR: "somebody else wrote that entry",
    Code.NOT_IN_YOUR_NAME: "that entry is not in your name",
    Code.NOT_TO_BE_HANDED_ON: "that cannot be handed on",
    Code.OWN_PROMISE: "nobody judges a promise of their own",
    Code.WRONG_ADDRESSEE: "it was put to somebody else",
    Code.WRONG_STATE: "its state does not allow that",
    Code.EXISTS: "that name is already taken",
    Code.UNCHANGED: "the words are the same as before",
    Code.BAD_RANGE: "the lowest is not below the highest",
    Code.OUT_OF_RANGE: "the value lies outside the scale",
    Code.VERSION_MISMATCH: "the measure has another version now",
    Code.MISSING_OBSERVABLE: "it says nothing seen or heard",
    Code.BASIS_MISSING: "it names nothing it rests on",
    Code.WORDING_MISSING: "the agreed words are missing",
    Code.TOO_MANY: "there are already too many of these",
    Code.PLAN_FULL: "the plan has no room left",
    Code.OUR_FAULT: "our software failed; post it anew",
}

# Warnings in the receipt and the entry of an accepted event.
WARNINGS = {"preferred-wording": "the person asked to be spoken of in other words"}
