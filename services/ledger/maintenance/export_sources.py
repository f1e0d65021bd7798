"""What an export is made from: the store, or a ledger over HTTP; and the lines that are opened.

An entry is opened only for the person it is about, by a token of theirs with the scope `leave`.
"""

import heapq
from collections.abc import Iterable, Iterator

import orjson
from urllib3 import Retry

from services.client.http import ServiceClient
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.fold import unwrap_keys
from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.log.tiles import Tile
from services.ledger.maintenance.export import Exported
from services.ledger.store import reads
from services.ledger.store.checkpoint_archive import archived_checkpoints
from services.ledger.store.database import Connection, Engine, transaction
from services.ledger.store.tile_store import tile_bytes
from services.ledger.vault import Vault
from shared.auth.tokens import Callers
from shared.crypto.jwe import b64url
from shared.errors import PreconditionFailed, SettingsError, Unauthorized, Unavailable
from shared.events.event import Json, partition_of

RETRIES = 4  # of one request to a ledger that says "not now"
PAUSE = 0.25  # seconds before the second retry, doubled before each one after that


class StoreSource:
    """The store, no further than it was published."""

    def __init__(self, engine: Engine, watermark: PublishedView) -> None:
        self._engine = engine
        self._watermark = watermark

    def read(self, log: int, path: str) -> bytes | None:
        """As the ledger serves it."""
        if log >= len(self._watermark.vkeys):
            return None
        if path == "checkpoint":
            return self._watermark.checkpoint(log).encode()
        if path == "vkey":
            return "".join(f"{each}\n" for each in self._watermark.vkeys[log]).encode()
        with transaction(self._engine) as connection:
            return tile_bytes(connection, log, Tile.parse(path))

    def kept(self, log: int) -> Iterator[tuple[int, str]]:
        """What was kept; of one size, the checkpoint with most cosignatures."""
        with transaction(self._engine) as connection:
            last: tuple[int, str] | None = None
            for row in archived_checkpoints(connection, log):
                if last and last[0] != row["size"]:
                    yield last
                last = row["size"], row["checkpoint"]
            if last:
                yield last


class HttpSource:
    """A ledger over HTTP. `token` is an auditor's or operator's, with the scope `log`."""

    def __init__(self, url: str, token: str) -> None:
        self._service = ServiceClient(url.rstrip("/"))
        self._token = token
        self._retries = Retry(
            RETRIES,
            backoff_factor=PAUSE,
            status_forcelist=[503],
            raise_on_status=False,
        )

    def read(self, log: int, path: str) -> bytes | None:
        """As the ledger serves it. One that is busy or away for a moment is asked again."""
        answer = self._service.send(f"/logs/{log}/{path}", self._token, retries=self._retries)
        if answer.status == 404 and path == "checkpoint":
            return None
        if answer.status in (401, 403):
            told = "entries are for the token of an auditor or operator with the scope 'log'"
            raise SettingsError(f"{self._service.url}: status {answer.status}; {told}")
        if answer.status != 200:
            raise Unavailable(f"{self._service.url}/logs/{log}/{path}: status {answer.status}")
        return answer.body

    def kept(self, _: int) -> Iterable[tuple[int, str]]:
        """No route tells."""
        return ()


def may_open(callers: Callers, tokens: Iterable[str], people: Iterable[str]) -> set[str]:
    """The people, each with a token of their own that lets them leave; SettingsError if not."""
    try:
        found = [callers.of(f"Bearer {each}") for each in tokens]
    except Unauthorized as fault:
        raise SettingsError(f"--token: {fault}") from None
    theirs = {each.subject for each in found if "leave" in each.scopes}
    wanted = set(people)
    if missing := wanted - theirs:
        raise SettingsError(
            f"entries are opened for the person they are about, and nobody else: add --token with "
            f"one of {min(missing)} that has the scope 'leave'"
        )
    return wanted


def opened_lines(
    engine: Engine, vault: Vault, logs: list[Exported], people: set[str]
) -> Iterator[Json]:
    """The lines of opened.jsonl about these people, in the order of logs and entries.

    Each is checked against the digest in its leaf first: Unsafe. What an entry keeps no words of
    is not opened.
    """
    for head in sorted(logs, key=lambda each: each.log):
        mine = [each for each in people if partition_of(each, len(logs)) == head.log]
        with transaction(engine) as connection:
            unwrap_keys(connection, vault, mine)
            told = [_entries(connection, head.log, each) for each in sorted(mine)]
            for index, each in heapq.merge(*told, key=lambda pair: pair[0]):
                if index < head.size:
                    yield _opened(vault, head.log, index, each)


def _entries(connection: Connection, log: int, subject: str) -> Iterator[tuple[int, Entry]]:
    """A person's entries that keep words, with their places."""
    after, rows = -1, [*reads.entries_of(connection, log, subject, limit=reads.CHUNK)]
    while rows:
        for row in rows:
            after, each = row["index"], entry.parse(row["leaf"])
            if each.sequence is not None:
                yield after, each
        rows = [*reads.entries_of(connection, log, subject, after=after, limit=reads.CHUNK)]


def _opened(vault: Vault, log: int, index: int, each: Entry) -> Json:
    event, key = each.open(vault.find(each.subject)), vault.person(each.subject)
    salt = entry.salt_of(key, each.author, each.id) if key else b""
    if entry.digest_of(salt, event.canonical) != each.digest:
        raise PreconditionFailed(
            f"log {log}, entry {index}: its digest is not that of what is sealed in it; nothing "
            "was exported. Run 'firsthand replay --all'"
        )
    told = {"event": orjson.loads(event.canonical), "index": index, "log": log}
    return told | {"salt": b64url(salt).decode()}
