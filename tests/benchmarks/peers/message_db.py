"""The peer: Message DB, which consists of PostgreSQL functions, called through psycopg.

    python message_db.py FOLDER SINGLES  < a JSON line for each event; the first SINGLES one by one

FOLDER holds the package's SQL; PEER_DATABASE is the connection string of an empty database whose
server syncs every commit, as it does for ours. A batch is one transaction, its calls one after
another, as its own clients make them; and then, as no client of it does, pipelined by the driver.
Prints one JSON object: messages a second, each committed by itself, in batches, and pipelined.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg

BATCH = 500
# In the order of the package's own install.sh. Without its extension pgcrypto, which it wants for
# gen_random_uuid() alone: PostgreSQL has had that itself since version 13.
FUNCTIONS = "message-store-version hash-64 acquire-lock category is-category id cardinal-id"
FUNCTIONS += " stream-version write-message get-stream-messages get-category-messages"
FUNCTIONS += " get-last-stream-message"
FILES = (
    *("schema/message-store", "tables/messages", "types/message"),
    *(f"functions/{name}" for name in FUNCTIONS.split()),
    *(f"indexes/messages-{name}" for name in ("id", "stream", "category")),
)
Message = tuple[str, str, str, str]  # id, stream, type, data
WRITE = "SELECT write_message(%s, %s, %s, %s)"


def install(connection: psycopg.Connection, folder: Path) -> None:
    """Create its schema, table, functions and indexes."""
    connection.execute("SET search_path TO message_store, public")
    for name in FILES:
        connection.execute((folder / "database" / f"{name}.sql").read_bytes())


def messages(lines: Sequence[bytes]) -> Iterator[Message]:
    """Yield each event as a message: its id, a stream per person, its type, all of it."""
    for line in lines:
        event = json.loads(line)
        stream = "plan-" + event["subject"].partition(":")[2]
        yield event["id"], stream, event["type"], line.decode()


def one_by_one(cursor: psycopg.Cursor, batch: Sequence[Message]) -> None:
    """Use a round trip for each message."""
    for message in batch:
        cursor.execute(WRITE, message)


def pipelined(cursor: psycopg.Cursor, batch: Sequence[Message]) -> None:
    """Send without waiting for the answers."""
    cursor.executemany(WRITE, batch)


def batches(
    connection: psycopg.Connection,
    all_messages: Sequence[Message],
    write: Callable[[psycopg.Cursor, Sequence[Message]], None],
) -> float:
    """Return messages a second, with a fixed number in a transaction."""
    began = time.perf_counter()
    for start in range(0, len(all_messages), BATCH):
        with connection.transaction(), connection.cursor() as cursor:
            write(cursor, all_messages[start : start + BATCH])
    return len(all_messages) / (time.perf_counter() - began)


def main() -> None:
    """Measure."""
    folder, singles = Path(sys.argv[1]), int(sys.argv[2])
    all_messages = list(messages(sys.stdin.buffer.read().splitlines()))
    with psycopg.connect(os.environ["PEER_DATABASE"], autocommit=True) as connection:
        install(connection, folder)
        with connection.cursor() as cursor:
            began = time.perf_counter()
            for message in all_messages[:singles]:
                cursor.execute(WRITE, message)
            rates = {"single": singles / (time.perf_counter() - began)}
            rest = all_messages[singles:]
            half = len(rest) // 2
            rates["batch"] = batches(connection, rest[:half], one_by_one)
            rates["pipelined"] = batches(connection, rest[half:], pipelined)
            cursor.execute("SELECT count(*) FROM messages")
            assert cursor.fetchone() == (len(all_messages),)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
