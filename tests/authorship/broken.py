"""Rules that are broken on purpose: a comparison that detects none of them would prove nothing.

A broken rule counts as detected by a difference in its own place: from that verdict of the model,
and in an event of those types.
"""

from dataclasses import dataclass

from services.ledger.plan.decide import Refusal
from services.ledger.plan.evolve import evolve
from shared.events.refusals import Code
from shared.events.type_names import KINDS, Kind
from tests.authorship.breaking import (
    a_moment_before,
    accepts,
    actions_open,
    as_partner,
    as_person,
    becomes,
    borne_by_another,
    both,
    by_another,
    by_person,
    counts_folds,
    early,
    emergency_to_author,
    equal_ends,
    expecting_nothing,
    expects_more,
    has_no_open_disagreement,
    has_open_disagreement,
    hears,
    is_named,
    its_type_in_scope,
    leaves_a_trace,
    many_grants_ever,
    moves_a_line,
    not_ended,
    of_type,
    opens,
    own_is_beyond,
    proposed_by_another,
    refuses,
    role,
    says_it_again,
    sees,
    through_another,
    under_a_fresh_id,
    unrecorded,
    was_parked,
)
from tests.authorship.compare import Difference, Fold, Judge, Rules, histories, real
from tests.authorship.tables import NEW_LINES, P_ONLY, PROTECTIVE, WHO

EVERY_TYPE = sorted(KINDS)
EVERY_SCOPE = ["read", "observe", "interpret", "propose", "audit"]
WITH_A_GRANT = tuple(kind for kind, ways in WHO.items() if any("W(" in way for way in ways))
OF_THE_PERSON = tuple(kind for kind in KINDS if WHO.get(kind, P_ONLY) == P_ONLY)
LINES = tuple(kind for kind, group in KINDS.items() if group is Kind.PLAN)
JUDGED = ("commitment.kept", "commitment.not-kept")
GRANT, NAMING = "access.granted", "representative.named"


@dataclass(frozen=True)
class Broken:
    """What the broken rules let pass, in a sentence, and where that shows.

    `model` is the model's verdict there. Its histories begin at `start`, if it names one.
    """

    says: str
    judge: Judge
    model: str
    types: tuple[str, ...] = ()
    start: str = ""
    fold: Fold = evolve

    def detected(self, seed: int, most: int) -> tuple[int, Difference | None]:
        """After how many decisions a difference shows it, and the difference."""
        decisions, rules = 0, Rules(self.judge, self.fold)
        for found in histories(seed, most, rules, self.start):
            if isinstance(found, Difference):
                return decisions, found
            decisions = found.decisions
        return decisions, None

    def is_shown_by(self, found: Difference) -> bool:
        """True for a difference in the place where this is broken."""
        return found.model == self.model and (not self.types or found.events[-1].type in self.types)


ROLES = (
    Broken(
        "A partner's grant lets them change lines.",
        hears(Code.NOT_YOURS_TO_SAY, as_person, both(of_type(*LINES), role("partner"))),
        "not-yours-to-say",
        LINES,
    ),
    Broken(
        "Another person counts as a partner.",
        hears(Code.NOT_YOURS_TO_SAY, as_partner, both(role("person"), by_another)),
        "not-yours-to-say",
        WITH_A_GRANT,
    ),
    Broken(
        "A stranger hears that there is no plan.",
        becomes(Code.NO_GRANT, Refusal(Code.NO_SUCH_PLAN), lambda plan, _: plan.state == ""),
        "no-grant",
    ),
    Broken(
        "A stranger hears that a plan was erased.",
        becomes(Code.NO_GRANT, Refusal(Code.PLAN_ERASED), lambda plan, _: plan.state == "erased"),
        "no-grant",
        start="erased",
    ),
    Broken(
        "What comes through a barred service is heard.",
        hears(Code.NOT_YOURS_TO_SAY, through_another, of_type(*OF_THE_PERSON)),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A bar holds for the person alone, and not for partners.",
        hears(Code.NO_GRANT, through_another),
        "no-grant",
    ),
)
GRANTS = (
    Broken(
        "A withdrawn grant still opens.",
        sees(Code.NO_GRANT, not_ended(GRANT), of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant that has run out still opens.",
        hears(Code.NO_GRANT, early, of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant opens at the moment of its until.",
        hears(Code.NO_GRANT, a_moment_before, of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant of one scope opens every scope.",
        sees(Code.NO_GRANT, opens(GRANT, "scopes", EVERY_SCOPE), of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant for an emergency opens to everybody.",
        sees(Code.NO_GRANT, emergency_to_author),
        "no-grant",
    ),
)
REPRESENTATIVES = (
    Broken(
        "A representative speaks for the person with any type.",
        sees(Code.NOT_YOURS_TO_SAY, opens(NAMING, "scope", EVERY_TYPE), by_another),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A representative whose naming was ended still speaks.",
        sees(Code.NOT_YOURS_TO_SAY, not_ended(NAMING), by_another),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A representative whose naming has run out still speaks.",
        hears(Code.NOT_YOURS_TO_SAY, early, by_another),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A representative accepts changes of types that are not in their scope.",
        sees(Code.NOT_YOURS_TO_SAY, its_type_in_scope, of_type("proposal.accepted")),
        "not-yours-to-say",
        ("proposal.accepted",),
    ),
    Broken(
        "A representative accepts what they proposed themself.",
        sees(Code.NOT_YOURS_TO_SAY, proposed_by_another, of_type("proposal.accepted")),
        "not-yours-to-say",
        ("proposal.accepted",),
    ),
    Broken(
        "Who speaks for the person is not recorded.",
        unrecorded,
        "True",
    ),
    Broken(
        "Naming further representatives is handed on.",
        accepts(Code.NOT_TO_BE_HANDED_ON),
        "not-to-be-handed-on",
    ),
)
BEING_NAMED = (
    Broken(
        "Being named by a partner gives standing.",
        accepts(Code.NO_GRANT, is_named(by_person=False)),
        "no-grant",
    ),
    Broken(
        "Being named by the person gives standing for good.",
        accepts(Code.NO_GRANT, is_named(by_person=True)),
        "no-grant",
    ),
    Broken(
        "An action that is done still gives standing to who was to do it.",
        sees(Code.NO_GRANT, actions_open, is_named(by_person=True)),
        "no-grant",
        start="furnished",
    ),
    Broken(
        "A partner has two open disagreements with one entry.",
        accepts(Code.TOO_MANY, both(of_type("disagreement.stated"), has_open_disagreement)),
        "too-many",
        ("disagreement.stated",),
    ),
    Broken(
        "A partner states a sixth disagreement with one entry.",
        accepts(Code.TOO_MANY, both(of_type("disagreement.stated"), has_no_open_disagreement)),
        "too-many",
        ("disagreement.stated",),
        start="furnished",
    ),
    Broken(
        "Anybody may take back what another wrote.",
        accepts(Code.NOT_ITS_AUTHOR, of_type("entry.retracted")),
        "not-its-author",
    ),
    Broken(
        "The person denies having written what a partner wrote.",
        accepts(Code.NOT_IN_YOUR_NAME),
        "not-in-your-name",
    ),
)
ANSWERS = (
    Broken("A lapsed proposal is accepted.", hears(Code.LAPSED, early), "lapsed"),
    Broken(
        "A proposal is accepted at the moment at which it lapses.",
        hears(Code.LAPSED, a_moment_before),
        "lapsed",
    ),
    Broken("A proposal is answered twice.", accepts(Code.ALREADY_ANSWERED), "already-answered"),
    Broken(
        "What was parked can not be accepted any more.",
        refuses(Code.ALREADY_ANSWERED, both(of_type("proposal.accepted"), was_parked)),
        "accepted",
    ),
    Broken(
        "Words that do not fit the change are accepted.",
        accepts(Code.INVALID_CHANGE, of_type("proposal.accepted")),
        "invalid-change",
    ),
)
ENVELOPE = (
    Broken("Ids are used twice.", hears(Code.ID_REUSED, under_a_fresh_id), "id-reused"),
    Broken(
        "An id that another author's entry bears is used again.",
        hears(Code.ID_REUSED, under_a_fresh_id, borne_by_another),
        "id-reused",
    ),
    Broken(
        "The version that an author saw does not matter.",
        hears(Code.VERSION_CONFLICT, expecting_nothing),
        "version-conflict",
    ),
    Broken(
        "A version that has not been yet conflicts with nothing.",
        hears(Code.VERSION_CONFLICT, expecting_nothing, expects_more),
        "version-conflict",
    ),
)
VALUES = (
    Broken("A value lies outside its scale.", accepts(Code.OUT_OF_RANGE), "out-of-range"),
    Broken(
        "A scale has one value.",
        accepts(Code.BAD_RANGE, both(of_type("measure.defined"), equal_ends)),
        "bad-range",
    ),
    Broken(
        "A value is looked at after its version.",
        becomes(
            Code.OUT_OF_RANGE,
            Refusal(Code.VERSION_MISMATCH),
            lambda plan, event: of_type("measure.rated")(plan, event) and event.data["version"] > 2,
        ),
        "out-of-range",
    ),
)
EQUALS = (
    Broken(
        "A question is answered by whom it was not put to.",
        accepts(Code.WRONG_ADDRESSEE, of_type("question.answered")),
        "wrong-addressee",
    ),
    Broken(
        "A question is put to somebody who takes no part.",
        accepts(Code.UNKNOWN_ADDRESSEE, of_type("question.asked")),
        "unknown-addressee",
    ),
    Broken("Somebody judges their own promise.", accepts(Code.OWN_PROMISE), "own-promise"),
    Broken(
        "The person judges a promise made to another.",
        accepts(Code.WRONG_ADDRESSEE, both(of_type(*JUDGED), by_person)),
        "wrong-addressee",
        JUDGED,
    ),
)
BOUNDS = (
    Broken(
        "A plan has 2,001 open lines.",
        accepts(Code.TOO_MANY, of_type(*NEW_LINES)),
        "too-many",
        tuple(NEW_LINES),
        start="many_lines",
    ),
    Broken(
        "Accepted proposals do not count.",
        accepts(Code.TOO_MANY, of_type("proposal.accepted")),
        "too-many",
        ("proposal.accepted",),
        start="many_lines",
    ),
    Broken(
        "There are 501 grants in force.",
        accepts(Code.TOO_MANY, of_type(GRANT, NAMING)),
        "too-many",
        (GRANT, NAMING),
        start="many_grants",
    ),
    Broken(
        "Grants that have ended count.",
        refuses(Code.TOO_MANY, many_grants_ever),
        "accepted",
        (GRANT,),
        start="many_grants",
    ),
    Broken(
        "A wording that is said again counts twice.",
        refuses(Code.TOO_MANY, says_it_again),
        "accepted",
        ("wording.preferred",),
        start="many_wordings",
    ),
    Broken(
        "501 services are barred.",
        accepts(Code.TOO_MANY, of_type("service.barred")),
        "too-many",
        ("service.barred",),
        start="many_barred",
    ),
    Broken(
        "What others write is not bounded.",
        accepts(Code.PLAN_FULL, by_another),
        "plan-full",
        start="full_of_others",
    ),
    Broken(
        "What the person writes is not bounded.",
        accepts(Code.PLAN_FULL, by_person),
        "plan-full",
        start="full_of_own",
    ),
    Broken(
        "What protects the person has no room of its own.",
        refuses(Code.PLAN_FULL, both(of_type(*PROTECTIVE), own_is_beyond)),
        "accepted",
        tuple(PROTECTIVE),
        start="full_of_protective",
    ),
)
EFFECTS = (
    Broken("A refused event leaves a trace.", leaves_a_trace, "unmoved"),
    Broken(
        "A partner's observation moves a line.", real, "unmoved", WITH_A_GRANT, fold=moves_a_line
    ),
    Broken("A plan depends on when it is replayed.", real, "the same", fold=counts_folds()),
)
EVERY = (
    *ROLES,
    *GRANTS,
    *REPRESENTATIVES,
    *BEING_NAMED,
    *ANSWERS,
    *ENVELOPE,
    *VALUES,
    *EQUALS,
    *BOUNDS,
    *EFFECTS,
)
