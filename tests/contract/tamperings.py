"""What can be done to a ledger, and how: the rows of docs/explanation/tampering.md."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from sqlalchemy import delete, insert, select

from services.ledger.log import entry
from services.ledger.store import tables
from shared.crypto.jwe import b64url, encrypt, from_b64url
from tests.contract.forging import Exported, Forge, Members
from tests.given import ADA, EVE


def of_ada(told: Members) -> bool:
    """An accepted line of Ada's."""
    return [told[name] for name in ("author", "kind", "verdict")] == [ADA, "plan", "accepted"]


def a_refusal(told: Members) -> bool:
    """A refusal with standing."""
    return told.get("refusal") == "unknown-target" and "sequence" in told


def one_bit(text: str) -> str:
    """base64url with its first bit changed."""
    raw = bytearray(from_b64url(text.encode()))
    raw[0] ^= 0x80
    return b64url(bytes(raw)).decode()


def part_changed(told: Members, part: int) -> str:
    """What is sealed, with one bit of its nonce (2), text (3) or tag (4) changed."""
    parts = told["sealed"].split(".")
    parts[part] = one_bit(parts[part])
    return ".".join(parts)


def members(forge: Forge | Exported, index: int) -> Members:
    """The members of an entry."""
    leaves = forge.leaves if isinstance(forge, Exported) else forge.leaves()
    told: Members = orjson.loads(leaves[index])
    return told


# --- In a store, by its owner -------------------------------------------------------------------


def bit_in_entry(forge: Forge) -> None:
    """Of the text that is sealed."""
    index = forge.place(of_ada)
    forge.rewrite(index, sealed=part_changed(members(forge, index), 3))


def bit_in_form(forge: Forge) -> None:
    """So that it is no entry any more."""
    index = forge.place(of_ada)
    leaf = bytearray(forge.leaves()[index])
    leaf[0] ^= 1
    forge.write(index, leaf=bytes(leaf))


def bit_in(table: str, column: str) -> Callable[[Forge], None]:
    """Of what is stored in Ada's row, or the log's."""

    def change(forge: Forge) -> None:
        where = tables.metadata.tables[table]
        mine = [where.c.subject == ADA] if "subject" in where.c else []
        value = forge.connection.scalars(select(where.c[column]).where(*mine)).first()
        assert value is not None
        if isinstance(value, int):
            forge.change(table, *mine, **{column: value ^ 1})
        elif isinstance(value, str):
            letter = chr(ord(value[-9]) ^ 1)
            forge.change(table, *mine, **{column: value[:-9] + letter + value[-8:]})
        else:
            raw = bytearray(value)
            raw[-9] ^= 1
            forge.change(table, *mine, **{column: bytes(raw)})

    return change


def removed(table: str) -> Callable[[Forge], None]:
    """Ada's row, or the log's."""

    def change(forge: Forge) -> None:
        where = tables.metadata.tables[table]
        mine = [where.c.subject == ADA] if "subject" in where.c else []
        assert forge.connection.execute(delete(where).where(*mine)).rowcount == 1

    return change


def bit_in_column(forge: Forge) -> None:
    """Of an entry's verdict, beside its bytes."""
    forge.write(forge.place(of_ada), verdict="acceptee")


def cut(forge: Forge) -> None:
    """The last entry never was, nor what was stored of its person since."""
    last = len(forge.leaves()) - 1
    told = members(forge, last)
    forge.connection.execute(delete(tables.entries).where(tables.entries.c.index == last))
    if "sequence" not in told:
        return
    for table in (tables.plans, tables.snapshots):
        later = table.c.subject == told["subject"], table.c.sequence >= told["sequence"]
        forge.connection.execute(delete(table).where(*later))
    before = members(forge, forge.place(lambda each: _same_stream(each, told)))
    stands = {name: before[name] for name in ("sequence", "planversion")}
    forge.change("people", tables.people.c.subject == told["subject"], **stands)


def _same_stream(told: Members, other: Members) -> bool:
    return told["subject"] == other["subject"] and "sequence" in told


def drop_last(forge: Forge) -> None:
    """The head is what was signed before that entry; what was published since stays."""
    published = forge.published
    cut_and_sign(forge)
    forge.published = published


def swap(forge: Forge) -> None:
    """Two entries of Ada's change places, and their columns with them."""
    second = forge.place(of_ada)
    before = members(forge, second)["sequence"]
    first = forge.place(lambda told: of_ada(told) and told["sequence"] < before)
    one, other = members(forge, first), members(forge, second)
    for index, told in ((first, {"id": "moved"}), (second, one), (first, other)):
        forge.rewrite(index, **told)


def insert_copy(forge: Forge) -> None:
    """An old entry once more at the end; its columns say that it is another one."""
    leaves = forge.leaves()
    index = forge.place(of_ada)
    told = members(forge, index)
    columns = {name: told.get(name) for name in entry.COLUMNS}
    row = columns | {"log": 0, "index": len(leaves), "leaf": leaves[index], "id": "another"}
    forge.connection.execute(insert(tables.entries), [row])


def flip_verdict(forge: Forge) -> None:
    """A refusal becomes an acceptance."""
    forge.rewrite(forge.place(a_refusal), verdict="accepted", refusal=None)


def cut_grant(forge: Forge) -> None:
    """A grant's entry goes; what was said under it stays."""
    index = forge.place(lambda told: told["kind"] == "whose" and told["verdict"] == "accepted")
    forge.connection.execute(delete(tables.entries).where(tables.entries.c.index == index))


def other_digest(forge: Forge) -> None:
    """The digest of another event."""
    index = forge.place(of_ada)
    forge.rewrite(index, digest=one_bit(members(forge, index)["digest"]))


def other_nonce(forge: Forge) -> None:
    """Another nonce than the one it was sealed with."""
    index = forge.place(of_ada)
    forge.rewrite(index, sealed=part_changed(members(forge, index), 2))


def other_key(forge: Forge) -> None:
    """Ada's key in the vault is a new one."""
    _, row = forge.vault.fresh(ADA)
    forge.change("keys", tables.keys.c.subject == ADA, kid=row["kid"], wrapped=row["wrapped"])


def other_event(forge: Forge) -> None:
    """With Ada's own key: another event is sealed in the place of hers."""
    index = forge.place(of_ada)
    told = members(forge, index)
    row = forge.connection.execute(select(tables.keys).where(tables.keys.c.subject == ADA)).one()
    key = forge.vault.unwrap(row.kid, row.wrapped)
    event = {"id": told["id"], "type": "access.withdrawn", "subject": ADA, "data": {}}
    bound = {name: told[name] for name in ("author", "id", "subject")}
    forge.rewrite(index, sealed=encrypt(key, orjson.dumps(event), bound).decode())
    forge.sign()


def not_theirs(forge: Forge) -> None:
    """With the true key: a line of Ada's is said to be by somebody else."""
    index = forge.place(of_ada)
    forge.rewrite(index, author="partner:sam")
    forge.sign()


def moved_version(forge: Forge) -> None:
    """With the true key: an entry says another version than its plan has."""
    index = forge.place(lambda told: told["subject"] == EVE and "sequence" in told)
    forge.rewrite(index, planversion=members(forge, index)["planversion"] - 1)
    forge.sign()


def from_the_future(forge: Forge) -> None:
    """With the true key: the last entry is recorded in the future, as after a leap of the clock."""
    forge.rewrite(len(forge.leaves()) - 1, recorded="2999-01-01T00:00:00.000Z")
    forge.sign()


def cut_and_sign(forge: Forge) -> None:
    """With the true key, and the queue's."""
    cut(forge)
    kept = tables.checkpoints
    forge.connection.execute(delete(kept).where(kept.c.size > len(forge.leaves())))
    forge.sign()


@dataclass(frozen=True)
class InStore:
    """A tampering with a store."""

    says: str
    change: Callable[[Forge], object]
    outside: bool = False


IN_STORE = [
    InStore("one bit of what an entry seals", bit_in_entry),
    InStore("one bit of an entry's form", bit_in_form),
    InStore("one bit of a tile", bit_in("tiles", "hashes")),
    InStore("one bit of the head's root", bit_in("heads", "root")),
    InStore("one bit of the head's checkpoint", bit_in("heads", "checkpoint")),
    InStore("one bit of the kept checkpoints", bit_in("checkpoints", "checkpoint")),
    InStore("one bit of the snapshots", bit_in("snapshots", "plan")),
    InStore("one bit of a stored plan", bit_in("plans", "plan")),
    InStore("one bit of a row of people", bit_in("people", "sequence")),
    InStore("a row of people removed", removed("people")),
    InStore("the head removed", removed("heads")),
    InStore("the ledger's own row removed", removed("ledger")),
    InStore("one bit of the number of logs", bit_in("ledger", "partitions")),
    InStore("one letter of a column beside an entry", bit_in_column),
    InStore("the last entry dropped, the head as before it", drop_last),
    InStore("two entries swapped", swap),
    InStore("an entry inserted", insert_copy),
    InStore("a verdict flipped", flip_verdict),
    InStore("a grant's entry removed", cut_grant),
    InStore("a digest replaced", other_digest),
    InStore("a nonce replaced", other_nonce),
    InStore("a person's key replaced", other_key),
    InStore("an event replaced, with the person's key and the log's", other_event),
    InStore("an author replaced, with the log's key", not_theirs),
    InStore("a plan's version replaced, with the log's key", moved_version),
    InStore("an entry recorded in the future, with the log's key", from_the_future),
    InStore("the last entry dropped, and all signed again with the log's key", cut_and_sign),
    InStore(
        "the same, and somebody kept a checkpoint (`--checkpoint`)", cut_and_sign, outside=True
    ),
]
