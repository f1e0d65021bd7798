"""The page on crashes shows a long run of the harness as it is."""

import re

from tests.chaos.broken import BUILDS, TAKES_FIRST
from tests.chaos.faults import EVERY
from tests.chaos.table import PAGE

ROW = re.compile(r"^\| `?([\w-]+|\*\*all\*\*)`? \|(.+)\|$", re.MULTILINE)


def test_every_fault_and_crash_point_was_run_and_broke_nothing() -> None:
    rows = dict(ROW.findall(PAGE.read_text().partition("<!-- kills -->")[2].partition("<!-- /")[0]))
    *names, last = rows
    assert names == [each.name for each in EVERY]
    assert last == "**all**"
    for row in rows.values():
        _, seeds, posted, acknowledged, recorded, *zeros, _ = row.replace(",", "").split("|")
        assert int(seeds) >= 5
        assert int(posted) >= int(acknowledged) == int(recorded)
        assert [int(each) for each in zeros] == [0, 0, 0, 0]
    assert int(rows[last].replace(",", "").split("|")[3]) >= 200_000


def test_every_broken_build_was_found_out() -> None:
    shown = PAGE.read_text().partition("<!-- others -->")[2]
    for build in [*BUILDS, TAKES_FIRST]:
        assert f"| {build.invariant} | {build.says} | {build.invariant} |" in shown
