"""The house rules, held against every file of the project."""

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from fakeredis import FakeStrictRedis
from flask import Flask

from services.intake.app import create_app as intake
from services.ledger.api.app import create_app as ledger
from tests import matrix, metrics
from tests.house import budgets, judgement, rooms, shape, vocabulary, words
from tests.house.files import ROOT, Check, listed, project
from tests.postgres import Database

GLOSSARY = "docs/reference/glossary.md"
NOBODY = cast(Any, None)  # a neighbour that no route is called with
CHECKS: list[Check] = [
    shape.no_long_function,
    shape.no_long_file,
    rooms.pure_rooms_stay_pure,
    rooms.keys_are_named_once,
    words.no_foreign_place,
    words.no_address_in_a_lock,
    words.every_variable_exists,
    words.every_exception_has_a_reason,
    words.only_our_words,
    judgement.no_list_of_words_is_ours,
    vocabulary.prose_is_plain,
    vocabulary.names_say_what_they_hold,
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
    texts = list(judgement.texts_of_catalogue())
    assert len(texts) > 400
    assert judgement.judging(texts) == []


@pytest.mark.parametrize("module", judgement.PRESENTATION, ids=lambda module: module.__name__)
def test_no_text_about_a_plan_scores_or_labels_anybody(module: ModuleType) -> None:
    texts = list(judgement.texts_of_code(inspect.getsource(module)))
    assert texts
    assert judgement.judging(texts) == []


@pytest.mark.parametrize(
    "app",
    [intake(NOBODY, NOBODY), ledger(NOBODY, NOBODY, NOBODY, {}, NOBODY)],
    ids=["intake", "ledger"],
)
def test_no_member_of_a_response_scores_or_labels_anybody(app: Flask) -> None:
    texts = list(judgement.texts_of_json(app.test_client().get("/openapi.json").get_json()))
    assert len(texts) > 1_000
    assert judgement.judging(texts) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_metric_scores_or_labels_anybody(
    database: Database, fake_redis: FakeStrictRedis, tmp_path: Path
) -> None:
    lines = metrics.served(tmp_path, database, fake_redis).splitlines()
    assert len(lines) > 50
    assert judgement.judging(lines) == []


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


def test_no_name_is_defined_in_more_than_three_modules() -> None:
    sources = [source for source in project() if source.is_ours_to_run]
    assert vocabulary.reused_names(sources) == []


def test_what_is_exempt_from_the_words_exists() -> None:
    assert [path for path in vocabulary.EXEMPT if not (ROOT / path).exists()] == []


def test_the_glossary_names_files_that_exist() -> None:
    paths = re.findall(r"`((?:services|shared)/\S+)`", (ROOT / GLOSSARY).read_text())
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_top_of_the_tree_holds_only_what_belongs_there() -> None:
    strangers = {path.split("/")[0] for path in listed()} - TOP
    assert not strangers, f"{sorted(strangers)}: move them to a room, or add them to TOP here"
