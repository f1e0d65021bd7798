"""Each target's measuring, in short, on real services: the figures are of what they say."""

import sys
from pathlib import Path

import pytest

from tests import servers
from tests.benchmarks import audits, calibration, sample, stages, stores, travel
from tests.benchmarks.ours import Ours

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark needs Linux")


@pytest.fixture
def mine(valkey: servers.RedisLikeServer, tmp_path: Path) -> Ours:
    return Ours(tmp_path, valkey.url)


def test_versions_from_the_first_to_the_newest_are_read(mine: Ours) -> None:
    curve, again = travel.measure(mine, events=60, versions=4)
    assert [version for version, _ in again] == [version for version, _ in curve]
    versions = [version for version, _ in curve]
    assert versions[0] == 1
    assert versions == sorted(set(versions))
    assert all(milliseconds > 0 for _, milliseconds in curve)
    assert list(travel.spread(10, 4)) == [1, 4, 7, 10]
    assert [list(travel.neighbours(each, 10)) for each in (1, 2, 7, 10)] == [
        [1, 2, 3],
        [1, 2, 3],
        [5, 6, 7],
        [8, 9, 10],
    ]


def test_a_ledger_is_gone_over_whole_and_in_part(mine: Ours) -> None:
    passes = audits.grown(mine, sample.story(8, 320, seed=3), audits.command())
    assert all(each.rate > 0 and each.memory > 1 for each in passes)


def test_a_growing_ledger_is_measured_at_every_size(mine: Ours) -> None:
    found = audits.growth(mine, [4_000, 6_400])
    assert [each.entries for each in found] == [4_000, 6_400]
    assert all(each.projected > 0 and each.audited > 0 and each.memory > 1 for each in found)


def test_the_memory_of_a_command_is_its_own_and_not_ours() -> None:
    ours = b"x" * 300_000_000
    status, seconds, memory = audits.used([sys.executable, "-S", "-c", "raise SystemExit(3)"], {})
    assert (status, seconds > 0, 1 < memory < 100, len(ours)) == (3, True, True, 300_000_000)


def test_every_stage_of_both_services_has_a_cost(
    mine: Ours, valkey: servers.RedisLikeServer
) -> None:
    found = stages.measure("intake", mine, stages.WARM + 50)
    named = {"parse", "validate", "seal", "publish", "answer", "framework, token"}
    assert found.keys() == named
    assert all(0 < cost < 10_000 for cost in found.values())
    valkey.reset()
    found = stages.measure("projector", mine, 100)
    told = ["lock", "read", "open", "judge", "entry", "tree", "append", "commit", "settle"]
    assert list(found) == told
    assert all(0 < cost < 10_000 for cost in found.values())


def test_the_machine_is_told_beside_the_figures() -> None:
    found = calibration.calibrate()
    assert all(value > 0 for value in found.values())
    assert "Ed25519 sign" in calibration.described(found)


def test_a_peer_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(stores.NotHere, match="not on PATH"):
        stores.message_db_package(tmp_path / "peer", None)
    with pytest.raises(stores.NotHere, match="cannot fetch"):
        stores.message_db_package(tmp_path / "peer", _npm(tmp_path, "exit 1"))


def test_a_peer_that_is_not_the_pinned_one_is_not_run(tmp_path: Path) -> None:
    npm = _npm(tmp_path, "echo other > message-db.tgz")
    with pytest.raises(stores.NotHere, match="another hash than the pinned one"):
        stores.message_db_package(tmp_path / "peer", npm)
    assert not (tmp_path / "peer" / "package").exists()


def _npm(folder: Path, does: str) -> str:
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return str(program)
