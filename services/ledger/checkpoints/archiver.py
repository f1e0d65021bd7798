"""Keeping what was published, and having witnesses cosign it: once a second, on its own thread.

Nothing waits for it: a witness that is away costs a checkpoint its cosignature, and no event
anything. Each witness is asked on a thread of its own, one checkpoint of a log at a time. A keeper
waits for an answer for as long as a quick witness needs; a cosignature that comes later is kept
then, under the checkpoint that it is for. So a slow witness delays neither the others, nor what has
its quorum without it, nor the end of the worker, whose threads these are.
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
GRACE = 0.5  # seconds for answers to questions that were just asked

log_line = structlog.get_logger()


@dataclass(slots=True)
class CosignedCheckpoint:
    """A published checkpoint of a size, with the cosignatures so far; `count` of them are kept in
    the store, -1: it is not there.
    """

    size: int
    note: str
    count: int


@dataclass(slots=True)
class CosignatureRequest:
    """A checkpoint that a witness is asked to cosign."""

    log: int
    note: str
    answer: Future[Signature | None] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        return Checkpoint.parse(split_note(self.note)[0]).size


class WitnessThread:
    """Asks one witness, on a thread that lasts as long as the process."""

    def __init__(
        self, witness: Witness, ask_it: Callable[[CosignatureRequest], Signature | None]
    ) -> None:
        self.witness = witness
        self.open: dict[int, CosignatureRequest] = {}  # by log: one at a time
        self._ask_it = ask_it
        self._questions = SimpleQueue[CosignatureRequest | None]()
        self._thread: threading.Thread | None = None

    def put(self, log: int, note: str) -> CosignatureRequest | None:
        """Ask for a cosignature of a log's checkpoint; None while an earlier one is awaited."""
        if log in self.open:
            return None
        if self._thread is None:
            name = f"witness {self.witness.url}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        question = self.open[log] = CosignatureRequest(log, note)
        self._questions.put(question)
        return question

    def taken(self, log: int) -> CosignatureRequest | None:
        """The log's question, if it was answered; another may be asked then."""
        question = self.open.get(log)
        return self.open.pop(log) if question is not None and question.answer.done() else None

    def end(self) -> None:
        """Ask nothing more. What is being asked is not waited for."""
        self._questions.put(None)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            try:
                question.answer.set_result(self._ask_it(question))
            except Exception as fault:  # noqa: BLE001 - whatever it is: this thread asks on
                why = f"{type(fault).__name__}: {fault}"
                log_line.warning("witness_failed", log=question.log, url=self.witness.url, why=why)
                question.answer.set_result(None)


class CheckpointArchiver:
    """Keeps published checkpoints. `reader` is an engine that takes no lock."""

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
        self._askers = [WitnessThread(each, self._asking(each)) for each in policy.witnesses]
        self._under_way: list[dict[int, CosignedCheckpoint]] = [
            {} for _ in vkeys
        ]  # by log, then size

    def run(self, stopping: threading.Event) -> None:
        """Keep what is published, until stopped."""
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
        """Ask no witness any more."""
        for each in self._askers:
            each.end()

    def archive(self, log: int) -> None:
        """Keep a log's published checkpoint with the cosignatures it can get, if that is news; and
        cosignatures that came late.
        """
        newest = self._newest(log)
        if newest is not None and newest.size:
            wait(self._ask_all(log, newest.note), self._grace)
        self._take_answers(log)
        for size in sorted(self._under_way[log]):
            self._keep(log, self._under_way[log][size])
        awaited = {each.open[log].size for each in self._askers if log in each.open}
        self._under_way[log] = {
            size: each
            for size, each in self._under_way[log].items()
            if each is newest or size in awaited
        }

    def _newest(self, log: int) -> CosignedCheckpoint | None:
        """What is published now, with the cosignatures that it has; None if it is nothing new."""
        note = self._last.read(log)
        if not note:
            return None
        size, _ = read_checkpoint(note, *self._vkeys[log])
        if size in self._under_way[log]:
            return self._under_way[log][size]
        with transaction(self._reader) as connection:
            row = last_archived(connection, log)
        if row and row["size"] > size:
            return None
        known = row if row and row["size"] == size else None
        newest = (
            CosignedCheckpoint(size, known["checkpoint"], known["cosignatures"]) if known else None
        )
        found = self._under_way[log][size] = newest or CosignedCheckpoint(size, note, -1)
        return found

    def _ask_all(self, log: int, note: str) -> list[Future[Signature | None]]:
        """Ask all witnesses that have not cosigned this; the answers that may come soon."""
        there = {(each.name, each.key_id) for each in split_note(note)[1]}
        asked = []
        for each in self._askers:
            key, is_busy = each.witness.key, bool(each.open)
            if (key.name, key.key_id) not in there:
                question = each.put(log, note)
                asked += [question.answer] if question is not None and not is_busy else []
        return asked

    def _take_answers(self, log: int) -> None:
        for each in self._askers:
            question = each.taken(log)
            cosignature = question.answer.result() if question else None
            kept = self._under_way[log].get(question.size) if question else None
            if kept is not None and cosignature is not None:
                kept.note = attach(kept.note, [cosignature])

    def _keep(self, log: int, each: CosignedCheckpoint) -> None:
        count = self._policy.cosigned(each.note)
        if count <= each.count:
            return
        try:
            with transaction(self._engine) as connection:
                kept = timestamp(self._clock())
                archive_checkpoint(connection, log, each.size, count, each.note, kept)
        except StoreError:  # another worker may have kept it: look again what there is
            del self._under_way[log][each.size]
            raise
        each.count = count

    def _asking(self, witness: Witness) -> Callable[[CosignatureRequest], Signature | None]:
        """What asks one witness, on its thread."""

        def proof(log: int) -> Callable[[int, int], list[bytes]]:
            def between(old: int, size: int) -> list[bytes]:
                with transaction(self._reader) as connection:
                    return consistency(nodes(connection, log, size), old, size)

            return between

        def ask_it(question: CosignatureRequest) -> Signature | None:
            log, place = question.log, (question.log, witness.url)
            try:
                cosigned = request_cosignature(
                    witness, question.note, self._cosigned.get(place, 0), proof(log)
                )
            except (WitnessRefused, StoreError) as fault:
                log_line.warning("witness_failed", log=log, url=witness.url, why=str(fault))
                return None
            self._cosigned[place] = question.size
            return cosigned

        return ask_it
