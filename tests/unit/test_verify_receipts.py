"""Each member of a receipt is what its entry holds, or is named as not checked."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from services import verify
from services.ledger.log.signed_note import Signer
from services.ledger.plan.decide import RULES
from tests.exports import LogSpec, compact
from tests.golden.make import HERE

SIGNER = Signer("log.example/7", bytes(32))
BESIDES = "members of the file that no entry has: "
Json = dict[str, Any]


def members(name: str) -> Json:
    content: Json = orjson.loads((HERE / f"entry/{name}.json").read_bytes())
    return content


def receipt(entry: Json, **more: Any) -> Json:
    """A receipt of an entry that is alone in its log."""
    leaf = compact(entry)
    proof = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{LogSpec([leaf], SIGNER).checkpoint(1)}"
    return {"entry": leaf.decode(), "proof": proof, **more}


def check(content: Json, folder: Path) -> verify.Report:
    path, report = folder / "receipt.json", verify.Report()
    path.write_text(json.dumps(content))
    verify.check_receipt(path, [verify.read_vkey(SIGNER.vkey)], None, report)
    return report


def besides(report: verify.Report) -> str:
    return "".join(e.removeprefix(BESIDES) for e in report.unchecked if e.startswith(BESIDES))


@pytest.mark.parametrize("name", ["accepted", "own-refusal", "no-standing", "before-a-plan"])
def test_what_the_entry_holds_may_be_said_and_nothing_else(name: str, tmp_path: Path) -> None:
    entry = members(name)
    good = receipt(entry, **entry, index=0, log=7)
    report = check(good, tmp_path)
    assert (report.findings, besides(report)) == ([], "")
    added = {
        "refusal": "exists",
        "onbehalfof": entry["subject"],
        "sequence": 3,
        "planversion": 2,
        "warnings": [{"code": "preferred-wording"}],
    }
    changed = dict.fromkeys(entry, "other") | {"index": 1, "log": 1}
    for member, value in [*added.items(), *changed.items(), ("log", "7"), ("index", False)]:
        if member in added and entry.get(member) == value:
            continue
        (found,) = check(good | {member: value}, tmp_path).findings
        assert (found.code, found.detail) == ("receipt", f"{member}: differs from the entry")


def test_warnings_are_compared_by_their_codes(tmp_path: Path) -> None:
    entry = members("accepted") | {"warnings": ["preferred-wording"]}
    because = [{"code": "preferred-wording", "because": "Nobody signs this."}]
    report = check(receipt(entry, warnings=because), tmp_path)
    assert (report.findings, besides(report)) == ([], "warnings/because")
    odds: list[Any] = [
        [],
        7,
        "preferred-wording",
        [7],
        [*because, *because],
        [*because, 7],
        [{}],
        None,
    ]
    for odd in odds:
        (found,) = check(receipt(entry, warnings=odd), tmp_path).findings
        assert found.detail == "warnings: differs from the entry"


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    entry = members("own-refusal")
    inner = receipt(entry, because="You\u202e may.", kid="x")
    report = check({"title": "Refused", "status": 409, "receipt": inner}, tmp_path)
    assert (report.findings, besides(report)) == ([], "because, kid, status, title")
    odd = check(receipt(entry, **{"a\x1b[2J": 1}), tmp_path)
    assert besides(odd) == "a?[2J"
    for deep in ([{"entry": "x"}], 5, None):
        nested = receipt(entry, also=[receipt(entry, also=deep)])
        assert besides(check(nested, tmp_path)) == "also/also"


def test_newer_rules_do_not_spoil_a_receipt_but_are_said(tmp_path: Path) -> None:
    assert verify.RULES == RULES, "raise it in services/verify.py, too"
    report = check(receipt(members("accepted") | {"rules": RULES + 1}), tmp_path)
    assert report.findings == []
    assert any(f"rules up to {RULES}" in each for each in report.unchecked)


@pytest.mark.parametrize("member", ["received", "recorded"])
def test_a_time_that_has_not_come_is_a_finding(member: str, tmp_path: Path) -> None:
    for minutes, found in ((4, []), (6, ["clock"])):
        moment = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
        entry = members("accepted") | {member: moment.replace("+00:00", "Z")}
        assert [each.code for each in check(receipt(entry), tmp_path).findings] == found
