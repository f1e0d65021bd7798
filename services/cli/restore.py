"""`firsthand restore`, from settings to a report."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson

from services.cli.options import DATA, FINDINGS, JSON, KEPT, show
from services.cli.progress import bar
from services.ledger.audit.export_source import AuditExportSource, unpack
from services.ledger.audit.findings import Report
from services.ledger.audit.text_report import shortened
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.known_checkpoints import (
    KnownCheckpoints,
    note_signed_by,
    read_known_checkpoints,
)
from services.ledger.checkpoints.witnesses import Policy
from services.ledger.config import LedgerSettings, local_folder, signers, utc_now
from services.ledger.log.signed_note import Signer
from services.ledger.maintenance.restore import Restored, Restoring, audit_export
from services.ledger.store.checkpoint_archive import archived_checkpoints
from services.ledger.store.database import Connection, lock_writer, transaction
from services.ledger.vault import KeyUnwrapError, Vault
from services.ledger.writer.held_messages import restore_held
from services.operations.embedded_queue import embedded_queue
from shared.crashpoints import crashpoint
from shared.errors import DecryptionError, PreconditionFailed, SettingsError
from shared.events.event import timestamp
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.servers import RedisServers
from shared.log_setup import describe_error
from shared.process import exit_on


@click.command()
@click.argument("path", metavar="EXPORT", type=click.Path(path_type=Path))
@KEPT
@JSON
@DATA
def restore(path: Path, kept: tuple[Path, ...], as_json: bool) -> None:
    """Bring a ledger whose database is an older copy forward to what EXPORT holds.

    It stops neither behind what was published nor beside it. Stop the worker first.
    """
    exit_on(signal.SIGTERM)  # as Ctrl-C: nothing half-made stays
    result = restore_from(path, list(kept))
    show(result.as_json(), result.as_text(), as_json=as_json)
    sys.exit(0 if result.clean else FINDINGS)


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


def restore_from(path: Path, kept: list[Path]) -> Told:
    """Bring this ledger forward to an export."""
    settings = LedgerSettings.load()
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
            export = AuditExportSource(found, [key for each in keys for key in each.vkeys])
            _same_logs(export, keys)
            total = sum(export.size(log) for log in range(export.logs))
            with bar("Auditing the export", total) as tick:
                report = audit_export(export, published, tick)
            findings = [*odd, *_findings(export, report)]
            if findings:
                return Told(findings, Restored())
            with transaction(engine) as connection:
                work = Restoring(connection, vault, keys, policy, timestamp(utc_now()))
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
            return restore_held(connection, vault, lines)
    except (DecryptionError, KeyUnwrapError, ValueError, KeyError, TypeError) as fault:
        raise PreconditionFailed(
            f"held.jsonl is not what this ledger exported: {describe_error(fault)}"
        ) from None


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """An export's folder, and what is wrong with its archive."""
    if path.is_dir():
        yield path, []
        return
    with tempfile.TemporaryDirectory() as into:
        folder, odd = unpack(path, Path(into))
        yield folder, [shortened(f"{code}: {name}: {why}") for _, code, name, why in odd]


def _same_logs(export: AuditExportSource, keys: list[Signer]) -> None:
    ours = [each.origin for each in keys]
    theirs = [export.origin(log) for log in range(export.logs)]
    if ours != theirs:
        raise PreconditionFailed(
            f"the export is of {', '.join(theirs) or 'no log'}, and this ledger of "
            f"{', '.join(ours)}: put back the key folder that the export's ledger had"
        )


def _findings(export: AuditExportSource, report: Report) -> Iterator[str]:
    for log, code, name, why in export.findings:
        yield shortened(f"{code}: {name if log is None else f'log {log}, {name}'}: {why}")
    for each in report.findings:
        place = f"log {each.log}" + (f", entry {each.index}" if each.index is not None else "")
        yield shortened(f"{each.code}: {place}, {each.field}: {each.detail}")


def _published(
    settings: LedgerSettings, keys: list[Signer], connection: Connection, given: list[Path]
) -> KnownCheckpoints:
    """Every checkpoint that is known to have been published, by log, smallest first."""
    found: KnownCheckpoints = {log: [] for log in range(len(keys))}
    with embedded_queue(settings):
        last = PublishedCheckpoints(RedisServers.connect(settings.queue_urls))
        for log in found:
            if note := last.read(log):
                found[log].append(note_signed_by(keys[log], note, "the queue says"))
    for log in found:
        for row in archived_checkpoints(connection, log):
            found[log].append(
                note_signed_by(keys[log], row["checkpoint"], f"kept on {row['kept']}")
            )
    for log, notes in read_known_checkpoints(keys, given).items():
        found[log] += notes
    return {log: sorted(notes) for log, notes in found.items()}
