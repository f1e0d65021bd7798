"""`firsthand rebuild`: fold beside everybody, then switch, here or in the worker.

On SQLite the one who writes holds `writer.lock`. If nobody does, we do; otherwise the running
worker is asked (services/ledger/maintenance/rebuild_switch.py).
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

PATIENCE, LOOK = 60, 0.05  # seconds that a worker may take; between two looks


@click.command()
@click.option("--check", is_flag=True, help="Compare only; change nothing.")
@JSON
@DATA
def rebuild(check: bool, as_json: bool) -> None:
    """Fold derived tables again from entries and keys, beside the old, and switch.

    People, plans, snapshots and tiles; readers and writers go on meanwhile.
    """
    exit_on(signal.SIGTERM)  # as Ctrl-C: nothing half-made stays
    report = fold_and_switch(check=check)
    show(report_json(report), report_text(report), as_json=as_json)
    left = [finding for finding in report.findings if not (report.switched and finding.mends)]
    sys.exit(FINDINGS if left else 0)


def fold_and_switch(*, check: bool) -> RebuildReport:
    """Fold again and compare; put in place what differs, unless it is only to `check`."""
    settings = LedgerSettings.load()
    folder = local_folder(settings)
    with _place(folder) as path:
        reader, vault = open_store(settings, write=False)
        try:
            report = _fold(settings, reader, vault, path)
        finally:
            reader.dispose()
        rows = any(each.mends for each in report.findings)
        whole = all(each.table != "heads" for each in report.findings)
        if rows and whole and not check:
            crashpoint("rebuild-folded")
            _switch(settings, folder, path)
            report.switched = True
    return report


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """A file to fold into: where the worker finds it, or anywhere."""
    if folder is None:
        with tempfile.TemporaryDirectory() as anywhere:
            yield Path(anywhere) / PART
        return
    for name in (PART, READY, TAKEN, FAILED):  # of one that was cut short
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
    """Put it in place, as whoever may write here."""
    try:
        lock = lock_writer(folder) if folder else None
    except PreconditionFailed:
        _ask(settings, path)
        return
    try:
        engine, vault = open_store(settings, write=True)
        switch(engine, vault, path, settings.partitions)
        engine.dispose()
    finally:
        if lock is not None:
            lock.close()


def _ask(settings: LedgerSettings, path: Path) -> None:
    """Have the worker that holds the lock do it, and wait until it has."""
    ready, taken, failed = (path.with_name(name) for name in (READY, TAKEN, FAILED))
    path.rename(ready)
    queue = connect(settings.queue_url)
    doorbell.ring(doorbell.bell(queue), 0, doorbell.SWITCH)
    until = time.monotonic() + PATIENCE
    while ready.exists() or taken.exists():
        if time.monotonic() > until:
            ready.unlink(missing_ok=True)
            raise PreconditionFailed(
                "the worker that writes here does not answer; stop it, and try again"
            )
        time.sleep(LOOK)
    if failed.exists():
        raise PreconditionFailed(f"the worker could not switch: {failed.read_text()}")


def report_json(report: RebuildReport) -> Iterator[str]:
    """One JSON object."""
    findings = [asdict(each) for each in report.findings]
    whole = {"entries": report.entries, "findings": findings, "switched": report.switched}
    yield orjson.dumps(whole).decode()


def report_text(report: RebuildReport) -> Iterator[str]:
    """The findings, a line each, and what became of them."""
    for each in report.findings:
        who = f", {each.person}" if each.person else ""
        at = f", sequence {each.sequence}" if each.sequence is not None else ""
        left = "" if each.mends else " (not to be mended so)"
        yield f"{each.table}: log {each.log}{who}{at}: {each.detail}{left}"
    findings = len(report.findings)
    yield (
        f"Folded {count(report.entries, 'entry', 'entries')} anew: "
        f"{count(findings, 'finding', 'findings')}."
    )
    if report.switched:
        yield "The new rows are in place. On PostgreSQL, restart the workers: they remember plans."
    elif findings:
        yield "Nothing was changed."
