"""Key files: written whole and durably, or not at all; `keep` never over one that is there.

And locks: files that one process at a time has locked.
"""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def write_if_absent(path: Path, content: bytes, *, secret: bool = True) -> None:
    """Write a file and fsync it and its folder; what is there already stays as it is.

    What is durable in the queue and the ledger can only be read with these.
    """
    if not path.exists():
        write_atomically(path, content, 0o600 if secret else 0o644)


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Write a file and fsync it and its folder, in the place of one that is there."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.touch(mode=0o600)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(mode)
    new.replace(path)
    fsync_directory(path.parent)


def fsync_directory(folder: Path) -> None:
    """Make a folder durable: what was made in it is found there after a power cut, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def try_lock(path: Path) -> BinaryIO | None:
    """Open a file and lock it; None if another process holds the lock.

    The lock ends when the file is closed, or with the process.
    """
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
