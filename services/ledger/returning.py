"""`firsthand restore`, from settings to a report."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from services.bar import bar
from services.ledger.audit.engine import Note
from services.ledger.audit.exported import Export, unpack
from services.ledger.audit.findings import Report
from services.ledger.audit.run import note_in
from services.ledger.audit.told import shortened
from services.ledger.config import LedgerSettings, local_folder, now, open_store, signers
from services.ledger.holding import take_back
from services.ledger.log.note import Checkpoint, Signer, read_checkpoint, split_note
from services.ledger.restore import Restored, Restoring, audited
from services.ledger.store.engine import Connection, lock_writer, transaction
from services.ledger.store.published import kept_checkpoints
from services.ledger.vault import Vault, VaultClosed
from services.ledger.witnesses import Policy
from services.standalone import queue_at_hand
from shared import logs
from shared.crashpoint import crashpoint
from shared.event import timestamp
from shared.inbox import Queues
from shared.logs import told
from shared.problems import SealBroken, SettingsError, Unsafe
from shared.published import LastPublished

Published = dict[int, list[Note]]


@dataclass(frozen=True, slots=True)
class Told:
    """What the export's audit found, if anything; else what was restored."""

    findings: list[str]
    restored: Restored

    @property
    def clean(self) -> bool:
        """Nothing was found, and no key is missing."""
        return not (self.findings or self.restored.keyless or self.restored.derived)

    def as_json(self) -> Iterator[str]:
        """One JSON object."""
        yield orjson.dumps({"findings": self.findings, **asdict(self.restored)}).decode()

    def as_text(self) -> Iterator[str]:
        """A line a log, and what is missing."""
        yield from self.findings
        if self.findings:
            yield "Nothing was restored: the export is not what this ledger published."
        for log, (before, after) in enumerate(self.restored.logs):
            more = f"{after - before:,} restored" if after > before else "nothing was missing"
            yield f"Log {log}: {max(before, after):,} entries, {more}."
        if held := self.restored.held:
            yield f"{held:,} held back again, until the people they are about can be judged."
        keyless = self.restored.keyless
        for person, count in sorted(keyless.items()):
            yield f"No key of {person} for {count:,} of these entries: nobody can read them."
        for each in self.restored.derived:
            if each.person not in keyless:
                yield f"{each.table}: log {each.log}, {each.person}: {each.detail}"
        if keyless:
            whom = "1 person is" if len(keyless) == 1 else f"{len(keyless):,} people are"
            yield (
                f"{whom} concerned: their keys are missing, and they were not erased. Bring back a "
                "copy of the table 'keys' that has them, and run 'firsthand rebuild'."
            )


def restore(path: Path, kept: list[Path]) -> Told:
    """Bring this ledger forward to an export."""
    settings = LedgerSettings.load()
    logs.configure("warning")
    if not path.exists():
        raise SettingsError(f"{path}: no such file or folder")
    folder = local_folder(settings)
    lock = lock_writer(folder) if folder else None
    try:
        return _restore(settings, path, kept)
    finally:
        if lock is not None:
            lock.close()


def _restore(settings: LedgerSettings, path: Path, kept: list[Path]) -> Told:
    keys, policy = signers(settings), Policy.from_folder(settings.key_folder)
    engine, vault = open_store(settings, write=True)
    try:
        with transaction(engine) as connection:
            published = _published(settings, keys, connection, kept)
        with _unpacked(path) as (found, odd):
            if not (found / "logs").is_dir() and not (found / "manifest.json").exists():
                why = "; ".join(["this is no export", *odd])
                raise SettingsError(f"{path}: neither manifest.json nor logs/: {why}")
            export = Export(found, [key for each in keys for key in each.vkeys])
            _same_logs(export, keys)
            total = sum(export.size(log) for log in range(export.logs))
            with bar("Auditing the export", total) as tick:
                report = audited(export, published, tick)
            findings = [*odd, *_findings(export, report)]
            if findings:
                return Told(findings, Restored())
            with transaction(engine) as connection:
                work = Restoring(connection, vault, keys, policy, timestamp(now()))
                restored = work.run(export, published)
                restored.held = _held(connection, vault, found)
                crashpoint("restore-written")
            crashpoint("restore-committed")
            return Told([], restored)
    finally:
        engine.dispose()


def _held(connection: Connection, vault: Vault, folder: Path) -> int:
    """Hold back what the export held back; Unsafe if it is not what this ledger exported."""
    path = folder / "held.jsonl"
    if not path.is_file():
        return 0
    try:
        with path.open("rb") as lines:
            return take_back(connection, vault, lines)
    except (SealBroken, VaultClosed, ValueError, KeyError, TypeError) as fault:
        raise Unsafe(f"held.jsonl is not what this ledger exported: {told(fault)}") from None


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """An export's folder, and what is wrong with its archive."""
    if path.is_dir():
        yield path, []
        return
    with tempfile.TemporaryDirectory() as into:
        folder, odd = unpack(path, Path(into))
        yield folder, [shortened(f"{code}: {name}: {why}") for _, code, name, why in odd]


def _same_logs(export: Export, keys: list[Signer]) -> None:
    ours = [each.origin for each in keys]
    theirs = [export.origin(log) for log in range(export.logs)]
    if ours != theirs:
        raise Unsafe(
            f"the export is of {', '.join(theirs) or 'no log'}, and this ledger of "
            f"{', '.join(ours)}: put back the key folder that the export's ledger had"
        )


def _findings(export: Export, report: Report) -> Iterator[str]:
    for log, code, name, why in export.found:
        yield shortened(f"{code}: {name if log is None else f'log {log}, {name}'}: {why}")
    for each in report.findings:
        place = f"log {each.log}" + (f", entry {each.index}" if each.index is not None else "")
        yield shortened(f"{each.code}: {place}, {each.field}: {each.detail}")


def _published(
    settings: LedgerSettings, keys: list[Signer], connection: Connection, given: list[Path]
) -> Published:
    """Every checkpoint that is known to have been published, by log, smallest first."""
    found: Published = {log: [] for log in range(len(keys))}
    with queue_at_hand(settings):
        last = LastPublished(Queues.connect(settings.queue_urls))
        for log in found:
            if note := last.of(log):
                found[log].append(_note(keys[log], note, "the queue says"))
    for log in found:
        for row in kept_checkpoints(connection, log):
            found[log].append(_note(keys[log], row["checkpoint"], f"kept on {row['kept']}"))
    for log, notes in given_notes(keys, given).items():
        found[log] += notes
    return {log: sorted(notes) for log, notes in found.items()}


def given_notes(keys: list[Signer], given: list[Path]) -> Published:
    """The checkpoints in these files, by log; SettingsError if one is not of this ledger."""
    found: Published = {log: [] for log in range(len(keys))}
    origins = {each.origin: log for log, each in enumerate(keys)}
    for path in given:
        try:
            note = note_in(path.read_bytes())
            log = origins[Checkpoint.parse(split_note(note)[0]).origin]
        except (OSError, ValueError, KeyError) as fault:
            raise SettingsError(f"{path}: no checkpoint of this ledger: {fault}") from None
        found[log].append(_note(keys[log], note, str(path)))
    return found


def _note(key: Signer, note: str, where: str) -> Note:
    try:
        return Note(read_checkpoint(note, *key.vkeys)[0], where, note)
    except ValueError as fault:
        raise Unsafe(f"the checkpoint of {where} is not signed by this ledger: {fault}") from None
