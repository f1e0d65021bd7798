"""Measurements of an attack: named figures with limits, as a table and in a file."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.load import percentile

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
}


@dataclass(frozen=True)
class Figure:
    """One measured value. With a limit ("<= 5") it is ok or bad; without one it is information."""

    attack: str
    store: str
    what: str
    value: float
    unit: str = ""
    limit: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the value is within its limit."""
        if not self.limit:
            return True
        sign, number = self.limit.split()
        return COMPARE[sign](self.value, float(number))

    @property
    def shown(self) -> str:
        """Return the value as a table shows it."""
        whole = self.value == int(self.value) or self.value >= 100
        number = f"{self.value:,.0f}" if whole else f"{self.value:.3g}"
        return f"{number} {self.unit}".rstrip()

    @property
    def verdict(self) -> str:
        """Return ok, BAD, or nothing if there is no limit."""
        return ("ok" if self.ok else "BAD") if self.limit else ""

    def members(self) -> dict[str, Any]:
        """Return the JSON members."""
        return asdict(self) | {"ok": self.ok}

    @classmethod
    def read(cls, members: dict[str, Any]) -> "Figure":
        """Parse the JSON members."""
        return cls(**{name: value for name, value in members.items() if name != "ok"})


class Sheet:
    """Collects the figures of one attack on one store."""

    def __init__(self, attack: str, store: str) -> None:
        self.attack, self.store = attack, store
        self.figures: list[Figure] = []

    def add(self, what: str, value: float, unit: str = "", limit: str = "", note: str = "") -> None:
        """Add a figure."""
        value = round(value, 4)
        self.figures.append(Figure(self.attack, self.store, what, value, unit, limit, note))


HEAD = ("attack", "store", "measured", "figure", "limit", "")


def lines(figures: Sequence[Figure]) -> list[str]:
    """Return the table for a terminal."""
    rows = [HEAD]
    for figure in figures:
        limit = f"{figure.limit} {figure.unit}".strip() if figure.limit else ""
        rows.append((figure.attack, figure.store, figure.what, figure.shown, limit, figure.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    notes = ["", *(figure.note for figure in figures)]
    return [
        "  ".join(
            [*(text.ljust(width) for text, width in zip(row, widths, strict=True)), note]
        ).rstrip()
        for row, note in zip(rows, notes, strict=True)
    ]


def milliseconds(seconds: Sequence[float], percent: float) -> float:
    """Return a percentile in milliseconds; 0 without measurements."""
    return round(percentile(seconds, percent) * 1000, 1) if seconds else 0.0
