"""The rules and an independent model of them agree; the comparison detects broken rules.

This is the short form; the long one is `make authorship` (tests/authorship/run.py).
"""

from pathlib import Path

import pytest

from shared.events.catalogue import CATALOGUE
from tests.authorship.broken import EVERY, Broken
from tests.authorship.compare import Counts, Difference, Rules, histories, shrunk
from tests.authorship.run import CODES
from tests.house.files import Source
from tests.house.rooms import imports

HERE = Path(__file__).parent
MODEL = ("model", "standing", "own_refusals", "bounds", "effects", "state", "tables")
DECISIONS = 20_000


def counted(seed: int, decisions: int, rules: Rules | None = None) -> Counts | Difference:
    """Return the result of so many decisions."""
    *_, last = histories(seed, decisions, rules or Rules())
    return last


def test_the_rules_and_the_model_agree_on_every_decision() -> None:
    counts = counted(seed=2, decisions=DECISIONS)
    assert isinstance(counts, Counts), counts
    assert counts.decisions == DECISIONS
    assert [kind for kind in CATALOGUE if not counts.accepted[kind]] == []
    assert [code for code in CODES if not counts.codes[code]] == []
    assert all(counts.checks.values())


@pytest.mark.parametrize("broken", EVERY, ids=lambda broken: broken.says)
def test_a_broken_rule_is_detected(broken: Broken) -> None:
    decisions, difference = broken.detected(seed=2, most=100_000)
    assert difference is not None, f"not in {decisions} decisions"
    assert broken.is_shown_by(difference), (
        difference.says,
        difference.events[-1],
        difference.model,
        difference.rules,
    )


def test_at_least_20_broken_rules_say_what_they_break() -> None:
    assert len({broken.says for broken in EVERY}) == len(EVERY) >= 20


def test_a_difference_is_shown_by_a_short_history() -> None:
    broken = next(rule for rule in EVERY if rule.says == "A withdrawn grant still opens.")
    _, difference = broken.detected(seed=1, most=100_000)
    assert difference is not None
    assert difference.start == "nothing", "or the history would not show the grant"
    small = shrunk(difference, Rules(broken.judge))
    assert small.is_like(difference)
    assert [event.type for event in small.events if event.type.startswith("access.")] == [
        "access.granted",
        "access.withdrawn",
    ]
    assert len(small.events) <= 5


def test_the_model_is_independent_of_the_ledger() -> None:
    for name in MODEL:
        path = HERE / f"{name}.py"
        source = Source(str(path), path.read_text())
        modules = [module for _, module in imports(source)]
        assert [module for module in modules if module.startswith("services")] == [], name
        ours = {module.split(".")[2] for module in modules if module.startswith("tests.")}
        assert ours <= set(MODEL), name
