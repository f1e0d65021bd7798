"""The page at /docs: it shows the document of its service, and loads nothing from another host."""

import re

import pytest

from shared.http.docs import FILES
from tests.e2e.running import Up

pytestmark = pytest.mark.xdist_group("up")


@pytest.fixture(params=["intake", "ledger"])
def url(request: pytest.FixtureRequest, up: Up) -> str:
    """Return the address of a service."""
    return str(getattr(up, request.param))


def test_the_page_runs_only_scripts_of_its_own_service(up: Up, url: str) -> None:
    response = up.client.get(f"{url}/docs")
    policy = response.headers["Content-Security-Policy"]
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.search(r"<script(?! src=)|\bstyle=|\bon\w+=|//", response.text)


def test_every_file_of_the_page_is_served_whole_and_with_its_type(up: Up, url: str) -> None:
    files = re.findall(r'(?:src|href)="docs/([^"]+)"', up.client.get(f"{url}/docs").text)
    assert sorted(files) == sorted(FILES)
    for name in files:
        response = up.client.get(f"{url}/docs/{name}")
        assert response.status_code == 200
        assert response.content == (FILES[name] / name).read_bytes()
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert response.headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2fopenapi.yaml", "docs.html"])
def test_no_other_file_is_served(up: Up, url: str, name: str) -> None:
    assert up.client.get(f"{url}/docs/{name}").status_code == 404
