"""Whatever is changed in a ledger, an audit names it at the depth that can see it."""

from pathlib import Path

import pytest

from services import verify
from services.ledger.audit.findings import DEPTH, DEPTHS
from tests.contract.forging import Exported, audit_files, audit_store, codes, exported
from tests.contract.ledgers import Ledger
from tests.contract.tampering_page import PAGE, audited, row
from tests.contract.tamperings import IN_STORE, InStore
from tests.contract.tamperings_export import IN_EXPORT, InExport

TABLE = PAGE.read_text().partition("<!-- table -->\n")[2].partition("<!-- /table -->")[0]
STALE = "run: python -m tests.contract.tampering_page"
on_sqlite = pytest.mark.parametrize("lived_once", ["sqlite"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def whole(lived_once: Ledger) -> Exported:
    return exported(lived_once)


@pytest.mark.parametrize("told", IN_STORE, ids=[each.says for each in IN_STORE])
def test_in_a_store(lived: Ledger, told: InStore) -> None:
    report = audit_store(lived, told.change, outside=told.outside)
    assert row("store", told.says, report) in TABLE.splitlines(), STALE
    for each in report.findings:
        assert each.field, "a finding names its field"
        assert each.log == 0, "and its log"


@on_sqlite
@pytest.mark.parametrize("told", IN_EXPORT, ids=[each.says for each in IN_EXPORT])
def test_in_an_export(whole: Exported, tmp_path: Path, told: InExport) -> None:
    report = audited(whole, tmp_path, told)
    assert row("export", told.says, report) in TABLE.splitlines(), STALE


ONLY_DECIDED_AGAIN = {"verdict", "fold", "unchecked"}  # takes the rules, which verify.py has not


@on_sqlite
@pytest.mark.parametrize("change", IN_EXPORT, ids=[each.says for each in IN_EXPORT])
def test_verify_and_audit_agree(whole: Exported, tmp_path: Path, change: InExport) -> None:
    report = audited(whole, tmp_path, change)
    kept = [tmp_path / "kept"] if change.outside else []
    second = verify.Report()
    verify.check_export(tmp_path / "export", [verify.read_vkey(whole.signer.vkey)], kept, second)
    found = {code for _, code in report.totals} - ONLY_DECIDED_AGAIN
    assert bool(second.found) == bool(found), (second.findings, report.findings)
    assert ("clock" in second.found) == ("clock" in found)


@on_sqlite
def test_nothing_changed_is_nothing_found(lived: Ledger, whole: Exported, tmp_path: Path) -> None:
    assert codes(audit_store(lived, lambda _: None, outside=True)) == {}
    report = audit_files(whole, tmp_path, outside=True)
    assert codes(report) == {}
    assert report.compared["digests"] == len(whole.opened) > 200
    assert not [each for each in report.unchecked if each.depth == "opened" and each.weighs]


def test_the_table_has_no_other_rows_and_every_code_is_earned() -> None:
    said = [*(each.says for each in IN_STORE), *(each.says for each in IN_EXPORT)]
    rows = [each for each in TABLE.splitlines() if each.startswith(("| store", "| export"))]
    assert [each.split(" | ")[1] for each in rows] == said
    earned = {code for code in [*DEPTH, "unchecked"] if f"`{code}`" in TABLE}
    assert earned == {*DEPTH, "unchecked"}


def test_only_a_history_cut_and_signed_again_with_every_key_passes_unseen() -> None:
    empty = f"| {' | '.join('–' for _ in DEPTHS)} |"
    unseen = {each.split(" | ")[1] for each in TABLE.splitlines() if each.endswith(empty)}
    assert unseen == {
        "the last entry dropped, and all signed again with the log's key",
        "with the log's key: the last entry dropped",
        "with the log's key: a nonce replaced",
        "a line of opened.jsonl lost",
    }
