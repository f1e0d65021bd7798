"""What a rebuild is to change, in a file, one JSON object a line; bytes are base64url.

{"gone":{…},"table":…}      rows with these columns are to go
{"row":{…},"table":…}       this row is to be there, in place of another of its key
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

from shared.crypto.jwe import b64url, from_b64url

BYTES = {"plan", "root", "hashes"}


class Spool:
    """Writes it. It is there, whole and on disk, when the block ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0

    def __enter__(self) -> Self:
        self._file = self.path.open("wb")
        self.path.chmod(0o600)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def gone(self, table: str, **columns: str | int) -> None:
        """Rows that are to go."""
        self._write({"table": table, "gone": columns})

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """A row that is to be there."""
        told = {
            name: b64url(each).decode() if name in BYTES else each for name, each in row.items()
        }
        self._write({"table": table, "row": told})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(orjson.dumps(line) + b"\n")
        self.lines += 1


def spooled(path: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Table and columns of each line of a kind, "gone" or "row"."""
    with path.open("rb") as file:
        for line in map(orjson.loads, file):
            if kind in line:
                told = line[kind].items()
                raw = {n: from_b64url(v.encode()) if n in BYTES else v for n, v in told}
                yield line["table"], raw
