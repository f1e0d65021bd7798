"""Why an event may be refused. The order of `Code` is the order in which the rules look.

The first four mean that the author has no standing here: the entry keeps no words, and anyone
but the person hears the same `no-grant` whether the person lives, was erased or never was.
"""

from enum import StrEnum


class Code(StrEnum):
    """A refusal's code. It is written into entries: a code never changes its meaning."""

    NOT_YOURS_TO_SAY = "not-yours-to-say"
    NO_GRANT = "no-grant"
    NO_SUCH_PLAN = "no-such-plan"
    PLAN_ERASED = "plan-erased"
    ID_REUSED = "id-reused"
    VERSION_CONFLICT = "version-conflict"
    PLAN_EXISTS = "plan-exists"
    UNKNOWN_TARGET = "unknown-target"
    LAPSED = "lapsed"
    ALREADY_ANSWERED = "already-answered"
    INVALID_CHANGE = "invalid-change"
    WRONG_STATE = "wrong-state"
    EXISTS = "exists"
    UNCHANGED = "unchanged"
    MISSING_OBSERVABLE = "missing-observable"
    WORDING_MISSING = "wording-missing"
    OUR_FAULT = "our-fault"

    @property
    def standing(self) -> bool:
        """True when the author had standing and the rules of the plan spoke."""
        return self not in NO_STANDING

    @property
    def http_status(self) -> int:
        """403 where the author may not say this, 409 where it does not fit the plan."""
        return 403 if self in (Code.NOT_YOURS_TO_SAY, Code.NO_GRANT) else 409


NO_STANDING = frozenset({Code.NOT_YOURS_TO_SAY, Code.NO_GRANT, Code.NO_SUCH_PLAN, Code.PLAN_ERASED})

# Each reads after "it was refused: ". At most seven words, so that a whole sentence stays short.
BECAUSE: dict[Code, str] = {
    Code.NOT_YOURS_TO_SAY: "only the person may say this",
    Code.NO_GRANT: "the person has not allowed it",
    Code.NO_SUCH_PLAN: "no plan has been started",
    Code.PLAN_ERASED: "this plan was erased",
    Code.ID_REUSED: "this id belongs to another event",
    Code.VERSION_CONFLICT: "the plan had changed meanwhile",
    Code.PLAN_EXISTS: "a plan was already started",
    Code.UNKNOWN_TARGET: "what it points at is not there",
    Code.LAPSED: "its time had run out",
    Code.ALREADY_ANSWERED: "it had been answered before",
    Code.INVALID_CHANGE: "no plan can hold that change",
    Code.WRONG_STATE: "it was already ended",
    Code.EXISTS: "that name is already taken",
    Code.UNCHANGED: "the words are the same as before",
    Code.MISSING_OBSERVABLE: "it says nothing seen or heard",
    Code.WORDING_MISSING: "the agreed words are missing",
    Code.OUR_FAULT: "our software failed; post it anew",
}
