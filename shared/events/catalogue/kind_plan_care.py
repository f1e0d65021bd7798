"""Event types of kind *plan*: measures, the safety plan, advance choices, preferred wording."""

from marshmallow import fields

from shared.events.catalogue.event_type import Shape, row
from shared.events.catalogue.kind_plan import SEA
from shared.events.event import Json
from shared.events.refusals import Code
from shared.events.schema_fields import list_of, part, slug, text, version, whole_number

STEADY = "steadiness"
_TARGET, _STATE, _MANY = Code.UNKNOWN_TARGET, Code.WRONG_STATE, Code.TOO_MANY
_SCALE: Shape = {
    "name": text(longest=200),
    "min": whole_number(),
    "max": whole_number(),
    "low": text(longest=200),
    "high": text(longest=200),
    "rhythm": text(required=False, longest=200),
    "aspiration": slug(required=False),
}
_A_SCALE: Json = {
    "name": "How steady I felt",
    "min": 0,
    "max": 10,
    "low": "As on a boat",
    "high": "As on a rock",
    "rhythm": "After each walk",
    "aspiration": SEA,
}

ROWS = (
    row(
        "measure.defined",
        "Defines a measure of the person's own, with words for both ends of its scale.",
        {"id": slug(required=False), **_SCALE},
        _TARGET,
        Code.EXISTS,
        Code.BAD_RANGE,
        _MANY,
        attempt="define a measure for you",
        example={"id": STEADY, **_A_SCALE},
        sentence="You chose something to measure.",
        words="name",
        standard="FHIR Goal.target.measure; openEHR personalised outcome",
    ),
    row(
        "measure.revised",
        "Gives a measure its next version; ratings keep the version they were given under.",
        {"measure": slug(), **_SCALE},
        _TARGET,
        Code.BAD_RANGE,
        attempt="change your measure",
        example={"measure": STEADY, **_A_SCALE, "max": 5},
        sentence="You changed a measure.",
        words="name",
        standard="FHIR Goal.target",
    ),
    row(
        "measure.rated",
        "Records the person's own rating on one version of their measure.",
        {
            "measure": slug(),
            "version": version(),
            "value": whole_number(),
            "words": text(required=False),
        },
        _TARGET,
        Code.OUT_OF_RANGE,
        Code.VERSION_MISMATCH,
        attempt="rate your measure",
        example={"measure": STEADY, "version": 1, "value": 6, "words": "Better than Monday."},
        sentence="You rated a measure of yours.",
        standard="FHIR Observation category survey, performer the person",
    ),
    row(
        "safety-plan.written",
        "Writes the person's safety plan, or replaces it whole.",
        {
            "sections": list_of(part(heading=text(longest=200), words=text()), longest=50),
            "contacts": fields.List(part(name=text(longest=200), reach=text(longest=200))),
        },
        _MANY,
        attempt="write your safety plan",
        example={
            "sections": [{"heading": "What helps", "words": "Going outside, and Mrs Hill."}],
            "contacts": [{"name": "Mrs Hill", "reach": "next door"}],
        },
        sentence="You wrote your safety plan.",
        words=None,
        standard="PRSB additional supporting plans: safety plan",
    ),
    row(
        "advance-choice.made",
        "Says what the person wants, should they not be able to say it then.",
        {"id": slug(required=False), "words": text(), "applies_when": text()},
        Code.EXISTS,
        _MANY,
        attempt="choose in advance for you",
        example={
            "id": "at-home",
            "words": "Let me stay at home.",
            "applies_when": "When I am confused and somebody is with me.",
        },
        sentence="You made a choice in advance.",
        standard="PRSB advance statement; FHIR Consent category acd",
    ),
    row(
        "advance-choice.revised",
        "Gives a choice in advance new words.",
        {"choice": slug(), "words": text(), "applies_when": text(required=False)},
        _TARGET,
        _STATE,
        Code.UNCHANGED,
        attempt="change your advance choice",
        example={"choice": "at-home", "words": "Let me stay at home, with Mrs Hill."},
        sentence="You changed a choice you made in advance.",
        standard="FHIR Consent",
    ),
    row(
        "advance-choice.revoked",
        "Ends a choice in advance.",
        {"choice": slug(), "words": text(required=False)},
        _TARGET,
        _STATE,
        attempt="revoke your advance choice",
        example={"choice": "at-home"},
        sentence="You took back a choice you made in advance.",
        standard="FHIR Consent.status inactive",
    ),
    row(
        "wording.preferred",
        "Says how the person wants to be spoken of; partners who use the other words are warned.",
        {"say": text(longest=100), "instead_of": text(longest=100)},
        _MANY,
        attempt="choose words about you",
        example={"say": "Ada", "instead_of": "the old lady"},
        sentence="You chose how you want to be spoken of.",
        words="say",
        standard="PRSB About me: how to communicate with me",
    ),
)
