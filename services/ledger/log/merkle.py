r"""Merkle tree of a log: RFC 6962 (section 2.1) hashes, stored as a frontier.

    leaf = SHA-256(0x00 || entry)      node = SHA-256(0x01 || left || right)
    root of the empty tree = SHA-256("")

A **frontier** is the list of roots of the perfect subtrees that make up a tree, largest first:
one hash for each bit set in the size. Appending needs nothing else. Its bytes are those hashes
concatenated, 32 bytes each; the head row stores them with the size.

>>> tree = Frontier()
>>> for entry in (b"", b"\x00", b"\x10"): tree.append(leaf_hash(entry))
>>> tree.size, len(tree.to_bytes())
(3, 64)
>>> tree.root().hex()
'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'
>>> Frontier.from_bytes(3, tree.to_bytes()).root() == tree.root()
True
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry (RFC 6962, 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def _set_bits(number: int) -> list[int]:
    """Return the positions of the set bits, highest first."""
    return [bit for bit in reversed(range(number.bit_length())) if number >> bit & 1]


class Frontier:
    """A tree that can be appended to and hashed without storing its leaves."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if len(self._hashes) != size.bit_count():
            raise ValueError(f"a tree of size {size} has {size.bit_count()} subtrees")

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash; one subtree is merged for each set bit at the end of the old size."""
        size, hashes = self.size, self._hashes
        while size & 1:
            leaf = node_hash(hashes.pop(), leaf)
            size >>= 1
        hashes.append(leaf)
        self.size += 1

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the subtrees, largest first: level, number on that level, root."""
        start = 0
        for root, level in zip(self._hashes, _set_bits(self.size), strict=True):
            yield level, start >> level, root
            start += 1 << level

    def root(self) -> bytes:
        """Return the tree's root: the subtrees hashed together from the smallest up."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """Return the frontier's bytes."""
        return b"".join(self._hashes)

    @classmethod
    def from_bytes(cls, size: int, stored: bytes) -> "Frontier":
        """Parse the output of `to_bytes`; raise ValueError if it does not fit `size`."""
        parts = range(0, len(stored), HASH_BYTES)
        return cls(size, (stored[at : at + HASH_BYTES] for at in parts))
