"""`firsthand audit`: settings or an export, and the keys and checkpoints given, to a report."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from services.cli.options import DATA, FINDINGS, JSON, KEPT, show
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
    AFTER_A_FINDING: "follows one of the same person that could not be decrypted or decided",
    SEALED: "stays encrypted: opened.jsonl lacks it, or one before it",
    NO_WORDS: "is a refusal without words; only the ledger's vault can decrypt it",
    OUR_FAULT: "was refused for an internal error, which cannot be decided again",
    SPOKE: SPOKE,
}
AHEAD = timedelta(minutes=5)  # that a ledger's clock may be ahead of the auditor's
OTHERS = "whether others were shown the same history: give --checkpoint, or a receipt"
SAYS = (
    "a key is <name>+<8 hexadecimal digits>+<base64>, as log.vkey of an export has it, a line each"
)


@click.command()
@click.argument("export", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--vkey", "vkeys", multiple=True, help="Keys of the log, or their file, from who runs it."
)
@click.option("--witness", "witnesses", multiple=True, help="Keys of witnesses, or their file.")
@click.option("--quorum", type=int, help="How many of them must have cosigned (default: all).")
@KEPT
@click.option(
    "--require",
    type=click.Choice(["log", "opened", "vault"]),
    help="What is not checked up to this depth is a finding.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page, too.")
@JSON
@DATA
def audit(
    export: Path | None,
    vkeys: tuple[str, ...],
    kept: tuple[Path, ...],
    require: str | None,
    html: Path | None,
    as_json: bool,
    **cosigned: Any,
) -> None:
    """Check a whole ledger, entry by entry: the live one, or an EXPORT (folder or .tar.gz)."""
    keys, policy = given_keys("--vkey", vkeys), given_policy(**cosigned)
    if html:
        check_page(html)
    if export is None:
        report = audit_store(LedgerSettings.load(), keys, list(kept), policy)
    else:
        report = audit_export(export, keys, list(kept), policy)
    if require:
        report.require(require)
    if html:
        write_page(report, html, str(export or "the live ledger"))
    show(audit_json(report), audit_text(report), as_json=as_json)
    sys.exit(FINDINGS if report.totals else 0)


def given_keys(option: str, given: Iterable[str], kind: int = ED25519) -> list[str]:
    """The vkeys in texts with white space between, or in files that hold them; SettingsError."""
    return [key for each in given for key in _keys(option, each, kind)]


def _keys(option: str, given: str, kind: int) -> list[str]:
    found = _text(option, given).split()
    try:
        odd = [each for each in found if Verifier.parse(each).kind != kind]
    except ValueError as fault:
        raise SettingsError(f"{option} {given}: {fault}: {SAYS}") from None
    if odd or not found:
        wanted = "the log" if kind == ED25519 else "a witness (type 0x04)"
        raise SettingsError(f"{option} {given}: no key of {wanted}: {SAYS}")
    return found


def _text(option: str, given: str) -> str:
    try:
        return Path(given).read_text() if Path(given).is_file() else given
    except UnicodeDecodeError:
        raise SettingsError(f"{option} {given}: the file holds no text: {SAYS}") from None
    except OSError:  # no name that a file can have, or none that we may read
        return given


def given_policy(witnesses: Iterable[str], quorum: int | None) -> Policy:
    """The witnesses given, and how many must have cosigned: by default all of them."""
    keys = {Verifier.parse(each) for each in given_keys("--witness", witnesses, COSIGNATURE)}
    wanted = len(keys) if quorum is None else quorum
    if quorum is not None and not 1 <= quorum <= len(keys):
        raise SettingsError("--quorum is a number from 1 to that of the witnesses given")
    return Policy(wanted, tuple(Witness("", each) for each in keys))


def audit_store(
    settings: LedgerSettings, vkeys: list[str], outside: list[Path], policy: Policy = NO_WITNESSES
) -> Report:
    """Audit the live store, by the folder's own keys or those given."""
    vault, own = Vault.from_folder(settings.key_folder), verifier_keys(settings)
    published = _published(settings)
    engine = connect(settings.store_url, write=False)
    try:
        with answering(), transaction(engine) as connection:
            if missing := audit_reads.missing_tables(connection):
                return _without(missing)
            store = AuditStoreSource(connection, vault, own, vkeys, published)
            report = _audit(store, outside, policy)
            for name, detail in _unguarded(connection):
                report.add(Finding("ledger", None, None, None, None, name, detail))
    finally:
        engine.dispose()
    for log, detail in store.findings:
        report.add(Finding("vkey", log, None, None, None, "--vkey", detail))
    away = [log for log in range(len(own)) if log not in published]
    if away:
        says = "whether a newer head was published: the queue, which keeps it, does not say"
        report.leave_out("log", None, says)
    for table, without in store.opening.without.items():
        who = "person of whom nothing is" if without == 1 else "people of whom nothing is"
        report.leave_out("vault", without, f"{who} stored in {table}: it is folded when asked for")
    return report


def _without(tables: list[str]) -> Report:
    """What is said of a database that lacks tables: it is read no further."""
    report = Report()
    for each in tables:
        detail = "the table is missing; restore a copy of the database"
        report.add(Finding("ledger", None, None, None, None, each, detail))
    report.leave_out("log", None, "everything else: the database was read no further")
    return report


def _unguarded(connection: Connection) -> Iterator[tuple[str, str]]:
    """What no longer keeps entries as they are: (field, detail)."""
    try:
        append_only.check(connection)
    except PreconditionFailed as fault:
        yield "entries", str(fault)


def _published(settings: LedgerSettings) -> dict[int, str]:
    """The last published checkpoint of each log, as far as the queue says; asked before the store
    is, since what is published was committed.
    """
    last, found = PublishedCheckpoints(RedisServers.connect(settings.queue_urls)), {}
    for log in range(settings.partitions):
        with suppress(Unavailable):
            if note := last.read(log):
                found[log] = note
    return found


def audit_export(
    path: Path, vkeys: list[str], outside: list[Path], policy: Policy = NO_WITNESSES
) -> Report:
    """Audit an export: a folder or a .tar.gz."""
    if path.is_dir():
        return _audit_folder(path, vkeys, outside, policy)
    with tempfile.TemporaryDirectory() as into:
        folder, found = unpack(path, Path(into))
        try:
            report = _audit_folder(folder, vkeys, outside, policy)
        except SettingsError:
            if not found:  # whole, and yet no export
                raise
            report = Report()
        for log, code, name, detail in found:
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
        report.leave_out("log", None, "whose signature it is: the export's own key; give --vkey")
    for why, weighs in ((SEALED, True), (NO_WORDS, False)):
        _skipped(report, why, weighs=weighs)
    one = "entry whose seal only the vault opens, and what the store keeps beside it"
    says = "entries whose seals only the vault opens, and what the store keeps beside them"
    report.leave_out("vault", report.entries, one if report.entries == 1 else says, weighs=True)
    return report


def _audit(source: Source, outside: list[Path], policy: Policy) -> Report:
    """Audit a source, and say what both sorts leave out."""
    tune_gc()
    notes, odd = _outside(source, outside)
    total = sum(source.size(log) for log in range(source.logs))
    with bar("Auditing", total) as tick:
        latest = timestamp(utc_now() + AHEAD)
        report = Audit(source, outside=notes, latest=latest, tick=tick).everything()
    for path, detail in odd:
        report.add(Finding("checkpoint", None, None, None, None, path, detail))
    _cosigned(source, policy, report)
    if not outside:
        report.leave_out("log", None, OTHERS)
    _skipped(report, OUR_FAULT)
    _skipped(report, AFTER_A_FINDING, weighs=True)
    _skipped(report, SPOKE, weighs=True)
    report.leave_out("opened", None, "who is behind an author's name: its issuer vouches for that")
    return report


def _cosigned(source: Source, policy: Policy, report: Report) -> None:
    """Whether the witnesses given cosigned each log's newest checkpoint."""
    if not policy.witnesses:
        report.leave_out("log", None, "cosignatures: give --witness")
        return
    for log in range(source.logs):
        try:
            found = policy.cosigned(source.newest_checkpoint(log))
            detail = f"cosigned by {found} of the witnesses given, not by {policy.quorum}"
        except ValueError as fault:
            found, detail = -1, f"its cosignatures: {fault}"
        if found < policy.quorum:
            report.add(Finding("checkpoint", log, None, None, None, "cosignatures", detail))


def _skipped(report: Report, why: str, *, weighs: bool = False) -> None:
    """Say how many entries were not decided for this reason."""
    number = report.skipped[why]
    says = f"entry {ONE[why]}" if number == 1 else f"entries {why}"
    report.leave_out("opened", number, says, weighs=weighs)


def _outside(
    source: Source, paths: Iterable[Path]
) -> tuple[KnownCheckpoints, list[tuple[str, str]]]:
    """Checkpoints that somebody kept, by log; and the files (path, why) that are none of it."""
    logs = {source.origin(log): log for log in range(source.logs)}
    notes: KnownCheckpoints = {}
    odd = []
    for path in paths:
        try:
            note = note_in(path.read_bytes())
            told = Checkpoint.parse(split_note(note)[0])
            notes.setdefault(logs[told.origin], []).append(Note(told.size, str(path), note))
        except KeyError as fault:
            odd.append((str(path), f"of {fault}: no log of this name is here"))
        except (OSError, ValueError) as fault:
            odd.append((str(path), f"no checkpoint, proof or receipt: {fault}"))
    return notes, odd


def check_page(path: Path) -> None:
    """SettingsError unless a page can be written there, before anything is audited."""
    if not path.parent.is_dir():
        raise SettingsError(f"--html {path}: there is no folder {path.parent}")


def write_page(report: Report, path: Path, what: str) -> None:
    """Write the report as a page; SettingsError if it cannot be written there."""
    try:
        path.write_text(page(report, what=what, now=utc_now(), version=version("firsthand")))
    except OSError as fault:
        raise SettingsError(f"--html {path}: {fault.strerror}") from None
