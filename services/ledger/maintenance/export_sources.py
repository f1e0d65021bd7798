"""Sources of an export: the store, or a ledger over HTTP; and the opened entries.

An entry is decrypted only with a token of the person it is about, with the scope `leave`.
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

RETRIES = 4  # of one request while the ledger is unavailable
PAUSE = 0.25  # seconds before the second retry, doubled before each one after that


class StoreSource:
    """The store, up to what was published."""

    def __init__(self, engine: Engine, view: PublishedView) -> None:
        self._engine = engine
        self._view = view

    def read(self, log: int, path: str) -> bytes | None:
        """Return the bytes that the ledger serves at this path."""
        if log >= len(self._view.vkeys):
            return None
        if path == "checkpoint":
            return self._view.checkpoint(log).encode()
        if path == "vkey":
            return "".join(f"{vkey}\n" for vkey in self._view.vkeys[log]).encode()
        with transaction(self._engine) as connection:
            return tile_bytes(connection, log, Tile.parse(path))

    def archived(self, log: int) -> Iterator[tuple[int, str]]:
        """Yield archived checkpoints; of one size, the one with the most cosignatures."""
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
        """Return the bytes that the ledger serves at this path; retry while it is unavailable."""
        response = self._service.send(f"/logs/{log}/{path}", self._token, retries=self._retries)
        if response.status == 404 and path == "checkpoint":
            return None
        if response.status in (401, 403):
            remedy = "use the token of an auditor or operator with the scope 'log'"
            raise SettingsError(f"{self._service.url}: status {response.status}; {remedy}")
        if response.status != 200:
            raise Unavailable(f"{self._service.url}/logs/{log}/{path}: status {response.status}")
        return response.body

    def archived(self, _: int) -> Iterable[tuple[int, str]]:
        """Return nothing, since no route lists archived checkpoints."""
        return ()


def may_open(callers: Callers, tokens: Iterable[str], people: Iterable[str]) -> set[str]:
    """Return the people if every one has a token that allows export; raise SettingsError if not."""
    try:
        holders = [callers.of(f"Bearer {token}") for token in tokens]
    except Unauthorized as fault:
        raise SettingsError(f"--token: {fault}") from None
    authorised = {caller.subject for caller in holders if "leave" in caller.scopes}
    requested = set(people)
    if missing := requested - authorised:
        raise SettingsError(
            "entries are decrypted only for the person they are about: add --token with a token "
            f"of {min(missing)} that has the scope 'leave'"
        )
    return requested


def opened_lines(
    engine: Engine, vault: Vault, logs: list[Exported], people: set[str]
) -> Iterator[Json]:
    """Yield the lines of opened.jsonl about these people, in the order of logs and entries.

    Entries without words are skipped. Raises PreconditionFailed if an event does not match the
    digest of its entry.
    """
    for head in sorted(logs, key=lambda exported: exported.log):
        subjects = [person for person in people if partition_of(person, len(logs)) == head.log]
        with transaction(engine) as connection:
            unwrap_keys(connection, vault, subjects)
            streams = [_entries(connection, head.log, subject) for subject in sorted(subjects)]
            for index, opened in heapq.merge(*streams, key=lambda pair: pair[0]):
                if index < head.size:
                    yield _opened_line(vault, head.log, index, opened)


def _entries(connection: Connection, log: int, subject: str) -> Iterator[tuple[int, Entry]]:
    """Yield a person's entries with words, and their indexes."""
    after, rows = -1, [*reads.entries_of(connection, log, subject, limit=reads.CHUNK)]
    while rows:
        for row in rows:
            after, parsed = row["index"], entry.parse(row["leaf"])
            if parsed.sequence is not None:
                yield after, parsed
        rows = [*reads.entries_of(connection, log, subject, after=after, limit=reads.CHUNK)]


def _opened_line(vault: Vault, log: int, index: int, parsed: Entry) -> Json:
    event, key = parsed.open(vault.find(parsed.subject)), vault.person(parsed.subject)
    salt = entry.salt_of(key, parsed.author, parsed.id) if key else b""
    if entry.digest_of(salt, event.canonical) != parsed.digest:
        raise PreconditionFailed(
            f"log {log}, entry {index}: the digest does not match the encrypted event; nothing "
            "was exported. Run 'firsthand replay --all'"
        )
    members = {"event": orjson.loads(event.canonical), "index": index, "log": log}
    return members | {"salt": b64url(salt).decode()}
