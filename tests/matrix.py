"""The matrix at the end of a test run: which store met which queue, in how many tests.

Fixtures note the store and queue of a test (`note`). The notes travel with the test's report, also
from an xdist worker, and are counted in the process that prints. A server that is not installed is
reported, so that a missing column is never mistaken for a passing one.
"""

import collections
import itertools
from collections.abc import Iterable

import pytest

from tests import postgres, servers

STORES = ("sqlite", "postgresql", "none")
QUEUES = ("fakeredis", "valkey", "redis", "none")
STORE, QUEUE = "firsthand-store", "firsthand-queue"
PRINTED = "firsthand-printed"


def note(request: pytest.FixtureRequest, what: str, name: str, version: str) -> None:
    """Record that this test uses a store or a queue (`what`: STORE or QUEUE)."""
    request.node.user_properties.append((what, f"{name} {version}"))


def tell(request: pytest.FixtureRequest, line: str) -> None:
    """Print a line for this test under the table, also from an xdist worker."""
    request.node.user_properties.append((PRINTED, line))


def missing_from_this_machine() -> list[str]:
    """Return one sentence for every server that is not installed."""
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
    """Counts the reports of a run and prints them as a table."""

    def __init__(self) -> None:
        """Start with no counts."""
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.versions: dict[str, set[str]] = collections.defaultdict(set)
        self.printed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that passed or failed; skip skipped tests."""
        if report.when != "call" or report.skipped:
            return
        stores = self._names(report.user_properties, STORE)
        queues = self._names(report.user_properties, QUEUE)
        self.counts.update(itertools.product(stores, queues))
        self.printed += [str(line) for key, line in report.user_properties if key == PRINTED]

    def _names(self, properties: Iterable[tuple[str, object]], what: str) -> set[str]:
        names = set()
        for key, value in properties:
            if key == what:
                name, _, version = str(value).partition(" ")
                self.versions[name].update([version] if version else [])
                names.add(name)
        return names or {"none"}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, the versions, and the servers that are not installed."""
        if not self.counts:
            return
        terminalreporter.section("stores × queues: tests that ran")
        missing = missing_from_this_machine()
        for line in [*self.table(), "", self.versions_line(), *missing, *sorted(self.printed)]:
            terminalreporter.write_line(line)

    def table(self) -> list[str]:
        """Return the table: stores down, queues across; a dot where nothing ran."""
        head = f"{'':<12}" + "".join(f"{queue:>11}" for queue in QUEUES)
        return [head, *map(self._row, STORES)]

    def _row(self, store: str) -> str:
        cells = (f"{self.counts[store, queue] or '.':>11}" for queue in QUEUES)
        return f"{store:<12}" + "".join(cells)

    def versions_line(self) -> str:
        """Return every store and queue that ran, with its version."""
        ran = [
            f"{name} {'/'.join(sorted(self.versions[name]))}"
            for name in (*STORES, *QUEUES)
            if self.versions.get(name)
        ]
        return "ran on: " + (", ".join(ran) or "no store, no queue")
