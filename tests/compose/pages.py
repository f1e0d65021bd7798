"""The `docker compose` lines of a page, done to a composition."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.compose.composition import Composition
from tests.compose.project import ROOT

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("git pull", "docker compose build", "docker compose ps")  # an engine's, or git's


def lines(page: str) -> Iterator[str]:
    """What is typed on a page, a command each."""
    for block in BLOCK.findall((ROOT / page).read_text()):
        for line in block.removeprefix("$ ").split("\n$ "):
            yield " ".join(line.split())


def do(compose: Composition, line: str, folder: Path) -> str:
    """Do one line, in a folder; what it printed. What fails is an AssertionError."""
    if line in ELSEWHERE:
        return ""
    said, _, line = line.rpartition(" | ")
    fed = said.removeprefix("echo ").strip("'").encode() + b"\n" if said else b""
    if met := re.search(r" <(\S+)$", line):
        fed = (folder / met[1]).read_bytes()
    into = re.search(r" >(\S+)$", line)
    words = shlex.split(re.sub(r" [<>]\S+$", "", line))
    assert words[:2] == ["docker", "compose"], line
    told = _command(compose, words[2], [each for each in words[3:] if each not in ("--rm", "-T")])
    if told is None:
        return ""
    done = subprocess.run(told, input=fed, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr.decode()}{done.stdout.decode()}"
    if into:
        (folder / into[1]).write_bytes(done.stdout)
        return ""
    return done.stdout.decode()


def _command(compose: Composition, what: str, words: list[str]) -> list[str] | None:
    """The command that `run` and `exec` come to; the others are done here."""
    if what == "run":
        instead = words[1:2] if words[0] == "--entrypoint" else None
        name, *rest = words[2:] if instead else words
        container = compose.one(name)
        return container.command([*(instead or container.image.entrypoint), *rest])
    if what == "exec":
        return compose.of(words[0])[0].command(words[1:])
    named = [each for each in words if not each.startswith("--")]
    if what in ("stop", "restart"):
        for each in (container for name in named for container in compose.of(name)):
            assert each.stop() == 0, each.said()
    if what in ("up", "restart"):
        compose.up(named)
        return None
    assert what == "stop", what
    return None
