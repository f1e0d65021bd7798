"""Make a ledger's log long quickly: made-up entries, appended as a batch appends them."""

from sqlalchemy import Connection

from services.ledger.config import LedgerSettings, signers
from services.ledger.log.merkle import Frontier
from services.ledger.store import tile_store, writes
from services.ledger.store.writes import Head
from tests.logs import TiledLog

STEP = 1_000


def grow(connection: Connection, settings: LedgerSettings, log: TiledLog, size: int) -> str:
    """Grow a ledger's log 0 to a size with the made-up log's entries; return its checkpoint."""
    head = writes.lock_head(connection, 0)
    tree = Frontier.from_bytes(head.size, head.frontier)
    for start in range(head.size, size, STEP):
        end = min(start + STEP, size)
        _append(connection, log, start, end)
        for leaf in log.levels[0][start:end]:
            tree.append(leaf)
    root = tree.root()
    note = signers(settings)[0].checkpoint(tree.size, root)
    extended = Head(0, tree.size, tree.to_bytes(), root, note, head.recorded, 1)
    writes.save_head(connection, extended)
    return note


def _append(connection: Connection, log: TiledLog, start: int, end: int) -> None:
    rows = [
        {
            "log": 0,
            "index": index,
            "id": f"id-{index}",
            "author": "person:ada",
            "subject": "person:ada",
            "kind": "plan",
            "verdict": "refused",
            "refusal": "no-grant",
            "sequence": None,
            "planversion": None,
            "recorded": "2026-03-02T12:00:00.000Z",
            "digest": f"digest-{index}",
            "leaf": log.entries[index],
        }
        for index in range(start, end)
    ]
    writes.append_entries(connection, rows)
    tile_store.save_tiles(connection, 0, start, log.levels[0][start:end])
