"""Writes the tables of docs/explanation/crashes.md from build/kill.json.

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


def lines(told: dict[str, Any]) -> list[str]:
    """A line for each fault and crash point, and one for all."""
    runs = defaultdict(list)
    for run in told["runs"]:
        runs[run["fault"]].append(run)
    rows = [_row(f"`{name}`", says, runs[name]) for name, says in told["faults"].items()]
    head = ["| " + " | ".join(each.replace("_", " ") for each in HEADINGS) + " |"]
    rule = ["| --- | --- |" + " --: |" * (len(HEADINGS) - 2)]
    return [*head, *rule, *rows, _row("**all**", "", told["runs"])]


def _row(name: str, says: str, runs: list[dict[str, Any]]) -> str:
    sums = [f"{sum(run[each] for run in runs):,}" for each in COLUMNS]
    worst = max(run["seconds_to_recover"] for run in runs)
    return f"| {name} | {says} | {len(runs)} | {' | '.join(sums)} | {worst:.1f} s |"


def others(told: dict[str, Any]) -> list[str]:
    """The broken builds, then the eight partitions."""
    found = [
        f"| {each['breaks']} | {each['says']} | {' '.join(each['found'])} |"
        for each in told["broken on purpose"]
    ]
    head = ["| breaks | how | the harness says |", "| --- | --- | --- |"]
    spread = [
        f"{each['store']}: {each['recorded']:,} events of eight partitions recorded, "
        f"{each['per_second']:,} a second, nobody's order broken.\n"
        for each in told["eight partitions"]
        if not each["bad"]
    ]
    return [*head, *found, "", *spread]


def write() -> None:
    """Put the tables between the page's marks."""
    told = orjson.loads((BUILD / "kill.json").read_bytes())
    page = PAGE.read_text()
    for mark, made in (("kills", lines(told)), ("others", others(told))):
        inside = "\n".join(made).strip()
        page = re.sub(
            rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)",
            lambda found, inside=inside: f"{found[1]}\n{inside}\n\n{found[2]}",  # type: ignore[misc]  # bound now
            page,
            flags=re.DOTALL,
        )
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
