"""The names of event types, their kinds, and who may author them.

`who` is about roles and grants, judged by the ledger alone:
    P           the person whose plan it is
    W(scope)    a partner to whom the person has granted that scope, in force
    N(entry)    anybody named in the entry the event is about
"""

from enum import StrEnum
from typing import Literal

PlanType = Literal[
    "plan.started",
    "about-me.written",
    "aspiration.stated",
    "aspiration.reworded",
    "aspiration.let-go",
    "action.planned",
    "action.done",
]
AnswerType = Literal["proposal.accepted", "proposal.declined"]
BesideType = Literal["proposal.made", "observation.recorded", "disagreement.stated"]
WhoseType = Literal["access.granted", "access.withdrawn"]
Type = PlanType | AnswerType | BesideType | WhoseType


class Kind(StrEnum):
    """A type's group. It stands in clear on every entry."""

    PLAN = "plan"
    ANSWER = "answer"
    BESIDE = "beside"
    WHOSE = "whose"


class Who(StrEnum):
    """Who may author a type."""

    P = "P"
    W_PROPOSE = "W(propose)"
    P_OR_W_OBSERVE = "P, W(observe)"
    P_OR_NAMED = "P, N(entry)"

    @property
    def scope(self) -> str | None:
        """The scope of the grant that opens this type to a partner."""
        return {Who.W_PROPOSE: "propose", Who.P_OR_W_OBSERVE: "observe"}.get(self)

    @property
    def person(self) -> bool:
        """True when the person whose plan it is may author it."""
        return self is not Who.W_PROPOSE
