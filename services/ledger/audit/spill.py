"""Spill files: a log's entries partitioned by person on disk, so that memory stays constant.

Records with one name go to one file, in order. Entries remain encrypted as they are in the log.
"""

import struct
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Self

PER_FILE = 16_384  # records
MOST = 192  # open files
FLUSH = 1 << 16  # bytes buffered in memory for one file
_HEAD = struct.Struct("<QII")
READ = 1 << 20


class SpillByPerson:
    """Temporary files with a log's entries, partitioned by person."""

    def __init__(self, records: int) -> None:
        self.count = min(MOST, records // PER_FILE + 1)
        self.names: list[set[str]] = [set() for _ in range(self.count)]
        self._buffers = [bytearray() for _ in range(self.count)]
        self._files: list[IO[bytes] | None] = [None] * self.count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, name: str, index: int, leaf: bytes, data: bytes) -> None:
        """Write an entry: its index, its bytes, and further data."""
        part = hash(name) % self.count
        self.names[part].add(name)
        buffer = self._buffers[part]
        buffer += _HEAD.pack(index, len(leaf), len(data))
        buffer += leaf
        buffer += data
        if len(buffer) > FLUSH:
            self._flush(part)

    def holds(self, name: str) -> bool:
        """Return whether there is an entry with that name."""
        return name in self.names[hash(name) % self.count]

    def _flush(self, part: int) -> None:
        file = self._files[part]
        if file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
            self._files[part] = self._stack.enter_context(file)
        file.write(self._buffers[part])
        self._buffers[part].clear()

    def take(self, part: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield the entries of a file, in order."""
        if (file := self._files[part]) is not None:
            self._flush(part)
            file.seek(0)
        rest = b"" if file else bytes(self._buffers[part])
        more = True
        while more:
            block = file.read(READ) if file else b""
            more, rest, at = bool(block), rest + block, 0
            while at + 16 <= len(rest):
                index, leaf, data = _HEAD.unpack_from(rest, at)
                end = at + 16 + leaf + data
                if end > len(rest):
                    break
                yield index, rest[at + 16 : at + 16 + leaf], rest[at + 16 + leaf : end]
                at = end
            rest = rest[at:]


class DuplicateIds:
    """Duplicate ids: finds names that occur more than once, and their first indexes.

    Names are compared by 64-bit hashes. The hash is seeded per process, so that an attacker cannot
    construct collisions.
    """

    def __init__(self, records: int) -> None:
        self._count = min(MOST, records // PER_FILE + 1)
        self._buffers = [array("q") for _ in range(self._count)]
        self._files: list[IO[bytes] | None] = [None] * self._count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, name: int, index: int) -> None:
        """Add a name's hash and the index of its entry. Indexes must increase."""
        buffer = self._buffers[name % self._count]
        buffer.append(name)
        buffer.append(index)
        if len(buffer) > FLUSH >> 3:
            self._flush(name % self._count)

    def _flush(self, part: int) -> None:
        file = self._files[part]
        if file is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
            self._files[part] = self._stack.enter_context(file)
        file.write(self._buffers[part])
        self._buffers[part] = array("q")

    def find(self) -> dict[int, int]:
        """Return the hashes that occur more than once, with their first indexes."""
        duplicates: dict[int, int] = {}
        for part, buffer in enumerate(self._buffers):
            pairs = array("q")
            if (file := self._files[part]) is not None:
                file.seek(0)
                pairs.frombytes(file.read())
            pairs += buffer
            names = pairs[::2]
            if len(set(names)) < len(names):
                for index, name in reversed(list(enumerate(names))):
                    duplicates[name] = pairs[2 * index + 1]
                counts = Counter(names)
                for name in set(names):
                    if counts[name] == 1:
                        del duplicates[name]
        return duplicates
