"""Plan as shown to the reader: its lines, with contributions and annotations joined.

A line is shown as it was written. Joined at read time are promises about an action, suggestions for
a line, and the annotations of the entries shown (services/ledger/presentation/annotations.py).
Deadlines are applied only here: a proposal, an interpretation or a permission has *lapsed*, a
question to a partner or a promise is *overdue*, at the moment of reading. No deadline applies to
the person.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain

from services.ledger.plan import transitions
from services.ledger.plan.authorization import runs_out
from services.ledger.plan.model import Beside, Line, Plan
from services.ledger.presentation.annotations import Annotations, by_arrival
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
    """Return the plan as shown at `moment` (a timestamp).

    For a view of the past, `current` is the current plan: later annotations of what is shown are
    included, and `since` lists their entries.
    """
    return _View(plan, moment, current or plan).shown()


class _View:
    def __init__(self, plan: Plan, moment: str, current: Plan) -> None:
        self._plan, self._moment, self._past = plan, moment, current is not plan
        self._annotations = Annotations(current)
        self._shelves: dict[str, list[Json]] = {name: [] for name in SHELVES}
        self._followed = self._what_followed()
        for name, contribution in by_arrival(
            item for item in _things(plan) if item[1]["type"] in _SHELF_OF
        ):
            self._shelves[_SHELF_OF[contribution["type"]]].append(
                self._contribution(name, contribution)
            )

    def shown(self) -> Json:
        """Return the whole view."""
        promised, suggested = self._promised(), self._suggested()
        lines = []
        for line in sorted(self._plan.lines.values(), key=self._order()):
            document = self._line(line)
            thing = "item" if line["thing"] in ("strength", "need") else line["thing"]
            for name, joined in (("promised", promised), ("suggested", suggested)):
                if matches := joined.get((thing, line["id"])):
                    document[name] = matches
            lines.append(document)
        since = self._annotations.added_since(self._plan) if self._past else []
        return {
            "subject": self._plan.subject,
            "version": self._plan.version,
            "state": self._plan.lines["plan/plan"]["state"],
            "lines": lines,
            "beside": self._shelves,
            **({"since": since} if since else {}),
        }

    def _order(self) -> Callable[[Line], tuple[int, int]]:
        """Return a sort key: ranked aspirations first, in the person's order; then by arrival."""
        ranking = self._plan.line("ranking", "aspirations")
        struck = ranking and "struck" in self._annotations.for_entry(ranking["origin"]["entry"])
        ranked = ranking["data"]["order"] if ranking and not struck else []
        positions = {name: position for position, name in reversed([*enumerate(ranked)])}

        def position(line: Line) -> tuple[int, int]:
            rank = positions.get(line["id"]) if line["thing"] == "aspiration" else None
            return (len(positions) if rank is None else rank, line["since"])

        return position

    def _line(self, line: Line) -> Json:
        document: Json = {**line, **self._annotations.for_entry(line["origin"]["entry"])}
        if "ended" in line:
            document["ended"] = {
                **line["ended"],
                **self._annotations.for_entry(line["ended"]["entry"]),
            }
        return document

    def _contribution(self, name: str, contribution: Beside) -> Json:
        """Return a contribution: its state now, its answers and outcome, its annotations."""
        document: Json = {"entry": name, **contribution, "state": self._state(contribution)}
        for member in ("answered", "ended"):
            if member in document:
                document[member] = {
                    **document[member],
                    **self._annotations.for_entry(document[member]["entry"]),
                }
        if name in self._followed:
            document |= self._followed[name]
        return (
            document | annotations
            if (annotations := self._annotations.for_entry(name))
            else document
        )

    def _what_followed(self) -> dict[str, Json]:
        """Return `answers` and `outcome` of questions and promises."""
        followed: dict[str, Json] = defaultdict(dict)
        for name, contribution in by_arrival(
            item for item in self._plan.beside.items() if _follows(item[1])
        ):
            data = dict(contribution["data"])
            target = data.pop("question", None) or data.pop("commitment", None)
            event = {
                **data,
                "author": contribution["author"],
                "received": contribution["received"],
                "entry": name,
            }
            if contribution["type"] == "question.answered":
                answers = followed[target].setdefault("answers", [])
                answers.append(event | self._annotations.for_entry(name))
            else:
                followed[target]["outcome"] = event | self._annotations.for_entry(name)
        return followed

    def _promised(self) -> dict[tuple[str, str], list[Json]]:
        """Return promises by their action."""
        promises = defaultdict(list)
        for commitment in self._shelves["commitments"]:
            if "action" in commitment["data"]:
                promise = {
                    "by": commitment["author"],
                    "due": commitment["data"]["due"],
                    "state": commitment["state"],
                }
                marks = self._annotations.for_entry(commitment["entry"])
                promises["action", commitment["data"]["action"]].append(
                    {"entry": commitment["entry"], **promise, **marks}
                )
        return promises

    def _suggested(self) -> dict[tuple[str, str], list[str]]:
        """Return unanswered suggestions by the line that they would change."""
        suggestions = defaultdict(list)
        for proposal in self._shelves["proposals"]:
            change = proposal["data"]["change"]
            thing = transitions.THINGS.get(change["type"].partition(".")[0], "")
            if thing in change["data"] and proposal["state"] in ("open", "parked"):
                suggestions[thing, change["data"][thing]].append(proposal["entry"])
        return suggestions

    def _state(self, contribution: Beside) -> str:
        data, state = contribution["data"], contribution.get("answer") or contribution.get("state")
        if state not in (None, "parked"):
            return str(state)
        if "retracted" in contribution:
            return "retracted"
        end = data.get("expires") or data.get("until", UNTIL_WITHDRAWN)
        if end != UNTIL_WITHDRAWN and runs_out(end, self._moment):
            return "lapsed"
        if self._waits_for_a_partner(contribution) and runs_out(data["due"], self._moment):
            return "overdue"
        return state or "open"

    def _waits_for_a_partner(self, contribution: Beside) -> bool:
        """Return True if a partner's deadline applies; questions to the person have none."""
        asks_the_person = contribution["type"] == "question.asked" and self._is_for_the_person(
            contribution
        )
        return "due" in contribution["data"] and not asks_the_person

    def _is_for_the_person(self, question: Beside) -> bool:
        return bool(question["data"]["to"] == self._plan.subject)


def _things(plan: Plan) -> Iterator[tuple[str, Beside]]:
    """Yield what is beside a plan, and what concerns access to it."""
    return chain(plan.beside.items(), plan.whose.items())


def _follows(contribution: Beside) -> bool:
    """Return True for an answer, and for the end of a question or a promise."""
    return contribution["type"] == "question.answered" or contribution["type"] in _OUTCOMES
