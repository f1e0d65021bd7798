"""The page about speed, from the last run: `make bench`, then `python -m tests.benchmarks.page`.

It copies build/bench.json to docs/explanation/speed.json, draws the plots, and fills in the marked
section of docs/explanation/speed.md. A test compares page and plots with the file, so that every
figure comes from a run.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import calibration
from tests.benchmarks.processes import BUILD, PEERS, ROOT, peer_python

Json = dict[str, Any]
FOLDER = ROOT / "docs" / "explanation"
FIGURES, PAGE = FOLDER / "speed.json", FOLDER / "speed.md"
PLOTS = ("aims", "latency", "stages", "growth", "versions")
MARKED = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end -->)", re.DOTALL)


def draw(figures: Path, folder: Path) -> list[Path]:
    """Draw the plots of a file into a folder, in the peers' environment; return their paths."""
    command = [peer_python(), str(PEERS / "plots.py"), str(figures), str(folder), digest(figures)]
    subprocess.run(command, check=True)
    return [folder / f"speed-{name}.svg" for name in PLOTS]


def digest(figures: Path) -> str:
    """Return the hash that each plot contains, to tell which run it shows."""
    return hashlib.sha256(figures.read_bytes()).hexdigest()


def filled(page: str, report: Json) -> str:
    """Return the page with the figures of a report."""
    section = "\n".join(
        [*_machine(report), "", *_aims(report), "", *_peers(report), "", *_growth(report)]
    )
    return MARKED.sub(lambda _: f"\n{section}\n\n", page)


def _machine(report: Json) -> Iterator[str]:
    facts = report["machine"]
    runs = f"{facts['runs']} runs" if facts["runs"] > 1 else "1 run"
    kind = "A short run, which shows that it works and little else" if facts["short"] else "Medians"
    yield f"{kind}: {runs}, {facts['day']}, {facts['cpu']}, Python {facts['python']}."
    line = calibration.described(facts["calibration"])
    yield f"{line[0].upper()}{line[1:]}."
    for why in report["missing"]:
        yield f"{why}."


def _aims(report: Json) -> Iterator[str]:
    yield "| | what | measured | aim | reached |"
    yield "| --- | --- | ---: | ---: | --- |"
    for row in report["aims"]:
        sign = "≤" if row["at_most"] else "≥"
        aim = f"{sign} {_number(row['aim'])} {row['unit']}"
        if row["figure"] is None:
            measured, reached = "–", "not measured"
        else:
            measured = f"{_number(row['figure'])} {row['unit']}"
            reached = "yes" if row["share"] >= 1 else f"{int(row['share'] * 100)} %"
        yield f"| {row['target']} | {row['what']} | {measured} | {aim} | {reached} |"


def _peers(report: Json) -> Iterator[str]:
    yield "| on | events/s |"
    yield "| --- | ---: |"
    t3 = report["T3"]
    for store, key in (("SQLite", "sqlite"), ("PostgreSQL", "postgresql")):
        if t3[f"{key}_events_per_s"]:
            yield f"| ours, {store} | {_number(t3[f'{key}_events_per_s'])} |"
    for name, rate in sorted(t3["peers_events_per_s"].items()):
        store, _, what = name.partition(" ")
        where = "its own files" if what.startswith("UmaDB") else store
        yield f"| {what}, {where} | {_number(rate)} |"


def _growth(report: Json) -> Iterator[str]:
    t6 = report["T6"]
    yield "| entries | recorded, events/s | audited, entries/s | memory of the audit, MB |"
    yield "| ---: | ---: | ---: | ---: |"
    for rows in zip(t6["projector"], t6["audit"], t6["memory"], strict=True):
        yield f"| {rows[0][0]:,.0f} | {' | '.join(_number(figure) for _, figure in rows)} |"
    if rate := t6["eventsourcing_replay_events_per_s"]:
        yield ""
        yield f"eventsourcing merely replays as many events as the last: {_number(rate)} a second."


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Copy the last run into the docs, if it measured everything."""
    last = BUILD / "bench.json"
    if not last.is_file() or not json.loads(last.read_text())["machine"].get("whole"):
        sys.exit("The last run did not measure everything. Run: make bench")
    shutil.copyfile(last, FIGURES)
    draw(FIGURES, FOLDER)
    PAGE.write_text(filled(PAGE.read_text(), json.loads(FIGURES.read_text())))
    print(f"written: {PAGE.relative_to(ROOT)}, {FIGURES.name} and {len(PLOTS)} plots")


if __name__ == "__main__":
    main()
