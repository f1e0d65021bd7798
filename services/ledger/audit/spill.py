"""Shelves: a log's entries laid out again by person, on the disk, so that memory stays flat.

A record goes to the shelf of its name; what shares a name shares a shelf, in the order in which it
came. What lies there is what the log holds: sealed as it was.
"""

import struct
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Self

A_SHELF = 16_384  # records for which one more shelf is made
MOST = 192  # shelves, each an open file
FLUSH = 1 << 16  # bytes kept in memory for each
_HEAD = struct.Struct("<QII")
READ = 1 << 20


class SpillByPerson:
    """So many shelves for so many records."""

    def __init__(self, records: int) -> None:
        self.count = min(MOST, records // A_SHELF + 1)
        self.names: list[set[str]] = [set() for _ in range(self.count)]
        self._waiting = [bytearray() for _ in range(self.count)]
        self._files: list[IO[bytes] | None] = [None] * self.count
        self._left = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    def put(self, name: str, index: int, leaf: bytes, told: bytes) -> None:
        """Lay an entry down: its index, its bytes, and what was told about it."""
        shelf = hash(name) % self.count
        self.names[shelf].add(name)
        waiting = self._waiting[shelf]
        waiting += _HEAD.pack(index, len(leaf), len(told))
        waiting += leaf
        waiting += told
        if len(waiting) > FLUSH:
            self._flush(shelf)

    def holds(self, name: str) -> bool:
        """Whether anything of that name was laid down."""
        return name in self.names[hash(name) % self.count]

    def _flush(self, shelf: int) -> None:
        file = self._files[shelf]
        if file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
            self._files[shelf] = self._left.enter_context(file)
        file.write(self._waiting[shelf])
        self._waiting[shelf].clear()

    def take(self, shelf: int) -> Iterator[tuple[int, bytes, bytes]]:
        """What lies on a shelf, in the order in which it came."""
        if (file := self._files[shelf]) is not None:
            self._flush(shelf)
            file.seek(0)
        rest = b"" if file else bytes(self._waiting[shelf])
        more = True
        while more:
            block = file.read(READ) if file else b""
            more, rest, at = bool(block), rest + block, 0
            while at + 16 <= len(rest):
                index, leaf, told = _HEAD.unpack_from(rest, at)
                end = at + 16 + leaf + told
                if end > len(rest):
                    break
                yield index, rest[at + 16 : at + 16 + leaf], rest[at + 16 + leaf : end]
                at = end
            rest = rest[at:]


class DuplicateIds:
    """Remembers which names came more than once, and where each of these came first.

    Two names pass for one if their 64-bit hashes are equal; the hash is seeded anew in each
    process, so that nobody can aim at it.
    """

    def __init__(self, records: int) -> None:
        self._count = min(MOST, records // A_SHELF + 1)
        self._waiting = [array("q") for _ in range(self._count)]
        self._files: list[IO[bytes] | None] = [None] * self._count
        self._left = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    def put(self, name: int, index: int) -> None:
        """A name's hash, and the index of its entry. Indexes only grow."""
        waiting = self._waiting[name % self._count]
        waiting.append(name)
        waiting.append(index)
        if len(waiting) > FLUSH >> 3:
            self._flush(name % self._count)

    def _flush(self, place: int) -> None:
        file = self._files[place]
        if file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
            self._files[place] = self._left.enter_context(file)
        file.write(self._waiting[place])
        self._waiting[place] = array("q")

    def find(self) -> dict[int, int]:
        """The hashes that came more than once, and the index of the first of each."""
        found: dict[int, int] = {}
        for place, waiting in enumerate(self._waiting):
            told = array("q")
            if (file := self._files[place]) is not None:
                file.seek(0)
                told.frombytes(file.read())
            told += waiting
            names = told[::2]
            if len(set(names)) < len(names):
                for index, name in reversed(list(enumerate(names))):
                    found[name] = told[2 * index + 1]
                often = Counter(names)
                for name in set(names):
                    if often[name] == 1:
                        del found[name]
        return found
