"""The `firsthand audit` command: load keys, checkpoints and a source, run the audit, print a
report.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from services.cli.options import CHECKPOINTS, DATA, FINDINGS, JSON, show
from services.cli.progress import bar
from services.ledger.audit.engine import Audit, Source
from services.ledger.audit.export_source import AuditExportSource, unpack
from services.ledger.audit.findings import Finding, Report
from services.ledger.audit.html_report import page
from services.ledger.audit.store_source import AuditStoreSource
from services.ledger.audit.stream_checks import AFTER_A_FINDING, NO_WORDS, OUR_FAULT, SEALED, SPOKE
from services.ledger.audit.text_report import audit_json, audit_text
from services.ledger.checkpoints.known_checkpoints import KnownCheckpoints, Note, note_in
from services.ledger.checkpoints.witnesses import NO_WITNESSES, Policy, Witness
from services.ledger.config import LedgerSettings, utc_now, verifier_keys
from services.ledger.log.signed_note import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    Verifier,
    split_note,
)
from services.ledger.store import append_only, audit_reads
from services.ledger.store.database import Connection, answering, connect, transaction
from services.ledger.vault import Vault
from shared.errors import PreconditionFailed, SettingsError, Unavailable
from shared.events.event import timestamp
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.servers import RedisServers
from shared.process import tune_gc

ONE = {
    AFTER_A_FINDING: "follows an entry of the same person that could not be opened or decided",
    SEALED: "stays encrypted: opened.jsonl lacks it or an earlier entry",
    NO_WORDS: "is a refusal stored without words; only the ledger's vault opens it",
    OUR_FAULT: "was refused for an internal error, which cannot be decided again",
    SPOKE: SPOKE,
}
AHEAD = timedelta(minutes=5)  # tolerated lead of the ledger's clock over the auditor's
OTHERS = "whether other readers were shown the same history: pass --checkpoint or a receipt"
SAYS = "a key is <name>+<8 hexadecimal digits>+<base64>, one per line, as in log.vkey of an export"


@click.command()
@click.argument("export", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--vkey",
    "vkeys",
    multiple=True,
    help="Keys of the log, or a file of them, from the ledger's operator.",
)
@click.option("--witness", "witnesses", multiple=True, help="Keys of witnesses, or a file of them.")
@click.option(
    "--quorum", type=int, help="Number of witnesses that must have cosigned (default: all)."
)
@CHECKPOINTS
@click.option(
    "--require",
    type=click.Choice(["log", "opened", "vault"]),
    help="Required depth of checking; anything less is a finding.",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="File for an HTML report."
)
@JSON
@DATA
def audit(
    export: Path | None,
    vkeys: tuple[str, ...],
    checkpoints: tuple[Path, ...],
    require: str | None,
    html: Path | None,
    as_json: bool,
    **cosigned: Any,
) -> None:
    """Audit a whole ledger, entry by entry: the live one, or an EXPORT (folder or .tar.gz)."""
    keys, policy = given_keys("--vkey", vkeys), given_policy(**cosigned)
    if html:
        check_page(html)
    if export is None:
        report = audit_store(LedgerSettings.load(), keys, list(checkpoints), policy)
    else:
        report = audit_export(export, keys, list(checkpoints), policy)
    if require:
        report.require(require)
    if html:
        write_page(report, html, str(export or "the live ledger"))
    show(audit_json(report), audit_text(report), as_json=as_json)
    sys.exit(FINDINGS if report.totals else 0)


def given_keys(option: str, values: Iterable[str], kind: int = ED25519) -> list[str]:
    """Return the vkeys of option values: vkeys separated by white space, or files of them.

    Raises SettingsError if a value holds no key of this `kind`.
    """
    return [key for value in values for key in _keys(option, value, kind)]


def _keys(option: str, value: str, kind: int) -> list[str]:
    keys = _text(option, value).split()
    try:
        mismatched = [key for key in keys if Verifier.parse(key).kind != kind]
    except ValueError as fault:
        raise SettingsError(f"{option} {value}: {fault}: {SAYS}") from None
    if mismatched or not keys:
        wanted = "the log" if kind == ED25519 else "a witness (type 0x04)"
        raise SettingsError(f"{option} {value}: no key of {wanted}: {SAYS}")
    return keys


def _text(option: str, value: str) -> str:
    try:
        return Path(value).read_text() if Path(value).is_file() else value
    except UnicodeDecodeError:
        raise SettingsError(f"{option} {value}: the file is not text: {SAYS}") from None
    except OSError:  # not a valid file name, or not readable
        return value


def given_policy(witnesses: Iterable[str], quorum: int | None) -> Policy:
    """Return the policy for the witness keys of the options; the default quorum is all of them."""
    keys = {Verifier.parse(key) for key in given_keys("--witness", witnesses, COSIGNATURE)}
    wanted = len(keys) if quorum is None else quorum
    if quorum is not None and not 1 <= quorum <= len(keys):
        raise SettingsError("--quorum must be between 1 and the number of --witness keys")
    return Policy(wanted, tuple(Witness("", key) for key in keys))


def audit_store(
    settings: LedgerSettings, vkeys: list[str], outside: list[Path], policy: Policy = NO_WITNESSES
) -> Report:
    """Audit the live store with the key folder's vkeys, or with those passed as options."""
    vault, signers = Vault.from_folder(settings.key_folder), verifier_keys(settings)
    published = _published(settings)
    engine = connect(settings.store_url, write=False)
    try:
        with answering(), transaction(engine) as connection:
            if missing := audit_reads.missing_tables(connection):
                return _without(missing)
            store = AuditStoreSource(connection, vault, signers, vkeys, published)
            report = _audit(store, outside, policy)
            for name, detail in _unguarded(connection):
                report.add(Finding("ledger", None, None, None, None, name, detail))
    finally:
        engine.dispose()
    for log, detail in store.findings:
        report.add(Finding("vkey", log, None, None, None, "--vkey", detail))
    unavailable = [log for log in range(len(signers)) if log not in published]
    if unavailable:
        says = (
            "whether a newer checkpoint was published: the queue, which stores it, is unavailable"
        )
        report.leave_out("log", None, says)
    for table, without in store.opening.without.items():
        who = "person without a row" if without == 1 else "people without rows"
        report.leave_out(
            "vault", without, f"{who} in {table}: their plan is folded when it is read"
        )
    return report


def _without(tables: list[str]) -> Report:
    """Return the report on a database that lacks tables; nothing else in it is checked."""
    report = Report()
    for table in tables:
        detail = "the table is missing; restore a copy of the database"
        report.add(Finding("ledger", None, None, None, None, table, detail))
    report.leave_out("log", None, "everything else: the rest of the database was not read")
    return report


def _unguarded(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield (field, detail) for missing or modified append-only protection."""
    try:
        append_only.check(connection)
    except PreconditionFailed as fault:
        yield "entries", str(fault)


def _published(settings: LedgerSettings) -> dict[int, str]:
    """Return the last published checkpoint of each log, for the logs whose queue answers.

    Read it before the store: a checkpoint is published only after its entries are committed.
    """
    published, notes = PublishedCheckpoints(RedisServers.connect(settings.queue_urls)), {}
    for log in range(settings.partitions):
        with suppress(Unavailable):
            if note := published.read(log):
                notes[log] = note
    return notes


def audit_export(
    path: Path, vkeys: list[str], outside: list[Path], policy: Policy = NO_WITNESSES
) -> Report:
    """Audit an export: a folder or a .tar.gz."""
    if path.is_dir():
        return _audit_folder(path, vkeys, outside, policy)
    with tempfile.TemporaryDirectory() as temporary:
        folder, problems = unpack(path, Path(temporary))
        try:
            report = _audit_folder(folder, vkeys, outside, policy)
        except SettingsError:
            if not problems:  # the archive is intact but is not an export
                raise
            report = Report()
        for log, code, name, detail in problems:
            report.add(Finding(code, log, None, None, None, name, detail))
    return report


def _audit_folder(folder: Path, vkeys: list[str], outside: list[Path], policy: Policy) -> Report:
    export = AuditExportSource(folder, vkeys)
    report = _audit(export, outside, policy)
    export.close()
    for log, code, name, detail in export.findings:
        report.add(Finding(code, log, None, None, None, name, detail))
    report.leave_out("log", None, "whether the ledger has other logs than these")
    if not vkeys:
        report.leave_out("log", None, "who signed it: the key came with the export; pass --vkey")
    for why, weighs in ((SEALED, True), (NO_WORDS, False)):
        _skipped(report, why, weighs=weighs)
    one = "encrypted entry that only the vault opens, and the store's derived rows for it"
    says = "encrypted entries that only the vault opens, and the store's derived rows for them"
    report.leave_out("vault", report.entries, one if report.entries == 1 else says, weighs=True)
    return report


def _audit(source: Source, outside: list[Path], policy: Policy) -> Report:
    """Audit a source, and record what neither kind of source can check."""
    tune_gc()
    notes, unusable = _outside(source, outside)
    total = sum(source.size(log) for log in range(source.logs))
    with bar("Auditing", total) as tick:
        latest = timestamp(utc_now() + AHEAD)
        report = Audit(source, outside=notes, latest=latest, tick=tick).everything()
    for path, detail in unusable:
        report.add(Finding("checkpoint", None, None, None, None, path, detail))
    _cosigned(source, policy, report)
    if not outside:
        report.leave_out("log", None, OTHERS)
    _skipped(report, OUR_FAULT)
    _skipped(report, AFTER_A_FINDING, weighs=True)
    _skipped(report, SPOKE, weighs=True)
    report.leave_out(
        "opened", None, "the identity behind an author's name, for which its issuer vouches"
    )
    return report


def _cosigned(source: Source, policy: Policy, report: Report) -> None:
    """Report logs whose newest checkpoint lacks the required cosignatures."""
    if not policy.witnesses:
        report.leave_out("log", None, "cosignatures: pass --witness")
        return
    for log in range(source.logs):
        try:
            count = policy.cosigned(source.newest_checkpoint(log))
            detail = f"cosigned by {count} of the --witness keys; {policy.quorum} are required"
        except ValueError as fault:
            count, detail = -1, f"invalid cosignatures: {fault}"
        if count < policy.quorum:
            report.add(Finding("checkpoint", log, None, None, None, "cosignatures", detail))


def _skipped(report: Report, why: str, *, weighs: bool = False) -> None:
    """Record how many entries were not decided for this reason."""
    number = report.skipped[why]
    says = f"entry {ONE[why]}" if number == 1 else f"entries {why}"
    report.leave_out("opened", number, says, weighs=weighs)


def _outside(
    source: Source, paths: Iterable[Path]
) -> tuple[KnownCheckpoints, list[tuple[str, str]]]:
    """Return the auditor's checkpoints by log, and the unusable files as (path, reason)."""
    logs = {source.origin(log): log for log in range(source.logs)}
    notes: KnownCheckpoints = {}
    unusable = []
    for path in paths:
        try:
            note = note_in(path.read_bytes())
            checkpoint = Checkpoint.parse(split_note(note)[0])
            notes.setdefault(logs[checkpoint.origin], []).append(
                Note(checkpoint.size, str(path), note)
            )
        except KeyError as fault:
            unusable.append(
                (str(path), f"checkpoint of {fault}, which is not a log of this ledger")
            )
        except (OSError, ValueError) as fault:
            unusable.append((str(path), f"not a checkpoint, proof or receipt: {fault}"))
    return notes, unusable


def check_page(path: Path) -> None:
    """Raise SettingsError, before the audit starts, if the page's folder does not exist."""
    if not path.parent.is_dir():
        raise SettingsError(f"--html {path}: the folder {path.parent} does not exist")


def write_page(report: Report, path: Path, what: str) -> None:
    """Write the report as an HTML page. Raises SettingsError if the file cannot be written."""
    try:
        path.write_text(page(report, what=what, now=utc_now(), version=version("firsthand")))
    except OSError as fault:
        raise SettingsError(f"--html {path}: {fault.strerror}") from None
