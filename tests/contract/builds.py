"""Builds of this project with one file changed: the export each tells, and what an audit finds."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from click.testing import CliRunner

from services.cli import main
from tests.house.files import ROOT

BUILD = """
import sys
from pathlib import Path
from services.ledger.config import signers
from services.ledger.plan import standing
from tests import exports, postgres
from tests.contract.forging import opened
from tests.contract.ledgers import Ledger
from tests.given import ada, sam
folder, queue = Path(sys.argv[1]), sys.argv[2]
assert str(folder) in standing.__file__
with postgres.sqlite_database(folder) as database:
    ledger = Ledger(folder, database, queue)
    ledger.post(ada.starts(), ada.states(), sam.rewords("Lose weight."), ada.rewords("Fly."))
    ledger.post(sam.states())
    ledger.drain()
    assert {each.code for each in ledger.replay().findings} <= {"authorship"}
    told = exports.Told([bytes(row["leaf"]) for row in ledger.rows()], signers(ledger.settings)[0])
    exports.write(folder / "export", [told])
    exports.write(folder / "opened", [told], opened(ledger))
    ledger.close()
"""


def built(folder: Path, queue: str, standing: str) -> Path:
    """The export of a short history, told by a build with this text as its standing.py."""
    for room in ("services", "shared"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "services/ledger/plan/standing.py").write_text(standing)
    told = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    told = {name: value for name, value in told.items() if not name.startswith("FIRSTHAND_")}
    words = [sys.executable, "-c", BUILD, str(folder), queue]
    done = subprocess.run(words, cwd=folder, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "export"


def audited(*words: str, **environment: str) -> dict[str, int]:
    """What `firsthand audit` finds: code -> how often."""
    done = CliRunner().invoke(main, ["audit", *words, "--json"], env=environment)
    assert done.exit_code == 1, done.output
    return dict(Counter(each["code"] for each in json.loads(done.stdout)["findings"]))
