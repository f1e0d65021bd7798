"""Memory and disk usage of a service (Linux: /proc)."""

import contextlib
from pathlib import Path

from tests.process import children_of

MIB = 1 << 20


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    return [pid, *(member for child in children_of(pid) for member in family(child))]


def peak_mib(pid: int | None) -> float:
    """Return the peak resident memory of any process of the family; 0 if it has ended."""
    return max((_field(member, "VmHWM") for member in family(pid)), default=0.0) if pid else 0.0


def forget_peak(pid: int | None) -> None:
    """Reset the peak."""
    for member in family(pid) if pid else ():
        with contextlib.suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text("5")


def _field(pid: int, name: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def folder_bytes(folder: Path) -> int:
    """Return the size of a folder's files."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
