"""The table of commands says what each command says itself, and listing them imports none."""

import os
import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from services.cli import COMMANDS, SECTIONS, load_command, main
from tests.house.files import ROOT

HEAVY = {"cryptography", "flask", "granian", "marshmallow", "redis", "sqlalchemy", "structlog"}
LIST_MODULES = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from services.cli import main
main(prog_name="firsthand")
"""


def run(*words: str, **variables: str) -> tuple[str, set[str]]:
    """Run `firsthand`; return what it printed, and the modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout, set(done.stderr.split())


def is_light(modules: set[str]) -> bool:
    """Whether `services.cli` is the only module of ours, and no large library is among them."""
    ours = {name for name in modules if name.startswith(("services.", "shared"))}
    return "click" in modules and ours == {"services.cli"} and not modules & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_has_the_first_line_of_each_commands_help(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert (command.help or "").split("\n")[0] == COMMANDS[name][1]
    for limit in (45, 54, 80):
        assert main.commands[name].get_short_help_str(limit) == command.get_short_help_str(limit)


def test_every_command_of_a_module_is_in_the_table() -> None:
    modules = {import_module(f"services.cli.{module}") for module, _ in COMMANDS.values()}
    defined = {
        value.name
        for module in modules
        for value in vars(module).values()
        if isinstance(value, click.Command) and value is not main
    }
    assert defined == set(COMMANDS)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_listing_commands_imports_no_service(option: str) -> None:
    _, modules = run(option)
    assert is_light(modules)


def test_help_lists_each_command_below_its_heading() -> None:
    text, _ = run("--help")
    parts = text.split("\n\n")
    for heading, section in SECTIONS.items():
        (part,) = (part for part in parts if part.startswith(f"{heading}:\n"))
        assert [line.split()[0] for line in part.splitlines()[1:]] == list(section)


def test_completion_of_a_command_imports_no_service() -> None:
    asked = {"_FIRSTHAND_COMPLETE": "zsh_complete", "COMP_WORDS": "firsthand re", "COMP_CWORD": "1"}
    text, modules = run(**asked)
    assert text.splitlines()[1::3] == ["receipt", "replay", "restore", "rebuild"]
    assert "Replay entries, and compare the result..." in text
    assert is_light(modules)


def test_completion_of_an_option_asks_the_command() -> None:
    words = "firsthand plan --as"
    asked = {"_FIRSTHAND_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "2"}
    text, _ = run(**asked)
    assert text.splitlines() == ["plain,--as-of", "plain,--as"]


def test_a_command_that_is_mistyped_is_guessed() -> None:
    done = CliRunner().invoke(main, ["histroy"])
    assert done.exit_code == 2
    assert "Did you mean 'history'?" in done.output
