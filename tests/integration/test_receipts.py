"""Receipts: whoever said something holds proof of it, refused or not, and also on paper."""

import json
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zxingcpp

from services import verify
from services.cli.qr import codes, drawn
from services.ledger.config import signers
from shared.events.event import Json
from tests.integration.together import ADA, EVE, SAM, SEA, STARTED, TOM, Together, event
from tests.postgres import Database

LONG = {"section": "Sea", "words": "Salz und Wind, \u6d77. " * 900}


@pytest.fixture
def house(tmp_path: Path, valkey_url: str, database: Database) -> Iterator[Together]:
    with Together(tmp_path / "house", valkey_url, database) as made:
        made.now, made.step = datetime.now(UTC), timedelta(milliseconds=1)  # verify.py asks when
        yield made


def check(folder: Path, house: Together, receipt: Any, said: Json | None = None) -> list[str]:
    """What verify.py finds, with the log's key and nothing else of the house."""
    (folder / "receipt").write_text(receipt if isinstance(receipt, str) else json.dumps(receipt))
    report, keys = verify.Report(), [verify.read_vkey(signers(house.settings)[0].vkey)]
    (folder / "event").write_text(json.dumps(said, ensure_ascii=False))
    kept = folder / "event" if said else None
    verify.check_receipt(folder / "receipt", keys, kept, report)
    return [each.detail for each in report.findings]


def told(house: Together) -> list[tuple[str, Json]]:
    """A short history in which everybody is answered: author and event."""
    early = house.post(ADA, "aspiration.stated", SEA)
    started = house.post(ADA, "plan.started", STARTED)
    said = [
        (ADA, early),
        (ADA, started),
        (ADA, house.post(ADA, "aspiration.stated", SEA)),
        (ADA, house.post(ADA, "aspiration.stated", SEA)),
        (SAM, house.post(SAM, "aspiration.stated", SEA)),
        (TOM, house.post(TOM, "observation.recorded", {"seen_or_heard": "Sea", "who_saw": TOM})),
        (EVE, house.post(EVE, "plan.started", STARTED, subject=EVE)),
        (ADA, house.post(ADA, "about-me.written", LONG)),
    ]
    verdicts = [house.verdict(each, author) for author, each in said]
    assert verdicts[:4] == ["no-such-plan", "accepted", "accepted", "exists"]
    assert verdicts[4:] == ["not-yours-to-say", "no-grant", "accepted", "accepted"]
    return said


def test_every_author_refused_or_not_has_proof_that_holds_offline(
    house: Together, tmp_path: Path
) -> None:
    for author, each in told(house):
        answer = house.get(author, f"events/{each['id']}/receipt", each["subject"])
        assert check(tmp_path, house, answer.text, each) == []
        other = each | {"id": each["id"].replace(each["id"][0], "0")}
        assert check(tmp_path, house, answer.text, other | {"source": "/else"}) != []
        bare = house.get(
            author, f"events/{each['id']}/receipt", each["subject"], Accept="text/plain"
        )
        assert bare.text == answer.get_json()["proof"]
        assert bare.text.startswith("c2sp.org/tlog-proof@v1\nindex ")


def test_nobody_else_has_it_and_the_person_has_it_without_the_salt(house: Together) -> None:
    house.post(ADA, "plan.started", STARTED)
    said = house.post(SAM, "aspiration.stated", SEA)
    path = f"events/{said['id']}/receipt"
    assert house.get(TOM, path).status_code == house.get(TOM, "events/none/receipt").status_code
    assert house.get(TOM, path).data == house.get(TOM, "events/none/receipt").data
    assert house.get(SAM, path).get_json().keys() - house.get(ADA, path).get_json().keys() == {
        "salt"
    }
    assert "salt" not in house.get(ADA, f"events/{said['id']}").get_json()
    assert "proof" not in house.get(SAM, f"events/{said['id']}").get_json()


def test_whoever_waits_is_handed_the_proof(house: Together, tmp_path: Path) -> None:
    for each in (event("plan.started", STARTED), *(event("aspiration.stated", SEA),) * 2):
        with house.draining():
            answer = house.door.post(each, Prefer="wait=20")
        assert answer.status_code in (200, 201)
        assert check(tmp_path, house, answer.text, each) == []
    refused = event("aspiration.stated", SEA)
    with house.draining():
        answer = house.door.post(refused, SAM, Prefer="wait=20")
    assert answer.status_code == 403
    assert check(tmp_path, house, answer.text, refused) == []


def changes(receipt: Json) -> Iterator[Json]:
    """The receipt with one thing about it changed."""
    lines = receipt["proof"].split("\n")
    size = next(at for at, line in enumerate(lines) if line == "") + 2
    for at in (1, 2, size, size + 1, len(lines) - 2):
        flipped = re.sub(r"[0-8A-Ya-y](?=[^0-8A-Ya-y]*$)", lambda m: chr(ord(m[0]) + 1), lines[at])
        yield receipt | {"proof": "\n".join([*lines[:at], flipped, *lines[at + 1 :]])}
        yield receipt | {"proof": "\n".join([*lines[:at], *lines[at + 1 :]])}
    for name in ("verdict", "recorded", "digest", "index", "author"):
        yield receipt | {name: "other"}
    yield receipt | {"salt": receipt["salt"][::-1]}
    yield receipt | {"entry": receipt["entry"].replace('"accepted"', '"refused"')}
    yield receipt | {"also": [receipt, receipt | {"proof": "none"}]}
    yield receipt | {"also": 1}
    yield from ({k: v for k, v in receipt.items() if k != name} for name in ("entry", "proof"))


def test_whatever_is_changed_about_a_receipt_is_found(house: Together, tmp_path: Path) -> None:
    house.post(ADA, "plan.started", STARTED)
    said = house.post(ADA, "aspiration.stated", SEA)
    receipt = house.get(ADA, f"events/{said['id']}/receipt").get_json()
    assert check(tmp_path, house, receipt, said) == []
    for each in changes(receipt):
        assert each != receipt
        assert check(tmp_path, house, each, said) != [], each


def pixels(path: Path) -> memoryview:
    """The grey pixels of a PNG of one bit a pixel, as segno draws it."""
    raw, at, data = path.read_bytes(), 8, b""
    while at < len(raw):
        length, kind = struct.unpack_from(">I4s", raw, at)
        data += raw[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    wide, high, depth, colour = struct.unpack_from(">IIBB", raw, 16)
    assert (depth, colour) == (1, 0)
    rows, step = zlib.decompress(data), -(-wide // 8) + 1
    row, grey = bytes(step - 1), b""
    for at in range(0, high * step, step):
        assert rows[at] in (0, 2), "a filter of PNG that segno does not use: none, and up"
        above = row if rows[at] == 2 else bytes(step - 1)
        row = bytes((a + b) % 256 for a, b in zip(rows[at + 1 : at + step], above, strict=True))
        bits = f"{int.from_bytes(row):0{8 * len(row)}b}"
        grey += bytes(255 * int(bit) for bit in bits[:wide])
    return memoryview(grey).cast("B", (high, wide))


def scanned(paths: Sequence[Path]) -> str:
    """What a phone reads from pictures of the codes, in whose dots other sorts may be seen, too."""
    wanted = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    found = (each for path in paths for each in zxingcpp.read_barcodes(pixels(path), wanted))
    return "\n".join(each.text for each in found)


def test_a_printed_receipt_is_read_back_and_holds(house: Together, tmp_path: Path) -> None:
    for author, each in told(house):
        receipt = house.get(author, f"events/{each['id']}/receipt", each["subject"]).get_json()
        paths = []
        for number, code in enumerate(drawn(receipt)):
            paths.append(tmp_path / f"{number}.png")
            code.save(str(paths[-1]), scale=3)
        assert len(paths) == 1 or each["data"] in (LONG, SEA)
        assert check(tmp_path, house, scanned(paths[::-1]), each) == []
        if len(paths) > 2:
            assert check(tmp_path, house, scanned(paths[1:]), each) != []
            assert check(tmp_path, house, "\n".join(codes(receipt)[:-1]), each) != []
