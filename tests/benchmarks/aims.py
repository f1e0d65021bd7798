"""The aims, and the path of each figure in build/bench.json."""

from dataclasses import dataclass
from typing import Any

from tests.benchmarks import latency
from tests.benchmarks.figures import Figures

Json = dict[str, Any]


@dataclass(frozen=True)
class Aim:
    """One row of the report: a figure, by its path in the file, and its aim."""

    target: str
    what: str
    path: str  # keys, with dots between
    aim: float
    unit: str = ""
    at_most: bool = False

    def value_in(self, report: Json) -> float | None:
        """Return the figure, or None if it was not measured."""
        node: Any = report
        for key in self.path.split("."):
            node = node.get(key) if isinstance(node, dict) else None
        return node if isinstance(node, int | float) else None

    def row(self, report: Json) -> Json:
        """Return figure and aim; `share` is the share of the aim reached, 1.0 if all of it."""
        figure = self.value_in(report)
        share = (self.aim / figure if self.at_most else figure / self.aim) if figure else None
        return {
            "target": self.target,
            "what": self.what,
            "figure": figure,
            "aim": self.aim,
            "at_most": self.at_most,
            "unit": self.unit,
            "share": share and round(share, 3),
        }


ONE_EACH, BATCHES = "Intake, one event for each POST", "Intake, batches of 100"
SQLITE, POSTGRESQL = "Projector on SQLite", "Projector on PostgreSQL"
AUDIT = "Audit of a whole ledger"
DONE = (" single", " batch", " pipelined", " replay", " read")  # what peers were measured at
AIMS = (
    Aim("T1", f"{ONE_EACH}, against a bare echo", "T1.vs_echo", 0.40, "×"),
    Aim("T1", f"{ONE_EACH}, against a route with one job each", "T1.vs_job_route", 1.5, "×"),
    Aim("T2", BATCHES, "T2.events_per_s", 15_000, "events/s"),
    Aim("T3", SQLITE, "T3.sqlite_events_per_s", 20_000, "events/s"),
    Aim("T3", f"{SQLITE}, against eventsourcing's batches", "T3.vs_eventsourcing.sqlite", 0.8, "×"),
    Aim("T3", POSTGRESQL, "T3.postgresql_events_per_s", 15_000, "events/s"),
    Aim("T3", f"{POSTGRESQL}, against Message DB's batches", "T3.vs_message_db", 1.0, "×"),
    Aim("T3", f"{POSTGRESQL}, against the same pipelined", "T3.vs_message_db_pipelined", 1.0, "×"),
    Aim("T3", "Projector, against one job for each event", "T3.vs_job_per_event", 50, "×"),
    Aim("T4", "From POST to readable, p50", "T4.p50_ms", 10, "ms", at_most=True),
    Aim("T4", "From POST to readable, p99", "T4.p99_ms", 50, "ms", at_most=True),
    Aim("T5", AUDIT, "T5.audit.entries_per_s", 60_000, "entries/s"),
    Aim(
        "T5", f"{AUDIT}, against eventsourcing's replay", "T5.audit.vs_eventsourcing_replay", 1, "×"
    ),
    Aim("T6", f"{AUDIT}, the longest against a tenth of it", "T6.audit_growth", 0.9, "×"),
    Aim("T6", f"{SQLITE}, at the end of the longest, likewise", "T6.projector_growth", 0.9, "×"),
    Aim("T6", f"{AUDIT}, the longest: its memory", "T6.memory_mb", 250, "MB", at_most=True),
    Aim("T7", "A long plan as of any version, the slowest", "T7.max_ms", 20, "ms", at_most=True),
)


def summary(figures: Figures) -> Json:
    """Return the content of build/bench.json: medians; `range` has the lowest and highest run."""
    report = {
        "T1": _t1(figures),
        "T2": _t2(figures),
        "T3": _t3(figures),
        "T4": _t4(figures),
        "T5": {command: _t5(figures, command) for command in ("replay", "audit")},
        "T6": _t6(figures),
        "T7": {
            "p50_ms": figures.median("T7 p50 ms", 2),
            "max_ms": figures.median("T7 max ms", 2),
            "again_max_ms": figures.median("T7 again max ms", 2),
            "curve": figures.curves.get("T7", []),
            "range": figures.ranges("T7 "),
        },
        "stages_cpu_us_per_event": {
            service: _stages(figures, f"{service} ") for service in ("intake", "projector")
        },
    }
    return {**report, "aims": [aim.row(report) for aim in AIMS]}


def _t1(figures: Figures) -> Json:
    return {
        "events_per_s": figures.median("T1 ours"),
        "vs_echo": figures.median("T1 ours vs echo", 3),
        "vs_job_route": figures.median("T1 ours vs job route", 2),
        "range": figures.ranges("T1 "),
    }


def _t2(figures: Figures) -> Json:
    return {
        "events_per_s": figures.median("T2 ours"),
        "vs_echo": figures.median("T2 ours vs echo", 3),
        "range": figures.ranges("T2 "),
    }


def _t3(figures: Figures) -> Json:
    ratios = [figures.median(f"T3 {store} ratio", 1) for store in ("SQLite", "PostgreSQL")]
    return {
        "sqlite_events_per_s": figures.median("T3 SQLite ours"),
        "postgresql_events_per_s": figures.median("T3 PostgreSQL ours"),
        "vs_job_per_event": min((ratio for ratio in ratios if ratio is not None), default=None),
        "vs_job_per_event_by_store": dict(zip(("sqlite", "postgresql"), ratios, strict=True)),
        "vs_eventsourcing": {
            "sqlite": figures.median("T3 SQLite vs eventsourcing", 2),
            "postgresql": figures.median("T3 PostgreSQL vs eventsourcing", 2),
        },
        "vs_message_db": figures.median("T3 PostgreSQL vs Message DB", 2),
        "vs_message_db_pipelined": figures.median("T3 PostgreSQL vs Message DB pipelined", 2),
        "vs_umadb": figures.median("T3 SQLite vs UmaDB", 3),
        "peers_events_per_s": {
            name.removeprefix("T3 "): figures.median(name)
            for name in figures.series
            if name.startswith("T3 ") and name.endswith(DONE) and " vs " not in name
        },
        "range": figures.ranges("T3 "),
    }


def _t4(figures: Figures) -> Json:
    return {
        "p50_ms": figures.median("T4 p50 ms", 2),
        "p99_ms": figures.median("T4 p99 ms", 2),
        "events_per_s": latency.RATE,
        "curve": figures.curves.get("T4", []),
        "range": figures.ranges("T4 "),
    }


def _t5(figures: Figures, command: str) -> Json:
    """Return the figures of one command; nulls if this build does not have it."""
    return {
        "entries_per_s": figures.median(f"T5 {command}"),
        "memory_mb": figures.median(f"T5 {command} MB"),
        "vs_eventsourcing_replay": figures.median(f"T5 {command} vs eventsourcing replay", 2),
        "range": figures.ranges(f"T5 {command}"),
    }


def _t6(figures: Figures) -> Json:
    """Return the figures of a growing ledger.

    `…_growth` compares its last rate with that at a tenth of the size, or at the smallest size.
    """
    t6: Json = {"eventsourcing_replay_events_per_s": figures.median("T6 eventsourcing replay")}
    for name, curve in (("audit", "audited"), ("projector", "projected"), ("memory", "memory")):
        t6[name] = points = figures.curves.get(f"T6 {curve}", [])
        if points and name != "memory":
            smaller = [rate for size, rate in points if size * 10 <= points[-1][0]]
            t6[f"{name}_growth"] = round(points[-1][1] / (smaller or [points[0][1]])[-1], 3)
    t6["entries"] = t6["memory"][-1][0] if t6["memory"] else None
    t6["memory_mb"] = t6["memory"][-1][1] if t6["memory"] else None
    return t6


def _stages(figures: Figures, service: str) -> Json:
    names = [name for name in figures.series if name.startswith(service) and name.endswith(" µs")]
    return {
        name.removeprefix(service).removesuffix(" µs"): figures.median(name, 2) for name in names
    }
