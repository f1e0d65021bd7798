"""The matrix at the end of a test run: which store met which queue, in how many tests.

Fixtures note what a test stands on (`note`); it travels with the test's report, also from an xdist
worker, and is added up in the one process that prints. A server that this machine has not is named
in words, so that a missing column is never mistaken for a passing one.
"""

import collections
import itertools
from collections.abc import Iterable

import pytest

from tests import postgres, servers

STORES = ("sqlite", "postgresql", "none")
QUEUES = ("fakeredis", "valkey", "redis", "none")
STORE, QUEUE = "firsthand-store", "firsthand-queue"
TOLD = "firsthand-told"


def note(request: pytest.FixtureRequest, what: str, name: str, version: str) -> None:
    """Write down that this test stands on a store or a queue (`what`: STORE or QUEUE)."""
    request.node.user_properties.append((what, f"{name} {version}"))


def tell(request: pytest.FixtureRequest, line: str) -> None:
    """Have a line of this test's printed under the table, also from a worker of xdist."""
    request.node.user_properties.append((TOLD, line))


def missing_from_this_machine() -> list[str]:
    """One sentence for every server whose tests cannot run here."""
    lines = [
        f"{server.name}: not on this machine ({server.where()}); none of its tests ran."
        for server in (servers.ValkeyServer, servers.RedisServer)
        if server.find() is None
    ]
    if postgres.find_postgres() is None:
        why = postgres.where_postgres_is_sought()
        lines.append(f"postgresql: not on this machine ({why}); none of its tests ran.")
    return lines


class Matrix:
    """Adds up the reports of a run and prints them as a table."""

    def __init__(self) -> None:
        """Nothing has run yet."""
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.versions: dict[str, set[str]] = collections.defaultdict(set)
        self.told: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ran, passed or failed; one that was skipped ran on nothing."""
        if report.when != "call" or report.skipped:
            return
        stores = self._names(report.user_properties, STORE)
        queues = self._names(report.user_properties, QUEUE)
        self.counts.update(itertools.product(stores, queues))
        self.told += [str(line) for key, line in report.user_properties if key == TOLD]

    def _names(self, properties: Iterable[tuple[str, object]], what: str) -> set[str]:
        names = set()
        for key, value in properties:
            if key == what:
                name, _, version = str(value).partition(" ")
                self.versions[name].update([version] if version else [])
                names.add(name)
        return names or {"none"}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, the versions under it, and what this machine has not."""
        if not self.counts:
            return
        terminalreporter.section("stores × queues: tests that ran")
        missing = missing_from_this_machine()
        for line in [*self.table(), "", self.versions_line(), *missing, *sorted(self.told)]:
            terminalreporter.write_line(line)

    def table(self) -> list[str]:
        """Stores down, queues across; a dot where nothing ran."""
        head = f"{'':<12}" + "".join(f"{queue:>11}" for queue in QUEUES)
        return [head, *map(self._row, STORES)]

    def _row(self, store: str) -> str:
        cells = (f"{self.counts[store, queue] or '.':>11}" for queue in QUEUES)
        return f"{store:<12}" + "".join(cells)

    def versions_line(self) -> str:
        """Every store and queue that ran, with the version it answered."""
        said = [
            f"{name} {'/'.join(sorted(self.versions[name]))}"
            for name in (*STORES, *QUEUES)
            if self.versions.get(name)
        ]
        return "ran on: " + (", ".join(said) or "no store, no queue")
