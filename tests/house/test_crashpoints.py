"""The places where a process can be told to die are in the code, each once."""

import ast
import subprocess
import sys
from collections import Counter

import pytest

from shared.crashpoints import COMMAND_POINTS, POINTS, parse_crash_setting
from shared.errors import SettingsError
from tests.house.files import ROOT, project

DIES = "from shared.crashpoints import crashpoint; [crashpoint('batch-read') for _ in range(%d)]"


def test_every_place_in_the_table_is_in_the_code_once() -> None:
    found = Counter(
        node.args[0].value if isinstance(node.args[0], ast.Constant) else "not a plain name"
        for source in project()
        if source.is_ours_to_run
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crashpoint"
    )
    assert found == Counter([*POINTS, *COMMAND_POINTS])


@pytest.mark.parametrize(("passes", "status"), [(1, 0), (2, -9), (3, -9)])
def test_the_process_dies_the_time_it_was_told_to(passes: int, status: int) -> None:
    environment = {"FIRSTHAND_CRASH_AT": "batch-read:2", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DIES % passes]
    assert subprocess.run(command, env=environment, check=False).returncode == status


@pytest.mark.parametrize("spoken", ["nowhere", "batch-read:0", "batch-read:x", "batch-read:1:go"])
def test_a_place_that_is_not_there_is_a_setting_that_is_wrong(spoken: str) -> None:
    with pytest.raises(SettingsError, match=f"FIRSTHAND_CRASH_AT: unknown crash point: {spoken}"):
        parse_crash_setting(spoken)
