"""Somebody who can do too much: to a store as its owner, to an export's files, with the true key.

A `Forge` is a store in a transaction that is taken back; an `Exported` an export's folder.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from services.cli.audit import AHEAD, audit_export
from services.ledger.audit.engine import Audit
from services.ledger.audit.findings import Report
from services.ledger.audit.store_source import AuditStoreSource
from services.ledger.checkpoints.known_checkpoints import Note
from services.ledger.config import signers
from services.ledger.log import entry
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.signed_note import Signer
from services.ledger.store import tables
from services.ledger.store.checkpoint_archive import archive_checkpoint
from services.ledger.vault import Vault
from shared.crypto.jwe import b64url, decrypt
from shared.events.event import timestamp
from tests import exports
from tests.contract.ledgers import Ledger, kid_of
from tests.contract.tampering import unguarded
from tests.exports import LogSpec

KEPT = (0, 100, 256, 300)
Members = dict[str, Any]


@dataclass
class Forge:
    """A store, its true signer, and what was published last."""

    connection: Connection
    signer: Signer
    vault: Vault
    published: str

    def leaves(self) -> list[bytes]:
        """The bytes of every entry, in order."""
        wanted = select(tables.entries.c.leaf).order_by(tables.entries.c.index)
        return [bytes(each) for each in self.connection.scalars(wanted)]

    def place(self, fits: Callable[[Members], bool]) -> int:
        """The last entry whose members fit."""
        told = [orjson.loads(each) for each in self.leaves()]
        return max(index for index, each in enumerate(told) if fits(each))

    def write(self, index: int, **values: object) -> None:
        """Change columns of an entry."""
        where = tables.entries.c.index == index
        done = self.connection.execute(update(tables.entries).where(where).values(values))
        assert done.rowcount == 1

    def rewrite(self, index: int, **changed: object) -> None:
        """Change an entry's members, in canonical form, and its columns with them."""
        members = orjson.loads(self.leaves()[index]) | changed
        members = {name: each for name, each in members.items() if each is not None}
        columns = {name: members.get(name) for name in entry.COLUMNS}
        self.write(index, leaf=orjson.dumps(members, option=orjson.OPT_SORT_KEYS), **columns)

    def sign(self) -> None:
        """Sign the entries as they are, with the true key, and publish that."""
        tree = Frontier()
        for each in self.leaves():
            tree.append(leaf_hash(each))
        self.published = self.signer.checkpoint(tree.size, tree.root())
        self.change(
            "heads",
            size=tree.size,
            frontier=tree.to_bytes(),
            root=tree.root(),
            checkpoint=self.published,
            recorded=orjson.loads(self.leaves()[-1])["recorded"],
        )

    def change(self, table: str, *where: Any, **values: object) -> None:
        """Change rows of a table."""
        wanted = update(tables.metadata.tables[table]).where(*where).values(values)
        assert self.connection.execute(wanted).rowcount >= 1


def audit_store(
    ledger: Ledger, change: Callable[[Forge], object], *, outside: bool = False
) -> Report:
    """The audit of a live store after a change, with or without a checkpoint kept outside."""
    signer, vault = signers(ledger.settings)[0], Vault.from_folder(ledger.settings.key_folder)
    with unguarded(ledger) as connection:
        forge = Forge(connection, signer, vault, "")
        leaves = forge.leaves()
        before = LogSpec(leaves, signer)
        for size in KEPT:
            archive_checkpoint(connection, 0, size, 0, before.checkpoint(size), "2099")
        forge.published = before.checkpoint(len(leaves))
        kept = Note(len(leaves), "kept", forge.published)
        change(forge)
        store = AuditStoreSource(connection, vault, [signer.vkeys], (), {0: forge.published})
        latest = timestamp(datetime.now(UTC) + AHEAD)
        return Audit(store, outside={0: [kept]} if outside else {}, latest=latest).everything()
    raise AssertionError


@dataclass
class Exported:
    """An export: what it is made of, and where it lies once it is written."""

    signer: Signer
    leaves: list[bytes]
    opened: list[Members]
    folder: Path = field(default_factory=Path)

    def place(self, fits: Callable[[Members], bool]) -> int:
        """The last entry whose members fit."""
        told = [orjson.loads(each) for each in self.leaves]
        return max(index for index, each in enumerate(told) if fits(each))

    def rewrite(self, index: int, **changed: object) -> None:
        """Change an entry's members, in canonical form."""
        members = orjson.loads(self.leaves[index]) | changed
        members = {name: each for name, each in members.items() if each is not None}
        self.leaves[index] = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)

    def drop(self, index: int) -> None:
        """Leave an entry out, and what is opened of it."""
        del self.leaves[index]
        self.opened = [
            each | {"index": each["index"] - (each["index"] > index)}
            for each in self.opened
            if each["index"] != index
        ]

    def flip(self, pattern: str, bit: int = 0) -> None:
        """Change one bit in the middle of a file."""
        path = min(self.folder.glob(pattern))
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2 + bit] ^= 1
        path.write_bytes(raw)


def opened(ledger: Ledger) -> list[Members]:
    """A line of opened.jsonl for every entry that keeps its words."""
    vault = Vault.from_folder(ledger.settings.key_folder)
    keys = {row["kid"]: vault.unwrap(row["kid"], row["wrapped"]) for row in ledger.table("keys")}
    lines = []
    for index, row in enumerate(ledger.rows()):
        if (key := keys.get(kid_of(row))) is None:
            continue
        told = entry.parse(row["leaf"])
        event = json.loads(decrypt(told.sealed, keys.get)[1])
        salt = b64url(entry.salt_of(key, told.author, told.id)).decode()
        lines.append({"event": event, "index": index, "log": 0, "salt": salt})
    return lines


def exported(ledger: Ledger) -> Exported:
    """An export of a ledger, all of it opened, not yet written."""
    leaves = [bytes(row["leaf"]) for row in ledger.rows()]
    return Exported(signers(ledger.settings)[0], leaves, opened(ledger))


def audit_files(
    whole: Exported,
    folder: Path,
    before: Callable[[Exported], object] = lambda _: None,
    after: Callable[[Exported], object] = lambda _: None,
    *,
    outside: bool = False,
    require: str = "",
) -> Report:
    """The audit of an export that was changed before it was written, or after."""
    told = Exported(whole.signer, [*whole.leaves], [*whole.opened], folder / "export")
    kept = folder / "kept"
    kept.write_text(LogSpec(whole.leaves, whole.signer).checkpoint(len(whole.leaves)))
    before(told)
    sizes = [each for each in KEPT if each <= len(told.leaves)]
    exports.write(told.folder, [LogSpec(told.leaves, told.signer, sizes)], told.opened)
    after(told)
    report = audit_export(told.folder, [whole.signer.vkey], [kept] if outside else [])
    if require:
        report.require(require)
    return report


def codes(report: Report) -> dict[str, Sequence[str]]:
    """Depth -> the codes found there."""
    found: dict[str, list[str]] = {}
    for depth, code in sorted(report.totals):
        found.setdefault(depth, []).append(code)
    return dict(found)
