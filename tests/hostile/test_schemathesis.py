"""Schemathesis reads what each service says of itself, and tries everything, as every role.

`HOSTILE_EXAMPLES=200 pytest tests/hostile/test_schemathesis.py` is the long form: so many examples
of each operation, and besides every border of every schema, for who gets that far. The short form
draws 25. With `--log-cli-level=INFO` it counts the cases.
"""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.callers import local_token
from shared.catalogue import CATALOGUE
from shared.catalogue.examples import examples
from shared.issuers import ROLES
from tests.e2e.running import Up, environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "25"))
LONG = EXAMPLES >= 200
PLAN = examples(CATALOGUE["plan.started"])[0]["event"]
SAID = re.compile(r"(\d+) generated, (\d+) passed")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Both services, over HTTP, with the plan of the examples' person."""
    with Up(tmp_path_factory.mktemp("up")) as running:
        assert running.post(PLAN["subject"], PLAN).status_code == 201
        yield running


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("schemathesis")
@pytest.mark.parametrize("role", [*ROLES, "nobody"])
@pytest.mark.parametrize("service", ["intake", "ledger"])
def test_whatever_is_asked_is_answered_as_described(
    up: Up,
    service: str,
    role: str,
    tmp_path: Path,
) -> None:
    url = up.intake if service == "intake" else up.ledger
    phases = "examples,fuzzing" + (",stateful" if LONG else "")
    if LONG and (service == "ledger" or role == "person"):
        phases += ",coverage"  # of no use to who may post nothing
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file"),
        *(str(HERE / "schemathesis.toml"), "run", f"{url}/openapi.json", "--url", url),
        *("--checks", "all", "--phases", phases, "--max-examples", str(EXAMPLES)),
        *("--seed", "1", "--no-color", "--generation-database", "none"),
    ]
    if role != "nobody":
        who = PLAN["subject"] if role == "person" else f"{role}:kim"
        command += ["-H", f"Authorization: Bearer {local_token(up.data / 'keys', who)}"]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.hostile.hooks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(tmp_path, **hooks),
        capture_output=True,
        text=True,
        check=False,
    )
    told = SAID.search(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told is not None, done.stdout
    assert told[1] == told[2]
    logging.getLogger(__name__).info("%s as %s: %s cases", service, role, told[1])


def test_after_all_that_everything_can_be_replayed(up: Up) -> None:
    for url in (up.intake, up.ledger):
        assert up.client.get(f"{url}/readyz").json() == {"ready": True}
    done = up.run("replay", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
