"""Every event type in one table: who may author it, its shape, its effect, its sentences.

Intake's shape check, the ledger's rules, the reference page, the JSON Schemas and the served
examples all read this table. A type is never renamed or removed; a shape only grows, or gets a
new `dataschema` number beside the old one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from marshmallow import Schema

from shared import shapes
from shared.kinds import Kind, Type, Who
from shared.refusals import Code

VERSION = 1  # of the catalogue; sealed messages carry it, so an older worker knows to wait


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the catalogue.

    `sentence` is the history's line for the person who authored it, `told` for anybody else
    ("{who}" is filled in), `attempt` completes "tried to …". None holds the author's words.
    `words` names the member of `data` that holds them, if one does.
    """

    name: Type
    kind: Kind
    who: Who
    schema: Schema
    effect: str
    refusals: tuple[Code, ...]
    attempt: str
    example: Mapping[str, Any]
    sentence: str = ""
    told: str = ""
    words: str | None = "words"
    standard: str = ""

    @property
    def token_scope(self) -> str:
        """The OAuth scope a token needs to post this type."""
        return "share" if self.kind is Kind.WHOSE else "write"


_ASPIRATION = "walk-to-the-sea"
_PROPOSAL = "3f0f7c52-5d2e-4f5e-9d0c-6a8e6f1b2c3d"
_TYPES = (
    EventType(
        "plan.started",
        Kind.PLAN,
        Who.P,
        shapes.PlanStarted(),
        "Begins the person's plan; nothing else is needed first.",
        (Code.PLAN_EXISTS,),
        "start a plan",
        {"name_to_use": "Ada", "language": "en"},
        sentence="You started your plan.",
        words=None,
        standard="PRSB About me: preferred name; FHIR CarePlan",
    ),
    EventType(
        "about-me.written",
        Kind.PLAN,
        Who.P,
        shapes.AboutMeWritten(),
        "Writes a section about the person, or replaces what that section said.",
        (),
        "write about you",
        {"section": "What is most important to me", "words": "The sea, and being asked."},
        sentence="You wrote about yourself.",
        standard="PRSB About me v2: its seven headings, or one of the person's own",
    ),
    EventType(
        "aspiration.stated",
        Kind.PLAN,
        Who.P,
        shapes.AspirationStated(),
        "Adds what the person wants, before any need, problem or diagnosis.",
        (Code.EXISTS,),
        "state what you want",
        {"id": _ASPIRATION, "words": "I want to walk to the sea again.", "importance": 9},
        sentence="You said what you want.",
        standard="PRSB goals and hopes; FHIR Goal",
    ),
    EventType(
        "aspiration.reworded",
        Kind.PLAN,
        Who.P,
        shapes.AspirationReworded(),
        "Gives an aspiration new words; history keeps the old ones.",
        (Code.UNKNOWN_TARGET, Code.UNCHANGED),
        "change your words",
        {"aspiration": _ASPIRATION, "words": "I want to walk to the sea on my own."},
        sentence="You changed your words for what you want.",
        standard="FHIR Goal.description",
    ),
    EventType(
        "aspiration.let-go",
        Kind.PLAN,
        Who.P,
        shapes.AspirationLetGo(),
        "Lets an aspiration go; no reason is asked for.",
        (Code.UNKNOWN_TARGET, Code.WRONG_STATE),
        "let go of what you want",
        {"aspiration": _ASPIRATION},
        sentence="You let go of something you wanted.",
        standard="FHIR Goal.lifecycleStatus cancelled",
    ),
    EventType(
        "action.planned",
        Kind.PLAN,
        Who.P,
        shapes.ActionPlanned(),
        "Adds something to be done, by the person or by a partner.",
        (Code.UNKNOWN_TARGET, Code.EXISTS),
        "plan an action",
        {
            "id": "first-walk",
            "what": "Walk to the end of the road",
            "by": "person:ada",
            "when": "Tuesday mornings",
            "aspiration": _ASPIRATION,
            "confidence": 7,
        },
        sentence="You planned something to do.",
        words="what",
        standard="PRSB actions; FHIR CarePlan.activity",
    ),
    EventType(
        "action.done",
        Kind.PLAN,
        Who.P,
        shapes.ActionDone(),
        "Marks an action as done, in the person's own judgement.",
        (Code.UNKNOWN_TARGET, Code.WRONG_STATE),
        "mark your action as done",
        {"action": "first-walk", "words": "Further than I thought."},
        sentence="You did what you had planned.",
        standard="FHIR CarePlan.activity.performedActivity",
    ),
    EventType(
        "proposal.accepted",
        Kind.ANSWER,
        Who.P,
        shapes.ProposalAccepted(),
        "Makes the proposed change, in the person's own words where they gave some.",
        (
            Code.UNKNOWN_TARGET,
            Code.LAPSED,
            Code.ALREADY_ANSWERED,
            Code.INVALID_CHANGE,
            Code.WRONG_STATE,
            Code.EXISTS,
            Code.UNCHANGED,
        ),
        "accept a suggestion for you",
        {"proposal": _PROPOSAL},
        sentence="You accepted a suggestion.",
        words=None,
        standard="FHIR Goal.acceptance",
    ),
    EventType(
        "proposal.declined",
        Kind.ANSWER,
        Who.P,
        shapes.ProposalDeclined(),
        "Declines a proposal; no reason is asked for.",
        (Code.UNKNOWN_TARGET, Code.ALREADY_ANSWERED),
        "decline a suggestion for you",
        {"proposal": _PROPOSAL, "words": "Not now."},
        sentence="You declined a suggestion.",
        standard="FHIR Goal.acceptance",
    ),
    EventType(
        "proposal.made",
        Kind.BESIDE,
        Who.W_PROPOSE,
        shapes.ProposalMade(),
        "Suggests one change to the plan; it lapses unless the person accepts it in time.",
        (Code.INVALID_CHANGE,),
        "suggest a change",
        {
            "change": {
                "type": "action.planned",
                "data": {"what": "Walk together on Tuesdays", "by": "partner:sam"},
            },
            "why": "You said company helps.",
            "expires": "2027-01-31T18:00:00Z",
        },
        told="{who} suggested a change.",
        words="why",
        standard="FHIR RequestOrchestration intent proposal",
    ),
    EventType(
        "observation.recorded",
        Kind.BESIDE,
        Who.P_OR_W_OBSERVE,
        shapes.ObservationRecorded(),
        "Records what was seen or heard, and by whom; never what it might mean.",
        (Code.MISSING_OBSERVABLE,),
        "record what was seen",
        {"seen_or_heard": "Walked to the gate and back.", "who_saw": "partner:sam"},
        sentence="You recorded what you saw or heard.",
        told="{who} recorded what they saw or heard.",
        words="seen_or_heard",
        standard="FHIR Observation",
    ),
    EventType(
        "disagreement.stated",
        Kind.BESIDE,
        Who.P_OR_NAMED,
        shapes.DisagreementStated(),
        "Pins a disagreement to an entry; no output shows one without the other.",
        (Code.UNKNOWN_TARGET,),
        "disagree with an entry",
        {"entry": _PROPOSAL, "words": "That is not how it was."},
        sentence="You disagreed with an entry.",
        told="{who} disagreed with an entry.",
        standard="FHIR Provenance; UK GDPR article 16, supplementary statement",
    ),
    EventType(
        "access.granted",
        Kind.WHOSE,
        Who.P,
        shapes.AccessGranted(),
        "Allows a partner what the scopes say, until a date or until withdrawn.",
        (Code.WORDING_MISSING,),
        "allow somebody into your plan",
        {
            "to": "partner:sam",
            "scopes": ["observe", "propose"],
            "until": "until-withdrawn",
            "purpose": "Walking together",
            "wording": "Sam may write down what Sam sees, and suggest changes.",
        },
        sentence="You allowed somebody into your plan.",
        words="wording",
        standard="FHIR Consent",
    ),
    EventType(
        "access.withdrawn",
        Kind.WHOSE,
        Who.P,
        shapes.AccessWithdrawn(),
        "Ends a grant from this place in the log on.",
        (Code.UNKNOWN_TARGET, Code.WRONG_STATE),
        "withdraw a permission you gave",
        {"grant": "7d4f0d0a-8f0e-4b43-9a55-2c1d3e4f5a6b"},
        sentence="You withdrew a permission.",
        words=None,
        standard="FHIR Consent.status inactive",
    ),
)

CATALOGUE: dict[str, EventType] = {row.name: row for row in _TYPES}
TYPE_NAMES: tuple[str, ...] = tuple(name for group in get_args(Type) for name in get_args(group))
