"""The page at /docs: self-contained, with working links and lines that can be pasted."""

import html
import re
import shutil
import subprocess
from itertools import pairwise

import pytest

from shared.events.catalogue import CATALOGUE
from shared.events.catalogue.examples import examples
from tests.e2e.running import Up, environment
from tests.process import wait_until

pytestmark = pytest.mark.xdist_group("up")
EVENT = examples(CATALOGUE["plan.started"])[0]["event"]
CURL = re.compile(r'<code class="curl">(.*?)</code>', re.DOTALL)


@pytest.fixture(params=["intake", "ledger"])
def url(request: pytest.FixtureRequest, up: Up) -> str:
    """Return the URL of each service."""
    return str(getattr(up, request.param))


def page(up: Up, url: str) -> str:
    """Return the page of a service."""
    answer = up.client.get(f"{url}/docs")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.text


def test_the_page_loads_nothing_and_runs_nothing(up: Up, url: str) -> None:
    policy = up.client.get(f"{url}/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    text = page(up, url)
    assert not re.search(
        r"<(?:script|link|img|iframe|object)\b|\bstyle=|\bon\w+=|@import|url\(", text
    )


def test_every_link_of_the_page_leads_somewhere(up: Up, url: str) -> None:
    text = page(up, url)
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(set(names)) == len(names)
    for target in set(re.findall(r'href="([^"]+)"', text)):
        if target.startswith("#"):
            assert target[1:] in names
        else:
            assert up.client.get(f"{url}{target}").status_code == 200, target


def test_the_page_works_with_a_screen_reader(up: Up, url: str) -> None:
    """One first heading, no skipped level, landmarks, a language, every table with a head."""
    text = page(up, url)
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(text.count(f"<{name}") == 1 for name in ("main", "nav", "header>", "footer"))
    assert '<html lang="en">' in text
    assert text.count("<table>") == text.count("<thead>")
    assert "<th>" not in text


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_every_line_can_be_pasted(up: Up) -> None:
    (up.folder / ".curlrc").write_text("fail\n")
    variables = {
        "FIRSTHAND_INTAKE_URL": up.intake,
        "FIRSTHAND_LEDGER_URL": up.ledger,
        "FIRSTHAND_TOKEN": up.bearer(EVENT["subject"])["Authorization"].removeprefix("Bearer "),
    }
    fate = f"{up.ledger}/people/{EVENT['subject']}/events/{EVENT['id']}"
    for service in (up.intake, up.ledger):
        lines = [html.unescape(line) for line in CURL.findall(page(up, service))]
        assert len(lines) >= 7
        for line in lines:
            done = subprocess.run(
                ["bash", "-c", line],
                env=environment(up.folder, **variables),
                cwd=up.folder,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, ""), line
            assert done.stdout or (up.folder / "tile").stat().st_size == 32
        wait_until(
            lambda: up.client.get(fate, headers=up.bearer(EVENT["subject"])).is_success,
            "the event to be recorded",
        )
