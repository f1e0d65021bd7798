"""The shell blocks of a page, run in one shell, and what they answer."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "\x1e"
SAME = {  # what differs from day to day
    r"\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December) 20\d\d\b": "<day>",
    r"\b20\d\d-\d\d-\d\d \d\d:\d\d\b": "<minute>",
}


@dataclass(frozen=True)
class Block:
    """A block marked `sh`, and the `text` block that shows its answer, if one follows."""

    command: str
    shown: str | None


def blocks(page: str) -> Iterator[Block]:
    """The shell blocks of a page."""
    found = BLOCK.findall((ROOT / page).read_text())
    for place, (language, text) in enumerate(found):
        if language == "sh":
            after = found[place + 1] if place + 1 < len(found) else ("", "")
            yield Block(text, after[1] if after[0] == "text" else None)


def programs(folder: Path) -> str:
    """A PATH on which `firsthand` and `python` are those of this project."""
    folder.mkdir()
    for name, arguments in (("firsthand", "-m services.cli "), ("python", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def environment(folder: Path) -> dict[str, str]:
    """The environment of somebody who has just cloned the project."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTHAND_")}
    return kept | {"PATH": programs(folder / "bin"), "PYTHONPATH": str(ROOT), "HOME": str(folder)}


def run(
    page: str, folder: Path, told: Mapping[str, str], instead: Mapping[str, str]
) -> Iterator[tuple[Block, str]]:
    """Run a page's blocks one after another in one shell in `folder`; each with its answer.

    `told` is the environment; `instead` says what stands for what in the commands, as ports do.
    """
    listed = list(blocks(page))
    script = "".join(f"{each.command}\nprintf '{END}'\n" for each in listed)
    for named, ours in instead.items():
        script = script.replace(named, ours)
    done = subprocess.run(
        ["bash", "-s"],
        input=script,
        cwd=folder,
        env=dict(told),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    answers = done.stdout.split(END)
    assert len(answers) == len(listed) + 1, done.stdout
    return zip(listed, answers, strict=False)


def steady(text: str) -> str:
    """The text without what differs from day to day."""
    for pattern, name in SAME.items():
        text = re.sub(pattern, name, text)
    return text.strip()


def is_shown(shown: str, answer: str) -> bool:
    """True if the page shows this answer; `…` stands for anything."""
    parts = [re.escape(part) for part in steady(shown).split("…")]
    return re.fullmatch(".*".join(parts), steady(answer), re.DOTALL) is not None
