"""The page on attacks shows the figures of its file, and every attack that there is."""

import json

from tests.attack import outages, reading, table, writing
from tests.attack.attacks import in_order
from tests.attack.figures import Figure

ROOMS = (outages, reading, writing)  # their import fills the table of attacks
KEPT = json.loads(table.FIGURES.read_text())


def measured(when: str) -> set[tuple[str, str]]:
    return {(each.attack, each.store) for each in table.figures(KEPT, when)}


def test_the_page_shows_the_figures_of_the_file() -> None:
    text = table.PAGE.read_text()
    assert table.filled(text, KEPT) == text, "run `python -m tests.attack.table`"


def test_every_attack_is_described_and_was_measured_on_each_of_its_stores() -> None:
    assert KEPT["attacks"] == {each.name: each.says for each in in_order()}
    every = {(each.name, store) for each in in_order() for store in each.stores}
    assert measured("before") == every
    assert measured("now") in (set(), every)


def test_nothing_misses_its_limit_now() -> None:
    assert [each for each in table.figures(KEPT, "now") if not each.ok] == []


def test_a_missed_limit_is_seen_on_the_page() -> None:
    figure = Figure("S1", "sqlite", "crashes of the read API", 3, limit="= 0")
    kept = {"attacks": {"S1": "bursts"}, "now": [figure.members()]}
    assert table.lines(kept)[-1] == ("| `S1` | crashes of the read API | 0 | – | – | **3** | – |")
