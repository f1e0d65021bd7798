r"""Inclusion and consistency proofs (RFC 6962, 2.1; verified as in RFC 9162, 2.1.3.2, 2.1.4.2).

- **inclusion**: the hashes that, with a leaf, give the root. Entry 5 is in the tree of size 8.
- **consistency**: the hashes that give an old root and a new one. No earlier entry was changed.

Both are built from a reader of nodes: `node(level, index)` is the root of the 2^level leaves
from index * 2^level on. `tiles.node_reader` reads nodes from tiles, `nodes_from_leaves` computes
them from a list of leaves, `nodes_from_frontier` from a frontier and the leaves of one batch.

A `.tlog-proof` (C2SP tlog-proof) is an inclusion proof with its checkpoint:

    c2sp.org/tlog-proof@v1\n
    extra <base64>\n                      (optional; never written by us)
    index <n>\n
    <base64(hash)>\n                      (zero or more, from the leaf up)
    \n
    <checkpoint>

>>> from services.ledger.log.merkle import leaf_hash
>>> leaves = [leaf_hash(entry) for entry in (b"one", b"two", b"three")]
>>> node = nodes_from_leaves(leaves)
>>> verify_inclusion(leaves[2], 2, 3, inclusion(node, 2, 3), subtree(node, 0, 3))
>>> verify_consistency(1, 3, leaves[0], subtree(node, 0, 3), consistency(node, 1, 3))
>>> verify_inclusion(leaves[1], 2, 3, inclusion(node, 2, 3), subtree(node, 0, 3))
Traceback (most recent call last):
ValueError: the proof leads to another root
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from services.ledger.log.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, node_hash
from services.ledger.log.signed_note import strict_base64
from services.ledger.log.tiles import perfect_root

Node = Callable[[int, int], bytes]
MAX_PATH = 63  # hashes: no tree is higher
HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


def nodes_from_leaves(leaves: Sequence[bytes]) -> Node:
    """Return a reader of nodes over leaf hashes in memory."""
    return lambda level, index: perfect_root(leaves[index << level : (index + 1) << level])


def nodes_from_frontier(frontier: Frontier, leaves: Sequence[bytes]) -> Node:
    """Return a reader of nodes over a frontier and the leaf hashes appended to it.

    It covers the inclusion proofs of these leaves. Other nodes raise ValueError.
    """
    known = {(level, number): root for level, number, root in frontier.nodes()}
    known |= {(0, frontier.size + offset): leaf for offset, leaf in enumerate(leaves)}

    def node(level: int, index: int) -> bytes:
        root = known.get((level, index))
        if root is None:
            if level == 0:
                raise ValueError(f"leaf {index} is not available")
            root = node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
            known[level, index] = root
        return root

    return node


def subtree(node: Node, start: int, end: int) -> bytes:
    """Return the root over the leaves `start` to `end`, a range that RFC 6962 splits into."""
    if start == end:
        return EMPTY_ROOT
    hashes = []
    while start < end:
        level = (end - start).bit_length() - 1
        hashes.append(node(level, start >> level))
        start += 1 << level
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """Return the hashes from a leaf's sibling up; raise ValueError if the leaf is missing."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of size {size} has no leaf {index}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            path.append(subtree(node, middle, end))
            end = middle
        else:
            path.append(subtree(node, start, middle))
            start = middle
    return path[::-1]


def consistency(node: Node, old: int, size: int) -> list[bytes]:
    """Return the hashes that link an old tree to a newer one; empty if old is 0 or equal."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of size {size} has no earlier size {old}")
    path, start, end = [], 0, size
    while old not in (0, end):
        middle = _split(start, end)
        if old <= middle:
            path.append(subtree(node, middle, end))
            end = middle
        else:
            path.append(subtree(node, start, middle))
            start = middle
    if start:
        path.append(subtree(node, start, end))
    return path[::-1]


def _split(start: int, end: int) -> int:
    """Return the RFC 6962 split point: after the largest power of two below the length."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Raise ValueError unless the leaf hash is at `index` of the tree of this size and root."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of size {size} has no leaf {index}")
    (computed,) = _hashes([leaf])
    for sibling, is_left in _climb(index, size - 1, _hashes(path)):
        computed = node_hash(sibling, computed) if is_left else node_hash(computed, sibling)
    if computed != root:
        raise ValueError("the proof leads to another root")


def verify_consistency(
    old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]
) -> None:
    """Raise ValueError unless the tree of this size and root extends the old one.

    Every tree extends the empty one, which needs no proof, so `old` is at least 1.
    """
    if not 0 < old <= size:
        raise ValueError(f"no proof can link a tree of size {size} to one of size {old}")
    if old == size:
        if path or old_root != root:
            raise ValueError("equal sizes need equal roots and an empty proof")
        return
    rest = [*([] if old & (old - 1) else [old_root]), *_hashes(path)]
    if not rest:
        raise ValueError("the proof is too short")
    before = after = rest.pop(0)
    shared = (old & -old).bit_length() - 1  # levels above which both trees begin to differ
    for sibling, left in _climb((old - 1) >> shared, (size - 1) >> shared, rest):
        before = node_hash(sibling, before) if left else before
        after = node_hash(sibling, after) if left else node_hash(after, sibling)
    if (before, after) != (old_root, root):
        raise ValueError("the proof leads to another root")


def _climb(here: int, last: int, path: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the siblings of a path from position `here` of 0 to `last`, and which are left."""
    for sibling in path:
        if last == 0:
            raise ValueError("the proof has too many hashes")
        left = bool(here & 1) or here == last
        while left and here and not here & 1:  # a right edge without siblings
            here, last = here >> 1, last >> 1
        yield sibling, left
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ValueError("the proof is too short")


def _hashes(path: Sequence[bytes]) -> list[bytes]:
    if len(path) > MAX_PATH or any(len(node) != HASH_BYTES for node in path):
        raise ValueError("a proof is a list of hashes of 32 bytes, at most 63 of them")
    return list(path)


@dataclass(frozen=True, slots=True)
class Proof:
    """A `.tlog-proof`: an entry's index, its inclusion path, and the checkpoint as text."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def text(self) -> str:
        """Return the file's text."""
        lines = [HEADER, f"index {self.index}", *(b64encode(node).decode() for node in self.path)]
        return "\n".join([*lines, "", self.checkpoint])

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """Parse the text of a file without verifying it; raise ValueError if it is malformed."""
        head, _, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        if lines and lines[0].startswith("extra "):
            strict_base64(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines[0]) if lines else None
        if first != HEADER or index is None or not checkpoint:
            raise ValueError("not a tlog-proof of version 1")
        path = _hashes([strict_base64(line) for line in lines[1:]])
        return cls(int(index[1]), tuple(path), checkpoint)
