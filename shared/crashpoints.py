"""Crash points: named lines where a test can kill or stop the process, to prove no data is lost.

    FIRSTHAND_CRASH_AT=batch-written         SIGKILL to itself at the first pass
    FIRSTHAND_CRASH_AT=batch-written:7       at the seventh pass
    FIRSTHAND_CRASH_AT=batch-read:2:stop     SIGSTOP instead: it stalls until SIGCONT

The variable is read once, on import. If it is unset, a crash point costs one comparison.
`make kill` and tests/simulation go through all of `POINTS`, in the order in which an event passes
them. Only operators' commands pass `COMMAND_POINTS`.
"""

import os
import re
import signal
from collections.abc import Callable
from itertools import count

from shared.errors import SettingsError

VARIABLE = "FIRSTHAND_CRASH_AT"
POINTS = {
    "intake-received": "the event is authenticated and valid; nothing was sent",
    "intake-sealed": "the event is encrypted; the publish script is not called yet",
    "intake-appended": "the queue appended the event; its durability is not evaluated yet",
    "intake-answered": "every publishing thread has its result; no bell was rung",
    "bell-flagged": "the wake flag was set; no job is in RQ's queue yet",
    "bell-rung": "the job is in RQ's queue",
    "intake-safe": "the event is known to be durable; no response was sent",
    "intake-decided": "a waiting request has its receipt; no response was sent",
    "drain-begun": "RQ's job or the sweeper started a drain; the wake flag is still set",
    "drain-cleared": "the wake flag is deleted; nothing was read",
    "batch-locked": "the log's head is locked; the stream was not read",
    "batch-read": "the head of the stream was read under the lock",
    "batch-judged": "the verdicts are computed; the tree is unchanged",
    "batch-signed": "the new head is signed; nothing was written",
    "batch-inserting": "entries are inserted; keys, people, plans and head are not",
    "batch-written": "everything is written; nothing is committed",
    "batch-committed": "the transaction is committed; nothing was published or deleted",
    "batch-settled": "checkpoint and receipts are published, the messages are deleted",
    "drain-over": "the stream was last seen empty; the drain has not returned",
    "sweep-found": "the sweeper has detected a message that no worker drained",
}
COMMAND_POINTS = {  # of `firsthand rebuild` and `firsthand restore`
    "rebuild-folded": "the differing rows are in the spool file; nothing is switched",
    "rebuild-written": "the rebuilt rows are written; nothing is committed",
    "rebuild-switched": "the transaction is committed; the spool file still exists",
    "restore-written": "entries, heads and derived rows are written; nothing is committed",
    "restore-committed": "every log is restored; nothing was published",
}
_SETTING = re.compile(r"([a-z-]+)(?::([1-9][0-9]{0,8}))?(:stop)?")

listener: Callable[[str], None] | None = None  # tests/simulation replaces it


def crashpoint(name: str) -> None:
    """Mark a point of `POINTS` or `COMMAND_POINTS`. Each name occurs once in the code."""
    if listener is not None:
        listener(name)


def parse_crash_setting(text: str) -> Callable[[str], None]:
    """Return the listener for a value of the variable; SettingsError if the value is invalid."""
    match = _SETTING.fullmatch(text)
    known = POINTS | COMMAND_POINTS
    if match is None or match[1] not in known:
        raise SettingsError(
            f"{VARIABLE}: unknown crash point: {text}. Use one of {', '.join(known)}"
        )
    point, wanted, passes = match[1], int(match[2] or 1), count(1)
    signal_number = signal.SIGSTOP if match[3] else signal.SIGKILL

    def listen(name: str) -> None:
        if name == point and next(passes) == wanted:
            os.kill(os.getpid(), signal_number)

    return listen


if os.environ.get(VARIABLE):
    listener = parse_crash_setting(os.environ[VARIABLE])
