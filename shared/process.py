"""Process set-up: signals, resource limits, garbage collection, ports."""

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
    """Have Linux send SIGTERM to this process when its parent dies, so that no orphan remains."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def exit_on(*numbers: signal.Signals, status: int | None = None) -> None:
    """Raise SystemExit on these signals, with `status` or else 128 + the signal's number.

    Python prints and drops an exception that a finalizer raises, so a signal that arrives during
    a finalizer is sent again.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        if not sent_again(number, frame):
            raise SystemExit(128 + number if status is None else status)

    for number in numbers:
        signal.signal(number, leave)


def sent_again(number: int, frame: FrameType | None) -> bool:
    """Return True if a signal arrived during a finalizer, and send it to this process again."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    if frame is None:
        return False
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    return True


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard limit. Return the new limit.

    The soft limit is 1,024 in most shells and under systemd, for programs that call select(2).
    Ours do not call it, and 1,024 idle connections would block all other clients.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems allow less than their hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def tune_gc() -> None:
    """Freeze the objects of the start-up, and collect less often: a full collection over the cached
    plans would take 10 % of the time of a batch.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def check_port(host: str, port: int, option: str = "--port") -> str:
    """Return the host's numeric address; PreconditionFailed if the port cannot be bound.

    It also fails if another process would share the port (SO_REUSEPORT): the system would then
    distribute requests over the two.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
        return str(address[0])
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            why = f"port {port} is already in use; choose another with {option}"
        else:
            why = f"cannot listen on {host}, port {port} ({fault.strerror}); "
            why += f"choose another address with --host and {option}"
        raise PreconditionFailed(why) from None
