"""Exports built by the textbook: each hash from its definition, for any leaves and signer.

    write(folder, [Told(leaves, signer, kept=(0, 256))], opened=[...])

The layout is that of `services/verify.py`. A test may build any history with it, even one that no
real ledger would produce: signed with the right key, and with every proof valid.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.ledger.log.signed_note import Signer


@dataclass(frozen=True)
class LogSpec:
    """One log of the export: leaves, signer, and the sizes of its archived checkpoints."""

    leaves: Sequence[bytes]
    signer: Signer
    archived: Sequence[int] = ()

    def checkpoint(self, size: int) -> str:
        """Return the signed checkpoint of the first `size` leaves."""
        return self.signer.checkpoint(size, root(tuple(self.leaves[:size])))


@lru_cache(maxsize=4096)
def root(leaves: tuple[bytes, ...]) -> bytes:
    """Return MTH(D[n]) as RFC 6962, section 2.1, defines it."""
    if len(leaves) < 2:
        return sha256(b"\0" + leaves[0] if leaves else b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()


def proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return PATH(m, D[n]) as RFC 6962, section 2.1.1, defines it."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:half], leaves[half:]
    if index < half:
        return [*proof(left, index), root(tuple(right))]
    return [*proof(right, index - half), root(tuple(left))]


def tiles(leaves: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every file under `tile/`, for fewer than 256,000 leaves."""
    for at in range(0, len(leaves), 256):
        bundle = leaves[at : at + 256]
        part = "" if len(bundle) == 256 else f".p/{len(bundle)}"
        raw = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in bundle)
        yield f"tile/entries/{at // 256:03d}{part}", raw
    level, step = 0, 1
    while count := len(leaves) // step:
        hashes = [root(tuple(leaves[at * step : (at + 1) * step])) for at in range(count)]
        for at in range(0, count, 256):
            tile = hashes[at : at + 256]
            part = "" if len(tile) == 256 else f".p/{len(tile)}"
            yield f"tile/{level}/{at // 256:03d}{part}", b"".join(tile)
        level, step = level + 1, step * 256


def compact(value: object) -> bytes:
    """Serialize as RFC 8785 does, for values with ASCII names and integers."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def write(folder: Path, logs: Sequence[LogSpec], opened: Sequence[dict[str, Any]] = ()) -> Path:
    """Write an export into an empty folder, and return the folder."""
    listed = []
    for number, log in enumerate(logs):
        size = len(log.leaves)
        texts = {"checkpoint": log.checkpoint(size), "log.vkey": f"{log.signer.vkey}\n"}
        texts |= {f"checkpoints/{at}": log.checkpoint(at) for at in log.archived}
        files = [(name, text.encode()) for name, text in texts.items()]
        for name, raw in (*files, *tiles(log.leaves)):
            path = folder / f"logs/{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        head = b64encode(root(tuple(log.leaves))).decode()
        origin = texts["checkpoint"].partition("\n")[0]
        row = {
            "kept": len(log.archived),
            "log": number,
            "origin": origin,
            "root": head,
            "size": size,
        }
        listed.append(row)
    manifest = {"logs": listed, "opened": len(opened), "v": 1}
    (folder / "manifest.json").write_bytes(compact(manifest))
    if opened:
        lines = b"".join(compact(row) + b"\n" for row in opened)
        (folder / "opened.jsonl").write_bytes(lines)
    return folder
