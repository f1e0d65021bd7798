"""What services/verify.py says of those who speak for a person, of entries made by hand."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from services import verify
from services.ledger.log.signed_note import Signer
from tests import exports
from tests.exports import LogSpec

SIGNER = Signer("log.example/0", bytes(32))
ADA, BEA, SAM = "person:ada", "person:bea", "partner:sam"
SALT = bytes(32)
NAMED = "representative.named"
Event = dict[str, Any]


def b64(raw: bytes) -> str:
    """Unpadded base64url."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


class History:
    """Accepted entries of Ada's stream, and their events."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.lines: list[Event] = []

    def add(self, kind: str, type_: str | None, author: str = ADA, **data: str) -> None:
        """One more entry."""
        number = len(self.leaves) + 1
        event = {"id": f"00000000-0000-4000-8000-{number:012}", "subject": ADA, "data": data}
        event |= {"type": type_} if type_ else {}
        bound = {"author": author, "id": event["id"], "subject": ADA}
        header = {"alg": "dir", "enc": "A256GCM", "kid": b64(bytes(32)), **bound}
        parts = [exports.compact(header), b"", bytes(12), b"words", bytes(16)]
        told = bound | {
            "digest": b64(sha256(SALT + exports.compact(event)).digest()),
            "issuer": "local",
            "kind": kind,
            "planversion": 0,
            "received": "2026-03-02T12:01:00.000Z",
            "recorded": "2026-03-02T13:00:00.000Z",
            "rules": 1,
            "sealed": ".".join(map(b64, parts)),
            "sequence": number,
            "v": 1,
            "verdict": "accepted",
            "via": "service:app",
        }
        told |= {"onbehalfof": ADA} if author != ADA else {}
        line = {"event": event, "index": number - 1, "log": 0, "salt": b64(SALT)}
        self.lines.append(line)
        self.leaves.append(exports.compact(told))

    def report(self, folder: Path, *, opened: bool = True) -> verify.Report:
        """What verify.py says of it."""
        lines = self.lines if opened else []
        export = exports.write(folder / f"export-{opened}", [LogSpec(self.leaves, SIGNER)], lines)
        report = verify.Report()
        verify.check_export(export, [verify.read_vkey(SIGNER.vkey)], [], report)
        return report


def unsure(report: verify.Report) -> list[str]:
    """What it says it does not know of who spoke for the person."""
    return [each for each in report.unchecked if "acted for the person" in each]


def found(report: verify.Report) -> list[tuple[str, str]]:
    """Where something is wrong, and what."""
    return [(each.code, each.detail) for each in report.findings]


@pytest.fixture
def history() -> History:
    told = History()
    told.add("plan", "plan.started")
    told.add("whose", NAMED, representative=BEA)
    told.add("plan", "aspiration.stated", BEA)
    return told


def test_who_was_named_is_sealed_and_that_is_said(history: History, tmp_path: Path) -> None:
    history.add("plan", "aspiration.stated", SAM)
    report = history.report(tmp_path, opened=False)
    assert found(report) == []
    assert unsure(report) == [
        (
            "2 entries in which a representative acted for the person: "
            "whether the person had named them"
        )
    ]


def test_whoever_the_person_named_may_speak(history: History, tmp_path: Path) -> None:
    report = history.report(tmp_path)
    assert (found(report), unsure(report)) == ([], [])


def test_a_sham_representative_is_found_where_the_words_are_open(
    history: History, tmp_path: Path
) -> None:
    history.add("plan", "aspiration.stated", SAM)
    says = f"accepted from {SAM} for {ADA}, who had not named them"
    assert found(history.report(tmp_path)) == [("authorship", says)]


def test_so_is_one_whose_time_was_ended(history: History, tmp_path: Path) -> None:
    history.add("whose", "representative.ended", representative=BEA)
    history.add("plan", "aspiration.stated", BEA)
    says = f"accepted from {BEA} for {ADA}, who had not named them"
    assert found(history.report(tmp_path)) == [("authorship", says)]


def test_where_one_of_the_persons_words_stays_sealed_it_may_have_named_them(
    history: History, tmp_path: Path
) -> None:
    history.add("whose", NAMED, representative=SAM)
    history.add("plan", "aspiration.stated", SAM)
    del history.lines[3]
    report = history.report(tmp_path)
    assert (found(report), len(unsure(report))) == ([], 1)


def test_an_event_without_a_type_is_a_finding(history: History, tmp_path: Path) -> None:
    history.add("whose", None, SAM)
    assert ("opened", "the event has no type") in found(history.report(tmp_path))
