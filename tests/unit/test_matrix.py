"""The matrix counts what ran, and nothing else."""

from typing import Literal

import pytest

from tests.matrix import QUEUE, STORE, Matrix

When = Literal["setup", "call", "teardown"]
Outcome = Literal["passed", "failed", "skipped"]


def report(
    *properties: tuple[str, str], when: When = "call", outcome: Outcome = "passed"
) -> pytest.TestReport:
    return pytest.TestReport(
        "test", ("test.py", 1, "test"), {}, outcome, None, when, user_properties=properties
    )


def test_a_test_counts_where_its_store_meets_its_queue() -> None:
    matrix = Matrix()
    matrix.pytest_runtest_logreport(report((STORE, "sqlite 3.53.4"), (QUEUE, "valkey 9.1.2")))
    assert matrix.counts == {("sqlite", "valkey"): 1}
    assert matrix.versions_line() == "ran on: sqlite 3.53.4, valkey 9.1.2"


def test_a_test_that_failed_ran() -> None:
    matrix = Matrix()
    matrix.pytest_runtest_logreport(report((STORE, "sqlite 3.53.4"), outcome="failed"))
    assert matrix.counts == {("sqlite", "none"): 1}


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_a_test_counts_once(when: When) -> None:
    matrix = Matrix()
    matrix.pytest_runtest_logreport(report((STORE, "sqlite 3.53.4"), when=when))
    assert not matrix.counts


def test_a_test_that_was_skipped_did_not_run() -> None:
    matrix = Matrix()
    matrix.pytest_runtest_logreport(report((STORE, "sqlite 3.53.4"), outcome="skipped"))
    assert not matrix.counts


def test_a_test_on_two_stores_counts_on_both() -> None:
    matrix = Matrix()
    matrix.pytest_runtest_logreport(report((STORE, "sqlite 3"), (STORE, "postgresql 18")))
    assert matrix.counts == {("sqlite", "none"): 1, ("postgresql", "none"): 1}


def test_the_table_names_every_store_and_queue() -> None:
    head, *rows = Matrix().table()
    assert head.split() == ["fakeredis", "valkey", "redis", "none"]
    assert [row.split()[0] for row in rows] == ["sqlite", "postgresql", "none"]
