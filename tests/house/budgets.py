"""How many lines of Python each folder may have; docs/adr/0032-budgets-of-lines.md says why."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.house.files import Source
from tests.house.shape import all_lines


@dataclass(frozen=True)
class Budget:
    """The lines that files below `prefixes` may have together, docstrings and blanks included.

    Up to 10 % more passes. `allowed` is the limit instead while the ADR named in `adr` says why.
    """

    lines: int
    prefixes: tuple[str, ...]
    allowed: int = 0
    adr: str = ""

    @property
    def limit(self) -> int:
        """The lines from which on the check fails."""
        return self.allowed if self.adr else self.lines * 11 // 10


def _ledger(*names: str) -> tuple[str, ...]:
    return tuple(f"services/ledger/{name}" for name in names)


ADR = "docs/adr/0032-budgets-of-lines.md"
BUDGETS = {
    "shared": Budget(5_200, ("shared/",), 6_050, ADR),
    "intake": Budget(850, ("services/intake/",), 1_000, ADR),
    "ledger: plan, log": Budget(2_450, _ledger("plan/", "log/")),
    "ledger: store, writer, checkpoints, fold, vault": Budget(
        4_350,
        _ledger(
            *("store/", "writer/", "checkpoints/", "fold.py", "vault.py", "receipts.py"),
            *("config.py", "bootstrap.py", "__init__.py"),
        ),
        5_050,
        ADR,
    ),
    "ledger: queries, presentation, api": Budget(
        2_000, _ledger("queries/", "presentation/", "api/"), 2_600, ADR
    ),
    "ledger: audit, maintenance": Budget(2_350, _ledger("audit/", "maintenance/"), 3_400, ADR),
    "client": Budget(450, ("services/client/",), 580, ADR),
    "operations": Budget(1_250, ("services/operations/",), 1_450, ADR),
    "cli": Budget(2_000, ("services/cli/", "services/__init__.py"), 2_450, ADR),
    "verify.py": Budget(1_150, ("services/verify.py",)),
}


def row_of(path: str) -> str:
    """Return the row of BUDGETS whose prefix of `path` is the longest; ValueError if none fits."""
    rows = (
        (len(prefix), row)
        for row, budget in BUDGETS.items()
        for prefix in budget.prefixes
        if path.startswith(prefix)
    )
    return max(rows)[1]


def lines_by_row(sources: Iterable[Source]) -> Counter[str]:
    """Count the lines of each row."""
    counts: Counter[str] = Counter()
    for source in sources:
        counts[row_of(source.path)] += all_lines([source])
    return counts


def report(counts: Counter[str]) -> Iterator[str]:
    """Yield a line for each row: how many lines it has, its budget, and its limit."""
    for row, budget in BUDGETS.items():
        by_adr = f" by {budget.adr}" if budget.adr else ""
        text = f"{counts[row]:,} of {budget.lines:,}; limit {budget.limit:,}{by_adr}"
        yield f"lines of Python: {row}: {text}"


def over_budget(counts: Counter[str]) -> list[str]:
    """Return what to say of each row that is over its limit."""
    return [
        f"{row}: {counts[row]:,} lines, limit {budget.limit:,}; take something away, or name an ADR"
        for row, budget in BUDGETS.items()
        if counts[row] > budget.limit
    ]
