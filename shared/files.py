"""Atomic, durable file writes, and file locks."""

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def write_if_absent(path: Path, content: bytes, *, secret: bool = True) -> None:
    """Write a file and fsync it and its folder, unless the file exists.

    A key file is never overwritten: without it, the queue and the ledger cannot be decrypted.
    """
    if not path.exists():
        write_atomically(path, content, 0o600 if secret else 0o644)


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Write a file and fsync it and its folder, replacing an existing file atomically."""
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
    """Make a folder's entries durable: files created in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> BinaryIO | None:
    """Open and lock a file; return None if another process holds the lock.

    The lock is released when the file is closed, or when the process ends.
    """
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
