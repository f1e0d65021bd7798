"""Known checkpoints: read from files with checkpoints that were published earlier."""

from pathlib import Path
from typing import NamedTuple

import orjson

from services.ledger.log.proofs import HEADER
from services.ledger.log.signed_note import Checkpoint, Signer, read_checkpoint, split_note
from shared.errors import PreconditionFailed, SettingsError


class Note(NamedTuple):
    """A checkpoint that the log must be consistent with: its size, its source, and its text."""

    size: int
    where: str
    note: str


KnownCheckpoints = dict[int, list[Note]]  # by log


def note_in(raw: bytes) -> str:
    """Return the checkpoint of a file: plain, in a .tlog-proof, or in a receipt.

    Raises ValueError if the file has none.
    """
    if raw.startswith(b"{"):
        members = orjson.loads(raw)
        members = members.get("receipt", members)
        raw = str(members.get("proof") if isinstance(members, dict) else "").encode()
    text = raw.decode()
    return text.partition("\n\n")[2] if text.startswith(HEADER) else text


def read_known_checkpoints(keys: list[Signer], paths: list[Path]) -> KnownCheckpoints:
    """Return the checkpoints in these files by log; raise SettingsError if one is not ours."""
    notes: KnownCheckpoints = {log: [] for log in range(len(keys))}
    origins = {key.origin: log for log, key in enumerate(keys)}
    for path in paths:
        try:
            note = note_in(path.read_bytes())
            log = origins[Checkpoint.parse(split_note(note)[0]).origin]
        except (OSError, ValueError, KeyError) as fault:
            raise SettingsError(f"{path}: not a checkpoint of this ledger: {fault}") from None
        notes[log].append(note_signed_by(keys[log], note, str(path)))
    return notes


def note_signed_by(key: Signer, note: str, where: str) -> Note:
    """Parse a checkpoint of the log of `key`; raise PreconditionFailed if another key signed it."""
    try:
        return Note(read_checkpoint(note, *key.vkeys)[0], where, note)
    except ValueError as fault:
        raise PreconditionFailed(
            f"the checkpoint of {where} is not signed by this ledger: {fault}"
        ) from None
