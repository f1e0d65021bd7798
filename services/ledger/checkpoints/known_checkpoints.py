"""Checkpoints that are known to have been published, from files that somebody kept."""

from pathlib import Path
from typing import NamedTuple

import orjson

from services.ledger.log.proofs import HEADER
from services.ledger.log.signed_note import Checkpoint, Signer, read_checkpoint, split_note
from shared.errors import PreconditionFailed, SettingsError


class Note(NamedTuple):
    """A checkpoint that must be of the log: its size, where it stands, and its text."""

    size: int
    where: str
    note: str


KnownCheckpoints = dict[int, list[Note]]  # by log


def note_in(raw: bytes) -> str:
    """The checkpoint in a file: alone, in a .tlog-proof, or in a receipt; ValueError if none is."""
    if raw.startswith(b"{"):
        told = orjson.loads(raw)
        told = told.get("receipt", told)
        raw = str(told.get("proof") if isinstance(told, dict) else "").encode()
    text = raw.decode()
    return text.partition("\n\n")[2] if text.startswith(HEADER) else text


def given_notes(keys: list[Signer], given: list[Path]) -> KnownCheckpoints:
    """The checkpoints in these files, by log; SettingsError if one is not of this ledger."""
    found: KnownCheckpoints = {log: [] for log in range(len(keys))}
    origins = {each.origin: log for log, each in enumerate(keys)}
    for path in given:
        try:
            note = note_in(path.read_bytes())
            log = origins[Checkpoint.parse(split_note(note)[0]).origin]
        except (OSError, ValueError, KeyError) as fault:
            raise SettingsError(f"{path}: no checkpoint of this ledger: {fault}") from None
        found[log].append(note_signed_by(keys[log], note, str(path)))
    return found


def note_signed_by(key: Signer, note: str, where: str) -> Note:
    """A checkpoint of which `key` is the log's; Unsafe if it did not sign it."""
    try:
        return Note(read_checkpoint(note, *key.vkeys)[0], where, note)
    except ValueError as fault:
        raise PreconditionFailed(
            f"the checkpoint of {where} is not signed by this ledger: {fault}"
        ) from None
