"""Archive writer: writes an export to a new folder or a new `.tar.gz`.

It is written to a temporary sibling, fsynced, and renamed at the end, so that it is complete or
missing. An archive is a function of its files, in the order of writing, without times or owners.

Only the operator can read it, whatever the umask, because opened entries are cleartext. It is
locked while it is written, so that the next export of that name can remove what a killed one left.
"""

import fcntl
import glob
import gzip
import io
import os
import shutil
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from shared.errors import SettingsError
from shared.files import fsync_directory

ARCHIVES = (".tar.gz", ".tgz")
_OTHERS = (".tar", ".gz", ".zip", ".bz2", ".xz", ".zst", ".7z")  # unsupported formats
LEVEL = 3  # of gzip: encrypted bytes hardly shrink at any level


class Sink(ABC):
    """A writer of files, one after another."""

    def put(self, path: str, raw: bytes) -> None:
        """Write a file from bytes."""
        self.put_file(path, io.BytesIO(raw))

    @abstractmethod
    def put_file(self, path: str, file: IO[bytes]) -> None:
        """Write all of an open file, from its beginning."""


class Folder(Sink):
    """A folder of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_file(self, path: str, file: IO[bytes]) -> None:
        """Write a file and fsync it."""
        file.seek(0)
        target = self._folder / path
        self._make(target.parent)
        with open(target, "xb", opener=_open_private) as opened:
            shutil.copyfileobj(file, opened)
            opened.flush()
            os.fsync(opened.fileno())

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(mode=0o700)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Archive(Sink):
    """A tar of files."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def put_file(self, path: str, file: IO[bytes]) -> None:
        """Write a file with only its name and its bytes."""
        member = tarfile.TarInfo(path)
        member.mode = 0o600
        member.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._tar.addfile(member, file)


def is_free(out: Path) -> None:
    """Raise SettingsError unless an export can be written there."""
    if out.suffix in _OTHERS and not out.name.endswith(ARCHIVES):
        raise SettingsError(f"{out}: an export is a folder or a .tar.gz; name one of these")
    if out.exists() or out.is_symlink():
        raise SettingsError(f"{out} exists; name a new folder or .tar.gz")
    if not out.parent.is_dir():
        raise SettingsError(f"missing folder {out.parent} to write {out.name} into")


@contextmanager
def packing(out: Path) -> Iterator[Sink]:
    """Write files to `out`, which exists when the block ends, and not at all if it raises."""
    out = out.absolute()
    is_free(out)
    archived = out.name.endswith(ARCHIVES)
    try:
        _remove_abandoned(out)
        with _unfinished(out, archived=archived) as part:
            with _archive(part) if archived else _folder(part) as sink:
                yield sink
            is_free(out)
            part.rename(out)
    except OSError as fault:
        raise SettingsError(f"{out} cannot be written: {fault.strerror or fault}") from None
    fsync_directory(out.parent)


@contextmanager
def _unfinished(out: Path, *, archived: bool) -> Iterator[Path]:
    """Create a locked temporary sibling of `out`; it is removed unless it was renamed."""
    prefix = f".{out.name}."
    if archived:
        lock, name = tempfile.mkstemp(".part", prefix, out.parent)
    else:
        name = tempfile.mkdtemp(".part", prefix, out.parent)
        lock = os.open(name, os.O_RDONLY)
    part = Path(name)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield part
    finally:
        _remove(part)
        os.close(lock)


def _remove_abandoned(out: Path) -> None:
    """Remove unlocked temporary files of exports to `out` that were killed."""
    for part in out.parent.glob(f".{glob.escape(out.name)}.*.part"):
        with suppress(OSError):  # another process removes it, owns it, or locks it
            lock = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(part)
            finally:
                os.close(lock)


def _remove(part: Path) -> None:
    shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


@contextmanager
def _folder(part: Path) -> Iterator[Sink]:
    yield Folder(part)
    for directory, _, _ in os.walk(part, topdown=False):
        fsync_directory(Path(directory))


@contextmanager
def _archive(part: Path) -> Iterator[Sink]:
    with part.open("wb") as file:
        with (
            gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
        ):
            yield Archive(tar)
        file.flush()
        os.fsync(file.fileno())
