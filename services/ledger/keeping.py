"""Keeping what was published, and having witnesses cosign it: once a second, on its own thread.

Nothing waits for it: a witness that is away costs a checkpoint its cosignature, and no event
anything.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog

from services.ledger.log.note import Checkpoint, Signature, attach, read_checkpoint, split_note
from services.ledger.log.proof import consistency
from services.ledger.store.engine import Engine, StoreError, transaction
from services.ledger.store.published import keep_checkpoint, last_kept
from services.ledger.store.tiles import nodes
from services.ledger.witnesses import Policy, Refused, Witness, ask
from shared.event import timestamp
from shared.problems import FirsthandError
from shared.published import LastPublished

EVERY = 1.0  # seconds

log_line = structlog.get_logger()


class Keeper:
    """Keeps published checkpoints. `reader` is an engine that takes no lock."""

    def __init__(
        self,
        engine: Engine,
        reader: Engine,
        last: LastPublished,
        vkeys: list[list[str]],
        policy: Policy,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._last = last
        self._vkeys = vkeys
        self._policy = policy
        self._clock = clock
        self._cosigned: dict[tuple[int, str], int] = {}  # (log, witness) -> size

    def run(self, stopping: threading.Event) -> None:
        """Keep what is published, until stopped."""
        while not stopping.wait(EVERY):
            for log in range(len(self._vkeys)):
                try:
                    self.keep(log)
                except (StoreError, ValueError, FirsthandError) as fault:
                    log_line.warning("keeping", log=log, why=f"{type(fault).__name__}: {fault}")

    def keep(self, log: int) -> None:
        """Keep a log's published checkpoint with the cosignatures it can get, if that is news."""
        note = self._last.of(log)
        if not note:
            return
        size, _ = read_checkpoint(note, *self._vkeys[log])
        with transaction(self._reader) as connection:
            row = last_kept(connection, log)
        had = (row["size"], row["cosignatures"]) if row else (-1, 0)
        if row and row["size"] == size:
            note = row["checkpoint"]
        if size and had < (size, len(self._policy.witnesses)):
            note = attach(note, self._ask_all(log, note))
        count = self._policy.cosigned(note)
        if (size, count) > had:
            with transaction(self._engine) as connection:
                kept = timestamp(self._clock())
                keep_checkpoint(connection, log, size, count, note, kept)

    def _ask_all(self, log: int, note: str) -> list[Signature]:
        """Ask all witnesses that have not cosigned this, at once."""
        there = {(each.name, each.key_id) for each in split_note(note)[1]}
        missing = [
            each for each in self._policy.witnesses if (each.key.name, each.key.key_id) not in there
        ]
        if not missing:
            return []
        with ThreadPoolExecutor(len(missing)) as pool:
            answers = pool.map(lambda each: self._ask(log, each, note), missing)
            return [each for each in answers if each]

    def _ask(self, log: int, witness: Witness, note: str) -> Signature | None:
        place = (log, witness.url)

        def proof(old: int, size: int) -> list[bytes]:
            with transaction(self._reader) as connection:
                return consistency(nodes(connection, log, size), old, size)

        try:
            cosigned = ask(witness, note, self._cosigned.get(place, 0), proof)
        except (Refused, StoreError) as fault:
            log_line.warning("witness", log=log, url=witness.url, why=str(fault))
            return None
        self._cosigned[place] = Checkpoint.parse(split_note(note)[0]).size
        return cosigned
