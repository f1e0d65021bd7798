"""Schemathesis reads what each service says of itself, and tries everything, as every role.

`make hostile` is the long form: 200 examples of each operation, and besides every border of every
schema, for who gets that far. The short form draws 12. Either counts the cases of each operation,
and fails where there are fewer than it can have; the long form leaves the counts in
build/hostile.json.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.auth.issuers import ROLES
from shared.auth.tokens import local_token
from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from shared.events.event import Json
from tests.conforming import resolved
from tests.e2e.running import Up, environment

pytestmark = pytest.mark.xdist_group("schemathesis")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "12"))
LONG = EXAMPLES >= 200
REPORT = ROOT / "build" / "hostile.json"
CALLERS = [(service, role) for service in ("intake", "ledger") for role in (*ROLES, "nobody")]
if not LONG:  # the others may do there what one of these may
    for alike in ("intake", "operator"), ("intake", "service"), ("ledger", "service"):
        CALLERS.remove(alike)
FEW, ONE = 3, 1  # cases of the short form: where anything may be said, and where nothing can be
Counts = dict[str, dict[str, dict[str, int]]]
PLAN = examples(CATALOGUE["plan.started"])[0]["event"]
SAID = re.compile(r"(\d+) generated, (\d+) passed")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Both services, over HTTP, with the plan of the examples' person."""
    with Up(tmp_path_factory.mktemp("up")) as running:
        assert running.post(PLAN["subject"], PLAN).status_code == 201
        yield running


@pytest.fixture(scope="module")
def counts() -> Iterator[Counts]:
    """Cases of each operation, by service and role; the long form leaves them in a file."""
    found: Counts = {"intake": {}, "ledger": {}}
    yield found
    if LONG:
        REPORT.parent.mkdir(exist_ok=True)
        each = [n for roles in found.values() for cases in roles.values() for n in cases.values()]
        whole = {"examples": EXAMPLES, "cases": sum(each), "operations and roles": len(each)}
        REPORT.write_text(json.dumps({**whole, **found}, indent=2) + "\n")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("service", "role"), CALLERS)
def test_whatever_is_asked_is_answered_as_described(
    up: Up,
    counts: Counts,
    service: str,
    role: str,
    tmp_path: Path,
) -> None:
    url = up.intake if service == "intake" else up.ledger
    phases = "examples,fuzzing" + (",stateful" if LONG else "")
    if LONG and (service == "ledger" or role == "person"):
        phases += ",coverage"  # an event's shape, with its 20,000 borders, is everybody's
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
    hooks["HOSTILE_CASES"] = str(tmp_path / "cases.json")
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
    cases: dict[str, int] = json.loads((tmp_path / "cases.json").read_text())
    counts[service][role] = cases
    wanted = wanted_cases(up.client.get(f"{url}/openapi.json").json())
    assert {each: cases.get(each, 0) for each in wanted if cases.get(each, 0) < wanted[each]} == {}


def wanted_cases(document: Json) -> dict[str, int]:
    """How many cases each operation gets at least. One of which nothing can be said but what is
    in a short list, or nothing at all, is soon through.
    """
    found = {}
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            schemas = [
                resolved(document, resolved(document, parameter)["schema"])
                for parameter in told.get("parameters", ())
            ]
            is_open = "requestBody" in told or any("enum" not in schema for schema in schemas)
            few = EXAMPLES if LONG else FEW
            found[f"{method.upper()} {path}"] = few if is_open else ONE
    found.pop("GET /openapi.json", None)  # schemathesis reads it first of all, and leaves it out
    return found


def test_an_operation_that_got_too_few_would_be_seen() -> None:
    enum = {"schema": {"enum": ["a"]}}
    operations = {"get": {"parameters": [enum]}, "post": {"requestBody": {}}, "put": {}}
    operations["patch"] = {"parameters": [enum, {"schema": {"type": "string"}}]}
    many = EXAMPLES if LONG else FEW
    told = {"GET /x": ONE, "POST /x": many, "PUT /x": ONE, "PATCH /x": many}
    assert wanted_cases({"paths": {"/x": operations}}) == told


def test_after_all_that_everything_can_be_replayed(up: Up) -> None:
    for url in (up.intake, up.ledger):
        assert up.client.get(f"{url}/readyz").json()["ready"] is True
    done = up.run("replay", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
