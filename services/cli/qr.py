"""A receipt on paper: QR codes, which any phone reads as text and verify.py takes as it is.

    FIRSTHAND1:<k>/<n>:<part k of n of base32(zlib(receipt)), unpadded>

`receipt` is the JSON of a receipt's `entry`, `proof` and `salt`: nothing else is needed to check
it, and nothing less is enough. Every character is one of the 45 that a QR code (ISO/IEC 18004)
packs two in 11 bits. Long words make long entries, so a receipt may need several codes; each is
small enough to be read from a sheet of paper.
"""

import json
import zlib
from base64 import b32encode
from typing import Any

import segno

LONGEST = 1_800  # characters of a part: 117 modules a side, so 12 cm at a millimetre each


def codes(receipt: dict[str, Any]) -> list[str]:
    """The texts of the codes of a receipt."""
    kept = {name: receipt[name] for name in ("entry", "proof", "salt") if name in receipt}
    raw = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    text = b32encode(zlib.compress(raw, 9)).decode().rstrip("=")
    parts = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)]
    return [f"FIRSTHAND1:{k}/{len(parts)}:{part}" for k, part in enumerate(parts, 1)]


def drawn(receipt: dict[str, Any]) -> list[segno.QRCode]:
    """The codes of a receipt, to be saved or shown in a terminal."""
    return [segno.make_qr(text, error="l") for text in codes(receipt)]
