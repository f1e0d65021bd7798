"""Batch size: the number of messages a batch may process, reduced after a worker crashed.

    trying = "<messages> <size of the log> <deaths> <id of the first message>"   (shared.inbox)

The worker writes this note before it decides a large batch, and removes it afterwards. A worker
that reads the note under the head's lock, with the log's present size, knows that another worker
died in that batch, and halves the batch. Every successful batch then doubles it again. A single
message that crashed workers `DEATHS` times, alone in its batch, is refused without being decided.
Small batches write no note, because the round trip would cost more than the batch.
"""

from dataclasses import dataclass

import structlog

from shared.inbox.inbox import Inbox, StreamHead

BATCH, LARGE = 2_000, 200  # messages
DEATHS = 3

log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BatchAttempt:
    """A batch in progress. If `poison` is True, its only message is refused, not decided."""

    messages: int
    size: int
    deaths: int
    first: bytes
    poison: bool = False

    def note(self) -> bytes:
        """Return the note for the queue."""
        return b"%d %d %d %b" % (self.messages, self.size, self.deaths, self.first)

    @classmethod
    def parse(cls, note: bytes | None) -> "BatchAttempt | None":
        """Parse a note; return None if it is missing or malformed."""
        parts = (note or b"").split(b" ")
        if len(parts) != 4 or not all(
            number.isdigit() and len(number) < 20 for number in parts[:3]
        ):
            return None
        messages, size, deaths = map(int, parts[:3])
        return cls(messages, size, deaths, parts[3])


class BatchSizes:
    """The present batch sizes by log."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._most: dict[int, int] = {}
        self._written: dict[int, bytes] = {}

    def begin(self, log: int, size: int, reading: StreamHead) -> BatchAttempt:
        """Return the batch that may be processed, with a note in the queue if large or reduced."""
        first, deaths = reading.messages[0][0] if reading.messages else b"", 0
        crashed = BatchAttempt.parse(reading.trying)
        if crashed and crashed.size == size and reading.trying != self._written.get(log):
            self._most[log] = max(1, min(crashed.messages, BATCH) // 2)
            if crashed.messages == 1 and crashed.first == first:
                deaths = crashed.deaths + 1
            log_line.error("batch-died", log=log, messages=crashed.messages, deaths=deaths)
        limit = self._most.get(log, BATCH)
        attempt = BatchAttempt(limit, size, deaths, first, poison=deaths >= DEATHS)
        if limit < BATCH or len(reading.messages) >= LARGE:
            self._inbox.mark_batch(log, attempt.note())
            self._written[log] = attempt.note()
        return attempt

    def end(self, log: int) -> None:
        """Remove the note: the batch was decided, or failed without ending the process."""
        if self._written.pop(log, None) is not None:
            self._inbox.unmark_batch(log)

    def succeeded(self, log: int) -> None:
        """Double the batch size after a commit."""
        if (limit := self._most.pop(log, BATCH)) < BATCH // 2:
            self._most[log] = 2 * limit

    def too_large(self, log: int) -> None:
        """Halve the batch size because memory did not suffice."""
        self._most[log] = max(1, self._most.get(log, BATCH) // 2)
