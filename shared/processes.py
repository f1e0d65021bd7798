"""What a process of ours asks of the system it runs on."""

import ctypes
import gc
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """On Linux: SIGTERM for this process when its parent is gone, so that no orphan stays."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def look_for_garbage_seldom() -> None:
    """Nothing made so far is garbage, and what comes from now on frees itself, cycles excepted."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
