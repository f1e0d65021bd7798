"""The how-to pages on containers are true: their lines are done, one after another."""

import json
from pathlib import Path

import pytest

from tests.compose.composition import Composition
from tests.compose.pages import do, lines
from tests.compose.reading import queue, token

pytestmark = [pytest.mark.xdist_group("compose"), pytest.mark.timeout(900)]
TRANSIT = "docs/how-to/rotate-the-transit-key.md"
RUN, BACK_UP = "docs/how-to/run-with-compose.md", "docs/how-to/back-up-and-restore.md"


def test_the_page_on_running_is_true(compose: Composition, tmp_path: Path) -> None:
    issuers = compose.one("provision-secrets").run("cat", "/keys/issuers.json").stdout
    (tmp_path / "issuers.json").write_text(issuers)
    said = [do(compose, line, tmp_path) for line in lines(RUN)]
    heard = "\n".join(said)
    for each in ("accepted  plan.started", "eyJ", "The plan of Ada.", " 0 findings", " 0 wrong, "):
        assert each in heard
    for each in ("intake", "ledger", "worker"):
        assert f"{each} is well." in heard


def test_the_page_on_restoring_is_true(compose: Composition, tmp_path: Path) -> None:
    told = '{"type": "plan.started", "data": {"name_to_use": "Bo", "language": "en"}}'
    compose.tool("post", "-", "--as", "person:bo", "--wait", "10", input=told)
    size = queue(compose, "GET", "firsthand:{p0}:published").split("\n")[1]
    said = [do(compose, line, tmp_path) for line in lines(BACK_UP)]
    assert any(f"Replayed {size} entries" in each for each in said), said
    assert (tmp_path / "keys-backup.tar").stat().st_size > 10_000
    tried = compose.tool("post", "-", "--as", "person:bo", "--wait", "10", input=told)
    assert "wrong-state" in tried.stdout or "refused" in tried.stdout, tried.stdout
    assert token(compose, "person:bo")
    assert json.loads(compose.tool("replay", "--all", "--json").stdout)["findings"] == []


def test_the_page_on_transit_keys_is_true(compose: Composition, tmp_path: Path) -> None:
    typed = [each for each in lines(TRANSIT) if each.startswith("docker")]
    assert len(typed) == 4
    for line in typed:
        do(compose, line, tmp_path)
        told = '{"type": "plan.started", "data": {"name_to_use": "Cy", "language": "en"}}'
        posted = compose.tool("post", "-", "--as", "person:cy", "--wait", "10", input=told)
        assert posted.stdout.startswith(("accepted", "refused")), posted.stderr + compose.logs()
