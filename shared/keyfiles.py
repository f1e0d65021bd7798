"""Key files: written whole and durably, or not at all, and not over one that is there."""

import os
from pathlib import Path


def keep(path: Path, content: bytes, *, secret: bool = True, anew: bool = False) -> None:
    """Write a file and fsync it and its folder; what is there already stays as it is, unless
    it is to be written `anew`.

    What is durable in the queue and the ledger can only be read with these.
    """
    if path.exists() and not anew:
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.touch(mode=0o600)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if not secret:
        new.chmod(0o644)
    new.replace(path)
    keep_name(path.parent)


def keep_name(folder: Path) -> None:
    """Make a folder durable: what was made in it is found there after a power cut, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
