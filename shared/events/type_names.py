"""Event type names, their kinds, and who may author them.

`who` names roles and grants. Only the ledger evaluates it:
    P           the person whose plan it is, or a representative within scope
    W(scope)    a partner with a grant of that scope in force; W(any): a grant of any scope
    N(member)   the author of the accepted event to which that member of `data` points, or a party
                named in it. They must take part: by a grant in force; as a representative; as a
                party whom the person named, while that lasts; or as the author of an entry, for
                types that only the author of an entry may post
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

PlanType = Literal[
    "plan.started",
    "plan.closed",
    "plan.reopened",
    "about-me.written",
    "aspiration.stated",
    "aspiration.reworded",
    "aspiration.paused",
    "aspiration.resumed",
    "aspiration.reached",
    "aspiration.let-go",
    "aspirations.ranked",
    "strength.named",
    "strength.reworded",
    "need.named",
    "need.reworded",
    "item.withdrawn",
    "action.planned",
    "action.reworded",
    "action.done",
    "action.dropped",
    "measure.defined",
    "measure.revised",
    "measure.rated",
    "safety-plan.written",
    "advance-choice.made",
    "advance-choice.revised",
    "advance-choice.revoked",
    "wording.preferred",
]
AnswerType = Literal["proposal.accepted", "proposal.declined", "proposal.parked"]
BesideType = Literal[
    "proposal.made",
    "observation.recorded",
    "interpretation.offered",
    "disagreement.stated",
    "correction.requested",
    "correction.made",
    "correction.declined",
    "entry.retracted",
    "authorship.denied",
]
EqualType = Literal[
    "question.asked",
    "question.answered",
    "question.closed",
    "question.set-aside",
    "commitment.made",
    "commitment.kept",
    "commitment.not-kept",
    "advance-choice.departed-from",
]
WhoseType = Literal[
    "access.granted",
    "access.withdrawn",
    "representative.named",
    "representative.ended",
    "service.barred",
    "service.unbarred",
]
Type = PlanType | AnswerType | BesideType | EqualType | WhoseType


class Kind(StrEnum):
    """The group of a type. Every entry contains it unencrypted."""

    PLAN = "plan"
    ANSWER = "answer"
    BESIDE = "beside"
    EQUAL = "equal"
    WHOSE = "whose"


_GROUPS = {
    Kind.PLAN: PlanType,
    Kind.ANSWER: AnswerType,
    Kind.BESIDE: BesideType,
    Kind.EQUAL: EqualType,
    Kind.WHOSE: WhoseType,
}
KINDS: dict[str, Kind] = {name: kind for kind, group in _GROUPS.items() for name in get_args(group)}


@dataclass(frozen=True, slots=True)
class Who:
    """Who may author a type.

    That is the person, a partner with a grant of `scope`, or a party named in the event to which
    the member `named` points. `__str__` is the notation of the reference.
    """

    person: bool = False
    scope: str | None = None
    named: str | None = None

    def __str__(self) -> str:
        parts = ["P"] if self.person else []
        parts += [f"W({self.scope})"] if self.scope else []
        parts += [f"N({self.named})"] if self.named else []
        return ", ".join(parts)


P = Who(person=True)
W_PROPOSE = Who(scope="propose")
W_INTERPRET = Who(scope="interpret")
W_ANY = Who(scope="any")
P_OR_W_OBSERVE = Who(person=True, scope="observe")
P_OR_W_ANY = Who(person=True, scope="any")
P_OR_NAMED = Who(person=True, named="entry")
P_OR_IN_QUESTION = Who(person=True, named="question")
P_OR_IN_COMMITMENT = Who(person=True, named="commitment")
