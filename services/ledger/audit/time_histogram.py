"""How many entries, and how many refused ones, were recorded when: for the plots of a report."""

from collections import Counter

MOST = 1_440  # moments kept; more are counted together
_PRECISION = {16: "minute", 13: "hour", 10: "day", 7: "month", 4: "year"}  # of YYYY-MM-DDTHH:MM


class TimeHistogram:
    """Counts by minute, and as they grow many by hour, day, month, year."""

    def __init__(self) -> None:
        self.entries: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._precision = 16

    @property
    def step(self) -> str:
        """What is counted together: a minute, an hour …"""
        return _PRECISION[self._precision]

    def add(self, recorded: str, count: int, refused: int) -> None:
        """Entries with this `recorded`, and how many of them were refused."""
        if not count:
            return
        moment = recorded[: self._precision]
        self.entries[moment] += count
        self.refused[moment] += refused
        while len(self.entries) > MOST and self._precision > 4:
            self._precision -= 3
            self.entries, self.refused = map(self._together, (self.entries, self.refused))

    def _together(self, counts: Counter[str]) -> Counter[str]:
        told: Counter[str] = Counter()
        for moment, count in counts.items():
            told[moment[: self._precision]] += count
        return told

    def bars(self) -> list[tuple[str, int, int]]:
        """(moment, entries, refused), oldest first."""
        return [(each, self.entries[each], self.refused[each]) for each in sorted(self.entries)]
