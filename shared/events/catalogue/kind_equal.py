"""Event types of kind *equal*: questions and promises. Only partners have deadlines.

There is no event for a person's compliance, and nobody else judges a promise of the person.
"""

from marshmallow import fields

from shared.events.catalogue.event_type import row
from shared.events.catalogue.kind_beside import ENTRY, FAR
from shared.events.refusals import Code
from shared.events.schema_fields import https, list_of, moment, one_of, part, party, slug, text
from shared.events.type_names import P_OR_IN_COMMITMENT, P_OR_IN_QUESTION, P_OR_W_ANY, W_ANY

_TARGET, _STATE = Code.UNKNOWN_TARGET, Code.WRONG_STATE
BASES = ("observation", "evidence", "opinion")

ROWS = (
    row(
        "question.asked",
        "Asks somebody something; with a date, it waits for a partner's answer until then.",
        {
            "to": party(),
            "words": text(),
            "about": slug(required=False),
            "due": moment(required=False),
        },
        _TARGET,
        Code.UNKNOWN_ADDRESSEE,
        who=P_OR_W_ANY,
        attempt="ask a question",
        example={"to": "partner:sam", "words": "Why three times a week?", "due": FAR},
        sentence="You asked a question.",
        others_sentence="{who} asked something.",
        standard="FHIR CommunicationRequest",
    ),
    row(
        "question.answered",
        "Answers a question put to one, and says on what the answer rests.",
        {
            "question": slug(),
            "words": text(),
            "basis": part(
                required=False,
                kind=one_of(*BASES),
                sources=fields.List(https()),
                words=text(required=False),
            ),
        },
        _TARGET,
        Code.WRONG_ADDRESSEE,
        _STATE,
        Code.BASIS_MISSING,
        who=P_OR_IN_QUESTION,
        attempt="answer a question",
        example={
            "question": ENTRY,
            "words": "Because muscles need the rhythm.",
            "basis": {"kind": "evidence", "sources": ["https://example.org/walking"]},
        },
        sentence="You answered a question.",
        others_sentence="{who} answered a question.",
        standard="FHIR Communication.inResponseTo",
    ),
    row(
        "question.closed",
        "Closes a question of one's own.",
        {"question": slug(), "words": text(required=False)},
        _TARGET,
        Code.NOT_ITS_AUTHOR,
        _STATE,
        who=P_OR_IN_QUESTION,
        attempt="close a question",
        example={"question": ENTRY},
        sentence="You closed a question of yours.",
        others_sentence="{who} closed a question of theirs.",
        standard="FHIR CommunicationRequest.status completed",
    ),
    row(
        "question.set-aside",
        "Sets a question aside; the person owes nobody an answer.",
        {"question": slug(), "words": text(required=False)},
        _TARGET,
        _STATE,
        attempt="set a question aside",
        example={"question": ENTRY},
        sentence="You set a question aside.",
        standard="FHIR CommunicationRequest.status revoked",
    ),
    row(
        "commitment.made",
        "Promises somebody something by a date; only they say whether it was kept.",
        {"what": text(), "due": moment(), "to": party(), "action": slug(required=False)},
        _TARGET,
        Code.UNKNOWN_ADDRESSEE,
        who=W_ANY,
        attempt="promise something",
        example={"what": "Bring the walking frame.", "due": FAR, "to": "person:ada"},
        others_sentence="{who} promised something.",
        words="what",
        standard="FHIR Task requested of a practitioner",
    ),
    row(
        "commitment.kept",
        "Says that a promise made to one was kept.",
        {"commitment": slug(), "words": text(required=False)},
        _TARGET,
        Code.OWN_PROMISE,
        Code.WRONG_ADDRESSEE,
        _STATE,
        who=P_OR_IN_COMMITMENT,
        attempt="mark a promise as kept",
        example={"commitment": ENTRY, "words": "On the day."},
        sentence="You said that a promise was kept.",
        others_sentence="{who} said that a promise was kept.",
        standard="FHIR Task.status completed",
    ),
    row(
        "commitment.not-kept",
        "Says that a promise made to one was not kept.",
        {"commitment": slug(), "words": text(required=False)},
        _TARGET,
        Code.OWN_PROMISE,
        Code.WRONG_ADDRESSEE,
        _STATE,
        who=P_OR_IN_COMMITMENT,
        attempt="mark a promise as not kept",
        example={"commitment": ENTRY},
        sentence="You said that a promise was not kept.",
        others_sentence="{who} said that a promise was not kept.",
        standard="FHIR Task.status failed",
    ),
    row(
        "advance-choice.departed-from",
        "Owns up to having acted otherwise than the person had chosen; opens a question.",
        {
            "choice": slug(),
            "done_instead": text(),
            "why": text(),
            "alternatives_tried": list_of(text(), longest=50),
        },
        _TARGET,
        who=W_ANY,
        attempt="record a departure from your choice",
        example={
            "choice": "at-home",
            "done_instead": "Ada was taken to hospital.",
            "why": "Nobody could stay with her.",
            "alternatives_tried": ["Mrs Hill was asked."],
        },
        others_sentence="{who} did otherwise than you had chosen.",
        words="done_instead",
        standard="FHIR Consent.provision; FHIR Provenance reason",
    ),
)
