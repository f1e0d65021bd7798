"""The page of an audit: it can be filed, printed, and read by anybody."""

import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from services.ledger.audit import html_report
from services.ledger.audit.findings import Report
from tests.contract.audited import run, written
from tests.contract.forging import exported
from tests.contract.ledgers import Ledger

on_sqlite = pytest.mark.parametrize("lived_once", ["sqlite"], indirect=True, scope="module")


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def ids(self) -> list[str]:
        return [str(told["id"]) for _, told in self.tags if "id" in told]


def test_the_page_stands_alone_and_can_be_read_by_anybody(lived: Ledger, tmp_path: Path) -> None:
    out = tmp_path / "audit.html"
    assert run("--html", out, env=lived.environment).exit_code == 0
    page = Page(out.read_text())
    names = [name for name, _ in page.tags]
    assert not {"script", "link", "img", "iframe", "object"} & set(names)
    for _, told in page.tags:
        assert not {"src", "href", "onclick", "onload"} & told.keys()
    assert "url(" not in out.read_text()
    assert "@import" not in out.read_text()
    assert names.count("h1") == names.count("main") == 1
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert len(page.ids()) == len(set(page.ids()))
    for _, told in page.tags:
        for label in str(told.get("aria-labelledby", "")).split():
            assert label in page.ids()
    assert {"No findings.", "What was not checked", "Whose the lines are"} <= set(
        map(str.strip, page.text.splitlines())
    ) | {"No findings."}


def test_entries_are_plotted_over_time_if_there_is_more_than_one_bar() -> None:
    now = datetime(2026, 3, 3, tzinfo=UTC)
    report, plots = Report(), []
    for moment in ("2026-03-02T10:00", "2026-03-02T10:01"):
        report.course.add(moment, 2, 1)
        text = html_report.page(report, what="a ledger", now=now, version="1")
        plots.append([name for name, _ in Page(text).tags].count("svg"))
        assert moment.replace("T", " ") in text
    assert plots == [0, 1]


@on_sqlite
def test_a_depth_that_was_not_checked_has_no_green_zero(lived: Ledger, tmp_path: Path) -> None:
    """An export that is not opened holds nothing that the vault could be compared with."""
    export, out = written(exported(lived), tmp_path / "export"), tmp_path / "audit.html"
    run(export, "--html", out)
    text = out.read_text()
    assert '<span class="none">0</span>' in text  # of the depth `log`
    assert '<span class="quiet">not checked</span>' in text
    row = text[text.index('<th scope="row">vault</th>') :].partition("</tr>")[0]
    assert "not checked" in row


@on_sqlite
def test_the_root_on_the_page_is_written_as_in_the_checkpoint(
    lived: Ledger, tmp_path: Path
) -> None:
    export, out = written(exported(lived), tmp_path / "export"), tmp_path / "audit.html"
    run(export, "--html", out)
    root = (export / "logs/0/checkpoint").read_text().splitlines()[2]
    assert f"<code>{root.replace('+', '&#43;')}</code>" in out.read_text().replace("+", "&#43;")


@on_sqlite
def test_what_an_export_says_is_escaped_on_the_page(lived: Ledger, tmp_path: Path) -> None:
    export = written(exported(lived), tmp_path / "export")
    evil = export / "logs/0/checkpoints/<script>alert(1)"
    evil.mkdir()
    (evil / "script>").write_text("<img src=x>")
    out = tmp_path / "audit.html"
    assert run(export, "--html", out).exit_code == 1
    text = out.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "1 finding" in text or "findings" in text
    nowhere = run(export, "--html", tmp_path / "no/such/folder.html")
    assert (nowhere.exit_code, "--html" in nowhere.output) == (2, True)
    shutil.rmtree(evil)
