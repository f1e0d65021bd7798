"""Clients that openapi-python-client generates from both documents: they import, post and read.

Its clients cannot tell a list from another body, so that the batch is left out: `CONFIG` is what
docs/reference/http.md names.
"""

import importlib
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shared.auth.tokens import local_token
from tests.e2e.running import COMMAND, Up, environment, event, new_id

pytestmark = pytest.mark.xdist_group("up")
CONFIG = "content_type_overrides:\n  application/cloudevents-batch+json: text/plain\n"
Clients = dict[str, ModuleType]


@pytest.fixture
def clients(up: Up, tmp_path: Path) -> Iterator[Clients]:
    """Generate a client from the document of each running service, and import it."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    for service, url in (("intake", up.intake), ("ledger", up.ledger)):
        (tmp_path / f"{service}.json").write_bytes(up.client.get(f"{url}/openapi.json").content)
        result = subprocess.run(
            [
                *(str(COMMAND.with_name("openapi-python-client")), "generate", "--meta", "none"),
                *("--path", f"{service}.json", "--output-path", f"{service}_client"),
                *("--config", "config.yaml"),
            ],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        output = result.stdout + result.stderr
        assert result.returncode == 0, output
        problems = [line for line in output.splitlines() if line.startswith(("WARN", "Unable"))]
        expected = ["WARNING parsing POST /events within events."] if service == "intake" else []
        assert problems == expected, output
    sys.path.insert(0, str(tmp_path))
    yield {name: importlib.import_module(f"{name}_client") for name in ("intake", "ledger")}
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith(("intake_cl", "ledger_cl"))]:
        del sys.modules[name]
    shutil.rmtree(tmp_path)


def test_a_generated_client_posts_an_event_and_another_reads_the_plan(
    up: Up, clients: Clients
) -> None:
    for package in clients.values():
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    subject = new_id()
    token = local_token(up.data / "keys", subject)
    models = sys.modules["intake_client.models"]
    started = event("plan.started", {"name_to_use": "Ada", "language": "en"}, subject)
    with _connect(clients["intake"], up.intake, token) as intake:
        receipt: Any = importlib.import_module("intake_client.api.events.post_event").sync(
            client=intake, body=models.PlanStarted.from_dict(started), prefer="wait=20"
        )
    assert isinstance(receipt, models.Receipt)
    assert receipt.verdict == "accepted"
    with _connect(clients["ledger"], up.ledger, token) as ledger:
        plan: Any = importlib.import_module("ledger_client.api.people.plan").sync(
            subject, client=ledger
        )
    assert (plan.subject, plan.version, plan.state) == (subject, 1, "open")


def _connect(package: ModuleType, url: str, token: str) -> Any:
    return package.AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
