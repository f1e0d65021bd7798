"""A signal ends a program, wherever it comes."""

import signal
import subprocess
import sys

import pytest

WITHIN_A_FINALIZER = """
import os, signal, sys, time
from shared.process import exit_on

class Closing:
    def __del__(self):
        self.closed = os.kill(os.getpid(), signal.SIGTERM)

exit_on(signal.SIGTERM, status=int(sys.argv[1]) if sys.argv[1:] else None)
try:
    Closing()
    time.sleep(10)
finally:
    print("cleared up")
"""


@pytest.mark.parametrize(("words", "status"), [([], 128 + signal.SIGTERM), (["7"], 7)])
def test_a_signal_within_a_finalizer_is_not_lost(words: list[str], status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHIN_A_FINALIZER, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "cleared up\n", "")
