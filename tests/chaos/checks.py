"""What must hold after any crash: the ledger compared with the acknowledged and published data.

I1  no loss        every acknowledged event is an entry, posted no later than the acknowledgement:
                   an event recorded only because it was sent again had been lost
I2  no duplicate   an event (author, id, digest) is one entry
I3  one answer     a receipt shows the entry that is in the log, and is about the posted event:
                   a client without an answer that sends again gets that same entry
I4  order          a person's entries have the order of acknowledgement; no gap in their sequence
I5  append-only    every checkpoint ever seen matches the log as it is now, no published size
                   shrinks, no size has two roots; every receipt's proof leads to its root
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from services.ledger.log import entry
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.proofs import Proof, verify_inclusion
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.receipts import LocatedEntry
from services.ledger.vault import Vault
from shared.events.event import Json, canonical

Row = Mapping[str, Any]
Posted = tuple[str, bytes]  # author and body
EventIdentity = tuple[str, str]  # author and digest: which event, to the byte
Taken = Mapping[Posted, str]  # a person's events, and when each was first acknowledged; in order


@dataclass
class Tally:
    """How often each invariant was broken."""

    recorded: int = 0
    lost: int = 0
    doubled: int = 0
    untrue: int = 0
    out_of_order: int = 0
    rewritten: int = 0

    @property
    def broken(self) -> list[str]:
        """Return the invariants that do not hold."""
        counts = (self.lost, self.doubled, self.untrue, self.out_of_order, self.rewritten)
        return [f"I{number}" for number, count in enumerate(counts, 1) if count]


@dataclass
class Observed:
    """Output of the ledger while it ran: receipts, and checkpoints in their order."""

    vkeys: list[list[str]]  # of each log
    trees: dict[int, Frontier] = field(default_factory=lambda: defaultdict(Frontier))
    receipts: list[tuple[Posted, Json]] = field(default_factory=list)
    published: dict[int, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def publish(self, log: int, note: bytes | None) -> None:
        """Note the published checkpoint."""
        if note is not None:
            head = read_checkpoint(note.decode(), *self.vkeys[log])
            if head not in self.published[log][-1:]:
                self.published[log].append(head)

    def heads(self, log: int) -> set[tuple[int, bytes]]:
        """Return every signed head of a log that a client has seen."""
        in_log = (receipt for _, receipt in self.receipts if receipt["log"] == log)
        return {
            *self.published[log],
            *(proven(receipt, self.vkeys[log]) for receipt in in_log),
        }


def proven(receipt: Json, vkeys: Sequence[str]) -> tuple[int, bytes]:
    """Return the signed head that a receipt's proof leads to, with size -1 if it does not."""
    proof = Proof.parse(receipt["proof"])
    size, root = read_checkpoint(proof.checkpoint, *vkeys)
    try:
        leaf = leaf_hash(receipt["entry"].encode())
        verify_inclusion(leaf, receipt["index"], size, proof.path, root)
    except ValueError:
        return -1, root
    return size, root


def tally(
    rows: Sequence[Row], vault: Vault, acknowledged: Mapping[str, Taken], observed: Observed
) -> Tally:
    """Check entries, in the order of the log and from the end of `observed.trees`."""
    by_subject, counts = defaultdict[str, list[Row]](list), Tally()
    for row in rows:
        by_subject[row["subject"]].append(row)
    for who, events in acknowledged.items():
        _of_a_person(counts, by_subject[who], vault, events)
    places = {(row["log"], row["index"]): row["leaf"] for row in rows}
    counts.untrue = sum(
        not _is_true(places, posted, receipt) for posted, receipt in observed.receipts
    )
    for log in {row["log"] for row in rows} | observed.published.keys():
        leaves = [row["leaf"] for row in rows if row["log"] == log]
        counts.rewritten += _rewritten(observed.trees[log], leaves, observed.heads(log))
        sizes = [size for size, _ in observed.published[log]]
        counts.rewritten += sum(later < earlier for earlier, later in pairwise(sizes))
    return counts


def _of_a_person(counts: Tally, rows: Sequence[Row], vault: Vault, taken: Taken) -> None:
    received: dict[EventIdentity, str] = {}  # and the time of the recorded post
    salts = defaultdict[tuple[str, str], set[bytes]](set)
    for row in rows:
        recorded = LocatedEntry(row["log"], row["index"], entry.parse(row["leaf"]))
        salts[row["author"], row["id"]].add(recorded.salt(vault))
        received.setdefault((row["author"], row["digest"]), recorded.entry.received)
    wanted = {_identity(received, salts, *post): at for post, at in taken.items()}
    in_time = [event for event, at in wanted.items() if event in received and received[event] <= at]
    rank = {event: number for number, event in enumerate(in_time)}
    order = [rank[event] for event in received if event in rank]
    sequence = [row["sequence"] for row in rows if row["sequence"] is not None]
    counts.recorded += len(rows)
    counts.lost += len(wanted) - len(in_time)
    counts.doubled += len(rows) - len(received)
    counts.out_of_order += sum(later < earlier for earlier, later in pairwise(order))
    counts.out_of_order += sequence != list(range(1, len(sequence) + 1))


def _identity(
    recorded: Container[EventIdentity],
    salts: Mapping[tuple[str, str], set[bytes]],
    author: str,
    body: bytes,
) -> EventIdentity:
    """Return author and digest if the event is recorded, else author and id.

    An entry about a person is encrypted under one of two keys, so both salts are tried.
    """
    event = orjson.loads(body)
    for salt in salts.get((author, event["id"]), ()):
        identity = author, entry.digest_of(salt, canonical(event))
        if identity in recorded:
            return identity
    return author, event["id"]


def _is_true(places: Mapping[tuple[int, int], bytes], posted: Posted, receipt: Row) -> bool:
    """Return whether a receipt shows the entry at its index, for the posted event."""
    shown = places.get((receipt["log"], receipt["index"])) == receipt["entry"].encode()
    return shown and (receipt["author"], receipt["id"]) == (
        posted[0],
        orjson.loads(posted[1])["id"],
    )


def _rewritten(tree: Frontier, leaves: Sequence[bytes], heads: Iterable[tuple[int, bytes]]) -> int:
    """Count signed heads that are not of this log; `tree` grows by the leaves."""
    roots, sizes = dict[int, bytes](), {size for size, _ in heads}
    for leaf in leaves:
        if tree.size in sizes:
            roots[tree.size] = tree.root()
        tree.append(leaf_hash(leaf))
    roots[tree.size] = tree.root()
    return sum(roots.get(size) != root for size, root in heads)
