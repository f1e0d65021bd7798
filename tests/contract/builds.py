"""A ledger without the rule of authorship, made in a process of its own, and what an audit finds.

`python -m tests.contract.builds FOLDER QUEUE RULE` records a short history in FOLDER with one of
RULES as its authorization, and exports it twice: without and with the opened events.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from click.testing import CliRunner

from services.cli import main
from services.ledger.config import signers
from services.ledger.plan import decide
from services.ledger.plan.authorization import standing_refusal
from services.ledger.plan.model import Plan
from shared.events.event import Event
from shared.events.refusals import Code
from tests import exports, postgres
from tests.contract.forging import opened
from tests.contract.ledgers import Ledger
from tests.given import ada, sam
from tests.house.files import ROOT


def everybody_is_the_person(plan: Plan, event: Event) -> Code | None:
    """Authorize every author as the person, once there is a plan."""
    author = plan.subject if plan.state == "started" else event.author
    return standing_refusal(plan, event._replace(author=author))


RULES = {"sound": standing_refusal, "lenient": everybody_is_the_person}


def built(folder: Path, queue: str, rule: str) -> Path:
    """Return the export of a short history that was recorded under a rule of RULES."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FIRSTHAND_")}
    command = [sys.executable, "-m", __name__, str(folder), queue, rule]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "export"


def audited(*words: str, **environment: str) -> dict[str, int]:
    """What `firsthand audit` finds: code -> how often."""
    done = CliRunner().invoke(main, ["audit", *words, "--json"], env=environment)
    assert done.exit_code == 1, done.output
    return dict(Counter(each["code"] for each in json.loads(done.stdout)["findings"]))


def record(folder: Path, queue: str) -> None:
    """Record the history, two events of it by a partner in the person's place, and export it."""
    with postgres.sqlite_database(folder) as database:
        ledger = Ledger(folder, database, queue)
        ledger.post(ada.starts(), ada.states(), sam.rewords("Lose weight."), ada.rewords("Fly."))
        ledger.post(sam.states())
        ledger.drain()
        assert {finding.code for finding in ledger.replay().findings} <= {"authorship"}
        leaves = [bytes(row["leaf"]) for row in ledger.rows()]
        log = exports.LogSpec(leaves, signers(ledger.settings)[0])
        exports.write(folder / "export", [log])
        exports.write(folder / "opened", [log], opened(ledger))
        ledger.close()


if __name__ == "__main__":
    setattr(decide, standing_refusal.__name__, RULES[sys.argv[3]])
    record(Path(sys.argv[1]), sys.argv[2])
