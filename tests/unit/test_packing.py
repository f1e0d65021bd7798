"""What an export leaves on the disk: for its owner alone, and nothing of one that was killed."""

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ledger.maintenance.archive_writer import packing
from shared.errors import SettingsError
from tests.house.files import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from services.ledger.maintenance.archive_writer import packing
with packing(Path(sys.argv[1])) as sink:
    sink.put("logs/0/checkpoint", b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
both = pytest.mark.parametrize("name", ["new", "new.tar.gz", "odd[a-z]*"])


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write(out: Path) -> None:
    with packing(out) as sink:
        sink.put("logs/0/checkpoint", b"a head")
        sink.put_file("opened.jsonl", io.BytesIO(b"{}\n"))


@pytest.mark.usefixtures("umask")
def test_nobody_else_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "folder")
    for path in (tmp_path / "folder", *(tmp_path / "folder").rglob("*")):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    write(tmp_path / "packed.tar.gz")
    assert mode(tmp_path / "packed.tar.gz") == 0o600
    with tarfile.open(tmp_path / "packed.tar.gz") as archive:
        assert {each.mode for each in archive} == {0o600}, "nor where it is unpacked by tar"


def killed(out: Path) -> None:
    """An export to `out` that is killed half-way."""
    command = [sys.executable, "-c", KILLED, str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -signal.SIGKILL


@both
def test_what_a_killed_one_left_goes_with_the_next(name: str, tmp_path: Path) -> None:
    killed(tmp_path / name)
    killed(tmp_path / "else")
    (tmp_path / f".{name}.link.part").symlink_to("/")
    assert len(list(tmp_path.iterdir())) == 3
    write(tmp_path / name)
    left = sorted(each.name for each in tmp_path.iterdir())
    assert [each for each in left if not each.startswith(".else.")] == [f".{name}.link.part", name]
    assert len(left) == 3, "another's stays until there is one of its name"


def write_while_another_does(out: Path) -> None:
    with packing(out) as sink:
        sink.put("one", b"1")
        write(out)
        sink.put("two", b"2")


@both
def test_one_that_is_still_written_is_left_alone(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=" exists; name a new"):
        write_while_another_does(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == [name]
