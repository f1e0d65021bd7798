"""The project's files as the house checks see them, and what such a check says."""

import ast
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = re.compile(
    r"(^|/)(\.git|\.venv|\.firsthand|\.hypothesis|\.\w+_cache|__pycache__|build|dist|.*\.egg-info)/"
)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the house wants it: where, and what to do instead."""

    path: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.says}"


@dataclass(frozen=True)
class Source:
    """One text file: its path from the top of the project, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @property
    def is_python(self) -> bool:
        """Whether this is a Python file."""
        return self.path.endswith(".py")

    @property
    def is_ours_to_run(self) -> bool:
        """Whether this is code of a service, not of a test."""
        return self.is_python and self.path.startswith(("shared/", "services/"))

    def find(self, node: ast.stmt | ast.expr | ast.arg | ast.alias, says: str) -> Finding:
        """A finding at a node of the tree."""
        return Finding(self.path, node.lineno, says)


Check = Callable[[Source], Iterator[Finding]]


def listed() -> list[str]:
    """Paths of everything that is or could be committed; without git, all that is not built."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
        output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        return sorted({name for name in output.decode().split("\0") if (ROOT / name).is_file()})
    every = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
    return sorted(name for name in every if not NOT_OURS.search(name))


@lru_cache(maxsize=1)
def project() -> Sequence[Source]:
    """Every text file of the project."""
    return [
        Source(name, content.decode())
        for name in listed()
        if b"\0" not in (content := (ROOT / name).read_bytes())
    ]
