"""The `firsthand export` command: write the logs of a ledger to a folder or archive."""

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
@click.option(
    "--from", "url", metavar="URL", help="Ledger to read over HTTP, instead of the store."
)
@click.option(
    "--token",
    "tokens",
    type=BEARER,
    multiple=True,
    envvar="FIRSTHAND_TOKEN",
    help="Bearer token: an auditor's with --from, the person's with --opened (repeatable).",
)
@click.option(
    "--opened",
    "people",
    metavar="PERSON",
    multiple=True,
    help="Person whose entries to decrypt; needs their token with scope 'leave' (repeatable).",
)
@JSON
@DATA
def export(
    out: Path, url: str | None, tokens: tuple[str, ...], people: tuple[str, ...], as_json: bool
) -> None:
    """Write every log to OUT, a new folder or .tar.gz, up to one published checkpoint each.

    verify.py checks the result.
    """
    if url and people:
        raise click.UsageError("--opened needs the local keys and cannot be combined with --from.")
    if url and len(tokens) != 1:
        raise click.UsageError("--from needs one --token (FIRSTHAND_TOKEN) of an auditor.")
    exit_on(signal.SIGTERM)  # clean up partial output, as on Ctrl-C
    result = export_url(out, url, tokens[0]) if url else export_store(out, tokens, people)
    show(result.as_json(), result.as_text(), as_json=as_json)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Result of an export: the output path, the manifest and the number of held messages."""

    out: Path
    manifest: Json
    held: int = 0

    def as_json(self) -> Iterator[str]:
        """Yield the manifest with the output path, as one JSON object."""
        yield orjson.dumps({"out": str(self.out), "held": self.held, **self.manifest}).decode()

    def as_text(self) -> Iterator[str]:
        """Yield one line per log, and a summary."""
        for log in self.manifest["logs"]:
            size = count(log["size"], "entry", "entries")
            checkpoints = count(log["kept"], "checkpoint", "checkpoints")
            yield f"{log['origin']}: {size}, root {log['root']}, {checkpoints} archived"
        opened = self.manifest["opened"]
        more = f", with {count(opened, 'entry', 'entries')} decrypted" if opened else ""
        messages = count(self.held, "message", "messages")
        held = f"; {messages} held back, still encrypted" if self.held else ""
        yield f"Exported into {self.out}{more}{held}."


def export_url(out: Path, url: str, token: str) -> ExportResult:
    """Export a ledger over HTTP."""
    is_free(out.absolute())
    return _export(HttpSource(url, token), out)


def export_store(out: Path, tokens: Sequence[str], people: Sequence[str]) -> ExportResult:
    """Export this ledger, with the decrypted entries of `people`, each authorized by a token."""
    is_free(out.absolute())
    settings = LedgerSettings.load()
    authorized = set[str]()
    if people:
        callers = Callers.from_folder(settings.key_folder, settings.audience)
        authorized = may_open(callers, tokens, people)
    engine, vault = open_store(settings, write=False)
    try:
        published = PublishedCheckpoints(RedisServers.connect(settings.queue_urls))
        policy = Policy.from_folder(settings.key_folder)
        source = StoreSource(
            engine, PublishedView(engine, published, verifier_keys(settings), policy)
        )
        with transaction(engine) as connection:
            held = list(export_held(connection, settings.partitions))
        return _export(
            source, out, lambda heads: opened_lines(engine, vault, heads, authorized), held
        )
    finally:
        engine.dispose()


def _export(
    source: Source,
    out: Path,
    opened: Callable[[list[Exported]], Iterable[Json]] = lambda _: (),
    held: Sequence[Json] = (),
) -> ExportResult:
    exported = heads(source)
    with bar("Exporting", sum(log.size for log in exported)) as tick, packing(out) as sink:
        return ExportResult(
            out, write_export(source, exported, sink, opened(exported), tick, held), len(held)
        )
