"""The benchmark of the pure core, in short: it measures what it says, and prints its aims."""

from services.ledger.plan.authorization import has_grant
from tests.benchmarks import micro
from tests.given import NOON, SAM, fold
from tests.voices import sam


def test_it_measures_and_says_what_it_aims_at() -> None:
    figures = micro.measure(people=3, events=40, large=300, more=4)
    assert len(figures.series) == 2 + 3 * len(micro.one_more())
    assert all(len(values) == micro.RUNS for values in figures.series.values())
    assert all(value > 0 for values in figures.series.values() for value in values)
    *_, cost, growth = micro.report(figures)
    assert "(aim 15.0)" in cost
    assert "(aim 3.0)" in growth


def test_a_life_has_as_many_events_as_it_says_and_each_more_is_one() -> None:
    for events in (10, 300):
        plan = micro.life(events)
        assert len(plan.entries) == events
        for name, make in micro.one_more().items():
            taken = micro.take(plan, [make(number) for number in range(5)])
            assert taken == (0 if name == "refused" else 5), name
        assert has_grant(plan, SAM, NOON)
        assert fold(plan, [sam.observes("Once more.")])


def test_made_up_histories_are_the_same_each_time() -> None:
    assert micro.histories(2, 20) == micro.histories(2, 20)
