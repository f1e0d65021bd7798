"""How much memory and disk a service takes (Linux: /proc)."""

import contextlib
from pathlib import Path

from tests.process import children_of

MIB = 1 << 20


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(each for child in children_of(pid) for each in family(child))]


def peak_mib(pid: int | None) -> float:
    """The largest resident memory that any process of the family has had; 0 if it has ended."""
    return max((_field(each, "VmHWM") for each in family(pid)), default=0.0) if pid else 0.0


def forget_peak(pid: int | None) -> None:
    """Measure the peak from now on."""
    for each in family(pid) if pid else ():
        with contextlib.suppress(OSError):
            Path(f"/proc/{each}/clear_refs").write_text("5")


def _field(pid: int, name: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def folder_bytes(folder: Path) -> int:
    """What the files of a folder hold."""
    total = 0
    for each in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += each.stat().st_size if each.is_file() else 0
    return total
