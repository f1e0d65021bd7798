"""Measurements, run by run: medians, ranges, ratios within one run, a table, a JSON file."""

import collections
import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any


class Figures:
    """Named series with one value for each run."""

    def __init__(self) -> None:
        """Start without values."""
        self.series: dict[str, list[float]] = collections.defaultdict(list)
        self.curves: dict[str, list[tuple[float, float]]] = {}

    def add(self, name: str, value: float) -> float:
        """Add one run's value."""
        self.series[name].append(value)
        return value

    def curve(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        """Store the last run's points, rounded."""
        self.curves[name] = [(x, round(y, 3)) for x, y in points]

    def ratio(self, name: str, ours: str, theirs: str) -> None:
        """Add ours ÷ theirs of the last run, under this name."""
        self.add(name, self.series[ours][-1] / self.series[theirs][-1])

    def median(self, name: str, digits: int = 0) -> float | None:
        """Return the middle value, rounded; None if not measured."""
        values = self.series.get(name)
        return round(median(values), digits or None) if values else None

    def ranges(self, prefix: str) -> dict[str, list[float]]:
        """Return the lowest and highest value of every series of a target."""
        return {
            name.removeprefix(prefix): [round(min(values), 3), round(max(values), 3)]
            for name, values in self.series.items()
            if name.startswith(prefix)
        }

    def table(self) -> Iterable[str]:
        """Yield one line for each series."""
        yield f"{'':<44}{'median':>10}{'lowest':>10}{'highest':>10}"
        for name, values in self.series.items():
            numbers = (median(values), min(values), max(values))
            yield f"{name:<44}" + "".join(f"{_short(number):>10}" for number in numbers)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def machine() -> dict[str, Any]:
    """Describe the machine."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    return {"cpu": cpu, "system": platform.system(), "python": platform.python_version()}


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the JSON file, and make its folder if it is missing."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
