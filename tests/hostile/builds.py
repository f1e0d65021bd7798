"""Builds of intake, real or with one check cut out, that judge tokens over HTTP.

A build is a folder in which `shared`, `services` and `joserfc` are those that are installed here,
but for one file in which one text is replaced. Each runs in a process of its own.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joserfc

ROOT = Path(__file__).parents[2]
PLACES = {
    "services": ROOT / "services",
    "shared": ROOT / "shared",
    "joserfc": Path(joserfc.__file__).parent,
}
JUDGE = Path(__file__).with_name("judge.py")


@dataclass(frozen=True)
class Cut:
    """A check, and how it is cut out: in this file, what matches `old` once becomes `new`."""

    check: str
    path: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The file's text without the check."""
        changed, times = re.subn(self.old, self.new, text)
        assert times == 1, f"{self.check}: {self.old} stands {times} times in {self.path}"
        assert changed != text
        compile(changed, self.path, "exec")
        return changed


def build(folder: Path, cut: Cut | None) -> Path:
    """Make a build in a new folder: all as it is here, without that check."""
    folder.mkdir()
    for name, place in PLACES.items():
        (folder / name).symlink_to(place)
    if cut is not None:
        _replace(folder, cut)
    return folder


def judge(steps: dict[Path, list[dict[str, Any]]]) -> dict[Path, list[dict[str, Any]]]:
    """What each build answers to its steps: status and body."""
    asked = [{"build": str(folder), "steps": each} for folder, each in steps.items()]
    subprocess.run(
        [sys.executable, "-P", JUDGE],
        input=json.dumps(asked),
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        timeout=250,
        check=True,
    )
    return {folder: json.loads((folder / "answers.json").read_text()) for folder in steps}


def _replace(folder: Path, cut: Cut) -> None:
    """Turn the links on the way to the file into folders, and the file into what is left of it."""
    *way, name = Path(cut.path).parts
    here = folder
    for part in way:
        here /= part
        there = here.resolve()
        here.unlink()
        here.mkdir()
        for each in there.iterdir():
            if each.name != "__pycache__":
                (here / each.name).symlink_to(each)
    whole = (here / name).read_text()
    (here / name).unlink()
    (here / name).write_text(cut.apply(whole))
