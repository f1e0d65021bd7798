"""Starts one server so that it cannot outlive the tests; run as a script, by path.

    python -IS launch.py PARENT DEATH_SIGNAL USER PROGRAM [ARGUMENT ...]

It becomes PROGRAM. Before that it gives up root for USER ("-" keeps who we are) and, where the
kernel offers it, asks for DEATH_SIGNAL (0: ask for nothing) should PARENT ever die: the last net
under tests that are themselves killed with SIGKILL.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Drop every right that USER has not."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def die_with(parent: int, death_signal: int) -> None:
    """Ask for the signal; a parent that is gone already will never cause one, so leave at once."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Drop rights first: the kernel forgets the death signal when the user changes."""
    parent, death_signal, user, *command = sys.argv[1:]
    if user != "-":
        become(user)
    if death_signal != "0" and sys.platform == "linux":
        die_with(int(parent), int(death_signal))
    os.execv(command[0], command)  # noqa: S606 - there is nothing a shell should do here


if __name__ == "__main__":
    main()
