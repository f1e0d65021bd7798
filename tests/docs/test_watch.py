"""The page on monitoring names every one that is served, and no other."""

import re
from pathlib import Path

import pytest
import yaml
from fakeredis import FakeStrictRedis

from tests import metrics
from tests.docs.blocks import ROOT
from tests.postgres import Database

PAGE = (ROOT / "docs/how-to/monitor-and-troubleshoot.md").read_text()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_figure_has_its_line(
    database: Database, fake_redis: FakeStrictRedis, tmp_path: Path
) -> None:
    served = metrics.served(tmp_path, database, fake_redis)
    names = set(re.findall(r"^# TYPE (\w+) ", served, re.MULTILINE))
    names = {name for name in names if not name.endswith("_created")}
    assert set(re.findall(r"^\| .* \| `(firsthand_\w+)` \|", PAGE, re.MULTILINE)) == names


def test_the_rules_name_figures_of_the_table() -> None:
    scraped, rules = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(yaml.safe_load(scraped)["scrape_configs"]) == 3
    told = yaml.safe_load(rules)["groups"][0]["rules"]
    listed = set(re.findall(r"^\| .* \| `(firsthand_\w+)` \|", PAGE, re.MULTILINE))
    asked = {name for each in told for name in re.findall(r"firsthand_\w+", each["expr"])}
    assert {name.removesuffix("_count") for name in asked} <= listed
    assert len({each["alert"] for each in told}) == len(told) == 9
