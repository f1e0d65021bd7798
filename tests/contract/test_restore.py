"""An older copy goes forward to what an export holds: not behind what was published, not beside."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import insert

from services import verify
from services.cli import main
from services.ledger.config import signers
from services.ledger.log.signed_note import Signer
from services.ledger.store import tables
from shared.inbox.redis_keys import published_key, waiting_key
from tests import exports
from tests.contract.ledgers import Ledger
from tests.contract.older import Copy, copy_of, put_back
from tests.contract.workers import ROOT, Worker, ended
from tests.exports import LogSpec
from tests.given import ADA, EVE, about, ada, eve, sam

EARLY = [ada.starts(), about(EVE, eve.starts()), ada.states(), sam.rewords("No.")]
LATE = [
    *(ada.writes("Food", f"Fish {number}") for number in range(280)),
    about(EVE, eve.states("Fly.")),
    sam.starts(),
]


class Lost:
    """A ledger whose database is an older copy: `early` of what was, `whole`, was kept."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger, self.export = ledger, folder / "whole"
        self.empty = copy_of(ledger)
        self._post(EARLY)
        self.early, self.short = copy_of(ledger), self.exported(folder / "short")
        self._post(LATE)
        self.whole = copy_of(ledger)
        self.exported(self.export)
        put_back(ledger, self.early)

    def _post(self, events: Any) -> None:
        self.ledger.post(*events)
        self.ledger.drain()

    def exported(self, out: Path) -> Path:
        """An export of now."""
        done = CliRunner().invoke(main, ["export", str(out)], env=self.ledger.environment)
        assert done.exit_code == 0, done.output
        return out

    def restore(self, export: Path, *words: str, code: int = 0) -> str:
        """`firsthand restore`, as it is typed; what it says."""
        command = ["restore", str(export), *words]
        done = CliRunner().invoke(main, command, env=self.ledger.environment)
        assert done.exit_code == code, done.output
        return done.output

    def refuses(self, export: Path, *words: str, code: int) -> str:
        """The same, which must change nothing."""
        before = copy_of(self.ledger)
        said = self.restore(export, *words, code=code)
        assert copy_of(self.ledger) == before
        return said

    def is_whole(self) -> None:
        """Every entry is there as it was, and nothing finds anything."""
        assert self.ledger.rows() == self.whole["entries"]
        chain = ("log", "size", "frontier", "root", "checkpoint", "recorded", "rules")
        for here, there in zip(self.ledger.table("heads"), self.whole["heads"], strict=True):
            assert [here[name] for name in chain] == [there[name] for name in chain]
        assert self.ledger.replay().findings == []
        done = CliRunner().invoke(main, ["rebuild", "--check"], env=self.ledger.environment)
        assert done.exit_code == 0, done.output


@pytest.fixture
def lost(on_valkey: Ledger, tmp_path: Path) -> Lost:
    return Lost(on_valkey, tmp_path)


def found(ledger: Ledger, export: Path, *outside: Path) -> set[str]:
    """What verify.py finds in an export, by the ledger's keys."""
    report = verify.Report()
    keys = [verify.read_vkey(key) for each in signers(ledger.settings) for key in each.vkeys]
    verify.check_export(export, keys, list(outside), report)
    return set(report.found)


def test_it_goes_forward_and_a_worker_goes_on(lost: Lost, tmp_path: Path) -> None:
    refused = ended(lost.ledger)
    assert refused.returncode == 3
    assert f"ends at {len(EARLY)}, but 286 entries were published" in refused.stderr
    assert "run 'firsthand restore' with an export" in refused.stderr
    assert "Log 0: 286 entries, 282 restored." in lost.restore(lost.export)
    lost.is_whole()
    assert "nothing was missing" in lost.restore(lost.export), "and again"
    redis = lost.ledger.inbox().redis
    assert redis.exists(waiting_key(0)), "the worker that was refused said why"
    with Worker(lost.ledger) as worker:
        assert not redis.exists(waiting_key(0)), "one that finds nothing to do waits for nothing"
        lost.ledger.post(*LATE[:3], ada.writes("Home", "A window"))
        assert worker.terminate() == 0
    lost.ledger.drain()
    assert lost.ledger.verdicts()[286:] == ["accepted"], (
        "repeats are known, what is new is recorded"
    )
    assert lost.ledger.replay().findings == []
    after = lost.exported(tmp_path / "after")
    assert found(lost.ledger, after, lost.export / "logs/0/checkpoint") == set()


def test_an_archive_does_as_well(lost: Lost, tmp_path: Path) -> None:
    put_back(lost.ledger, lost.whole)
    archive = lost.exported(tmp_path / "whole.tar.gz")
    put_back(lost.ledger, lost.early)
    lost.restore(archive)
    lost.is_whole()
    archive.write_bytes(archive.read_bytes()[:-40])
    assert "is truncated" in lost.refuses(archive, code=1)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_archive_that_is_cut_off_says_so(lost: Lost, tmp_path: Path) -> None:
    put_back(lost.ledger, lost.whole)
    archive = lost.exported(tmp_path / "whole.tar.gz")
    whole = archive.read_bytes()
    for length in (0, 1, 100):
        archive.write_bytes(whole[:length])
        said = lost.refuses(archive, code=2)
        assert said.startswith(
            f"firsthand: {archive}: neither manifest.json nor logs/: not an export"
        )
        assert "; file: whole.tar.gz: is truncated, not an archive, or too large" in said
        assert len(said.splitlines()) == 1
    archive.write_bytes(whole[: len(whole) // 2])
    said = lost.refuses(archive, code=1)
    assert "file: whole.tar.gz: is truncated" in said
    assert "file: manifest.json: cannot be read" in said, "and no 'log None'"


def test_it_does_not_stop_behind_what_was_published(lost: Lost, tmp_path: Path) -> None:
    said = lost.refuses(lost.short, code=3)
    assert "286 entries were published (in the queue)" in said
    assert "the export has 4 and the database 4: 282 are missing" in said
    lost.ledger.inbox().redis.delete(published_key(0))
    kept = tmp_path / "kept"
    kept.write_bytes((lost.export / "logs/0/checkpoint").read_bytes())
    said = lost.refuses(lost.short, "--checkpoint", str(kept), code=3)
    assert f"286 entries were published ({kept})" in said
    assert "nothing was missing" in lost.restore(lost.short), "as far as anybody knows"
    lost.restore(lost.export, "--checkpoint", str(kept))
    lost.is_whole()


def test_nor_beside_it(lost: Lost, tmp_path: Path) -> None:
    """Another history, signed with the true key: from the copy's own entries on, or later."""
    true = [bytes(row["leaf"]) for row in lost.whole["entries"]]
    (signer,) = signers(lost.ledger.settings)
    later = [*true[:-2], true[-1], true[-2]]
    export = exports.write(tmp_path / "later", [LogSpec(later, signer)])
    assert "checkpoint: log 0, in the queue" in lost.refuses(export, code=1)
    lost.ledger.inbox().redis.delete(published_key(0))
    early = [true[1], true[0], *true[2:]]
    export = exports.write(tmp_path / "early", [LogSpec(early, signer)])
    assert "entry 0 of the export differs from the database" in lost.refuses(export, code=3)


def test_one_bit_or_another_ledgers_export_is_refused(lost: Lost, tmp_path: Path) -> None:
    bundle = lost.export / "logs/0/tile/entries/001.p/30"
    raw = bytearray(bundle.read_bytes())
    raw[700] ^= 1
    bundle.write_bytes(raw)
    assert "Nothing was restored" in lost.refuses(lost.export, code=1)
    log = exports.write(tmp_path / "other", [LogSpec([], Signer("example.org/other/0", bytes(32)))])
    assert "restore the key folder" in lost.refuses(log, code=3)
    assert "no such file" in lost.refuses(tmp_path / "nothing", code=2)


def with_keys(lost: Lost, *people: str) -> Copy:
    """An empty ledger, but for the table of keys, which has those of these people."""
    keys = [row for row in lost.whole["keys"] if row["subject"] in ("ledger", *people)]
    return lost.empty | {"keys": keys}


def test_an_empty_ledger_with_the_same_keys(lost: Lost) -> None:
    put_back(lost.ledger, with_keys(lost, ADA, EVE))
    lost.restore(lost.export)
    lost.is_whole()


def test_a_key_that_is_missing_is_an_incident_and_no_erasure(lost: Lost) -> None:
    put_back(lost.ledger, with_keys(lost, ADA))
    said = lost.restore(lost.export, code=1)
    assert "No key of person:eve: 2 of these entries cannot be decrypted." in said
    assert "The keys of 1 person are missing, although they were not erased" in said
    assert lost.ledger.rows() == lost.whole["entries"]
    assert {each.person for each in lost.ledger.replay().findings} == {EVE}
    told = json.loads(lost.restore(lost.export, "--json", code=1))
    assert told["keyless"] == {EVE: 2}
    keys = [row for row in lost.whole["keys"] if row["subject"] == EVE]
    with lost.ledger.as_owner() as connection:
        connection.execute(insert(tables.keys), keys)
    assert CliRunner().invoke(main, ["rebuild"], env=lost.ledger.environment).exit_code == 0
    lost.is_whole()


@pytest.mark.parametrize("place", ["restore-written", "restore-committed"])
def test_a_crash_leaves_the_old_or_the_new(lost: Lost, place: str) -> None:
    told = lost.ledger.environment | {"FIRSTHAND_CRASH_AT": place, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "services.cli", "restore", str(lost.export)]
    assert subprocess.run(command, env={**os.environ, **told}, check=False).returncode == -9
    if place == "restore-written":
        assert copy_of(lost.ledger) == lost.early
        lost.restore(lost.export)
    lost.is_whole()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_not_beside_a_worker(lost: Lost) -> None:
    put_back(lost.ledger, lost.whole)
    with Worker(lost.ledger):
        assert "another worker writes" in lost.restore(lost.export, code=3)


def test_a_file_that_is_no_export_is_named_as_it_was_given(
    on_valkey: Ledger, tmp_path: Path
) -> None:
    wrong = tmp_path / "log.vkey"
    wrong.write_text(signers(on_valkey.settings)[0].vkey)
    done = CliRunner().invoke(main, ["restore", str(wrong)], env=on_valkey.environment)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"firsthand: {wrong}: neither manifest.json nor logs/")
