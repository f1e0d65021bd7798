"""`firsthand export`, from settings to a report."""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

from services.cli.options import BEARER, DATA, JSON, show
from services.cli.progress import bar
from services.ledger.audit.text_report import count
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.checkpoints.witnesses import Policy
from services.ledger.config import LedgerSettings, verifier_keys
from services.ledger.maintenance.archive_writer import is_free, packing
from services.ledger.maintenance.export import Exported, Source, heads
from services.ledger.maintenance.export import export as write_export
from services.ledger.maintenance.export_sources import (
    HttpSource,
    StoreSource,
    may_open,
    opened_lines,
)
from services.ledger.store.database import transaction
from services.ledger.writer.held_messages import export_held
from shared.auth.tokens import Callers
from shared.events.event import Json
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.servers import RedisServers
from shared.process import exit_on


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--from", "url", metavar="URL", help="Read a ledger over HTTP, not the store.")
@click.option(
    "--token",
    "tokens",
    type=BEARER,
    multiple=True,
    envvar="FIRSTHAND_TOKEN",
    help="Bearer token: with --from an auditor's; with --opened that person's (repeatable).",
)
@click.option(
    "--opened",
    "people",
    metavar="PERSON",
    multiple=True,
    help="Open PERSON's entries too; it takes their token with the scope 'leave' (repeatable).",
)
@JSON
@DATA
def export(
    out: Path, url: str | None, tokens: tuple[str, ...], people: tuple[str, ...], as_json: bool
) -> None:
    """Write every log into OUT, a new folder or .tar.gz, at one published checkpoint each.

    verify.py checks it.
    """
    if url and people:
        raise click.UsageError("Entries are opened where the keys are: leave out --from.")
    if url and len(tokens) != 1:
        raise click.UsageError("Say who asks: one --token (FIRSTHAND_TOKEN) of an auditor.")
    exit_on(signal.SIGTERM)  # as Ctrl-C: nothing half-made stays
    result = export_url(out, url, tokens[0]) if url else export_store(out, tokens, people)
    show(result.as_json(), result.as_text(), as_json=as_json)


@dataclass(frozen=True, slots=True)
class Told:
    """What was exported, and where it is."""

    out: Path
    manifest: Json
    held: int = 0

    def as_json(self) -> Iterator[str]:
        """The manifest, and the place."""
        yield orjson.dumps({"out": str(self.out), "held": self.held, **self.manifest}).decode()

    def as_text(self) -> Iterator[str]:
        """A line a log, and one for the whole."""
        for each in self.manifest["logs"]:
            size = count(each["size"], "entry", "entries")
            kept = count(each["kept"], "checkpoint", "checkpoints")
            yield f"{each['origin']}: {size}, root {each['root']}, {kept} kept before"
        opened = self.manifest["opened"]
        more = f", with {count(opened, 'entry', 'entries')} opened" if opened else ""
        messages = count(self.held, "message", "messages")
        held = f"; {messages} held back, still encrypted" if self.held else ""
        yield f"Exported into {self.out}{more}{held}."


def export_url(out: Path, url: str, token: str) -> Told:
    """Export a ledger that is reached over HTTP."""
    is_free(out.absolute())
    return _export(HttpSource(url, token), out)


def export_store(out: Path, tokens: Sequence[str], people: Sequence[str]) -> Told:
    """Export this ledger, and opened what is about these people, each by a token of theirs."""
    is_free(out.absolute())
    settings = LedgerSettings.load()
    theirs = set[str]()
    if people:
        callers = Callers.from_folder(settings.key_folder, settings.audience)
        theirs = may_open(callers, tokens, people)
    engine, vault = open_store(settings, write=False)
    try:
        last = PublishedCheckpoints(RedisServers.connect(settings.queue_urls))
        policy = Policy.from_folder(settings.key_folder)
        source = StoreSource(engine, PublishedView(engine, last, verifier_keys(settings), policy))
        with transaction(engine) as connection:
            held = list(export_held(connection, settings.partitions))
        return _export(source, out, lambda heads: opened_lines(engine, vault, heads, theirs), held)
    finally:
        engine.dispose()


def _export(
    source: Source,
    out: Path,
    opened: Callable[[list[Exported]], Iterable[Json]] = lambda _: (),
    held: Sequence[Json] = (),
) -> Told:
    found = heads(source)
    with bar("Exporting", sum(each.size for each in found)) as tick, packing(out) as sink:
        return Told(out, write_export(source, found, sink, opened(found), tick, held), len(held))
