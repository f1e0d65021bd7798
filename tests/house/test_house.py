"""The house rules, held against every file of the project."""

import pytest

from tests import matrix
from tests.house import budgets, judgement, rooms, shape, words
from tests.house.files import Check, listed, project

CHECKS: list[Check] = [
    shape.no_long_function,
    shape.no_long_file,
    shape.no_print,
    shape.no_silence,
    rooms.libraries_stay_in_their_rooms,
    rooms.pure_rooms_stay_pure,
    rooms.keys_are_named_once,
    rooms.nothing_is_patched,
    words.nothing_left_for_later,
    words.no_foreign_place,
    words.no_address_in_a_lock,
    words.every_variable_exists,
    words.every_exception_has_a_reason,
    words.only_our_words,
    judgement.nobody_is_scored,
    judgement.no_list_of_words_is_ours,
]
TOP = {
    ".ci",
    ".dockerignore",
    ".editorconfig",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "docker-compose.yml",
    "docs",
    "pyproject.toml",
    "requirements-crosschecks.lock",
    "requirements-dev.lock",
    "requirements.lock",
    "services",
    "shared",
    "tests",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_rule_holds(check: Check) -> None:
    findings = [str(finding) for source in project() for finding in check(source)]
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def test_nothing_that_the_catalogue_says_scores_or_labels_anybody() -> None:
    told = list(judgement.said_to_people())
    assert len(told) > 400
    assert [(where, text) for where, text in told if judgement.judging(text)] == []


def test_where_a_judging_word_is_innocent_it_is_still_used() -> None:
    texts = {source.path: source.text.lower() for source in project()}
    unused = [(path, word) for path, word in judgement.INNOCENT if word not in texts[path]]
    assert unused == [], "take them off the list"


def test_half_of_our_functions_are_short() -> None:
    ours = [source for source in project() if source.is_ours_to_run]
    lines = shape.median_function(ours)
    remedy = "services and shared: say more with fewer, smaller functions"
    assert lines <= shape.MEDIAN_FUNCTION, f"{remedy} (median {lines}, {shape.MEDIAN_FUNCTION})"


def test_every_folder_keeps_its_budget_of_lines(request: pytest.FixtureRequest) -> None:
    counts = budgets.lines_by_row(source for source in project() if source.is_ours_to_run)
    for line in budgets.report(counts):
        matrix.tell(request, line)
    assert budgets.over_budget(counts) == []


def test_more_than_a_budget_is_allowed_only_by_an_adr_that_exists() -> None:
    assert {budget.adr for budget in budgets.BUDGETS.values() if budget.allowed} <= {*listed()}


def test_the_top_of_the_tree_holds_only_what_belongs_there() -> None:
    strangers = {path.split("/")[0] for path in listed()} - TOP
    assert not strangers, f"{sorted(strangers)}: move them to a room, or add them to TOP here"
