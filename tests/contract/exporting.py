"""Exporting a ledger as it is typed, and asking verify.py about the export."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from services import verify
from services.cli import main
from services.cli.audit import audit_export
from services.ledger.api.app import create_app
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.config import signers
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.store.checkpoint_archive import archive_checkpoint
from shared.auth.tokens import Callers, local_token
from shared.inbox.published_checkpoint import PublishedCheckpoints
from tests.contract.ledgers import Ledger

WHEN = "2026-03-02T12:00:00.000Z"


def export(ledger: Ledger, out: Path, *words: str, code: int = 0) -> Result:
    """`firsthand export`, as it is typed."""
    done = CliRunner().invoke(main, ["export", str(out), *words], env=ledger.environment)
    assert done.exit_code == code, done.output
    return done


def verified(ledger: Ledger, out: Path) -> verify.Report:
    """What verify.py, given the keys, says; nothing is wrong, and an audit says the same."""
    report = verify.Report()
    vkeys = [key for each in signers(ledger.settings) for key in each.vkeys]
    verify.check_export(out, [verify.read_vkey(each) for each in vkeys], [], report)
    assert report.findings == []
    audited = audit_export(out, vkeys, [])
    assert audited.findings == []
    assert audited.entries == report.seen["entries"]
    return report


def token(ledger: Ledger, who: str, *scopes: str) -> str:
    return local_token(ledger.settings.key_folder, who, scopes=scopes)


def keep(ledger: Ledger, log: int = 0, cosigned: int = 0) -> int:
    """Keep what was published last, as the keeper does; its size."""
    note = PublishedCheckpoints(ledger.inbox().redis).read(log)
    size, _ = read_checkpoint(note, *signers(ledger.settings)[log].vkeys)
    with ledger.as_services() as connection:
        archive_checkpoint(connection, log, size, cosigned, note, WHEN)
    return size


@contextmanager
def served(ledger: Ledger) -> Iterator[str]:
    """The ledger's read API; its address."""
    engine, vault = open_store(ledger.settings, write=False)
    vkeys = [each.vkeys for each in signers(ledger.settings)]
    watermark = PublishedView(engine, PublishedCheckpoints(ledger.inbox().redis), vkeys)
    callers = Callers.from_folder(ledger.settings.key_folder, "firsthand")
    app = create_app(engine, vault, callers, {}, watermark)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        engine.dispose()


def files(out: Path) -> dict[str, str]:
    """Every file of an export: its path and its hash."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }
