"""The `firsthand rebuild` command: fold entries into a spool file, then switch to its rows.

On SQLite the process that writes holds `writer.lock`. If no process holds it, this command switches
itself; otherwise it asks the running worker (services/ledger/maintenance/rebuild_switch.py).
"""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
import orjson

from services.cli.options import DATA, FINDINGS, JSON, show
from services.cli.progress import bar
from services.ledger.audit.text_report import count
from services.ledger.bootstrap import open_store
from services.ledger.config import LedgerSettings, local_folder
from services.ledger.maintenance.rebuild import Rebuilding, RebuildReport
from services.ledger.maintenance.rebuild_spool import Spool
from services.ledger.maintenance.rebuild_switch import FAILED, PART, READY, TAKEN, switch
from services.ledger.store import reads
from services.ledger.store.database import Engine, lock_writer, transaction
from services.ledger.vault import Vault
from shared.crashpoints import crashpoint
from shared.errors import PreconditionFailed
from shared.inbox import doorbell
from shared.inbox.servers import connect
from shared.process import exit_on

PATIENCE, LOOK = 60, 0.05  # seconds: time limit of the worker's switch; polling interval


@click.command()
@click.option("--check", is_flag=True, help="Comparison only, without changes.")
@JSON
@DATA
def rebuild(check: bool, as_json: bool) -> None:
    """Rebuild the derived tables from entries and keys, then switch to the new rows.

    The tables are people, plans, snapshots and tiles. Readers and the worker continue meanwhile.
    """
    exit_on(signal.SIGTERM)  # clean up partial output, as on Ctrl-C
    report = fold_and_switch(check=check)
    show(report_json(report), report_text(report), as_json=as_json)
    left = [finding for finding in report.findings if not (report.switched and finding.mends)]
    sys.exit(FINDINGS if left else 0)


def fold_and_switch(*, check: bool) -> RebuildReport:
    """Fold entries, compare with the stored rows, and replace rows that differ unless `check`."""
    settings = LedgerSettings.load()
    folder = local_folder(settings)
    with _spool_file(folder) as path:
        reader, vault = open_store(settings, write=False)
        try:
            report = _fold(settings, reader, vault, path)
        finally:
            reader.dispose()
        rows = any(finding.mends for finding in report.findings)
        whole = all(finding.table != "heads" for finding in report.findings)
        if rows and whole and not check:
            crashpoint("rebuild-folded")
            _switch(settings, folder, path)
            report.switched = True
    return report


@contextmanager
def _spool_file(folder: Path | None) -> Iterator[Path]:
    """Yield the path of the spool file: in the worker's folder, or in a temporary one."""
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary) / PART
        return
    for name in (PART, READY, TAKEN, FAILED):  # left by an interrupted rebuild
        (folder / name).unlink(missing_ok=True)
    try:
        yield folder / PART
    finally:
        (folder / PART).unlink(missing_ok=True)


def _fold(settings: LedgerSettings, reader: Engine, vault: Vault, path: Path) -> RebuildReport:
    with transaction(reader) as connection, Spool(path) as spool:
        size = sum(reads.log_size(connection, log) for log in range(settings.partitions))
        with bar("Folding", size) as tick:
            return Rebuilding(connection, vault, settings.partitions, spool).run(tick)


def _switch(settings: LedgerSettings, folder: Path | None, path: Path) -> None:
    """Switch to the new rows: in this process if it can lock the store, else in the worker."""
    try:
        lock = lock_writer(folder) if folder else None
    except PreconditionFailed:
        _switch_in_worker(settings, path)
        return
    try:
        engine, vault = open_store(settings, write=True)
        switch(engine, vault, path, settings.partitions)
        engine.dispose()
    finally:
        if lock is not None:
            lock.close()


def _switch_in_worker(settings: LedgerSettings, path: Path) -> None:
    """Request the switch from the worker that holds the lock, and wait for it."""
    ready, taken, failed = (path.with_name(name) for name in (READY, TAKEN, FAILED))
    path.rename(ready)
    queue = connect(settings.queue_url)
    doorbell.ring(doorbell.bell(queue), 0, doorbell.SWITCH)
    until = time.monotonic() + PATIENCE
    while ready.exists() or taken.exists():
        if time.monotonic() > until:
            ready.unlink(missing_ok=True)
            raise PreconditionFailed("the running worker did not respond; stop it, and try again")
        time.sleep(LOOK)
    if failed.exists():
        raise PreconditionFailed(f"the worker could not switch: {failed.read_text()}")


def report_json(report: RebuildReport) -> Iterator[str]:
    """Yield the report as one JSON object."""
    findings = [asdict(finding) for finding in report.findings]
    whole = {"entries": report.entries, "findings": findings, "switched": report.switched}
    yield orjson.dumps(whole).decode()


def report_text(report: RebuildReport) -> Iterator[str]:
    """Yield one line per finding, and a summary."""
    for finding in report.findings:
        who = f", {finding.person}" if finding.person else ""
        at = f", sequence {finding.sequence}" if finding.sequence is not None else ""
        left = "" if finding.mends else " (a rebuild cannot repair this)"
        yield f"{finding.table}: log {finding.log}{who}{at}: {finding.detail}{left}"
    findings = len(report.findings)
    yield (
        f"Folded {count(report.entries, 'entry', 'entries')}: "
        f"{count(findings, 'finding', 'findings')}."
    )
    if report.switched:
        yield "The new rows are in place. On PostgreSQL, restart the workers: they cache plans."
    elif findings:
        yield "Nothing was changed."
