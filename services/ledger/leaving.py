"""`firsthand export`, from settings to a report."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from services.bar import bar
from services.ledger.config import LedgerSettings, open_store, verifier_keys
from services.ledger.export import Exported, Source, export, heads
from services.ledger.holding import exported
from services.ledger.packing import is_free, packing
from services.ledger.sources import HttpSource, StoreSource, may_open, opened_lines
from services.ledger.store.engine import transaction
from services.ledger.watermark import Watermark
from services.ledger.witnesses import Policy
from shared import logs
from shared.callers import Callers
from shared.event import Json
from shared.inbox import Queues
from shared.published import LastPublished


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
            size, kept = _count(each["size"], "entry"), _count(each["kept"], "checkpoint")
            yield f"{each['origin']}: {size}, root {each['root']}, {kept} kept before"
        opened = self.manifest["opened"]
        more = f", with {_count(opened, 'entry')} opened" if opened else ""
        held = f"; {_count(self.held, 'message')} held back, still encrypted" if self.held else ""
        yield f"Exported into {self.out}{more}{held}."


def _count(number: int, one: str) -> str:
    many = {"entry": "entries"}.get(one, f"{one}s")
    return f"{number:,} {one if number == 1 else many}"


def export_url(out: Path, url: str, token: str) -> Told:
    """Export a ledger that is reached over HTTP."""
    is_free(out.absolute())
    return _export(HttpSource(url, token), out)


def export_store(out: Path, tokens: Sequence[str], people: Sequence[str]) -> Told:
    """Export this ledger, and opened what is about these people, each by a token of theirs."""
    is_free(out.absolute())
    settings = LedgerSettings.load()
    logs.configure("warning")
    theirs = set[str]()
    if people:
        callers = Callers.from_folder(settings.key_folder, settings.audience)
        theirs = may_open(callers, tokens, people)
    engine, vault = open_store(settings, write=False)
    try:
        last = LastPublished(Queues.connect(settings.queue_urls))
        policy = Policy.from_folder(settings.key_folder)
        source = StoreSource(engine, Watermark(engine, last, verifier_keys(settings), policy))
        with transaction(engine) as connection:
            held = list(exported(connection, settings.partitions))
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
        return Told(out, export(source, found, sink, opened(found), tick, held), len(held))
