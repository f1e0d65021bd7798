"""Event types of kind *whose*: access grants, representatives, barred services."""

from shared.events.catalogue.event_type import row
from shared.events.catalogue.kind_beside import ENTRY, FAR
from shared.events.refusals import Code
from shared.events.schema_fields import (
    SCOPES,
    grantee,
    list_of,
    one_of,
    party,
    slug,
    text,
    type_name,
    until,
)

_TARGET, _STATE = Code.UNKNOWN_TARGET, Code.WRONG_STATE
PARTS = (
    "about-me",
    "aspirations",
    "items",
    "actions",
    "measures",
    "safety-plan",
    "choices",
    "beside",
)

ROWS = (
    row(
        "access.granted",
        "Allows a partner what the scopes say, until a date or until withdrawn.",
        {
            "to": grantee(),
            "scopes": list_of(one_of(*SCOPES), longest=len(SCOPES)),
            "parts": list_of(one_of(*PARTS), longest=len(PARTS), required=False),
            "until": until(),
            "purpose": text(longest=2_000),
            "wording": text(required=False),
        },
        Code.WORDING_MISSING,
        Code.TOO_MANY,
        attempt="allow somebody into your plan",
        example={
            "to": "partner:sam",
            "scopes": ["observe", "interpret", "propose"],
            "until": "until-withdrawn",
            "purpose": "Walking together",
            "wording": "Sam may write down what Sam sees and makes of it, and suggest changes.",
        },
        sentence="You allowed somebody into your plan.",
        words="wording",
        standard="FHIR Consent",
    ),
    row(
        "access.withdrawn",
        "Ends a grant from this place in the log on.",
        {"grant": slug()},
        _TARGET,
        _STATE,
        attempt="withdraw a permission you gave",
        example={"grant": ENTRY},
        sentence="You withdrew a permission.",
        standard="FHIR Consent.status inactive",
    ),
    row(
        "representative.named",
        "Lets somebody speak for the person, for the types named, until a date.",
        {
            "representative": party(),
            "scope": list_of(type_name()),
            "authority": text(longest=2_000),
            "until": until(),
        },
        Code.NOT_TO_BE_HANDED_ON,
        Code.TOO_MANY,
        attempt="name a representative",
        example={
            "representative": "person:bea",
            "scope": ["aspiration.stated", "proposal.declined"],
            "authority": "My sister, by my own wish.",
            "until": FAR,
        },
        sentence="You named somebody to speak for you.",
        words="authority",
        standard="FHIR RelatedPerson; FHIR Consent.provision.agent",
    ),
    row(
        "representative.ended",
        "Ends that somebody speaks for the person, from this place in the log on.",
        {"representative": party()},
        _TARGET,
        _STATE,
        attempt="end that somebody speaks for you",
        example={"representative": "person:bea"},
        sentence="You ended that somebody speaks for you.",
        standard="FHIR RelatedPerson.active false",
    ),
    row(
        "service.barred",
        "Lets nothing more come through a service, from this place in the log on.",
        {"service": party("service"), "words": text(required=False)},
        _STATE,
        Code.TOO_MANY,
        attempt="bar a service",
        example={"service": "service:clinic", "words": "It posted in my name."},
        sentence="You barred a service.",
        standard="FHIR Consent.provision deny",
    ),
    row(
        "service.unbarred",
        "Lets things come through a service again.",
        {"service": party("service")},
        _STATE,
        attempt="unbar a service",
        example={"service": "service:clinic"},
        sentence="You let a service in again.",
        standard="FHIR Consent.provision permit",
    ),
)
