"""Decide the same events by `decide` and by the model, and find where they differ."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from services.ledger.plan.decide import Accepted, Verdict, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, load
from shared.events.event import Event, canonical
from shared.events.refusals import NO_STANDING
from tests.authorship.effects import apply
from tests.authorship.generator import Generator
from tests.authorship.model import verdict
from tests.authorship.standing import speaks_for_person
from tests.authorship.starts import Start, starts

Judge = Callable[[Plan, Event, bool], Verdict]
Fold = Callable[[Plan, Event], Plan]
VERSION, BEHALF, ACCOUNTS = "planversion", "on behalf of the person", "bytes of the accounts"
LARGE, SELDOM = 100_000, 10  # larger plans are checked once in so many acceptances
SHORTEST, LONGEST = 60, 300


@dataclass(frozen=True)
class Difference:
    """Where the two rulings differ: the events before, and both rulings of the last event."""

    start: str
    events: tuple[Event, ...]
    says: str
    model: str
    rules: str

    def is_like(self, other: "Difference") -> bool:
        """Return whether the same type is decided as differently; plan versions may vary."""
        same_type = self.events[-1].type == other.events[-1].type
        codes = [
            ("", "")
            if difference.says in (VERSION, ACCOUNTS)
            else (difference.model, difference.rules)
            for difference in (self, other)
        ]
        return same_type and self.says == other.says and codes[0] == codes[1]


@dataclass
class Counts:
    """Statistics: decisions, accepted types, refusal codes, and how often each check was made."""

    decisions: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)


def real(plan: Plan, event: Event, reused: bool) -> Verdict:
    """Decide by the real rules."""
    return decide(plan, event, reused=reused)


@dataclass(frozen=True)
class Rules:
    """The rules that are compared with the model: a judge, and a fold."""

    judge: Judge = real
    fold: Fold = evolve


REAL = Rules()


class Comparison:
    """One history, decided twice."""

    def __init__(
        self, start: Start, rules: Rules, counts: Counts, *, careful: bool = False
    ) -> None:
        self._start, self._rules, self._counts, self._careful = start, rules, counts, careful
        self.plan, self.state = start.fresh()
        self.events: list[Event] = []
        self.verdicts: list[Verdict] = []
        self._digests: dict[tuple[str, str], bytes] = {}
        self._taken = 0
        self._bytes: bytes | None = dump(self.plan)  # None: not checked since the last acceptance
        self._seldom = not careful and len(self._bytes) > LARGE
        self._lines = b""

    def is_repeat(self, event: Event) -> bool:
        """“Same author, id and digest = a repeat: the first receipt again”, and no decision."""
        return self._digests.get((event.author, event.id)) == event.canonical

    def rule(self, event: Event) -> Difference | None:
        """Decide an event twice; return the difference, if there is one."""
        reused = (event.author, event.id) in self._digests
        self._digests.setdefault((event.author, event.id), event.canonical)
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
        represented = speaks and not event.by_person and code not in NO_STANDING
        if ruled.represented != represented:
            return self._difference(BEHALF, f"{represented}", f"{ruled.represented}")
        if code is not None:
            counts.codes[code] += 1
            counts.pairs[event.type, code] += 1
            return self._unchanged() if self._careful else None
        counts.accepted[event.type] += 1
        return self._unchanged() or self._take(event, for_person=speaks)

    def _take(self, event: Event, *, for_person: bool) -> Difference | None:
        """Apply the event to both. Only the person, or a representative, may move a line."""
        self._taken += 1
        look = not self._seldom or self._taken % SELDOM == 0
        if look and not for_person and not self._lines:
            self._lines = canonical(self.plan.lines)
        self._rules.fold(self.plan, event)
        apply(self.state, event, for_person=for_person)
        self._bytes = dump(self.plan) if look else None
        if self.plan.version != self.state.version:
            return self._difference(VERSION, f"{self.state.version}", f"{self.plan.version}")
        accounts = f"{self.state.own_bytes}, {self.state.others_bytes}"
        if accounts != (actual := f"{self.plan.own_bytes}, {self.plan.others_bytes}"):
            return self._difference(ACCOUNTS, accounts, actual)
        if for_person:
            self._lines = b""
        elif look:
            self._counts.checks["lines unmoved by others"] += 1
            if canonical(self.plan.lines) != self._lines:
                return self._difference("lines after another's event", "unmoved", "moved")
        return None

    def _unchanged(self) -> Difference | None:
        """Check that no refusal since the last acceptance changed the plan."""
        if self._bytes is None:
            return None
        self._counts.checks["plan unmoved by refusals"] += 1
        if dump(self.plan) == self._bytes:
            return None
        return self._difference("bytes after refusals", "unmoved", "moved")

    def finish(self) -> Difference | None:
        """“Replaying twice, elsewhere, or from any snapshot gives the same bytes and the same
        verdicts”: here with a snapshot on the way.
        """
        if difference := self._unchanged():
            return difference
        ended, snapshot = dump(self.plan), len(self.events) // 2
        self._counts.checks["histories replayed"] += 1
        plan, _ = self._start.fresh()
        digests: dict[tuple[str, str], bytes] = {}
        for index, (event, before) in enumerate(zip(self.events, self.verdicts, strict=True)):
            plan = load(dump(plan)) if index == snapshot else plan
            ruled = self._rules.judge(plan, event, (event.author, event.id) in digests)
            digests.setdefault((event.author, event.id), event.canonical)
            if ruled != before:
                return self._difference("a verdict when replayed", str(before), str(ruled))
            if isinstance(ruled, Accepted):
                self._rules.fold(plan, event)
        if dump(plan) != ended:
            return self._difference("bytes when replayed", "the same", "others")
        return None

    def _difference(self, says: str, model: str, rules: str) -> Difference:
        return Difference(self._start.name, tuple(self.events), says, model, rules)


def history(
    dice: Random, start: Start, rules: Rules, counts: Counts, most: int
) -> Difference | None:
    """Run a random history from a start, of at most so many decisions."""
    compared = Comparison(start, rules, counts)
    generator = Generator(dice, compared.state, start.often)
    for _ in range(min(most, dice.randint(SHORTEST, LONGEST))):
        event = generator.next()
        if compared.is_repeat(event):
            continue
        if difference := compared.rule(event):
            return difference
        generator.note(event, accepted=isinstance(compared.verdicts[-1], Accepted))
    return compared.finish()


def histories(
    seed: int, decisions: int, rules: Rules = REAL, begins: str = ""
) -> Iterator[Counts | Difference]:
    """Run random histories until so many decisions; yield the counts after each.

    A difference is yielded, too, and ends the run. Histories begin at every start in turn, in
    proportion to its share, or all at one start.
    """
    dice, counts, deck = Random(seed), Counts(), list[Start]()
    every = [start for start in starts() if begins in ("", start.name)]
    while counts.decisions < decisions:
        if not deck:
            shares = [start.share for start in every]
            deck = dice.sample(every, sum(shares), counts=shares)
        difference = history(dice, deck.pop(), rules, counts, decisions - counts.decisions)
        yield counts
        if difference:
            yield difference
            return


def again(start: Start, events: Sequence[Event], rules: Rules) -> Difference | None:
    """Run the same events again, with every check at each."""
    compared = Comparison(start, rules, Counts(), careful=True)
    for event in events:
        if not compared.is_repeat(event) and (difference := compared.rule(event)):
            return difference
    return compared.finish()


def shrunk(difference: Difference, rules: Rules = REAL) -> Difference:
    """Shorten the difference's history by leaving out events."""
    (start,) = (known for known in starts() if known.name == difference.start)
    smallest = again(start, difference.events, rules) or difference
    size = max(1, len(smallest.events) // 2)
    while size:
        index = 0
        while index < len(smallest.events):
            fewer = smallest.events[:index] + smallest.events[index + size :]
            candidate = again(start, fewer, rules)
            if candidate and candidate.is_like(smallest):
                smallest = candidate
            else:
                index += size
        size //= 2
    return smallest
