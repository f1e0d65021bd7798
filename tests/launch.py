"""Start one server so that it cannot outlive the tests; run as a script, by path.

    python -IS launch.py PARENT DEATH_SIGNAL USER PROGRAM [ARGUMENT ...]

The script replaces itself with PROGRAM. Before that it switches from root to USER ("-" keeps the
current user). On Linux it also asks for DEATH_SIGNAL (0: none) when PARENT ends, so that servers
end even if the tests are killed with SIGKILL.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Drop every right that the user does not have."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def die_with(parent: int, death_signal: int) -> None:
    """Request the signal. Exit if the parent has ended already: no signal would come."""
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
    os.execv(command[0], command)  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    main()
