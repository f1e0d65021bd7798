"""The refusals of each type, one small function per rule, in the order of the page of events."""

from collections.abc import Callable

from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from shared.events.schema_fields import is_valid
from tests.authorship.effects import key_of
from tests.authorship.standing import voices
from tests.authorship.state import State, change_of, is_past, words_of
from tests.authorship.tables import NEVER_HANDED_ON, NEW_LINES, OVER, QUESTIONS, REWORDED, STEPS

Code = str | None
Rule = Callable[[State, Event], Code]


# Kind plan. “lines of the plan; P only”


def _accepted(_state: State, _event: Event) -> Code:
    """A type without its own refusals."""
    return None


def _plan_started(state: State, _event: Event) -> Code:
    """plan.started [plan-exists]"""
    return "plan-exists" if state.phase == "started" else None


def _step(state: State, event: Event) -> Code:
    """plan.closed, .reopened [wrong-state]; aspiration.paused, .resumed, .reached, .let-go,
    item.withdrawn, action.done, .dropped, advance-choice.revoked [unknown-target, wrong-state]
    """
    member, before, _ = STEPS[event.type]
    line = state.line(member, event.data.get(member, "plan"))
    if line is None:
        return "unknown-target"
    return None if line.state in before else "wrong-state"


def _reworded(state: State, event: Event) -> Code:
    """aspiration.reworded and its like [unknown-target, unchanged]"""
    member, thing = REWORDED[event.type]
    line = state.line(member, event.data[member], thing)
    if line is None:
        return "unknown-target"
    return "unchanged" if line.words == (event.data["words"],) else None


def _new_line(state: State, event: Event) -> Code:
    """aspiration.stated, strength.named, need.named, advance-choice.made [exists]; action.planned
    [unknown-target, exists]; measure.defined [unknown-target, exists, bad-range]
    """
    if not _aspiration_exists(state, event):
        return "unknown-target"
    if key_of(event) in state.lines:
        return "exists"
    return _bad_range(event) if event.type == "measure.defined" else None


def _aspiration_exists(state: State, event: Event) -> bool:
    aspiration = event.data.get("aspiration")
    return aspiration is None or state.line("aspiration", aspiration) is not None


def _bad_range(event: Event) -> Code:
    return "bad-range" if event.data["min"] >= event.data["max"] else None


def _ranked(state: State, event: Event) -> Code:
    """aspirations.ranked: “what it points at is not there” [unknown-target]"""
    known = all(state.line("aspiration", name) for name in event.data["order"])
    return None if known else "unknown-target"


def _measure_revised(state: State, event: Event) -> Code:
    """measure.revised [unknown-target, bad-range]"""
    known = state.line("measure", event.data["measure"]) and _aspiration_exists(state, event)
    return _bad_range(event) if known else "unknown-target"


def _measure_rated(state: State, event: Event) -> Code:
    """measure.rated [unknown-target, out-of-range, version-mismatch]"""
    line = state.line("measure", event.data["measure"])
    if line is None:
        return "unknown-target"
    if not line.low <= event.data["value"] <= line.high:
        return "out-of-range"
    return "version-mismatch" if event.data["version"] != line.version else None


def _choice_revised(state: State, event: Event) -> Code:
    """advance-choice.revised [unknown-target, wrong-state, unchanged]"""
    line = state.line("choice", event.data["choice"])
    if line is None:
        return "unknown-target"
    if line.state != "open":
        return "wrong-state"
    words, when = words_of(event.type, event.data)
    return "unchanged" if line.words == (words, when or line.words[1]) else None


# Kind answer. “P only. Silence is never yes: at expires a proposal has lapsed.”


def _proposal_accepted(state: State, event: Event) -> Code:
    """proposal.accepted [unknown-target, lapsed, already-answered, the change's own]"""
    proposal = state.entry(event.data["proposal"], "proposal.made")
    if proposal is None:
        return "unknown-target"
    if is_past(proposal.data["expires"], event.received):
        return "lapsed"
    if proposal.state in ("accepted", "declined"):
        return "already-answered"
    change = change_of(proposal, event)
    return _invalid(change) or OWN_REFUSALS[change.type](state, change)


def _invalid(change: Event) -> Code:
    """“change {type of plan, data}”; starting a plan cannot be proposed."""
    row = CATALOGUE.get(change.type)
    fit = row and row.kind == "plan" and row.name != "plan.started"
    return None if fit and row and is_valid(row.schema, change.data) else "invalid-change"


def _proposal_answered(state: State, event: Event) -> Code:
    """proposal.declined, .parked [unknown-target, already-answered]; what was parked “can still be
    accepted or declined”
    """
    proposal = state.entry(event.data["proposal"], "proposal.made")
    if proposal is None:
        return "unknown-target"
    return "already-answered" if proposal.state in ("accepted", "declined") else None


# Kind beside: never in the plan.


def _proposal_made(_state: State, event: Event) -> Code:
    """proposal.made [invalid-change]"""
    change = event.data["change"]
    return _invalid(event._replace(type=change["type"], data=change["data"]))


def _observation(_state: State, event: Event) -> Code:
    """observation.recorded: “it says nothing seen or heard” [missing-observable]"""
    seen = any(member in event.data for member in ("seen_or_heard", "verbatim", "value"))
    return None if seen else "missing-observable"


def _interpretation(state: State, event: Event) -> Code:
    """interpretation.offered: “based_on [observations >= 1]” [no-basis, unknown-target]"""
    based_on = event.data.get("based_on", ())
    if not based_on:
        return "no-basis"
    known = all(state.entry(name, "observation.recorded") for name in based_on)
    return None if known else "unknown-target"


def _of_entry(state: State, event: Event) -> Code:
    """disagreement.stated, correction.requested: entry [unknown-target]"""
    return None if state.entry(event.data["entry"]) else "unknown-target"


def _correction(state: State, event: Event) -> Code:
    """correction.made, .declined: “the entry's author” [unknown-target, not-its-author]"""
    entry = state.entry(event.data["entry"])
    if entry is None:
        return "unknown-target"
    return None if entry.author in voices(state, event) else "not-its-author"


def _retracted(state: State, event: Event) -> Code:
    """entry.retracted: “the author of a beside or equal entry” [unknown-target, not-its-author]"""
    entry = state.entry(event.data["entry"])
    if entry is None or CATALOGUE[entry.type].kind not in ("beside", "equal"):
        return "unknown-target"
    return None if entry.author in voices(state, event) else "not-its-author"


def _denied(state: State, event: Event) -> Code:
    """authorship.denied: “an entry under the person's name”; what “R on behalf of P” wrote is under
    R's [unknown-target, not-in-your-name]"""
    entry = state.entry(event.data["entry"])
    if entry is None:
        return "unknown-target"
    return None if entry.author == state.subject else "not-in-your-name"


# Kind equal. “questions and promises”


def _addressee(state: State, event: Event) -> Code:
    """The addressee takes part: P, or a party with a grant in force [unknown-addressee]"""
    to = event.data["to"]
    known = to == state.subject or state.grants_in_force(to, event.received)
    return None if known else "unknown-addressee"


def _question_asked(state: State, event: Event) -> Code:
    """question.asked: to, words, about? [unknown-target, unknown-addressee]"""
    about = event.data.get("about")
    if about is not None and state.entry(about) is None:
        return "unknown-target"
    return _addressee(state, event)


def _question_answered(state: State, event: Event) -> Code:
    """question.answered: “the addressee” [unknown-target, wrong-addressee, wrong-state,
    basis-missing]; a departure “opens a question to its author”. Said once more: wrong-state.
    """
    question = state.entry(event.data["question"], *QUESTIONS)
    if question is None:
        return "unknown-target"
    if question.data.get("to", question.author) not in voices(state, event):
        return "wrong-addressee"
    if question.state != "open":
        return "wrong-state"
    basis = event.data.get("basis", {})
    bare = basis.get("kind") == "evidence" and not basis.get("sources")
    return "basis-missing" if bare or not basis else None


def _question_closed(state: State, event: Event) -> Code:
    """question.closed: “the asker only”; a departure “opens a question to its author”, which is
    P's to close [unknown-target, not-its-author, wrong-state]"""
    question = state.entry(event.data["question"], *QUESTIONS)
    if question is None:
        return "unknown-target"
    asker = state.subject if "to" not in question.data else question.author
    if asker not in voices(state, event):
        return "not-its-author"
    return "wrong-state" if question.state in OVER else None


def _set_aside(state: State, event: Event) -> Code:
    """question.set-aside: P [unknown-target, wrong-state]"""
    question = state.entry(event.data["question"], *QUESTIONS)
    if question is None:
        return "unknown-target"
    return "wrong-state" if question.state in OVER else None


def _commitment_made(state: State, event: Event) -> Code:
    """commitment.made: what, due, to, action? [unknown-target, unknown-addressee]"""
    action = event.data.get("action")
    if action is not None and state.line("action", action) is None:
        return "unknown-target"
    return _addressee(state, event)


def _commitment_judged(state: State, event: Event) -> Code:
    """commitment.kept, .not-kept: “only `to`” [unknown-target, own-promise, wrong-addressee,
    wrong-state]
    """
    promise = state.entry(event.data["commitment"], "commitment.made")
    if promise is None:
        return "unknown-target"
    if promise.author in voices(state, event):
        return "own-promise"
    if promise.data["to"] not in voices(state, event):
        return "wrong-addressee"
    return None if promise.state == "open" else "wrong-state"


def _departed(state: State, event: Event) -> Code:
    """advance-choice.departed-from: choice [unknown-target]"""
    return None if state.line("choice", event.data["choice"]) else "unknown-target"


# Kind whose.


def _granted(_state: State, event: Event) -> Code:
    """access.granted [wording-missing]"""
    return None if "wording" in event.data else "wording-missing"


def _withdrawn(state: State, event: Event) -> Code:
    """access.withdrawn [unknown-target, wrong-state]"""
    grant = state.grants.get(event.data["grant"])
    if grant is None:
        return "unknown-target"
    return "wrong-state" if grant.ended else None


def _representative_named(_state: State, event: Event) -> Code:
    """representative.named: “never representative.*, key.*, signatures.*, erasure.*”
    [not-to-be-handed-on]
    """
    handed_on = any(name.startswith(NEVER_HANDED_ON) for name in event.data["scope"])
    return "not-to-be-handed-on" if handed_on else None


def _representative_ended(state: State, event: Event) -> Code:
    """representative.ended [unknown-target, wrong-state]"""
    sent = state.sent.get(event.data["representative"])
    if not sent:
        return "unknown-target"
    return "wrong-state" if all(naming.ended for naming in sent) else None


def _barred(state: State, event: Event) -> Code:
    """service.barred, .unbarred [wrong-state]"""
    is_barred = event.data["service"] in state.barred
    return "wrong-state" if is_barred == (event.type == "service.barred") else None


OWN_REFUSALS: dict[str, Rule] = {
    "plan.started": _plan_started,
    "about-me.written": _accepted,
    "aspirations.ranked": _ranked,
    "measure.revised": _measure_revised,
    "measure.rated": _measure_rated,
    "safety-plan.written": _accepted,
    "advance-choice.revised": _choice_revised,
    "wording.preferred": _accepted,
    **dict.fromkeys(STEPS, _step),
    **dict.fromkeys(REWORDED, _reworded),
    **dict.fromkeys(NEW_LINES, _new_line),
    "proposal.accepted": _proposal_accepted,
    "proposal.declined": _proposal_answered,
    "proposal.parked": _proposal_answered,
    "proposal.made": _proposal_made,
    "observation.recorded": _observation,
    "interpretation.offered": _interpretation,
    "disagreement.stated": _of_entry,
    "correction.requested": _of_entry,
    "correction.made": _correction,
    "correction.declined": _correction,
    "entry.retracted": _retracted,
    "authorship.denied": _denied,
    "question.asked": _question_asked,
    "question.answered": _question_answered,
    "question.closed": _question_closed,
    "question.set-aside": _set_aside,
    "commitment.made": _commitment_made,
    "commitment.kept": _commitment_judged,
    "commitment.not-kept": _commitment_judged,
    "advance-choice.departed-from": _departed,
    "access.granted": _granted,
    "access.withdrawn": _withdrawn,
    "representative.named": _representative_named,
    "representative.ended": _representative_ended,
    "service.barred": _barred,
    "service.unbarred": _barred,
}
