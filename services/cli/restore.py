"""The `firsthand restore` command: append an export's entries to an older copy of its database."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson

from services.cli.options import CHECKPOINTS, DATA, FINDINGS, JSON, show
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
@CHECKPOINTS
@JSON
@DATA
def restore(path: Path, checkpoints: tuple[Path, ...], as_json: bool) -> None:
    """Append the entries of EXPORT to a ledger whose database is an older copy.

    Fails if the result would be shorter than the last published checkpoint, or inconsistent with
    it. Stop the worker first.
    """
    exit_on(signal.SIGTERM)  # clean up partial output, as on Ctrl-C
    result = restore_from(path, list(checkpoints))
    show(result.as_json(), result.as_text(), as_json=as_json)
    sys.exit(0 if result.clean else FINDINGS)


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """Findings of the export's audit if there are any; otherwise what was restored."""

    findings: list[str]
    restored: Restored

    @property
    def clean(self) -> bool:
        """Return True if nothing was found and no key is missing."""
        return not (self.findings or self.restored.keyless or self.restored.derived)

    def as_json(self) -> Iterator[str]:
        """Yield one JSON object."""
        yield orjson.dumps({"findings": self.findings, **asdict(self.restored)}).decode()

    def as_text(self) -> Iterator[str]:
        """Yield one line per log, and what is missing."""
        yield from self.findings
        if self.findings:
            yield "Nothing was restored: the export failed its audit."
        for log, (before, after) in enumerate(self.restored.logs):
            more = f"{after - before:,} restored" if after > before else "nothing was missing"
            yield f"Log {log}: {max(before, after):,} entries, {more}."
        if held := self.restored.held:
            yield f"{held:,} messages held back again, until events of their people can be decided."
        keyless = self.restored.keyless
        for person, count in sorted(keyless.items()):
            yield f"No key of {person}: {count:,} of these entries cannot be decrypted."
        for row in self.restored.derived:
            if row.person not in keyless:
                yield f"{row.table}: log {row.log}, {row.person}: {row.detail}"
        if keyless:
            people = "1 person" if len(keyless) == 1 else f"{len(keyless):,} people"
            yield (
                f"The keys of {people} are missing, although they were not erased. Restore a copy "
                "of the table 'keys' that has them, and run 'firsthand rebuild'."
            )


def restore_from(path: Path, checkpoints: list[Path]) -> RestoreResult:
    """Append an export's entries to this ledger."""
    settings = LedgerSettings.load()
    if not path.exists():
        raise SettingsError(f"{path}: no such file or folder")
    folder = local_folder(settings)
    lock = lock_writer(folder) if folder else None
    try:
        return _restore(settings, path, checkpoints)
    finally:
        if lock is not None:
            lock.close()


def _restore(settings: LedgerSettings, path: Path, checkpoints: list[Path]) -> RestoreResult:
    keys, policy = signers(settings), Policy.from_folder(settings.key_folder)
    engine, vault = open_store(settings, write=True)
    try:
        with transaction(engine) as connection:
            published = _published(settings, keys, connection, checkpoints)
        with _unpacked(path) as (folder, problems):
            if not (folder / "logs").is_dir() and not (folder / "manifest.json").exists():
                why = "; ".join(["not an export", *problems])
                raise SettingsError(f"{path}: neither manifest.json nor logs/: {why}")
            export = AuditExportSource(folder, [vkey for key in keys for vkey in key.vkeys])
            _same_logs(export, keys)
            total = sum(export.size(log) for log in range(export.logs))
            with bar("Auditing the export", total) as tick:
                report = audit_export(export, published, tick)
            findings = [*problems, *_findings(export, report)]
            if findings:
                return RestoreResult(findings, Restored())
            with transaction(engine) as connection:
                restoring = Restoring(connection, vault, keys, policy, timestamp(utc_now()))
                restored = restoring.run(export, published)
                restored.held = _held(connection, vault, folder)
                crashpoint("restore-written")
            crashpoint("restore-committed")
            return RestoreResult([], restored)
    finally:
        engine.dispose()


def _held(connection: Connection, vault: Vault, folder: Path) -> int:
    """Restore the export's held messages. Raises PreconditionFailed if they are foreign."""
    path = folder / "held.jsonl"
    if not path.is_file():
        return 0
    try:
        with path.open("rb") as lines:
            return restore_held(connection, vault, lines)
    except (DecryptionError, KeyUnwrapError, ValueError, KeyError, TypeError) as fault:
        raise PreconditionFailed(
            f"held.jsonl was not exported by this ledger: {describe_error(fault)}"
        ) from None


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield an export's folder, and the problems of its archive."""
    if path.is_dir():
        yield path, []
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, problems = unpack(path, Path(temporary))
        yield folder, [shortened(f"{code}: {name}: {why}") for _, code, name, why in problems]


def _same_logs(export: AuditExportSource, keys: list[Signer]) -> None:
    expected = [key.origin for key in keys]
    exported = [export.origin(log) for log in range(export.logs)]
    if expected != exported:
        raise PreconditionFailed(
            f"the export is of {', '.join(exported) or 'no log'}, and this ledger of "
            f"{', '.join(expected)}: restore the key folder of the export's ledger"
        )


def _findings(export: AuditExportSource, report: Report) -> Iterator[str]:
    for log, code, name, why in export.findings:
        yield shortened(f"{code}: {name if log is None else f'log {log}, {name}'}: {why}")
    for finding in report.findings:
        position = f"log {finding.log}" + (
            f", entry {finding.index}" if finding.index is not None else ""
        )
        yield shortened(f"{finding.code}: {position}, {finding.field}: {finding.detail}")


def _published(
    settings: LedgerSettings, keys: list[Signer], connection: Connection, checkpoints: list[Path]
) -> KnownCheckpoints:
    """Return all known published checkpoints, by log, smallest first."""
    known: KnownCheckpoints = {log: [] for log in range(len(keys))}
    with embedded_queue(settings):
        published = PublishedCheckpoints(RedisServers.connect(settings.queue_urls))
        for log in known:
            if note := published.read(log):
                known[log].append(note_signed_by(keys[log], note, "in the queue"))
    for log in known:
        for row in archived_checkpoints(connection, log):
            known[log].append(
                note_signed_by(keys[log], row["checkpoint"], f"archived on {row['kept']}")
            )
    for log, notes in read_known_checkpoints(keys, checkpoints).items():
        known[log] += notes
    return {log: sorted(notes) for log, notes in known.items()}
