"""Rules that are broken on purpose: a comparison that detects none of them would prove nothing.

A broken rule counts as detected only by a difference at the expected verdict of the model, in an
event of the expected types.
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
    id_of_another_author,
    is_named,
    its_type_in_scope,
    judges_as,
    judges_on_changed_plan,
    leaves_a_trace,
    many_grants_ever,
    moves_a_line,
    not_ended,
    of_type,
    opens,
    own_is_beyond,
    proposed_by_another,
    refuses,
    repeats_a_wording,
    role,
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
    """A broken rule: what it lets pass, in a sentence, and the difference that shows it.

    `model` is the model's verdict there. Its histories begin at `start`, if that is set.
    """

    says: str
    judge: Judge
    model: str
    types: tuple[str, ...] = ()
    start: str = ""
    fold: Fold = evolve

    def detected(self, seed: int, most: int) -> tuple[int, Difference | None]:
        """Return after how many decisions a difference shows it, and the difference."""
        decisions, rules = 0, Rules(self.judge, self.fold)
        for result in histories(seed, most, rules, self.start):
            if isinstance(result, Difference):
                return decisions, result
            decisions = result.decisions
        return decisions, None

    def is_shown_by(self, difference: Difference) -> bool:
        """Return whether the difference is at the expected verdict and type."""
        return difference.model == self.model and (
            not self.types or difference.events[-1].type in self.types
        )


ROLES = (
    Broken(
        "A partner's grant lets them change lines.",
        judges_as(Code.NOT_YOURS_TO_SAY, as_person, both(of_type(*LINES), role("partner"))),
        "not-yours-to-say",
        LINES,
    ),
    Broken(
        "Another person counts as a partner.",
        judges_as(Code.NOT_YOURS_TO_SAY, as_partner, both(role("person"), by_another)),
        "not-yours-to-say",
        WITH_A_GRANT,
    ),
    Broken(
        "A stranger learns that no plan exists.",
        becomes(Code.NO_GRANT, Refusal(Code.NO_SUCH_PLAN), lambda plan, _: plan.state == ""),
        "no-grant",
    ),
    Broken(
        "A stranger learns that a plan was erased.",
        becomes(Code.NO_GRANT, Refusal(Code.PLAN_ERASED), lambda plan, _: plan.state == "erased"),
        "no-grant",
        start="erased",
    ),
    Broken(
        "An event through a barred service is accepted.",
        judges_as(Code.NOT_YOURS_TO_SAY, through_another, of_type(*OF_THE_PERSON)),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A bar applies to the person only, not to partners.",
        judges_as(Code.NO_GRANT, through_another),
        "no-grant",
    ),
)
GRANTS = (
    Broken(
        "A withdrawn grant still opens.",
        judges_on_changed_plan(Code.NO_GRANT, not_ended(GRANT), of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "An expired grant still opens.",
        judges_as(Code.NO_GRANT, early, of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant still opens at the time of its until.",
        judges_as(Code.NO_GRANT, a_moment_before, of_type(*WITH_A_GRANT)),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant of one scope opens every scope.",
        judges_on_changed_plan(
            Code.NO_GRANT, opens(GRANT, "scopes", EVERY_SCOPE), of_type(*WITH_A_GRANT)
        ),
        "no-grant",
        WITH_A_GRANT,
    ),
    Broken(
        "A grant for an emergency opens to everybody.",
        judges_on_changed_plan(Code.NO_GRANT, emergency_to_author),
        "no-grant",
    ),
)
REPRESENTATIVES = (
    Broken(
        "A representative speaks for the person with any type.",
        judges_on_changed_plan(
            Code.NOT_YOURS_TO_SAY, opens(NAMING, "scope", EVERY_TYPE), by_another
        ),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A representative whose naming was ended still speaks.",
        judges_on_changed_plan(Code.NOT_YOURS_TO_SAY, not_ended(NAMING), by_another),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A representative whose naming has expired still speaks.",
        judges_as(Code.NOT_YOURS_TO_SAY, early, by_another),
        "not-yours-to-say",
        OF_THE_PERSON,
    ),
    Broken(
        "A representative accepts changes of types that are not in their scope.",
        judges_on_changed_plan(
            Code.NOT_YOURS_TO_SAY, its_type_in_scope, of_type("proposal.accepted")
        ),
        "not-yours-to-say",
        ("proposal.accepted",),
    ),
    Broken(
        "A representative accepts what they proposed themself.",
        judges_on_changed_plan(
            Code.NOT_YOURS_TO_SAY, proposed_by_another, of_type("proposal.accepted")
        ),
        "not-yours-to-say",
        ("proposal.accepted",),
    ),
    Broken(
        "That an author acts for the person is not recorded.",
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
        "A completed action still gives its partner standing.",
        judges_on_changed_plan(Code.NO_GRANT, actions_open, is_named(by_person=True)),
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
        "Anybody may retract another's entry.",
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
    Broken("A lapsed proposal is accepted.", judges_as(Code.LAPSED, early), "lapsed"),
    Broken(
        "A proposal is accepted at the moment at which it lapses.",
        judges_as(Code.LAPSED, a_moment_before),
        "lapsed",
    ),
    Broken("A proposal is answered twice.", accepts(Code.ALREADY_ANSWERED), "already-answered"),
    Broken(
        "A parked proposal can no longer be accepted.",
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
    Broken("Ids are used twice.", judges_as(Code.ID_REUSED, under_a_fresh_id), "id-reused"),
    Broken(
        "An id of another author's entry is used again.",
        judges_as(Code.ID_REUSED, under_a_fresh_id, id_of_another_author),
        "id-reused",
    ),
    Broken(
        "The version that an author saw does not matter.",
        judges_as(Code.VERSION_CONFLICT, expecting_nothing),
        "version-conflict",
    ),
    Broken(
        "A future version does not conflict.",
        judges_as(Code.VERSION_CONFLICT, expecting_nothing, expects_more),
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
        "A value is checked after its version.",
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
        "A question is answered by someone other than its addressee.",
        accepts(Code.WRONG_ADDRESSEE, of_type("question.answered")),
        "wrong-addressee",
    ),
    Broken(
        "A question is put to someone without a grant.",
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
        "A plan has 501 grants in force.",
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
        "A repeated wording counts twice.",
        refuses(Code.TOO_MANY, repeats_a_wording),
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
        "Others' bytes are not bounded.",
        accepts(Code.PLAN_FULL, by_another),
        "plan-full",
        start="full_of_others",
    ),
    Broken(
        "The person's bytes are not bounded.",
        accepts(Code.PLAN_FULL, by_person),
        "plan-full",
        start="full_of_own",
    ),
    Broken(
        "Protective types have no reserved bytes.",
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
