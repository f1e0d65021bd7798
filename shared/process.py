"""What a process of ours asks of the system it runs on."""

import ctypes
import errno
import gc
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import FrameType

from shared.errors import PreconditionFailed

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """On Linux: SIGTERM for this process when its parent is gone, so that no orphan stays."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def exit_on(*numbers: signal.Signals, status: int | None = None) -> None:
    """Raise SystemExit on these signals: the given status, else 128 and the signal's number.

    What a finalizer raises is printed and dropped, and the signal with it. It is then sent again.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if not sent_again(number, frame):
            raise SystemExit(128 + number if status is None else status)

    for each in numbers:
        signal.signal(each, leave)


def sent_again(number: int, frame: FrameType | None) -> bool:
    """Whether a signal came within a finalizer; then this process gets it again, a little later."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    if frame is None:
        return False
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    return True


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; how many there may be then.

    The soft one is 1,024 in most shells and under systemd, for programs that call select(2). Ours
    do not, and 1,024 idle connections would keep everybody else out.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems have less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def tune_gc() -> None:
    """Nothing made so far is garbage, and what comes from now on frees itself, cycles excepted.

    Plans kept in memory are many objects; looking through them costs a tenth of a batch.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def check_port(host: str, port: int, option: str = "--port") -> str:
    """The host's address in numbers, if we may listen there. Unsafe if not, also if who listens
    there would share it with us (SO_REUSEPORT): then each of the two would be asked now and then.
    """
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(place[:2], family=family).close()
        return str(place[0])
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            raise PreconditionFailed(
                f"port {port} is taken; choose another with {option}"
            ) from None
        told = f"we cannot listen on {host}, port {port} ({fault.strerror})"
        raise PreconditionFailed(f"{told}; choose others with --host and {option}") from None
