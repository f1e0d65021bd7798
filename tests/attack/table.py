"""Writes the table of docs/explanation/attacks.md from build/attack.json.

python -m tests.attack.table             after a long `make attack`: the column "now"
python -m tests.attack.table --before    the same as the column "before"

The page's figures are kept in docs/explanation/attacks.json, from which the table is written.
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

Kept = dict[str, Any]


def figures(kept: Kept, when: str) -> list[Figure]:
    """The figures of one of the two runs."""
    return [Figure.read(each) for each in kept.get(when, ())]


def lines(kept: Kept) -> list[str]:
    """A line for each figure: both runs, on each store."""
    found = {
        (each.attack, each.what, when, each.store): each
        for when in WHEN
        for each in figures(kept, when)
    }
    heads = [f"{when}, {store}" for when in WHEN for store in ALL]
    table = [
        f"| attack | measured | limit | {' | '.join(heads)} |",
        "| --- | --- | --: |" + " --: |" * len(heads),
    ]
    rows = dict.fromkeys((attack, what) for attack, what, *_ in found)
    for attack in kept["attacks"]:
        for what in (what for name, what in rows if name == attack):
            cells = [found.get((attack, what, when, store)) for when in WHEN for store in ALL]
            shown = " | ".join(map(_cell, cells))
            table.append(f"| `{attack}` | {what} | {_limit(cells)} | {shown} |")
    return table


def _limit(cells: Sequence[Figure | None]) -> str:
    """The limit of a row: that of the last run; if it depends on the run, what it depends on."""
    limits = list(dict.fromkeys(each.limit for each in cells if each and each.limit))
    if not limits:
        return ""
    unit = next(each.unit for each in cells if each)
    sign, number = limits[-1].split()
    if len(limits) == 1:
        return f"{ {'<=': '≤', '>=': '≥', '=': ''}[sign] } {number} {unit}".strip()
    return "all"


def _cell(each: Figure | None) -> str:
    if each is None:
        return NOTHING
    return each.shown if each.ok else f"**{each.shown}**"


def descriptions(kept: Kept) -> list[str]:
    """What each attack does."""
    rows = [f"| `{name}` | {says} |" for name, says in kept["attacks"].items()]
    return ["| attack | what is done |", "| --- | --- |", *rows]


def filled(page: str, kept: Kept) -> str:
    """The page with these figures between its marks."""
    for mark, made in (("attacks", descriptions(kept)), ("figures", lines(kept))):
        inside = "\n".join(made)
        page = re.sub(
            rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)",
            lambda found, inside=inside: f"{found[1]}\n{inside}\n\n{found[2]}",  # type: ignore[misc]  # bound now
            page,
            flags=re.DOTALL,
        )
    return page


def write(when: str) -> None:
    """Take the figures of build/attack.json over, and write the page."""
    kept: Kept = orjson.loads(FIGURES.read_bytes()) if FIGURES.exists() else {}
    run = orjson.loads((BUILD / "attack.json").read_bytes())
    kept |= {"attacks": run["attacks"], when: run["figures"], "machine": run["machine"]}
    FIGURES.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    PAGE.write_text(filled(PAGE.read_text(), kept))


if __name__ == "__main__":
    write("before" if "--before" in sys.argv[1:] else "now")
