"""Spool file of a rebuild: its changes, one JSON object a line; bytes are base64url.

{"gone":{…},"table":…}      delete the rows with these columns
{"row":{…},"table":…}       insert this row, or replace the one with its key
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

from shared.crypto.jwe import b64url, from_b64url

BYTES = {"plan", "root", "hashes"}


class Spool:
    """A writer of the spool file, which is complete when the block ends."""

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
        """Write a deletion of rows."""
        self._write({"table": table, "gone": columns})

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Write an insertion of a row."""
        encoded = {
            name: b64url(value).decode() if name in BYTES else value for name, value in row.items()
        }
        self._write({"table": table, "row": encoded})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(orjson.dumps(line) + b"\n")
        self.lines += 1


def spooled(path: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield table and columns of every line of a kind, "gone" or "row"."""
    with path.open("rb") as file:
        for line in map(orjson.loads, file):
            if kind in line:
                columns = line[kind].items()
                raw = {n: from_b64url(v.encode()) if n in BYTES else v for n, v in columns}
                yield line["table"], raw
