"""Places where a process dies if it is told to, so that tests can show that nothing is lost there.

    FIRSTHAND_CRASH_AT=batch-written         SIGKILL to itself when it first comes there
    FIRSTHAND_CRASH_AT=batch-written:7       the seventh time
    FIRSTHAND_CRASH_AT=batch-read:2:stop     SIGSTOP instead: it stalls until SIGCONT

The variable is read once, when this is imported; unset, a place costs one comparison. `make kill`
and tests/simulation go through all of `POINTS`, in the order in which an event passes them; those
`BESIDE` are passed by commands that an operator runs.
"""

import os
import re
import signal
from collections.abc import Callable
from itertools import count

from shared.errors import SettingsError

VARIABLE = "FIRSTHAND_CRASH_AT"
POINTS = {
    "intake-received": "an event has a caller and a shape; nothing was sent",
    "intake-sealed": "it is sealed and about to go to the queue",
    "intake-appended": "the queue has it and said how it stores; nobody has looked at that yet",
    "intake-answered": "each thread has its share of the queue's answer; no bell was rung",
    "bell-flagged": "the flag was new; no job is in RQ's queue yet",
    "bell-rung": "the job is in RQ's queue",
    "intake-safe": "the event is known to be durable; no reply was sent",
    "intake-decided": "a waiting request has its receipt; no reply was sent",
    "drain-begun": "a drain was asked for, by RQ's job or by the sweeper; the flag still stands",
    "drain-cleared": "the flag is gone; nothing was read",
    "batch-locked": "the log's head is locked; the stream was not read",
    "batch-read": "the head of the stream is read, under the lock",
    "batch-judged": "verdicts are worked out; the tree is as it was",
    "batch-signed": "the new head is signed; nothing was written",
    "batch-inserting": "entries are inserted; keys, people, plans and head are not",
    "batch-written": "everything is written, and not committed",
    "batch-committed": "COMMIT is done; nothing was published or deleted",
    "batch-settled": "checkpoint and receipts are out, the messages are gone",
    "drain-over": "the last look found the stream empty; the drain has not returned",
    "sweep-found": "the sweeper found a message that nobody drained",
}
# Beside an event's way: `firsthand rebuild` and `firsthand restore`.
BESIDE = {
    "rebuild-folded": "what differs is folded beside the store; nothing is switched",
    "rebuild-written": "the rows are in their places, and not committed",
    "rebuild-switched": "COMMIT is done; what was folded beside is still there",
    "restore-written": "entries, heads and derived rows are written, and not committed",
    "restore-committed": "every log is brought forward; nothing was published",
}
_SPOKEN = re.compile(r"([a-z-]+)(?::([1-9][0-9]{0,8}))?(:stop)?")

listener: Callable[[str], None] | None = None  # tests/simulation puts its own here


def crashpoint(name: str) -> None:
    """A place of `POINTS` or `BESIDE`; each is in the code once."""
    if listener is not None:
        listener(name)


def told_by(spoken: str) -> Callable[[str], None]:
    """What the variable asks for; SettingsError if there is no such place."""
    found = _SPOKEN.fullmatch(spoken)
    known = POINTS | BESIDE
    if found is None or found[1] not in known:
        raise SettingsError(f"{VARIABLE}: no such place: {spoken}. Take one of {', '.join(known)}")
    place, wanted, times = found[1], int(found[2] or 1), count(1)
    ends = signal.SIGSTOP if found[3] else signal.SIGKILL

    def listen(name: str) -> None:
        if name == place and next(times) == wanted:
            os.kill(os.getpid(), ends)

    return listen


if os.environ.get(VARIABLE):
    listener = told_by(os.environ[VARIABLE])
