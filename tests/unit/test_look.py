"""What the commands that look something up say when there is nothing to show."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.cli import main
from shared.errors import NotFound
from tests.answering import Answering, status

WRONG = {
    "detail": "The query parameter 'from' is invalid.",
    "errors": [{"pointer": "/from", "code": "query", "detail": "Must be a version, as 3."}],
}
RECEIPT = {"entry": "{}", "proof": "c2sp.org/tlog-proof@v1"}


def asked(code: int, members: Any, *words: str) -> Result:
    """What a command says of an answer."""
    with Answering(status(code, members)) as ledger:
        environment = {"FIRSTHAND_LEDGER_URL": ledger.url, "FIRSTHAND_TOKEN": "a.b.c"}
        return CliRunner().invoke(main, words, env=environment)


def test_a_query_that_is_wrong_is_a_usage_error_that_says_why() -> None:
    done = asked(422, WRONG, "diff", "person:ada", "--from", "x")
    assert done.exit_code == 2
    said = "firsthand: The query parameter 'from' is invalid. Must be a version, as 3.\n"
    assert done.output == said


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("plan",), ""),
        (("plan", "--version", "99"), " at --version 99"),
        (("diff", "--from", "0", "--to", "99"), " at --from 0 --to 99"),
        (("origins", "--version", "99"), " at --version 99"),
    ],
)
def test_a_plan_that_is_not_there_is_named(words: tuple[str, ...], where: str) -> None:
    command, *rest = words
    done = asked(404, {"detail": str(NotFound())}, command, "person:ada", *rest)
    assert done.exit_code == 1
    told = f"firsthand: No plan of person:ada{where}, or this token may not read it.\n"
    assert done.output == told


HOSTILE = "Walk.\x1b[2J\u202e\u2067\x07"


@pytest.mark.parametrize("command", ["plan", "origins", "history"])
def test_what_a_ledger_says_does_not_steer_the_terminal(command: str) -> None:
    entry = {"index": 0, "sentence": HOSTILE, "words": HOSTILE, "recorded": "2026-05-03"}
    page = {"entries": [entry | {"notes": [HOSTILE]}]}
    body = json.dumps(page) if command == "history" else HOSTILE
    with Answering(lambda _: (200, {}, body.encode())) as ledger:
        environment = {"FIRSTHAND_LEDGER_URL": ledger.url, "FIRSTHAND_TOKEN": "a.b.c"}
        done = CliRunner().invoke(main, [command, "person:ada"], env=environment)
    assert (done.exit_code, "Walk.[2J" in done.stdout) == (0, True)
    assert not set(HOSTILE) & set(done.stdout) - set("Walk.[2J")


def test_nor_does_why_it_says_no() -> None:
    done = asked(503, {"detail": HOSTILE}, "plan", "person:ada")
    assert done.output == "firsthand: Walk.[2J\n"


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.gz", "x.tar.bz2"])
def test_no_folder_is_made_that_looks_like_another_archive(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["export", str(tmp_path / name)])
    assert done.exit_code == 2
    assert "an export is a folder or a .tar.gz" in done.output
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["q.txt", "q.xpm", "q.svg.gz", "q", ".svg"])
def test_codes_are_drawn_into_an_svg_or_a_png_and_nothing_else(name: str, tmp_path: Path) -> None:
    done = asked(200, RECEIPT, "receipt", "person:ada", "an-id", "--qr", str(tmp_path / name))
    assert done.exit_code == 2
    assert "must end in .svg or .png" in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "begins"), [("q.SVG", b"<?xml"), ("q.png", b"\x89PNG")])
def test_codes_are_drawn_into_the_file_named(name: str, begins: bytes, tmp_path: Path) -> None:
    done = asked(200, RECEIPT, "receipt", "person:ada", "an-id", "--qr", str(tmp_path / name))
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / name}\n")
    assert (tmp_path / name).read_bytes().startswith(begins)
