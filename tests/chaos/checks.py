"""What must hold whatever died: the ledger against what was acknowledged, heard and published.

I1  no loss        every acknowledged event is an entry, by a post that came no later than the
                   acknowledgement: what is recorded only since it was sent again had been lost
I2  no duplicate   an event (author, id, digest) is one entry
I3  one answer     a receipt shows the entry that stands in the log, and of the event it is for:
                   whoever was left without an answer and sends again hears of that one entry
I4  order          a person's entries stand as they were acknowledged; their sequence has no hole
I5  append-only    every checkpoint that was ever seen is of the log as it is now, no published
                   size falls, no size has two roots; every receipt's proof leads to its root
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
Said = tuple[str, str]  # author and digest: which event, to the byte
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
        """The invariants that do not hold."""
        counts = (self.lost, self.doubled, self.untrue, self.out_of_order, self.rewritten)
        return [f"I{number}" for number, count in enumerate(counts, 1) if count]


@dataclass
class Heard:
    """What came out of the ledger while it ran: receipts, and checkpoints in their order."""

    vkeys: list[list[str]]  # of each log
    trees: dict[int, Frontier] = field(default_factory=lambda: defaultdict(Frontier))
    receipts: list[tuple[Posted, Json]] = field(default_factory=list)
    published: dict[int, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def publish(self, log: int, note: bytes | None) -> None:
        """A look at what is published."""
        if note is not None:
            head = read_checkpoint(note.decode(), *self.vkeys[log])
            if head not in self.published[log][-1:]:
                self.published[log].append(head)

    def heads(self, log: int) -> set[tuple[int, bytes]]:
        """Every signed head of a log that anybody has seen."""
        shown = (told for _, told in self.receipts if told["log"] == log)
        return {
            *self.published[log],
            *(proven(told, self.vkeys[log]) for told in shown),
        }


def proven(told: Json, vkeys: Sequence[str]) -> tuple[int, bytes]:
    """The signed head that a receipt's proof leads to; of size -1, as none is, if it does not."""
    proof = Proof.parse(told["proof"])
    size, root = read_checkpoint(proof.checkpoint, *vkeys)
    try:
        leaf = leaf_hash(told["entry"].encode())
        verify_inclusion(leaf, told["index"], size, proof.path, root)
    except ValueError:
        return -1, root
    return size, root


def tally(
    rows: Sequence[Row], vault: Vault, acknowledged: Mapping[str, Taken], heard: Heard
) -> Tally:
    """Hold entries, in the order of the log and from where `heard.trees` end, against the rest."""
    found, told = defaultdict[str, list[Row]](list), Tally()
    for row in rows:
        found[row["subject"]].append(row)
    for who, posted in acknowledged.items():
        _of_a_person(told, found[who], vault, posted)
    places = {(row["log"], row["index"]): row["leaf"] for row in rows}
    told.untrue = sum(not _is_true(places, said, each) for said, each in heard.receipts)
    for log in {row["log"] for row in rows} | heard.published.keys():
        leaves = [row["leaf"] for row in rows if row["log"] == log]
        told.rewritten += _rewritten(heard.trees[log], leaves, heard.heads(log))
        sizes = [size for size, _ in heard.published[log]]
        told.rewritten += sum(later < earlier for earlier, later in pairwise(sizes))
    return told


def _of_a_person(told: Tally, rows: Sequence[Row], vault: Vault, taken: Taken) -> None:
    found: dict[Said, str] = {}  # and when the post came that it was recorded from
    salts = defaultdict[tuple[str, str], set[bytes]](set)
    for row in rows:
        recorded = LocatedEntry(row["log"], row["index"], entry.parse(row["leaf"]))
        salts[row["author"], row["id"]].add(recorded.salt(vault))
        found.setdefault((row["author"], row["digest"]), recorded.entry.received)
    wanted = {_said(found, salts, *each): at for each, at in taken.items()}
    kept = [each for each, at in wanted.items() if each in found and found[each] <= at]
    place = {each: number for number, each in enumerate(kept)}
    order = [place[each] for each in found if each in place]
    sequence = [row["sequence"] for row in rows if row["sequence"] is not None]
    told.recorded += len(rows)
    told.lost += len(wanted) - len(kept)
    told.doubled += len(rows) - len(found)
    told.out_of_order += sum(later < earlier for earlier, later in pairwise(order))
    told.out_of_order += sequence != list(range(1, len(sequence) + 1))


def _said(
    found: Container[Said], salts: Mapping[tuple[str, str], set[bytes]], author: str, body: bytes
) -> Said:
    """Which of the entries this event is; its id, if it is none. Two keys seal about a person."""
    event = orjson.loads(body)
    for salt in salts.get((author, event["id"]), ()):
        said = author, entry.digest_of(salt, canonical(event))
        if said in found:
            return said
    return author, event["id"]


def _is_true(places: Mapping[tuple[int, int], bytes], said: Posted, told: Row) -> bool:
    """Whether a receipt shows what stands there, and the event that was posted."""
    shown = places.get((told["log"], told["index"])) == told["entry"].encode()
    return shown and (told["author"], told["id"]) == (said[0], orjson.loads(said[1])["id"])


def _rewritten(tree: Frontier, leaves: Sequence[bytes], heads: Iterable[tuple[int, bytes]]) -> int:
    """How many signed heads are not of this log; `tree` grows by the leaves."""
    roots, sizes = dict[int, bytes](), {size for size, _ in heads}
    for leaf in leaves:
        if tree.size in sizes:
            roots[tree.size] = tree.root()
        tree.append(leaf_hash(leaf))
    roots[tree.size] = tree.root()
    return sum(roots.get(size) != root for size, root in heads)
