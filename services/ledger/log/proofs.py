r"""Proofs of a tree (RFC 6962, 2.1.1 and 2.1.2; checked as RFC 9162, 2.1.3.2 and 2.1.4.2 say).

- **inclusion**: the hashes that, with a leaf, give the root. Entry 5 is in the tree of size 8.
- **consistency**: the hashes that give an old root and a new one. Nothing before was changed.

Both are made from a reader of nodes: `node(level, index)` is the root of the 2^level leaves from
index * 2^level on. `tiles.node_reader` reads them from tiles, `nodes_from_leaves` from a list of
leaves, `nodes_from_frontier` from what a batch has at hand.

A `.tlog-proof` (C2SP tlog-proof) is an inclusion with the checkpoint it is in:

    c2sp.org/tlog-proof@v1\n
    extra <base64>\n                      (others' may have this; ours never do)
    index <n>\n
    <base64(hash)>\n                      (none or more, from the leaf up)
    \n
    <checkpoint>

>>> from services.ledger.log.merkle import leaf_hash
>>> leaves = [leaf_hash(each) for each in (b"one", b"two", b"three")]
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
    """A reader of nodes over leaf hashes in memory."""
    return lambda level, index: perfect_root(leaves[index << level : (index + 1) << level])


def nodes_from_frontier(frontier: Frontier, leaves: Sequence[bytes]) -> Node:
    """A reader of nodes over leaf hashes that join a tree of which only the frontier is at hand.

    It holds all that an inclusion of one of these leaves is made of, and little else: ValueError.
    """
    known = {(level, number): root for level, number, root in frontier.nodes()}
    known |= {(0, frontier.size + place): leaf for place, leaf in enumerate(leaves)}

    def node(level: int, index: int) -> bytes:
        found = known.get((level, index))
        if found is None:
            if level == 0:
                raise ValueError(f"leaf {index} is not at hand")
            found = node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
            known[level, index] = found
        return found

    return node


def subtree(node: Node, start: int, end: int) -> bytes:
    """The root over the leaves from `start` up to `end`, a range that RFC 6962's splits give."""
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
    """The hashes from a leaf's sibling up; ValueError if the tree has no such leaf."""
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
    """The hashes that tie an old size to a newer; none if old is 0 or the same."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of size {size} was never of size {old}")
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
    """Where RFC 6962 splits a range: after the largest power of two below its length."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """ValueError unless the leaf hash stands at `index` of the tree with this size and root."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of size {size} has no leaf {index}")
    (found,) = _hashes([leaf])
    for each, left in _climb(index, size - 1, _hashes(path)):
        found = node_hash(each, found) if left else node_hash(found, each)
    if found != root:
        raise ValueError("the proof leads to another root")


def verify_consistency(
    old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]
) -> None:
    """ValueError unless the tree of this size and root grew out of the old one.

    Any tree grew out of the empty one: that is no proof, so `old` is at least 1.
    """
    if not 0 < old <= size:
        raise ValueError(f"nothing can tie a tree of size {size} to one of size {old}")
    if old == size:
        if path or old_root != root:
            raise ValueError("a tree is itself, and needs no proof of it")
        return
    rest = [*([] if old & (old - 1) else [old_root]), *_hashes(path)]
    if not rest:
        raise ValueError("the proof is too short")
    before = after = rest.pop(0)
    shared = (old & -old).bit_length() - 1  # levels above which both trees begin to differ
    for each, left in _climb((old - 1) >> shared, (size - 1) >> shared, rest):
        before = node_hash(each, before) if left else before
        after = node_hash(each, after) if left else node_hash(after, each)
    if (before, after) != (old_root, root):
        raise ValueError("the proof leads to another root")


def _climb(here: int, last: int, path: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a path, and whether it is the left one, from place `here` of 0 to `last`."""
    for each in path:
        if last == 0:
            raise ValueError("the proof has hashes left over")
        left = bool(here & 1) or here == last
        while left and here and not here & 1:  # a right edge without siblings
            here, last = here >> 1, last >> 1
        yield each, left
        here, last = here >> 1, last >> 1
    if last != 0:
        raise ValueError("the proof is too short")


def _hashes(path: Sequence[bytes]) -> list[bytes]:
    if len(path) > MAX_PATH or any(len(each) != HASH_BYTES for each in path):
        raise ValueError("a proof is a list of hashes of 32 bytes, at most 63 of them")
    return list(path)


@dataclass(frozen=True, slots=True)
class Proof:
    """A `.tlog-proof`: where an entry stands, its inclusion, and the checkpoint as text."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def text(self) -> str:
        """The file's text."""
        lines = [HEADER, f"index {self.index}", *(b64encode(each).decode() for each in self.path)]
        return "\n".join([*lines, "", self.checkpoint])

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """The proof in a file; ValueError if it is none. Nothing is verified yet."""
        head, _, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        if lines and lines[0].startswith("extra "):
            strict_base64(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines[0]) if lines else None
        if first != HEADER or index is None or not checkpoint:
            raise ValueError("not a tlog-proof of version 1")
        path = _hashes([strict_base64(each) for each in lines[1:]])
        return cls(int(index[1]), tuple(path), checkpoint)
