"""The page about speed, from the last run: `make bench`, then `python -m tests.benchmarks.page`.

It takes build/bench.json as docs/explanation/speed.json, draws the plots beside it, and writes what
stands between the marks of docs/explanation/speed.md. A test holds page and plots against the file,
so that no figure there can come from anywhere but a run.
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
    """Draw the plots of a file into a folder, in the peers' environment; their paths."""
    command = [peer_python(), str(PEERS / "plots.py"), str(figures), str(folder), digest(figures)]
    subprocess.run(command, check=True)
    return [folder / f"speed-{name}.svg" for name in PLOTS]


def digest(figures: Path) -> str:
    """What stands in each plot, so that it can be told of which run it is."""
    return hashlib.sha256(figures.read_bytes()).hexdigest()


def filled(page: str, report: Json) -> str:
    """The page with the figures of a report."""
    told = "\n".join(
        [*_machine(report), "", *_aims(report), "", *_peers(report), "", *_growth(report)]
    )
    return MARKED.sub(lambda _: f"\n{told}\n\n", page)


def _machine(report: Json) -> Iterator[str]:
    facts = report["machine"]
    runs = f"{facts['runs']} runs" if facts["runs"] > 1 else "1 run"
    kind = "A short run, which shows that it works and little else" if facts["short"] else "Medians"
    yield f"{kind}: {runs}, {facts['day']}, {facts['cpu']}, Python {facts['python']}."
    line = calibration.told(facts["calibration"])
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
            found, reached = "–", "not measured"
        else:
            found = f"{_number(row['figure'])} {row['unit']}"
            reached = "yes" if row["share"] >= 1 else f"{int(row['share'] * 100)} %"
        yield f"| {row['target']} | {row['what']} | {found} | {aim} | {reached} |"


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
    """Take the last run into the docs; only one that measured everything."""
    last = BUILD / "bench.json"
    if not last.is_file() or not json.loads(last.read_text())["machine"].get("whole"):
        sys.exit("The last run did not measure everything. Remedy: make bench")
    shutil.copyfile(last, FIGURES)
    draw(FIGURES, FOLDER)
    PAGE.write_text(filled(PAGE.read_text(), json.loads(FIGURES.read_text())))
    print(f"written: {PAGE.relative_to(ROOT)}, {FIGURES.name} and {len(PLOTS)} plots")


if __name__ == "__main__":
    main()
