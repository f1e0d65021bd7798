"""Where an export goes: a new folder, or a new `.tar.gz`.

It is written beside its place, fsynced, and renamed at the end: there is all of it, or nothing. An
archive is a function of its files: in the order they came, without times or owners.
"""

import gzip
import io
import os
import shutil
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from shared.keyfiles import keep_name
from shared.problems import SettingsError

ARCHIVES = (".tar.gz", ".tgz")
_OTHERS = (".tar", ".gz", ".zip", ".bz2", ".xz", ".zst", ".7z")  # a folder is not meant
LEVEL = 3  # of gzip: what is sealed hardly shrinks, whatever it takes


class Sink(ABC):
    """Takes files, one after another."""

    def put(self, path: str, raw: bytes) -> None:
        """Take a file's bytes."""
        self.put_file(path, io.BytesIO(raw))

    @abstractmethod
    def put_file(self, path: str, file: IO[bytes]) -> None:
        """Take all of an open file, from its beginning."""


class Folder(Sink):
    """A folder of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_file(self, path: str, file: IO[bytes]) -> None:
        """Write a file and fsync it."""
        file.seek(0)
        to = self._folder / path
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("xb") as opened:
            shutil.copyfileobj(file, opened)
            opened.flush()
            os.fsync(opened.fileno())


class Archive(Sink):
    """A tar of files."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def put_file(self, path: str, file: IO[bytes]) -> None:
        """Write a file with nothing but its name and its bytes."""
        told = tarfile.TarInfo(path)
        told.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._tar.addfile(told, file)


def is_free(out: Path) -> None:
    """SettingsError unless an export can be written there."""
    if out.suffix in _OTHERS and not out.name.endswith(ARCHIVES):
        raise SettingsError(f"{out}: an export is a folder or a .tar.gz; name one of these")
    if out.exists() or out.is_symlink():
        raise SettingsError(f"{out} is there already; name a new folder or .tar.gz")
    if not out.parent.is_dir():
        raise SettingsError(f"there is no folder {out.parent} to write {out.name} into")


@contextmanager
def packing(out: Path) -> Iterator[Sink]:
    """Take files for `out`, which is there when the block ends, and not at all if it raises."""
    out = out.absolute()
    is_free(out)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with _archive(part) if out.name.endswith(ARCHIVES) else _folder(part) as sink:
            yield sink
        is_free(out)
        part.rename(out)
    except OSError as fault:
        raise SettingsError(f"{out} cannot be written: {fault.strerror or fault}") from None
    finally:
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    keep_name(out.parent)


@contextmanager
def _folder(part: Path) -> Iterator[Sink]:
    part.mkdir()
    yield Folder(part)
    for each, _, _ in os.walk(part, topdown=False):
        keep_name(Path(each))


@contextmanager
def _archive(part: Path) -> Iterator[Sink]:
    with part.open("xb") as file:
        with (
            gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
        ):
            yield Archive(tar)
        file.flush()
        os.fsync(file.fileno())
