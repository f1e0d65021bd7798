"""How many messages a batch may take: all there is room for, unless a worker died in one.

    trying = "<messages> <size of the log> <deaths> <id of the first message>"   (shared.inbox)

It is written before a large batch is judged, and removed when it was judged. A worker that finds
it, under the head's lock and for the log's present size, knows that another one died while it
judged, and takes half as many; each batch that succeeds then doubles the number again. A single
message at which workers died `DEATHS` times, judging nothing else, is set aside. Small batches
write nothing: one more round trip would cost more than they do.
"""

from dataclasses import dataclass

import structlog

from shared.inbox.inbox import Inbox, StreamHead

BATCH, LARGE = 2_000, 200  # messages
DEATHS = 3

log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BatchAttempt:
    """A batch that is being judged. `aside`: its one message is set aside, not judged."""

    messages: int
    size: int
    deaths: int
    first: bytes
    aside: bool = False

    def note(self) -> bytes:
        """As it is written into the queue."""
        return b"%d %d %d %b" % (self.messages, self.size, self.deaths, self.first)

    @classmethod
    def of(cls, note: bytes | None) -> "BatchAttempt | None":
        """The trial of a note; None if there is none, or somebody else wrote it."""
        parts = (note or b"").split(b" ")
        if len(parts) != 4 or not all(each.isdigit() and len(each) < 20 for each in parts[:3]):
            return None
        messages, size, deaths = map(int, parts[:3])
        return cls(messages, size, deaths, parts[3])


class BatchSizes:
    """The number of messages in force, for each log."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._most: dict[int, int] = {}
        self._written: dict[int, bytes] = {}

    def begin(self, log: int, size: int, reading: StreamHead) -> BatchAttempt:
        """The batch that may be judged now, noted in the queue if it is large or was cut down."""
        first, deaths = reading.messages[0][0] if reading.messages else b"", 0
        died = BatchAttempt.of(reading.trying)
        if died and died.size == size and reading.trying != self._written.get(log):
            self._most[log] = max(1, min(died.messages, BATCH) // 2)
            if died.messages == 1 and died.first == first:
                deaths = died.deaths + 1
            log_line.error("batch-died", log=log, messages=died.messages, deaths=deaths)
        most = self._most.get(log, BATCH)
        trial = BatchAttempt(most, size, deaths, first, aside=deaths >= DEATHS)
        if most < BATCH or len(reading.messages) >= LARGE:
            self._inbox.mark_batch(log, trial.note())
            self._written[log] = trial.note()
        return trial

    def end(self, log: int) -> None:
        """It was judged, or failed without ending the process."""
        if self._written.pop(log, None) is not None:
            self._inbox.unmark_batch(log)

    def succeeded(self, log: int) -> None:
        """It is committed: the next one may take twice as many."""
        if (most := self._most.pop(log, BATCH)) < BATCH // 2:
            self._most[log] = 2 * most

    def too_large(self, log: int) -> None:
        """Memory did not suffice: the next one takes half as many."""
        self._most[log] = max(1, self._most.get(log, BATCH) // 2)
