"""`firsthand replay`: fold entries again and compare, or show one person's entries one by one."""

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
PAGE = 500  # entries that are read in one transaction
Step = tuple[Json, list[str]]


@click.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every log, from the first entry.")
@click.option("--step", is_flag=True, help="Go through PERSON's entries one by one.")
@JSON
@DATA
def replay(person: str | None, everybody: bool, step: bool, as_json: bool) -> None:
    """Fold entries again, and compare with what is stored.

    With --step, show what each entry of PERSON said and changed: on a terminal one at a time (Enter
    goes on, b back, q ends it), else all of them; with --json a line each.
    """
    if bool(person) == everybody or (everybody and step):
        raise click.UsageError("Name one PERSON, or say --all.")
    if person is None or not step:
        report = replay_stored(person)
        show(report_json(report), report_text(report), as_json=as_json)
        sys.exit(FINDINGS if report.findings else 0)
    try:
        _show_steps(steps_of(person), as_json=as_json)
    except DecryptionError as fault:
        fail(str(fault), FINDINGS)


def _show_steps(steps: Iterator[Step], *, as_json: bool) -> None:
    """Show steps: all of them, or on a terminal a key at a time."""
    waits = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    seen: list[str] = []
    for told, lines in steps:
        text = "\n".join([*lines, ""])
        show([json.dumps(told, ensure_ascii=False)], [text], as_json=as_json)
        if waits:
            seen.append(text)
            if not _goes_on(seen):
                return


def _goes_on(seen: list[str]) -> bool:
    """Wait for keys: Enter goes on, b shows the step before, q ends it."""
    place = len(seen) - 1
    while place < len(seen):
        key = click.getchar()
        if key in ("q", "\x04", "\x1b"):
            return False
        place = max(place - 1, 0) if key == "b" else place + 1
        if place < len(seen):
            say(seen[place])
    return True


def replay_stored(person: str | None) -> Report:
    """Replay one person, or every log; SettingsError if there are no entries about the person."""
    settings = LedgerSettings.load()
    vault = Vault.from_folder(settings.key_folder)
    vkeys = [each.vkeys for each in signers(settings)]
    with _whole(settings) as engine, transaction(engine) as connection:
        work = Replay(connection, vault, vkeys)
        if person is not None:
            work.person(partition_of(person, settings.partitions), person)
        else:
            size = sum(reads.log_size(connection, log) for log in range(settings.partitions))
            with bar("Replaying", size) as tick:
                work.everything(tick)
    if person is not None and not work.report.entries:
        raise SettingsError(f"there are no entries about {person}")
    return work.report


def steps_of(person: str) -> Iterator[Step]:
    """A person's entries one by one, from entries and keys; SettingsError if there are none."""
    settings = LedgerSettings.load()
    vault, names = Vault.from_folder(settings.key_folder), read_names(settings.names)
    log = partition_of(person, settings.partitions)
    with _whole(settings) as engine:

        @contextmanager
        def reading() -> Iterator[Reader]:
            with transaction(engine) as connection:
                yield Reader(connection, vault, log, person)

        found = steps(reading, names)
        first = next(found, None)
        if first is None:
            raise SettingsError(f"there are no entries about {person}")
        yield from chain([first], found)


@contextmanager
def _whole(settings: LedgerSettings) -> Iterator[Engine]:
    """The store to read from, if all its tables are there; Unavailable if it does not answer."""
    engine = connect(settings.store_url, write=False)
    try:
        with answering():
            with transaction(engine) as connection:
                missing = audit_reads.missing_tables(connection)
            if missing:
                told = f"tables are missing: {', '.join(missing)}; restore a copy of the database"
                raise PreconditionFailed(told)
            yield engine
    finally:
        engine.dispose()


def report_json(report: Report) -> Iterator[str]:
    """One JSON object: counts, logs, findings, and every person's plan as its stored bytes."""
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
    whole = {
        "entries": report.entries,
        "logs": report.logs,
        "verdicts": dict(sorted(report.verdicts.items())),
        "people": people,
        "compared": {name: report.compared[name] for name in COMPARED},
        "skipped": report.skipped[AFTER_A_FINDING],
        "findings": [asdict(each) for each in report.findings],
    }
    yield orjson.dumps(whole).decode()


def report_text(report: Report) -> Iterator[str]:
    """The findings, a line each, then what was replayed, compared, and not compared."""
    yield from (_line(each) for each in report.findings)
    people = sum(1 for person in report.people.values() if person.sequence)
    refused = report.entries - report.verdicts["accepted"]
    yield (
        f"Replayed {count(report.entries, 'entry', 'entries')} ({refused:,} refused) "
        f"of {count(people, 'person', 'people')} in {count(len(report.logs), 'log', 'logs')}: "
        f"{count(len(report.findings), 'finding', 'findings')}."
    )
    yield "Compared: " + ", ".join(f"{report.compared[each]:,} {each}" for each in COMPARED) + "."
    missing = [each for each in COMPARED if not report.compared[each]]
    if missing:
        yield f"Not compared, since nothing is stored or asked for: {', '.join(missing)}."
    if skipped := report.skipped[AFTER_A_FINDING]:
        yield f"Not replayed: {skipped:,} entries of people whose seal was broken."


def _line(each: Finding) -> str:
    place = f"log {each.log}" + (f", entry {each.index}" if each.index is not None else "")
    who = f", {each.person}" if each.person else ""
    version = f", version {each.version}" if each.version is not None else ""
    return f"{each.code}: {place}{who}{version}, {each.field}: {each.detail}"


def steps(
    reading: Callable[[], AbstractContextManager[Reader]], names: DisplayNames
) -> Iterator[Step]:
    """Each entry as the history tells it, with `changes` if it changed the plan; and as text.

    `reading` opens a transaction for a page of entries, so that none is open while somebody reads.
    """
    walk, after = None, -1
    while True:
        with reading() as reader:
            against = Annotations(reader.now())
            telling = HistoryFormatter(reader.vault, names, reader.subject)
            walk = walk or EntryReplay(reader.vault, Plan(reader.subject))
            found = reads.entries_of(
                reader.connection, reader.log, reader.subject, after=after, limit=PAGE
            )
            passed = [walk.past(row["index"], row["leaf"]) for row in found]
        yield from (_step(each, telling, against) for each in passed)
        if len(passed) < PAGE:
            return
        after = passed[-1].index


def _step(passed: ReplayedEntry, telling: HistoryFormatter, against: Annotations) -> Step:
    told = telling.format(passed.entry, passed.index, against, passed.event)
    difference = PlanDiff(telling, against)
    difference.take([passed])
    changes = difference.changes()
    text = [*_head(told, passed.version), *difference.spoken()]
    return {**told, **({"changes": changes} if changes else {})}, text


def _head(told: Json, version: int) -> Iterator[str]:
    words = f" “{safe_text(told['words'])}”" if "words" in told else ""
    yield f"{told['sentence']}{words}"
    yield from told.get("notes", ())
    moment = _plain(told["recorded"])
    happened = f", for {_plain(told['time'])}" if "time" in told else ""
    verdict = f"refused ({told['refusal']})" if "refusal" in told else told["verdict"]
    yield f"Entry {told['index']}, {moment}{happened}: {verdict}. The plan has version {version}."


def _plain(moment: str) -> str:
    """A moment in UTC to the second; as it was told where UTC has no such year."""
    try:
        return timestamp(parse_time(moment))[:19].replace("T", " ")
    except OverflowError:
        return moment
