"""The `firsthand replay` command: replay and compare, or step through a person's entries."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from hashlib import sha256
from itertools import chain

import click
import orjson

from services.cli.options import DATA, FINDINGS, JSON, fail, say, show
from services.cli.progress import bar
from services.ledger.audit.findings import Finding, Report
from services.ledger.audit.replay import Replay
from services.ledger.audit.stream_checks import AFTER_A_FINDING
from services.ledger.audit.text_report import count
from services.ledger.config import LedgerSettings, signers
from services.ledger.plan.model import Plan, dump
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.sentences import DisplayNames, read_names
from services.ledger.queries.diff import PlanDiff
from services.ledger.queries.entry_replay import EntryReplay, ReplayedEntry
from services.ledger.queries.history_entry import HistoryFormatter
from services.ledger.queries.reader import Reader
from services.ledger.store import audit_reads, reads
from services.ledger.store.database import Engine, answering, connect, transaction
from services.ledger.vault import Vault
from shared.errors import DecryptionError, PreconditionFailed, SettingsError
from shared.events.event import Json, partition_of, timestamp
from shared.events.schema_fields import parse_time
from shared.terminal import safe_text

COMPARED = ("heads", "people", "plans", "snapshots", "tiles")
PAGE = 500  # entries read in one transaction
Step = tuple[Json, list[str]]


@click.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="All entries of every log.")
@click.option("--step", is_flag=True, help="Step through PERSON's entries one by one.")
@JSON
@DATA
def replay(person: str | None, everybody: bool, step: bool, as_json: bool) -> None:
    """Replay entries, and compare the result with the stored tables.

    With --step, show what each entry of PERSON changed. On a terminal one at a time (Enter: next,
    b: back, q: quit), otherwise all; with --json one line each.
    """
    if bool(person) == everybody or (everybody and step):
        raise click.UsageError("Name one PERSON, or pass --all.")
    if person is None or not step:
        report = replay_stored(person)
        show(report_json(report), report_text(report), as_json=as_json)
        sys.exit(FINDINGS if report.findings else 0)
    try:
        _show_steps(steps_of(person), as_json=as_json)
    except DecryptionError as fault:
        fail(str(fault), FINDINGS)


def _show_steps(steps: Iterator[Step], *, as_json: bool) -> None:
    """Print all steps, or on a terminal one step per key press."""
    interactive = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    shown: list[str] = []
    for entry, lines in steps:
        text = "\n".join([*lines, ""])
        show([json.dumps(entry, ensure_ascii=False)], [text], as_json=as_json)
        if interactive:
            shown.append(text)
            if not _continue(shown):
                return


def _continue(shown: list[str]) -> bool:
    """Wait for keys: Enter continues (True), b shows the previous step, q quits (False)."""
    position = len(shown) - 1
    while position < len(shown):
        key = click.getchar()
        if key in ("q", "\x04", "\x1b"):
            return False
        position = max(position - 1, 0) if key == "b" else position + 1
        if position < len(shown):
            say(shown[position])
    return True


def replay_stored(person: str | None) -> Report:
    """Replay one person or every log. Raises SettingsError if the person has no entries."""
    settings = LedgerSettings.load()
    vault = Vault.from_folder(settings.key_folder)
    vkeys = [signer.vkeys for signer in signers(settings)]
    with _complete_store(settings) as engine, transaction(engine) as connection:
        replay = Replay(connection, vault, vkeys)
        if person is not None:
            replay.person(partition_of(person, settings.partitions), person)
        else:
            size = sum(reads.log_size(connection, log) for log in range(settings.partitions))
            with bar("Replaying", size) as tick:
                replay.everything(tick)
    if person is not None and not replay.report.entries:
        raise SettingsError(f"no entries about {person}")
    return replay.report


def steps_of(person: str) -> Iterator[Step]:
    """Yield a person's entries one by one. Raises SettingsError if the person has no entries."""
    settings = LedgerSettings.load()
    vault, names = Vault.from_folder(settings.key_folder), read_names(settings.names)
    log = partition_of(person, settings.partitions)
    with _complete_store(settings) as engine:

        @contextmanager
        def reading() -> Iterator[Reader]:
            with transaction(engine) as connection:
                yield Reader(connection, vault, log, person)

        entries = steps(reading, names)
        first = next(entries, None)
        if first is None:
            raise SettingsError(f"no entries about {person}")
        yield from chain([first], entries)


@contextmanager
def _complete_store(settings: LedgerSettings) -> Iterator[Engine]:
    """Yield an engine of the store. Raises PreconditionFailed if tables are missing."""
    engine = connect(settings.store_url, write=False)
    try:
        with answering():
            with transaction(engine) as connection:
                missing = audit_reads.missing_tables(connection)
            if missing:
                tables = ", ".join(missing)
                raise PreconditionFailed(
                    f"tables are missing: {tables}; restore a copy of the database"
                )
            yield engine
    finally:
        engine.dispose()


def report_json(report: Report) -> Iterator[str]:
    """Yield one JSON object: counts, logs, findings, and every plan as its stored bytes."""
    people = [
        {
            "subject": subject,
            "sequence": person.sequence,
            "version": person.plan.version,
            "sha256": sha256(dump(person.plan)).hexdigest(),
            "plan": orjson.Fragment(dump(person.plan)),
        }
        for subject, person in sorted(report.people.items())
        if person.sequence
    ]
    document = {
        "entries": report.entries,
        "logs": report.logs,
        "verdicts": dict(sorted(report.verdicts.items())),
        "people": people,
        "compared": {name: report.compared[name] for name in COMPARED},
        "skipped": report.skipped[AFTER_A_FINDING],
        "findings": [asdict(finding) for finding in report.findings],
    }
    yield orjson.dumps(document).decode()


def report_text(report: Report) -> Iterator[str]:
    """Yield one line per finding, then what was replayed, compared and not compared."""
    yield from (_line(finding) for finding in report.findings)
    people = sum(1 for person in report.people.values() if person.sequence)
    refused = report.entries - report.verdicts["accepted"]
    yield (
        f"Replayed {count(report.entries, 'entry', 'entries')} ({refused:,} refused) "
        f"of {count(people, 'person', 'people')} in {count(len(report.logs), 'log', 'logs')}: "
        f"{count(len(report.findings), 'finding', 'findings')}."
    )
    yield (
        "Compared: " + ", ".join(f"{report.compared[table]:,} {table}" for table in COMPARED) + "."
    )
    missing = [table for table in COMPARED if not report.compared[table]]
    if missing:
        yield f"Not compared, because no rows are stored or requested: {', '.join(missing)}."
    if skipped := report.skipped[AFTER_A_FINDING]:
        yield f"Not replayed: {skipped:,} entries of people with an entry that cannot be decrypted."


def _line(finding: Finding) -> str:
    position = f"log {finding.log}" + (
        f", entry {finding.index}" if finding.index is not None else ""
    )
    person = f", {finding.person}" if finding.person else ""
    version = f", version {finding.version}" if finding.version is not None else ""
    return f"{finding.code}: {position}{person}{version}, {finding.field}: {finding.detail}"


def steps(
    reading: Callable[[], AbstractContextManager[Reader]], names: DisplayNames
) -> Iterator[Step]:
    """Yield entries as JSON, formatted as in the history and with `changes`, and as text.

    `reading` opens a transaction for a page of entries, so that none is open while the user reads.
    """
    replayed, after = None, -1
    while True:
        with reading() as reader:
            annotations = Annotations(reader.now())
            formatter = HistoryFormatter(reader.vault, names, reader.subject)
            replayed = replayed or EntryReplay(reader.vault, Plan(reader.subject))
            rows = reads.entries_of(
                reader.connection, reader.log, reader.subject, after=after, limit=PAGE
            )
            page = [replayed.apply(row["index"], row["leaf"]) for row in rows]
        yield from (_step(entry, formatter, annotations) for entry in page)
        if len(page) < PAGE:
            return
        after = page[-1].index


def _step(entry: ReplayedEntry, formatter: HistoryFormatter, annotations: Annotations) -> Step:
    document = formatter.format(entry.entry, entry.index, annotations, entry.event)
    difference = PlanDiff(formatter, annotations)
    difference.take([entry])
    changes = difference.changes()
    text = [*_head(document, entry.version), *difference.line_texts()]
    return {**document, **({"changes": changes} if changes else {})}, text


def _head(entry: Json, version: int) -> Iterator[str]:
    words = f" “{safe_text(entry['words'])}”" if "words" in entry else ""
    yield f"{entry['sentence']}{words}"
    yield from entry.get("notes", ())
    moment = _plain(entry["recorded"])
    happened = f", for {_plain(entry['time'])}" if "time" in entry else ""
    verdict = f"refused ({entry['refusal']})" if "refusal" in entry else entry["verdict"]
    yield f"Entry {entry['index']}, {moment}{happened}: {verdict}. The plan has version {version}."


def _plain(moment: str) -> str:
    """Return a moment in UTC to the second; unchanged if its year is out of range in UTC."""
    try:
        return timestamp(parse_time(moment))[:19].replace("T", " ")
    except OverflowError:
        return moment
