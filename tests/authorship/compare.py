"""Ruling twice on the same events, by `decide` and by the model, and finding where they differ."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from services.ledger.plan.changes import evolve
from services.ledger.plan.model import Plan, dump
from services.ledger.plan.rules import Accepted, Verdict, decide
from shared.event import Event, canonical
from tests.authorship.effects import apply
from tests.authorship.generator import Generator
from tests.authorship.model import verdict
from tests.authorship.standing import speaks_for_person
from tests.authorship.starts import Start, starts

Judge = Callable[[Plan, Event, bool], Verdict]
Fold = Callable[[Plan, Event], Plan]
VERSION = "planversion"
SHORTEST, LONGEST = 60, 300


@dataclass(frozen=True)
class Difference:
    """Where the two rulings differ: what was said before, and what each says of the last event."""

    start: str
    events: tuple[Event, ...]
    says: str
    model: str
    rules: str

    def is_like(self, other: "Difference") -> bool:
        """The same type ruled on as differently; plan versions may be others."""
        same_type = self.events[-1].type == other.events[-1].type
        told = [
            ("", "") if each.says == VERSION else (each.model, each.rules) for each in (self, other)
        ]
        return same_type and self.says == other.says and told[0] == told[1]


@dataclass
class Counts:
    """What was met: decisions, accepted types, earned codes, and how often each check was made."""

    decisions: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)


def real(plan: Plan, event: Event, reused: bool) -> Verdict:
    """The rules as they are."""
    return decide(plan, event, reused=reused)


@dataclass(frozen=True)
class Rules:
    """What is compared with the model: who judges an event, and who folds it into the plan."""

    judge: Judge = real
    fold: Fold = evolve


REAL = Rules()


class Comparison:
    """One history, ruled on twice."""

    def __init__(
        self, start: Start, rules: Rules, counts: Counts, *, careful: bool = False
    ) -> None:
        self._start, self._rules, self._counts, self._careful = start, rules, counts, careful
        self.plan, self.state = start.fresh()
        self.events: list[Event] = []
        self.verdicts: list[Verdict] = []
        self._said: dict[tuple[str, str], bytes] = {}
        self._bytes = dump(self.plan)
        self._lines = b""

    def is_repeat(self, event: Event) -> bool:
        """“Same author, id and digest = a repeat: the first receipt again”, and no decision."""
        return self._said.get((event.author, event.id)) == event.canonical

    def rule(self, event: Event) -> Difference | None:
        """Rule on an event twice; the difference, if there is one."""
        reused = (event.author, event.id) in self._said
        self._said.setdefault((event.author, event.id), event.canonical)
        expected = verdict(self.state, event, reused=reused)
        speaks = speaks_for_person(self.state, event)
        ruled = self._rules.judge(self.plan, event, reused)
        self.events.append(event)
        self.verdicts.append(ruled)
        code = None if isinstance(ruled, Accepted) else str(ruled.code)
        counts = self._counts
        counts.decisions += 1
        if code != expected:
            return self._difference("the verdict", expected or "accepted", code or "accepted")
        if code is not None:
            counts.codes[code] += 1
            counts.pairs[event.type, code] += 1
            return self._unchanged() if self._careful else None
        counts.accepted[event.type] += 1
        represented = speaks and event.author != event.subject
        if ruled.represented != represented:
            return self._difference(
                "on behalf of the person", f"{represented}", f"{ruled.represented}"
            )
        return self._unchanged() or self._take(event, for_person=speaks)

    def _take(self, event: Event, *, for_person: bool) -> Difference | None:
        """Both take the event in. Nobody but the person, or who speaks for them, moves a line."""
        if not for_person and not self._lines:
            self._lines = canonical(self.plan.lines)
        self._rules.fold(self.plan, event)
        apply(self.state, event, for_person=for_person)
        self._bytes = dump(self.plan)
        if self.plan.version != self.state.version:
            return self._difference(VERSION, f"{self.state.version}", f"{self.plan.version}")
        if for_person:
            self._lines = b""
        else:
            self._counts.checks["lines unmoved by others"] += 1
            if canonical(self.plan.lines) != self._lines:
                return self._difference("lines after somebody else's event", "unmoved", "moved")
        return None

    def _unchanged(self) -> Difference | None:
        """Nothing has changed a byte of the plan since the last accepted event."""
        self._counts.checks["plan unmoved by refusals"] += 1
        if dump(self.plan) == self._bytes:
            return None
        return self._difference("bytes after refusals", "unmoved", "moved")

    def finish(self) -> Difference | None:
        """“Replaying gives the same bytes and the same verdicts.”"""
        if found := self._unchanged():
            return found
        self._counts.checks["histories replayed"] += 1
        plan, _ = self._start.fresh()
        said: dict[tuple[str, str], bytes] = {}
        for event, before in zip(self.events, self.verdicts, strict=True):
            ruled = self._rules.judge(plan, event, (event.author, event.id) in said)
            said.setdefault((event.author, event.id), event.canonical)
            if ruled != before:
                return self._difference("a verdict when replayed", str(before), str(ruled))
            if isinstance(ruled, Accepted):
                self._rules.fold(plan, event)
        if dump(plan) != self._bytes:
            return self._difference("bytes when replayed", "the same", "others")
        return None

    def _difference(self, says: str, model: str, rules: str) -> Difference:
        return Difference(self._start.name, tuple(self.events), says, model, rules)


def history(
    dice: Random, rules: Rules, counts: Counts, most: int, begins: str = ""
) -> Difference | None:
    """One random history, of at most so many decisions; it begins at any start, or at that one."""
    every = [each for each in starts() if begins in ("", each.name)]
    (start,) = dice.choices(every, [each.share for each in every])
    compared = Comparison(start, rules, counts)
    generator = Generator(dice, compared.state, start.often)
    for _ in range(min(most, dice.randint(SHORTEST, LONGEST))):
        event = generator.next()
        if compared.is_repeat(event):
            continue
        if found := compared.rule(event):
            return found
        generator.hear(event, accepted=isinstance(compared.verdicts[-1], Accepted))
    return compared.finish()


def histories(
    seed: int, decisions: int, rules: Rules = REAL, begins: str = ""
) -> Iterator[Counts | Difference]:
    """Random histories until there were so many decisions: the counts after each, or a difference,
    which ends it.
    """
    dice, counts = Random(seed), Counts()
    while counts.decisions < decisions:
        found = history(dice, rules, counts, decisions - counts.decisions, begins)
        yield counts
        if found:
            yield found
            return


def again(start: Start, events: Sequence[Event], rules: Rules) -> Difference | None:
    """The same events once more, every check made at each."""
    compared = Comparison(start, rules, Counts(), careful=True)
    for event in events:
        if not compared.is_repeat(event) and (found := compared.rule(event)):
            return found
    return compared.finish()


def shrunk(difference: Difference, rules: Rules = REAL) -> Difference:
    """The difference in as short a history as leaving out events gives."""
    (start,) = (each for each in starts() if each.name == difference.start)
    smallest = again(start, difference.events, rules) or difference
    size = max(1, len(smallest.events) // 2)
    while size:
        place = 0
        while place < len(smallest.events):
            fewer = smallest.events[:place] + smallest.events[place + size :]
            found = again(start, fewer, rules)
            if found and found.is_like(smallest):
                smallest = found
            else:
                place += size
        size //= 2
    return smallest
