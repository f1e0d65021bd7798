"""Measure ours and its peers side by side, print a table, write build/bench.json, draw its plots.

    python -m tests.benchmarks.run            everything, five runs
    python -m tests.benchmarks.run T1 T4      only these targets
    BENCH_RUNS=3 python -m …                  so many runs
    BENCH_SHORT=1 python -m …                 one short run, to check that it works

Every ratio is measured within one run: ours and its peer run one after the other on the same core,
with the same events and the same durability (fsync before an answer). Load and queue run on the
other core.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from tests.benchmarks import load
from tests.benchmarks.aims import summary
from tests.benchmarks.bench import SHORT, Bench, Sizes
from tests.benchmarks.calibration import calibrate, described
from tests.benchmarks.figures import machine, write
from tests.benchmarks.page import draw
from tests.benchmarks.processes import BUILD, ROOT
from tests.process import ServerError, sweep_abandoned_folders
from tests.servers import ValkeyServer

FAILED = (ServerError, load.LoadError, subprocess.CalledProcessError)
DEPENDENCIES = (
    *("granian", "flask", "rq", "redis", "sqlalchemy", "psycopg", "cryptography", "orjson"),
)


def main(targets: Sequence[str]) -> int:
    """Return 0: all targets measured; 1: a failure; 2: no such target; 3: unsupported machine."""
    if sys.platform != "linux" or ValkeyServer.find() is None:
        print("The benchmark needs Linux (epoll, a core for each side) and a Valkey.")
        return 3
    short = os.environ.get("BENCH_SHORT") == "1"
    bench = Bench(SHORT if short else Sizes(runs=int(os.environ.get("BENCH_RUNS", "5"))))
    if unknown := set(targets) - set(bench.targets):
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(bench.targets)}")
        return 2
    if len(os.sched_getaffinity(0)) < 2:
        print("Only one core: server and load share it, so the ratios are unreliable.")
    sweep_abandoned_folders()
    calibration = calibrate()
    print(described(calibration))
    try:
        bench.run(targets or list(bench.targets))
        report(bench, {"short": short, "whole": not targets, "calibration": calibration})
    except FAILED as error:
        print(f"not measured: {error}")
        return 1
    return 0


def report(bench: Bench, facts: dict[str, object]) -> None:
    """Print the table; write the file and its plots."""
    print("\n".join(["", *bench.figures.table()]))
    facts = {**machine(), **facts, "runs": bench.sizes.runs, "events": bench.sizes.drained}
    facts["day"] = datetime.now(UTC).date().isoformat()
    facts["versions"] = {name: version(name) for name in DEPENDENCIES}
    path = BUILD / "bench.json"
    write(path, {**summary(bench.figures), "missing": list(bench.missing), "machine": facts})
    written = [path, *draw(path, BUILD)]
    print(f"\nwritten: {', '.join(str(path.relative_to(ROOT)) for path in written)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
