"""QR codes of a receipt, which any phone reads as text and verify.py accepts.

    FIRSTHAND1:<k>/<n>:<part k of n of base32(zlib(receipt)), unpadded>

`receipt` is a JSON object with the receipt's `entry`, `proof` and `salt`: exactly what verification
needs. Every character is in the alphanumeric mode of QR codes (ISO/IEC 18004), which packs two
characters in 11 bits. Long words make long entries, so a receipt may need several codes; each is
small enough to be scanned from a sheet of paper.
"""

import json
import zlib
from base64 import b32encode
from typing import Any

import segno

LONGEST = 1_800  # characters in a part: 117 modules a side, 12 cm wide at 1 mm per module


def codes(receipt: dict[str, Any]) -> list[str]:
    """Return the texts of a receipt's codes."""
    members = {name: receipt[name] for name in ("entry", "proof", "salt") if name in receipt}
    raw = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    text = b32encode(zlib.compress(raw, 9)).decode().rstrip("=")
    parts = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)]
    return [f"FIRSTHAND1:{k}/{len(parts)}:{part}" for k, part in enumerate(parts, 1)]


def drawn(receipt: dict[str, Any]) -> list[segno.QRCode]:
    """Return a receipt's QR codes, to save or to show in a terminal."""
    return [segno.make_qr(text, error="l") for text in codes(receipt)]
