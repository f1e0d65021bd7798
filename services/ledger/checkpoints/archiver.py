"""Checkpoint archiver: archives published checkpoints and requests cosignatures of witnesses.

It runs once a second on a separate thread, and no event waits for it. If a witness is unreachable,
the checkpoint lacks its cosignature, nothing else. Every witness has its own thread, with one
checkpoint of a log at a time. The archiver waits as long as a fast witness needs; a later
cosignature is added to the archived checkpoint when it arrives. A slow witness therefore delays
neither the others, nor checkpoints that have a quorum without it, nor the end of the worker.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue

import structlog

from services.ledger.checkpoints.witnesses import (
    Policy,
    Witness,
    WitnessRefused,
    request_cosignature,
)
from services.ledger.log.proofs import consistency
from services.ledger.log.signed_note import (
    Checkpoint,
    Signature,
    attach,
    read_checkpoint,
    split_note,
)
from services.ledger.store.checkpoint_archive import archive_checkpoint, last_archived
from services.ledger.store.database import Engine, StoreError, transaction
from services.ledger.store.tile_store import nodes
from shared.errors import FirsthandError
from shared.events.event import timestamp
from shared.inbox.published_checkpoint import PublishedCheckpoints

EVERY = 1.0  # seconds
GRACE = 0.5  # seconds to wait for responses to new requests

log_line = structlog.get_logger()


@dataclass(slots=True)
class CosignedCheckpoint:
    """A published checkpoint with the cosignatures so far.

    `count` is the number of cosignatures of the archived row, or -1 without a row.
    """

    size: int
    note: str
    count: int


@dataclass(slots=True)
class CosignatureRequest:
    """A request to a witness to cosign a checkpoint."""

    log: int
    note: str
    answer: Future[Signature | None] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        return Checkpoint.parse(split_note(self.note)[0]).size


class WitnessThread:
    """Send requests to one witness, on a thread that lasts as long as the process."""

    def __init__(
        self, witness: Witness, send: Callable[[CosignatureRequest], Signature | None]
    ) -> None:
        self.witness = witness
        self.open: dict[int, CosignatureRequest] = {}  # by log: one at a time
        self._send = send
        self._requests = SimpleQueue[CosignatureRequest | None]()
        self._thread: threading.Thread | None = None

    def request(self, log: int, note: str) -> CosignatureRequest | None:
        """Request a cosignature of a log's checkpoint; return None while another is pending."""
        if log in self.open:
            return None
        if self._thread is None:
            name = f"witness {self.witness.url}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        request = self.open[log] = CosignatureRequest(log, note)
        self._requests.put(request)
        return request

    def pop_answered(self, log: int) -> CosignatureRequest | None:
        """Remove and return the log's request if it was answered."""
        request = self.open.get(log)
        return self.open.pop(log) if request is not None and request.answer.done() else None

    def end(self) -> None:
        """Send no more requests. Pending responses are not awaited."""
        self._requests.put(None)

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                request.answer.set_result(self._send(request))
            except Exception as fault:  # noqa: BLE001 - the thread must continue
                why = f"{type(fault).__name__}: {fault}"
                log_line.warning("witness_failed", log=request.log, url=self.witness.url, why=why)
                request.answer.set_result(None)


class CheckpointArchiver:
    """Archive published checkpoints. `reader` is a read-only engine, which takes no lock."""

    def __init__(
        self,
        engine: Engine,
        reader: Engine,
        last: PublishedCheckpoints,
        vkeys: list[list[str]],
        policy: Policy,
        clock: Callable[[], datetime],
        *,
        grace: float = GRACE,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._last = last
        self._vkeys = vkeys
        self._policy = policy
        self._clock = clock
        self._grace = grace
        self._cosigned: dict[tuple[int, str], int] = {}  # (log, witness) -> size
        self._threads = [WitnessThread(known, self._sender(known)) for known in policy.witnesses]
        # By log, then size.
        self._pending: list[dict[int, CosignedCheckpoint]] = [{} for _ in vkeys]

    def run(self, stopping: threading.Event) -> None:
        """Archive published checkpoints, until stopped."""
        while not stopping.wait(EVERY):
            for log in range(len(self._vkeys)):
                try:
                    self.archive(log)
                except (StoreError, ValueError, FirsthandError) as fault:
                    log_line.warning(
                        "checkpoint_archive_failed", log=log, why=f"{type(fault).__name__}: {fault}"
                    )
        self.close()

    def close(self) -> None:
        """Stop requests to witnesses."""
        for thread in self._threads:
            thread.end()

    def archive(self, log: int) -> None:
        """Archive a log's published checkpoint with its cosignatures so far, and later ones."""
        newest = self._newest(log)
        if newest is not None and newest.size:
            wait(self._request_all(log, newest.note), self._grace)
        self._add_cosignatures(log)
        for size in sorted(self._pending[log]):
            self._save(log, self._pending[log][size])
        awaited = {thread.open[log].size for thread in self._threads if log in thread.open}
        self._pending[log] = {
            size: checkpoint
            for size, checkpoint in self._pending[log].items()
            if checkpoint is newest or size in awaited
        }

    def _newest(self, log: int) -> CosignedCheckpoint | None:
        """Return the published checkpoint with its cosignatures; None if it is missing or older."""
        note = self._last.read(log)
        if not note:
            return None
        size, _ = read_checkpoint(note, *self._vkeys[log])
        if size in self._pending[log]:
            return self._pending[log][size]
        with transaction(self._reader) as connection:
            row = last_archived(connection, log)
        if row and row["size"] > size:
            return None
        newest = CosignedCheckpoint(size, note, -1)
        if row and row["size"] == size:
            newest = CosignedCheckpoint(size, row["checkpoint"], row["cosignatures"])
        self._pending[log][size] = newest
        return newest

    def _request_all(self, log: int, note: str) -> list[Future[Signature | None]]:
        """Send requests to all witnesses that have not cosigned; return the responses to await."""
        signers = {(line.name, line.key_id) for line in split_note(note)[1]}
        responses = []
        for thread in self._threads:
            key, is_busy = thread.witness.key, bool(thread.open)
            if (key.name, key.key_id) not in signers:
                request = thread.request(log, note)
                responses += [request.answer] if request is not None and not is_busy else []
        return responses

    def _add_cosignatures(self, log: int) -> None:
        for thread in self._threads:
            request = thread.pop_answered(log)
            cosignature = request.answer.result() if request else None
            pending = self._pending[log].get(request.size) if request else None
            if pending is not None and cosignature is not None:
                pending.note = attach(pending.note, [cosignature])

    def _save(self, log: int, pending: CosignedCheckpoint) -> None:
        count = self._policy.cosigned(pending.note)
        if count <= pending.count:
            return
        try:
            with transaction(self._engine) as connection:
                now = timestamp(self._clock())
                archive_checkpoint(connection, log, pending.size, count, pending.note, now)
        except StoreError:  # another worker may have archived it: read the row again
            del self._pending[log][pending.size]
            raise
        pending.count = count

    def _sender(self, witness: Witness) -> Callable[[CosignatureRequest], Signature | None]:
        """Return the function that sends requests to one witness, for its thread."""

        def proof(log: int) -> Callable[[int, int], list[bytes]]:
            def between(old: int, size: int) -> list[bytes]:
                with transaction(self._reader) as connection:
                    return consistency(nodes(connection, log, size), old, size)

            return between

        def send(request: CosignatureRequest) -> Signature | None:
            log, key = request.log, (request.log, witness.url)
            try:
                cosigned = request_cosignature(
                    witness, request.note, self._cosigned.get(key, 0), proof(log)
                )
            except (WitnessRefused, StoreError) as fault:
                log_line.warning("witness_failed", log=log, url=witness.url, why=str(fault))
                return None
            self._cosigned[key] = request.size
            return cosigned

        return send
