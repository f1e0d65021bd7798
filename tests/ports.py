"""Ports for the servers that tests start."""

import itertools
import os
import socket

_FIRST, _MANY = 20_000, 12_000  # below the ports that the kernel gives to clients (32768 on Linux)
_OF_ONE_PROCESS = 50
_numbers = itertools.count(os.getpid() * _OF_ONE_PROCESS)


def free_port() -> int:
    """Find a port that nobody listens on and that no client is given.

    A port that the kernel chooses may be given again, to a client or to the test process beside
    this one, before the server listens on it. Each process counts from a place of its own.
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
