"""Write the tables of docs/explanation/crashes.md from build/kill.json.

python -m tests.chaos.table     after a long `make kill`
"""

import re
from collections import defaultdict
from typing import Any

import orjson

from tests.benchmarks.processes import BUILD
from tests.house.files import ROOT

PAGE = ROOT / "docs" / "explanation" / "crashes.md"
COLUMNS = ("posted", "acknowledged", "recorded", "lost", "doubled", "out_of_order", "rewritten")
HEADINGS = ("", "what happens", "seeds", *COLUMNS, "recovered within")


def lines(results: dict[str, Any]) -> list[str]:
    """Return a line for each fault and crash point, and one for the sum."""
    runs = defaultdict(list)
    for run in results["runs"]:
        runs[run["fault"]].append(run)
    rows = [_row(f"`{name}`", says, runs[name]) for name, says in results["faults"].items()]
    head = ["| " + " | ".join(heading.replace("_", " ") for heading in HEADINGS) + " |"]
    rule = ["| --- | --- |" + " --: |" * (len(HEADINGS) - 2)]
    return [*head, *rule, *rows, _row("**all**", "", results["runs"])]


def _row(name: str, says: str, runs: list[dict[str, Any]]) -> str:
    sums = [f"{sum(run[column] for run in runs):,}" for column in COLUMNS]
    worst = max(run["seconds_to_recover"] for run in runs)
    return f"| {name} | {says} | {len(runs)} | {' | '.join(sums)} | {worst:.1f} s |"


def others(results: dict[str, Any]) -> list[str]:
    """Return the lines of the broken builds and of the eight partitions."""
    builds = [
        f"| {row['breaks']} | {row['says']} | {' '.join(row['found'])} |"
        for row in results["broken on purpose"]
    ]
    head = ["| breaks | how | the harness says |", "| --- | --- | --- |"]
    spread = [
        f"{row['store']}: {row['recorded']:,} events of eight partitions recorded, "
        f"{row['per_second']:,} a second, every person's order preserved.\n"
        for row in results["eight partitions"]
        if not row["bad"]
    ]
    return [*head, *builds, "", *spread]


def write() -> None:
    """Write the tables between the page's marks."""
    results = orjson.loads((BUILD / "kill.json").read_bytes())
    page = PAGE.read_text()
    for mark, made in (("kills", lines(results)), ("others", others(results))):
        inside = "\n".join(made).strip()
        page = re.sub(
            rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)",
            lambda section, inside=inside: f"{section[1]}\n{inside}\n\n{section[2]}",  # type: ignore[misc]  # bound now
            page,
            flags=re.DOTALL,
        )
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
