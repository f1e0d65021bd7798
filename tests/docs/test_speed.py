"""The page about speed shows the figures of its run, and no others."""

import json

from tests.benchmarks import aims, page
from tests.benchmarks.figures import Figures

REPORT = json.loads(page.FIGURES.read_text())


def test_the_page_shows_the_figures_of_the_file() -> None:
    text = page.PAGE.read_text()
    assert page.filled(text, REPORT) == text, "run `python -m tests.benchmarks.page`"


def test_each_plot_was_drawn_from_that_file_and_is_shown() -> None:
    digest, text = page.digest(page.FIGURES), page.PAGE.read_text()
    for name in page.PLOTS:
        assert digest in (page.FOLDER / f"speed-{name}.svg").read_text(), name
        assert f"(speed-{name}.svg)" in text


def test_another_figure_changes_the_page() -> None:
    text = page.PAGE.read_text()
    changed = json.loads(json.dumps(REPORT))
    changed["aims"][0]["figure"] = 12.3
    assert "| 12.3 × |" in page.filled(text, changed)


def test_every_aim_stands_on_the_page_with_what_was_measured() -> None:
    assert [row["what"] for row in REPORT["aims"]] == [each.what for each in aims.AIMS]
    text = page.PAGE.read_text()
    assert all(f"| {each.target} | {each.what} |" in text for each in aims.AIMS)


def test_more_and_less_are_told_apart() -> None:
    figures = Figures()
    figures.add("T1 ours vs echo", 0.2)
    figures.add("T4 p99 ms", 25)
    rows = {row["what"]: row for row in aims.summary(figures)["aims"]}
    assert rows["Intake, one event for each POST, against a bare echo"]["share"] == 0.5
    assert rows["From POST to readable, p99"]["share"] == 2.0
    assert rows["From POST to readable, p50"]["figure"] is None
