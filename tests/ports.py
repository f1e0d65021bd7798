"""Ports for the servers that tests start."""

import itertools
import os
import socket

_FIRST, _MANY = 20_000, 12_000  # below the kernel's client ports (32768 on Linux)
_OF_ONE_PROCESS = 50
_numbers = itertools.count(os.getpid() * _OF_ONE_PROCESS)


def free_port() -> int:
    """Find a port that no server listens on and that the kernel assigns to no client.

    A port chosen by the kernel may be assigned to a client or to another test process before the
    server listens on it. Each test process therefore counts from a different number.
    """
    for number in itertools.islice(_numbers, _MANY):
        port = _FIRST + number % _MANY
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
