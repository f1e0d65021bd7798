"""Measure ours and its peers side by side, print a table, write build/bench.json, draw its plots.

    python -m tests.benchmarks.run            everything, five runs
    python -m tests.benchmarks.run T1 T4      only these targets
    BENCH_RUNS=3 python -m …                  so many runs
    BENCH_SHORT=1 python -m …                 one short run: does it work, not how fast is it

Every ratio is taken within one run: ours and its peer follow each other on the same core, with the
same events and the same durability (fsync before an answer), load and queue on the other core.
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
from tests.benchmarks.calibration import calibrate, told
from tests.benchmarks.figures import machine, write
from tests.benchmarks.page import draw
from tests.benchmarks.processes import BUILD, ROOT
from tests.process import ServerError, sweep_abandoned_folders
from tests.servers import ValkeyServer

FAILED = (ServerError, load.LoadError, subprocess.CalledProcessError)
DEPENDENCIES = (
    *("granian", "flask", "rq", "redis", "sqlalchemy", "psycopg", "cryptography", "orjson"),
)


def main(asked: Sequence[str]) -> int:
    """0: everything asked for was measured; 1: something failed; 2: no such target; 3: not here."""
    if sys.platform != "linux" or ValkeyServer.find() is None:
        print("The benchmark needs Linux (epoll, a core for each side) and a Valkey.")
        return 3
    short = os.environ.get("BENCH_SHORT") == "1"
    bench = Bench(SHORT if short else Sizes(runs=int(os.environ.get("BENCH_RUNS", "5"))))
    if unknown := set(asked) - set(bench.targets):
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(bench.targets)}")
        return 2
    if len(os.sched_getaffinity(0)) < 2:
        print("Only one core: server and load share it, so the ratios say little.")
    sweep_abandoned_folders()
    calibration = calibrate()
    print(told(calibration))
    try:
        bench.run(asked or list(bench.targets))
        report(bench, {"short": short, "whole": not asked, "calibration": calibration})
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
    print(f"\nwritten: {', '.join(str(each.relative_to(ROOT)) for each in written)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
