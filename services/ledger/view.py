"""The plan as it is shown: its lines, and beside them what the reader joins.

A line stays as it was written. What stands beside it is joined here, when it is read: promises
about an action, suggestions for a line, disagreements with and corrections of its words, and
whether the person denied having written it. Clocks speak here only: a proposal or an
interpretation has *lapsed*, a question to a partner or a promise is *overdue*, at the moment of
reading. Nobody's clock runs on the person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.ledger.plan import steps
from services.ledger.plan.model import Beside, Line, Plan
from services.ledger.plan.standing import runs_out
from shared.event import Json

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
_ABOUT = {"correction.requested", "correction.made", "correction.declined"}


def view(plan: Plan, moment: str, current: Plan | None = None) -> Json:
    """The plan as shown at `moment` (a timestamp).

    For a view of the past, `current` is the plan as it is now: what is said now against what is
    shown stands with it, and `since` names those later entries.
    """
    return _View(plan, moment, current or plan).shown()


@dataclass(slots=True)
class _View:
    plan: Plan
    moment: str
    current: Plan

    def shown(self) -> Json:
        lines = sorted(self.plan.lines.values(), key=self._order)
        shelves = {name: list(self._shelf(kind)) for name, kind in SHELVES.items()}
        since = self._since()
        return {
            "subject": self.plan.subject,
            "version": self.plan.version,
            "state": self.plan.lines["plan/plan"]["state"],
            "lines": [self._line(line) for line in lines],
            "beside": shelves,
            **({"since": since} if since else {}),
        }

    def _order(self, line: Line) -> tuple[int, int, str]:
        """Ranked aspirations first, in the person's order; then as the lines came."""
        ranking = self.plan.line("ranking", "aspirations")
        order = ranking["data"]["order"] if ranking else []
        ranked = line["thing"] == "aspiration" and line["id"] in order
        return (order.index(line["id"]) if ranked else len(order), line["since"], line["thing"])

    def _line(self, line: Line) -> Json:
        told: Json = {**line, **self._against(line["origin"]["entry"])}
        if line["origin"]["entry"] in self.current.denied:
            told["struck"] = True
        promised = [
            {"entry": name, "by": each["author"], "due": each["data"]["due"], "state": state}
            for name, each, state in self._of("commitment.made")
            if line["thing"] == "action" and each["data"].get("action") == line["id"]
        ]
        suggested = [
            name
            for name, each, state in self._of("proposal.made")
            if state in ("open", "parked") and self._aims_at(each, line)
        ]
        told |= {"promised": promised} if promised else {}
        return told | ({"suggested": suggested} if suggested else {})

    @staticmethod
    def _aims_at(proposal: Beside, line: Line) -> bool:
        """True when a proposal would change that line."""
        change = proposal["data"]["change"]
        thing, data = steps.thing_of(change["type"]), change["data"]
        sort = "item" if line["thing"] in ("strength", "need") else line["thing"]
        return thing == sort and data.get(thing) == line["id"]

    def _of(self, kind: str) -> Iterator[tuple[str, Beside, str]]:
        """What stands beside of one type, in the order it came, each with its state now."""
        things = {**self.plan.beside, **self.plan.whose}
        for name, each in sorted(things.items(), key=lambda item: (item[1]["received"], item[0])):
            if each["type"] == kind:
                yield name, each, self._state(each)

    def _state(self, each: Beside) -> str:
        data, state = each["data"], each.get("answer") or each.get("state")
        if state == "parked" or state is None:
            end = data.get("expires") or data.get("until")
            if end not in (None, "until-withdrawn") and runs_out(end, self.moment):
                return "lapsed"
            waits = each["type"] == "commitment.made" or data.get("to") != self.plan.subject
            if waits and "due" in data and runs_out(data["due"], self.moment):
                return "overdue"
        return state or "open"

    def _shelf(self, kind: str) -> Iterator[Json]:
        for name, each, state in self._of(kind):
            told: Json = {"entry": name, **each, "state": state, **self._against(name)}
            if kind in ("question.asked", "advance-choice.departed-from"):
                told |= self._answers(name)
            if name in self.current.denied:
                told["struck"] = True
            yield told

    def _answers(self, name: str) -> Json:
        found = [
            {"entry": entry, "author": each["author"], **each["data"]}
            for entry, each, _ in self._of("question.answered")
            if each["data"]["question"] == name
        ]
        return {"answers": found} if found else {}

    def _against(self, name: str) -> Json:
        """What is said of an entry: disagreements, corrections, and that it was taken back."""
        told: dict[str, Any] = {}
        if name in self.current.disagreements:
            told["disagreements"] = self.current.disagreements[name]
        corrections = [
            {"entry": entry, "type": each["type"], "author": each["author"], **each["data"]}
            for entry, each in self.current.beside.items()
            if each["type"] in _ABOUT and each["data"]["entry"] == name
        ]
        if corrections:
            told["corrections"] = corrections
        if (item := self.current.beside.get(name)) and item.get("state") == "retracted":
            told["retracted"] = True
        return told

    def _since(self) -> list[str]:
        """Later disagreements, corrections and retractions of what is shown."""
        if self.current is self.plan:
            return []
        shown = self.plan.entries
        later = [
            each["entry"]
            for name in shown
            for each in self.current.disagreements.get(name, ())
            if each["entry"] not in shown
        ]
        kinds = _ABOUT | {"entry.retracted", "authorship.denied"}
        later += [
            entry
            for entry, each in self.current.beside.items()
            if each["type"] in kinds and entry not in shown and each["data"]["entry"] in shown
        ]
        return later
