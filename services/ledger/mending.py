"""`firsthand rebuild`: fold beside everybody, then switch, here or in the worker.

On SQLite the one who writes holds `writer.lock`. If nobody does, we do; otherwise the folded rows
are left in DATA and the running worker is asked to put them in place:

    rebuild.part     being folded                 rebuild.taken    the worker has it in hand
    rebuild.ready    whole, for the worker        rebuild.failed   why it could not, in words

It answers by removing what it took. On PostgreSQL the heads' locks are enough.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import orjson

from services.bar import bar
from services.ledger.config import LedgerSettings, local_folder, open_store
from services.ledger.rebuild import Rebuilding, Report
from services.ledger.spool import Spool
from services.ledger.store import reads
from services.ledger.store.engine import Engine, lock_writer, transaction
from services.ledger.switch import switch
from services.ledger.vault import Vault
from shared import doorbell, inbox, logs
from shared.crashpoint import crashpoint
from shared.logs import told
from shared.problems import Unsafe

PATIENCE, LOOK = 60, 0.05  # seconds that a worker may take; between two looks
PART, READY, TAKEN, FAILED = (f"rebuild.{each}" for each in ("part", "ready", "taken", "failed"))


def rebuild(*, check: bool) -> Report:
    """Fold anew and compare; put in place what differs, unless it is only to `check`."""
    settings = LedgerSettings.load()
    logs.configure("warning")
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


def _fold(settings: LedgerSettings, reader: Engine, vault: Vault, path: Path) -> Report:
    with transaction(reader) as connection, Spool(path) as spool:
        size = sum(reads.log_size(connection, log) for log in range(settings.partitions))
        with bar("Folding", size) as tick:
            return Rebuilding(connection, vault, settings.partitions, spool).run(tick)


def _switch(settings: LedgerSettings, folder: Path | None, path: Path) -> None:
    """Put it in place, as whoever may write here."""
    try:
        lock = lock_writer(folder) if folder else None
    except Unsafe:
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
    queue = inbox.connect(settings.queue_url)
    doorbell.ring(doorbell.bell(queue), 0, doorbell.SWITCH)
    until = time.monotonic() + PATIENCE
    while ready.exists() or taken.exists():
        if time.monotonic() > until:
            ready.unlink(missing_ok=True)
            raise Unsafe("the worker that writes here does not answer; stop it, and try again")
        time.sleep(LOOK)
    if failed.exists():
        raise Unsafe(f"the worker could not switch: {failed.read_text()}")


def take_up(folder: Path | None, engine: Engine, vault: Vault, partitions: int) -> bool:
    """The worker's part: put in place what was left for it, if anything was."""
    if folder is None or not (folder / READY).exists():
        return False
    taken = (folder / READY).rename(folder / TAKEN)
    try:
        switch(engine, vault, taken, partitions)
    except Exception as fault:
        (folder / FAILED).write_text(told(fault))
        raise
    finally:
        taken.unlink()
    return True


def as_json(report: Report) -> Iterator[str]:
    """One JSON object."""
    findings = [asdict(each) for each in report.findings]
    whole = {"entries": report.entries, "findings": findings, "switched": report.switched}
    yield orjson.dumps(whole).decode()


def as_text(report: Report) -> Iterator[str]:
    """The findings, a line each, and what became of them."""
    for each in report.findings:
        who = f", {each.person}" if each.person else ""
        at = f", sequence {each.sequence}" if each.sequence is not None else ""
        left = "" if each.mends else " (not to be mended so)"
        yield f"{each.table}: log {each.log}{who}{at}: {each.detail}{left}"
    count = len(report.findings)
    yield (
        f"Folded {report.entries:,} {'entry' if report.entries == 1 else 'entries'} anew: "
        f"{count:,} finding{'' if count == 1 else 's'}."
    )
    if report.switched:
        yield "The new rows are in place. On PostgreSQL, restart the workers: they remember plans."
    elif count:
        yield "Nothing was changed."
