"""Writes the table of docs/explanation/tampering.md from what audits find.

python -m tests.contract.tampering_page
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services.ledger.audit.findings import DEPTHS, Report
from shared import log_setup
from tests import postgres
from tests.contract import mixed
from tests.contract.forging import Exported, audit_files, audit_store, codes, exported
from tests.contract.ledgers import Ledger
from tests.contract.tamperings import IN_STORE
from tests.contract.tamperings_export import IN_EXPORT, InExport
from tests.house.files import ROOT
from tests.servers import ValkeyServer

PAGE = ROOT / "docs" / "explanation" / "tampering.md"
HEAD = "| in | what is changed | log | opened | vault |\n| --- | --- | --- | --- | --- |\n"


def row(where: str, says: str, report: Report) -> str:
    """The line of a tampering: what is found of it, at each depth."""
    found = codes(report)
    cells = [", ".join(f"`{code}`" for code in found.get(depth, ())) or "–" for depth in DEPTHS]
    return f"| {where} | {says} | {' | '.join(cells)} |"


def audited(whole: Exported, folder: Path, told: InExport) -> Report:
    """The audit of an export after a tampering."""
    return audit_files(
        whole, folder, told.before, told.after, outside=told.outside, require=told.require
    )


def rows() -> Iterator[str]:
    """All lines, from a ledger of their own."""
    with tempfile.TemporaryDirectory() as name, ValkeyServer() as valkey:
        folder = Path(name)
        with postgres.sqlite_database(folder) as database:
            ledger = Ledger(folder, database, valkey.url)
            mixed.live(ledger)
            for each in IN_STORE:
                report = audit_store(ledger, each.change, outside=each.outside)
                yield row("store", each.says, report)
            whole = exported(ledger)
            for number, told in enumerate(IN_EXPORT):
                place = folder / str(number)
                place.mkdir()
                report = audited(whole, place, told)
                yield row("export", told.says, report)
            ledger.close()


def write() -> None:
    """Put the table between the page's marks."""
    log_setup.configure("CRITICAL")
    made = HEAD + "\n".join(rows())
    page = re.sub(
        r"(<!-- table -->\n).*?(<!-- /table -->)",
        lambda found: f"{found[1]}\n{made}\n\n{found[2]}",
        PAGE.read_text(),
        flags=re.DOTALL,
    )
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
