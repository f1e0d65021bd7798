"""The reference is what the code says, and nothing is left out."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from itertools import accumulate
from typing import Any, cast

import pytest
from flask import Flask

from services import cli
from services.client.http import ADDRESSES
from services.intake.app import IntakeSettings
from services.intake.app import create_app as intake
from services.ledger.api.app import create_app as ledger
from services.ledger.audit.findings import DEPTH
from services.ledger.config import LedgerSettings
from shared.auth.issuers import ROLES
from shared.auth.tokens import SCOPES
from shared.errors import FaultCode
from shared.events.catalogue import CATALOGUE
from shared.events.refusals import Code
from shared.http.problems import PROBLEMS
from shared.inbox import redis_keys
from shared.settings import PREFIX
from tests.docs.reference import FOLDER, PAGES, page

ROOT = FOLDER.parents[1]
NOBODY = cast(Any, None)  # a neighbour that no route is called with


def committed(name: str) -> str:
    """A page as it is committed."""
    return (FOLDER / f"{name}.md").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_says_what_the_code_says(name: str) -> None:
    assert committed(name) == page(name), "run: python -m tests.docs.reference"


def test_every_event_type_has_a_section_with_every_member() -> None:
    text = committed("events")
    for name, row in CATALOGUE.items():
        section = text.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert row.effect in section
        assert all(f"`{member}`" in section for member in row.schema.fields)
        assert all(f"`{code}`" in section for code in row.refusals)


def test_every_refusal_has_a_line_in_the_order_of_the_rules() -> None:
    lines = re.findall(r"^\| `([a-z-]+)` \|", committed("refusals"), re.MULTILINE)
    assert lines == [code.value for code in Code]


def test_every_problem_has_a_section() -> None:
    assert set(re.findall(r"^## ([a-z-]+)$", committed("problems"), re.MULTILINE)) == set(PROBLEMS)


def test_every_code_of_a_fault_has_a_line() -> None:
    lines = re.findall(r"^\| `([a-z0-9-]+)` \|", committed("problems"), re.MULTILINE)
    assert lines == [code.value for code in FaultCode]


def test_every_setting_has_a_line() -> None:
    text = committed("settings")
    for kind in (IntakeSettings, LedgerSettings):
        assert all(f"| `{PREFIX}{each.name.upper()}` |" in text for each in fields(kind))


def test_every_variable_of_a_command_has_a_line() -> None:
    text = committed("settings")
    options = [option for name in cli.COMMANDS for option in cli.load_command(name).params]
    variables = {str(option.envvar) for option in options if option.envvar}
    assert "FIRSTHAND_TOKEN" in variables
    assert all(f"| `{name}` |" in text for name in variables | set(ADDRESSES.values()))


def test_every_command_has_a_section_with_every_option() -> None:
    text = committed("commands")
    for name in cli.COMMANDS:
        section = text.split(f"\n## firsthand {name}\n")[1].split("\n## ")[0]
        for each in cli.load_command(name).params:
            assert all(option in section for option in each.opts if option.startswith("--"))


def test_every_key_of_the_inbox_is_named() -> None:
    text = committed("inbox")
    for name in dir(redis_keys):
        if name.endswith("_key"):
            arguments = {"done_key": ("<id>",), "pace_key": ("<key>",)}.get(name, ())
            assert getattr(redis_keys, name)("<n>", *arguments) in text


def test_every_finding_of_an_audit_is_named() -> None:
    """Under its depth, in the order of the list; that each is earned, the tampering table shows."""
    named = re.findall(r"^    (\w*) +([a-z]+) {2,}\S", committed("audit"), re.MULTILINE)
    depths: list[str] = list(accumulate((each for each, _ in named), lambda old, new: new or old))
    told = dict(zip((code for _, code in named), depths, strict=True))
    assert list(told.items()) == [*DEPTH.items(), ("unchecked", "any")]


@pytest.mark.parametrize(
    "app",
    [intake(NOBODY, NOBODY), ledger(NOBODY, NOBODY, NOBODY, {}, NOBODY)],
    ids=["intake", "ledger"],
)
def test_every_route_has_a_line(app: Flask) -> None:
    text = (FOLDER / "http.md").read_text()
    for rule in app.url_map.iter_rules():
        (method,) = (rule.methods or set()) & {"GET", "POST"}
        assert f"| `{method} {rule.rule}` |" in text


def test_every_scope_and_role_is_named() -> None:
    assert all(f"`{scope}`" in committed("tokens") for scope in SCOPES)
    assert all(re.search(rf"\b{role}", committed("tokens")) for role in ROLES)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_completion_is_there_for_the_shells_that_the_page_names(shell: str) -> None:
    asked = f"{shell}_source"
    assert f"_FIRSTHAND_COMPLETE={asked}" in committed("commands")
    told = subprocess.run(
        [sys.executable, "-c", "from services.cli import main; main(prog_name='firsthand')"],
        cwd=ROOT,
        env={"_FIRSTHAND_COMPLETE": asked, "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "_FIRSTHAND_COMPLETE" in told
