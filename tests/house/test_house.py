"""The house rules, held against every file of the project."""

import pytest

from tests.house import rooms, shape, words
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
    words.every_exception_has_a_reason,
    words.only_our_words,
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


def test_half_of_our_functions_are_short() -> None:
    ours = [source for source in project() if source.is_ours_to_run]
    lines = shape.median_function(ours)
    remedy = "services and shared: say more with fewer, smaller functions"
    assert lines <= shape.MEDIAN_FUNCTION, f"{remedy} (median {lines}, {shape.MEDIAN_FUNCTION})"


def test_the_house_can_be_read_in_an_afternoon() -> None:
    lines = shape.all_lines(source for source in project() if source.is_ours_to_run)
    remedy = "services and shared: take something away, or say in an ADR why it must be there"
    assert lines <= shape.ALL_OF_IT, f"{remedy} ({lines} lines, {shape.ALL_OF_IT})"


def test_the_top_of_the_tree_holds_only_what_belongs_there() -> None:
    strangers = {path.split("/")[0] for path in listed()} - TOP
    assert not strangers, f"{sorted(strangers)}: move them to a room, or add them to TOP here"
