"""Database tables. Entries, keys and checkpoints are primary data; the rest is derived.

    ledger      one row: properties that were fixed when the ledger was created
    heads       one row a log: size, frontier, root, signed checkpoint, and the accounting of the
                log's stream in the queue (services/ledger/writer/queue_accounting.py). Locked by
                every batch
    entries     append-only: the entry's bytes (`leaf`), and columns derived from them
    keys        one wrapped key for every person, the ledger key and the hold key
    people      derived: the position of a person's stream
    plans       derived: the encrypted plan, as of some entry
    snapshots   derived: older encrypted plans at intervals, for views of the past
    tiles       derived: full tiles of the logs' hashes (log/tiles.py) with their roots
    checkpoints append-only: published checkpoints, at most one a second, with cosignatures
    unreadable  quarantine: messages that could not be parsed or decrypted; nothing is discarded
    held        messages of people whose key or entries are unavailable, encrypted with the hold
                key, in stream order
    alarms      append-only: faults outside this database, with the number of messages lost

`index` is the position in the log, from 0; `sequence` the position in a person's stream, from 1.
`plan` columns are encrypted with the person's key; subject, sequence and rules are bound.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

FORMAT = 1  # version of a ledger's tables and bytes
metadata = MetaData()


def _number(name: str, *, key: bool = False, optional: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=optional, autoincrement=False)


def _text(name: str, *, key: bool = False, optional: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=optional)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


ledger = Table(
    "ledger",
    metadata,
    _number("format", key=True),
    _number("partitions"),
    _text("origin"),
    _text("created"),
)

heads = Table(
    "heads",
    metadata,
    _number("log", key=True),
    _number("size"),
    _bytes("frontier"),
    _bytes("root"),
    _text("checkpoint"),
    _text("recorded"),
    _number("rules"),
    _number("published"),
    _number("added"),
    _number("taken"),
    _number("moved"),
    _text("last"),
)

entries = Table(
    "entries",
    metadata,
    _number("log", key=True),
    _number("index", key=True),
    _text("id"),
    _text("author"),
    _text("subject"),
    _text("kind"),
    _text("verdict"),
    _text("refusal", optional=True),
    _number("sequence", optional=True),
    _number("planversion", optional=True),
    _text("recorded"),
    _text("digest"),
    _bytes("leaf"),
    UniqueConstraint("log", "id", "author", "digest", name="entries_once"),
    Index("entries_of_a_person", "log", "subject", "index"),
)
Index(
    "entries_in_sequence",
    entries.c.log,
    entries.c.subject,
    entries.c.sequence,
    sqlite_where=entries.c.sequence.is_not(None),
    postgresql_where=entries.c.sequence.is_not(None),
)

keys = Table(
    "keys",
    metadata,
    _text("kid", key=True),
    Column("subject", Text, nullable=False, unique=True),
    _bytes("wrapped"),
)

people = Table(
    "people",
    metadata,
    _text("subject", key=True),
    _number("log"),
    _number("sequence"),
    _number("planversion"),
)

plans = Table(
    "plans",
    metadata,
    _text("subject", key=True),
    _number("log"),
    _number("sequence"),
    _number("planversion"),
    _number("rules"),
    _bytes("plan"),
)

snapshots = Table(
    "snapshots",
    metadata,
    _text("subject", key=True),
    _number("sequence", key=True),
    _number("log"),
    _number("planversion"),
    _text("recorded"),
    _number("rules"),
    _bytes("plan"),
)

tiles = Table(
    "tiles",
    metadata,
    _number("log", key=True),
    _number("level", key=True),
    _number("index", key=True),
    _bytes("root"),
    _bytes("hashes"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _number("log", key=True),
    _number("size", key=True),
    _number("cosignatures", key=True),
    _text("checkpoint"),
    _text("kept"),
)

unreadable = Table(
    "unreadable",
    metadata,
    Column("number", Integer, primary_key=True),
    _number("log"),
    _text("place"),
    _text("reason"),
    _text("seen"),
    _bytes("message"),
)

held = Table(
    "held",
    metadata,
    Column("number", Integer, primary_key=True),
    _number("log"),
    _text("subject"),
    _text("place"),
    _text("reason"),
    _text("seen"),
    _bytes("message"),
    Index("held_of_a_person", "log", "subject", "number"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("number", Integer, primary_key=True),
    _number("log"),
    _text("kind"),
    _text("seen"),
    _number("missing"),
    _text("detail"),
)
