"""The names of event types, their kinds, and who may author them.

`who` is about roles and grants, judged by the ledger alone:
    P           the person whose plan it is, or a representative within scope
    W(scope)    a partner to whom the person has granted that scope, in force; W(any): any scope
    N(member)   who wrote, or is named in, the accepted event to which that member of `data` points,
                and takes part: by a grant in force; or, named by the person, as a representative
                or by a naming of the person's that lasts; or as its author, for what only an
                author says of an entry
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
    """A type's group. It stands in clear on every entry."""

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
    """Who may author a type: the person, a partner with a grant of `scope`, or somebody who is
    named in what the member `named` points at. `__str__` is how the reference says it.
    """

    person: bool = False
    scope: str | None = None
    named: str | None = None

    def __str__(self) -> str:
        told = ["P"] if self.person else []
        told += [f"W({self.scope})"] if self.scope else []
        told += [f"N({self.named})"] if self.named else []
        return ", ".join(told)


P = Who(person=True)
W_PROPOSE = Who(scope="propose")
W_INTERPRET = Who(scope="interpret")
W_ANY = Who(scope="any")
P_OR_W_OBSERVE = Who(person=True, scope="observe")
P_OR_W_ANY = Who(person=True, scope="any")
P_OR_NAMED = Who(person=True, named="entry")
P_OR_IN_QUESTION = Who(person=True, named="question")
P_OR_IN_COMMITMENT = Who(person=True, named="commitment")
