"""The plan as it is shown: its lines, and beside them what the reader joins.

A line stays as it was written. What stands beside it is joined here, when it is read: promises
about an action, suggestions for a line, and whatever is said of an entry that is shown
(services/ledger/presentation/annotations.py). Clocks speak here only: a proposal, an interpretation
or a permission has *lapsed*, a question to a partner or a promise is *overdue*, at the moment of
reading. Nobody's clock runs on the person.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain

from services.ledger.plan import transitions
from services.ledger.plan.authorization import runs_out
from services.ledger.plan.model import Beside, Line, Plan
from services.ledger.presentation.annotations import Annotations, came
from shared.events.event import Json
from shared.events.schema_fields import UNTIL_WITHDRAWN

SHELVES = {
    "proposals": "proposal.made",
    "observations": "observation.recorded",
    "interpretations": "interpretation.offered",
    "questions": "question.asked",
    "commitments": "commitment.made",
    "departures": "advance-choice.departed-from",
    "grants": "access.granted",
    "representatives": "representative.named",
    "barred_services": "service.barred",
}
_SHELF_OF = {kind: name for name, kind in SHELVES.items()}
_OUTCOMES = frozenset(
    {"question.closed", "question.set-aside", "commitment.kept", "commitment.not-kept"}
)


def plan_view(plan: Plan, moment: str, current: Plan | None = None) -> Json:
    """The plan as shown at `moment` (a timestamp).

    For a view of the past, `current` is the plan as it is now: what is said now of what is shown
    stands with it, and `since` names those later entries.
    """
    return _View(plan, moment, current or plan).shown()


class _View:
    def __init__(self, plan: Plan, moment: str, current: Plan) -> None:
        self._plan, self._moment, self._past = plan, moment, current is not plan
        self._against = Annotations(current)
        self._shelves: dict[str, list[Json]] = {name: [] for name in SHELVES}
        self._followed = self._what_followed()
        for name, each in came(each for each in _things(plan) if each[1]["type"] in _SHELF_OF):
            self._shelves[_SHELF_OF[each["type"]]].append(self._told(name, each))

    def shown(self) -> Json:
        """The plan, whole."""
        promised, suggested = self._promised(), self._suggested()
        lines = []
        for line in sorted(self._plan.lines.values(), key=self._order()):
            told = self._line(line)
            sort = "item" if line["thing"] in ("strength", "need") else line["thing"]
            for name, joined in (("promised", promised), ("suggested", suggested)):
                if found := joined.get((sort, line["id"])):
                    told[name] = found
            lines.append(told)
        since = self._against.added_since(self._plan) if self._past else []
        return {
            "subject": self._plan.subject,
            "version": self._plan.version,
            "state": self._plan.lines["plan/plan"]["state"],
            "lines": lines,
            "beside": self._shelves,
            **({"since": since} if since else {}),
        }

    def _order(self) -> Callable[[Line], tuple[int, int]]:
        """Ranked aspirations first, in the person's order; then as the lines came."""
        ranking = self._plan.line("ranking", "aspirations")
        struck = ranking and "struck" in self._against.for_entry(ranking["origin"]["entry"])
        ranked = ranking["data"]["order"] if ranking and not struck else []
        places = {name: place for place, name in reversed([*enumerate(ranked)])}

        def place(line: Line) -> tuple[int, int]:
            own = places.get(line["id"]) if line["thing"] == "aspiration" else None
            return (len(places) if own is None else own, line["since"])

        return place

    def _line(self, line: Line) -> Json:
        told: Json = {**line, **self._against.for_entry(line["origin"]["entry"])}
        if "ended" in line:
            told["ended"] = {**line["ended"], **self._against.for_entry(line["ended"]["entry"])}
        return told

    def _told(self, name: str, each: Beside) -> Json:
        """Something that stands beside the plan: its state now, what followed, what is said."""
        told: Json = {"entry": name, **each, "state": self._state(each)}
        for member in ("answered", "ended"):
            if member in told:
                told[member] = {**told[member], **self._against.for_entry(told[member]["entry"])}
        if name in self._followed:
            told |= self._followed[name]
        return told | pinned if (pinned := self._against.for_entry(name)) else told

    def _what_followed(self) -> dict[str, Json]:
        """What came of questions and promises: `answers`, and how they ended, `outcome`."""
        followed: dict[str, Json] = defaultdict(dict)
        for name, each in came(each for each in self._plan.beside.items() if _follows(each[1])):
            data = dict(each["data"])
            about = data.pop("question", None) or data.pop("commitment", None)
            told = {**data, "author": each["author"], "received": each["received"], "entry": name}
            if each["type"] == "question.answered":
                answers = followed[about].setdefault("answers", [])
                answers.append(told | self._against.for_entry(name))
            else:
                followed[about]["outcome"] = told | self._against.for_entry(name)
        return followed

    def _promised(self) -> dict[tuple[str, str], list[Json]]:
        """Promises about an action, by the action."""
        found = defaultdict(list)
        for each in self._shelves["commitments"]:
            if "action" in each["data"]:
                told = {"by": each["author"], "due": each["data"]["due"], "state": each["state"]}
                marks = self._against.for_entry(each["entry"])
                found["action", each["data"]["action"]].append(
                    {"entry": each["entry"], **told, **marks}
                )
        return found

    def _suggested(self) -> dict[tuple[str, str], list[str]]:
        """Suggestions that wait for an answer, by the line that they would change."""
        found = defaultdict(list)
        for each in self._shelves["proposals"]:
            change = each["data"]["change"]
            thing = transitions.THINGS.get(change["type"].partition(".")[0], "")
            if thing in change["data"] and each["state"] in ("open", "parked"):
                found[thing, change["data"][thing]].append(each["entry"])
        return found

    def _state(self, each: Beside) -> str:
        data, state = each["data"], each.get("answer") or each.get("state")
        if state not in (None, "parked"):
            return str(state)
        if "retracted" in each:
            return "retracted"
        end = data.get("expires") or data.get("until", UNTIL_WITHDRAWN)
        if end != UNTIL_WITHDRAWN and runs_out(end, self._moment):
            return "lapsed"
        if self._waits_for_a_partner(each) and runs_out(data["due"], self._moment):
            return "overdue"
        return state or "open"

    def _waits_for_a_partner(self, each: Beside) -> bool:
        """Questions to the person wait as long as it takes."""
        asks_the_person = each["type"] == "question.asked" and self._is_asked(each)
        return "due" in each["data"] and not asks_the_person

    def _is_asked(self, question: Beside) -> bool:
        return bool(question["data"]["to"] == self._plan.subject)


def _things(plan: Plan) -> Iterator[tuple[str, Beside]]:
    """What stands beside a plan, and what says whose it is."""
    return chain(plan.beside.items(), plan.whose.items())


def _follows(each: Beside) -> bool:
    """True of an answer, and of what ends a question or a promise."""
    return each["type"] == "question.answered" or each["type"] in _OUTCOMES
