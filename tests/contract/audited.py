"""`firsthand audit`, as it is typed, and exports to audit."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from services.cli import main
from tests import exports
from tests.contract.forging import KEPT, Exported
from tests.exports import Told


def run(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    """`firsthand audit`, as it is typed; it never ends with a stack trace."""
    done = CliRunner().invoke(main, ["audit", *map(str, words)], env=env or {})
    assert isinstance(done.exception, SystemExit | None), done.exc_info
    return done


def report(*words: str | Path, env: dict[str, str] | None = None, code: int = 0) -> dict[str, Any]:
    """Its JSON."""
    done = run(*words, "--json", env=env)
    assert done.exit_code == code, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["found"] > 0) == bool(told["findings"]) == (code == 1)
    return told


def codes(told: dict[str, Any]) -> set[str]:
    return {each["code"] for each in told["findings"]}


def written(whole: Exported, folder: Path, *, opened: bool = True) -> Path:
    """An export in a folder."""
    lines = whole.opened if opened else []
    return exports.write(folder, [Told(whole.leaves, whole.signer, KEPT)], lines)
