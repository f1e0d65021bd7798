"""Write the table of docs/explanation/attacks.md from build/attack.json.

python -m tests.attack.table             after a long `make attack`: the column "now"
python -m tests.attack.table --before    the same as the column "before"

The page's figures are stored in docs/explanation/attacks.json; the table is written from there.
"""

import re
import sys
from collections.abc import Sequence
from typing import Any

import orjson

from tests.attack.attacks import ALL
from tests.attack.figures import Figure
from tests.benchmarks.processes import BUILD
from tests.house.files import ROOT

PAGE = ROOT / "docs" / "explanation" / "attacks.md"
FIGURES = PAGE.with_suffix(".json")
WHEN = ("before", "now")
NOTHING = "–"

Results = dict[str, Any]


def figures(results: Results, when: str) -> list[Figure]:
    """Return the figures of one of the two runs."""
    return [Figure.read(members) for members in results.get(when, ())]


def lines(results: Results) -> list[str]:
    """Return a line for each figure: both runs, on each store."""
    by_cell = {
        (figure.attack, figure.what, when, figure.store): figure
        for when in WHEN
        for figure in figures(results, when)
    }
    heads = [f"{when}, {store}" for when in WHEN for store in ALL]
    table = [
        f"| attack | measured | limit | {' | '.join(heads)} |",
        "| --- | --- | --: |" + " --: |" * len(heads),
    ]
    rows = dict.fromkeys((attack, what) for attack, what, *_ in by_cell)
    for attack in results["attacks"]:
        for what in (what for name, what in rows if name == attack):
            cells = [by_cell.get((attack, what, when, store)) for when in WHEN for store in ALL]
            shown = " | ".join(map(_cell, cells))
            table.append(f"| `{attack}` | {what} | {_limit(cells)} | {shown} |")
    return table


def _limit(cells: Sequence[Figure | None]) -> str:
    """Return the limit of a row, or "all" if it differs between the runs."""
    limits = list(dict.fromkeys(cell.limit for cell in cells if cell and cell.limit))
    if not limits:
        return ""
    unit = next(cell.unit for cell in cells if cell)
    sign, number = limits[-1].split()
    if len(limits) == 1:
        return f"{ {'<=': '≤', '>=': '≥', '=': ''}[sign] } {number} {unit}".strip()
    return "all"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return NOTHING
    return figure.shown if figure.ok else f"**{figure.shown}**"


def descriptions(results: Results) -> list[str]:
    """Return a line for each attack."""
    rows = [f"| `{name}` | {says} |" for name, says in results["attacks"].items()]
    return ["| attack | what is done |", "| --- | --- |", *rows]


def filled(page: str, results: Results) -> str:
    """Return the page with these figures between its marks."""
    for mark, made in (("attacks", descriptions(results)), ("figures", lines(results))):
        inside = "\n".join(made)
        page = re.sub(
            rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)",
            lambda match, inside=inside: f"{match[1]}\n{inside}\n\n{match[2]}",  # type: ignore[misc]  # bound now
            page,
            flags=re.DOTALL,
        )
    return page


def write(when: str) -> None:
    """Copy the figures of build/attack.json, and write the page."""
    results: Results = orjson.loads(FIGURES.read_bytes()) if FIGURES.exists() else {}
    run = orjson.loads((BUILD / "attack.json").read_bytes())
    results |= {"attacks": run["attacks"], when: run["figures"], "machine": run["machine"]}
    FIGURES.write_bytes(
        orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    PAGE.write_text(filled(PAGE.read_text(), results))


if __name__ == "__main__":
    write("before" if "--before" in sys.argv[1:] else "now")
