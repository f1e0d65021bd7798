"""Time histogram: numbers of entries and refusals by time, for the plots of a report."""

from collections import Counter

MOST = 1_440  # moments; beyond this, the precision is reduced
_PRECISION = {16: "minute", 13: "hour", 10: "day", 7: "month", 4: "year"}  # of YYYY-MM-DDTHH:MM


class TimeHistogram:
    """Counts by minute and, with growing numbers of moments, by hour, day, month and year."""

    def __init__(self) -> None:
        self.entries: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._precision = 16

    @property
    def step(self) -> str:
        """The unit of time of the counts."""
        return _PRECISION[self._precision]

    def add(self, recorded: str, count: int, refused: int) -> None:
        """Add entries with this `recorded`, and the number of refused ones among them."""
        if not count:
            return
        moment = recorded[: self._precision]
        self.entries[moment] += count
        self.refused[moment] += refused
        while len(self.entries) > MOST and self._precision > 4:
            self._precision -= 3
            self.entries, self.refused = map(self._merge, (self.entries, self.refused))

    def _merge(self, counts: Counter[str]) -> Counter[str]:
        merged: Counter[str] = Counter()
        for moment, count in counts.items():
            merged[moment[: self._precision]] += count
        return merged

    def bars(self) -> list[tuple[str, int, int]]:
        """Return (moment, entries, refused), oldest first."""
        return [(time, self.entries[time], self.refused[time]) for time in sorted(self.entries)]
