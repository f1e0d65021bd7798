"""The specification's lists: who may say what, which line a type is about, and the bounds."""

MIB = 1024 * 1024

# Who may author a type. "P" is the person or a representative within scope, "W(…)" a partner with a
# grant of that scope, "N(…)" an author named in the entry to which that member points.
P_ONLY = ("P",)
WHO: dict[str, tuple[str, ...]] = {
    "proposal.made": ("W(propose)",),
    "observation.recorded": ("P", "W(observe)"),
    "interpretation.offered": ("W(interpret)",),
    "disagreement.stated": ("P", "N(entry)"),
    "correction.made": ("P", "N(entry)"),
    "correction.declined": ("P", "N(entry)"),
    "entry.retracted": ("P", "N(entry)"),
    "question.asked": ("P", "W(any)"),
    "question.answered": ("P", "N(question)"),
    "question.closed": ("P", "N(question)"),
    "commitment.made": ("W(any)",),
    "commitment.kept": ("P", "N(commitment)"),
    "commitment.not-kept": ("P", "N(commitment)"),
    "advance-choice.departed-from": ("W(any)",),
}
AUTHOR_ALONE = {"correction.made", "correction.declined", "entry.retracted", "question.closed"}
NEVER_HANDED_ON = ("representative.", "key.", "signatures.", "erasure.")
OVER = ("closed", "set-aside")  # of a question
QUESTIONS = ("question.asked", "advance-choice.departed-from")
# A line is put under a name of the author's, or else under the event's id.
NEW_LINES = {
    "aspiration.stated": "aspiration",
    "strength.named": "item",
    "need.named": "item",
    "action.planned": "action",
    "measure.defined": "measure",
    "advance-choice.made": "choice",
}
REWORDED = {
    "aspiration.reworded": ("aspiration", "aspiration"),
    "strength.reworded": ("item", "strength"),
    "need.reworded": ("item", "need"),
    "action.reworded": ("action", "action"),
}
# The member that names the line, the states in which the step is allowed, the state after it.
STEPS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "plan.closed": ("plan", ("open",), "closed"),
    "plan.reopened": ("plan", ("closed",), "open"),
    "aspiration.paused": ("aspiration", ("open",), "paused"),
    "aspiration.resumed": ("aspiration", ("paused",), "open"),
    "aspiration.reached": ("aspiration", ("open", "paused"), "reached"),
    "aspiration.let-go": ("aspiration", ("open", "paused"), "let-go"),
    "item.withdrawn": ("item", ("open",), "withdrawn"),
    "action.done": ("action", ("open",), "done"),
    "action.dropped": ("action", ("open",), "dropped"),
    "advance-choice.revoked": ("choice", ("open",), "revoked"),
}
MOST = {"lines": 2_000, "grants": 500, "wordings": 200, "barred": 500}
MOST_DISAGREEMENTS = {"open": 1, "in all": 5}
MOST_BYTES = {"others": 2 * MIB, "own": 6 * MIB, "protective": 7 * MIB}
PROTECTIVE = {
    "access.withdrawn",
    "representative.ended",
    "service.barred",
    "authorship.denied",
    "plan.closed",
    "entry.retracted",
    "question.set-aside",
    "proposal.declined",
    "advance-choice.revoked",
}
