"""An export is of one published checkpoint a log, whole or not there, and verify.py accepts it."""

import json
import tarfile
import threading
from pathlib import Path

import pytest

from services import verify
from services.ledger.audit.export_source import unpack
from services.ledger.log.tiles import Tile
from services.ledger.maintenance.archive_writer import packing
from services.ledger.maintenance.export import export as write
from services.ledger.maintenance.export import heads
from shared.errors import Unavailable
from tests.contract.exporting import export, files, keep, served, token, verified
from tests.contract.ledgers import Ledger, Together
from tests.given import Voice, about, ada
from tests.logs import SIGNER, TiledLog
from tests.postgres import Database

SIZES = (0, 1, 255, 256, 257, 511, 512, 513)


def test_it_is_accepted_at_sizes_with_edges_from_the_store_and_over_http(
    on_valkey: Ledger, tmp_path: Path
) -> None:
    said = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(SIZES[-1]))]
    projector, done = on_valkey.projector(), 0
    auditor = token(on_valkey, "auditor:kim", "log")
    with served(on_valkey) as url:
        for size in SIZES:
            on_valkey.post(*said[done:size])
            on_valkey.drain(projector)
            done = size
            near, far = tmp_path / f"near-{size}", tmp_path / f"far-{size}"
            told = json.loads(export(on_valkey, near, "--json").stdout)
            assert [each["size"] for each in told["logs"]] == [size]
            assert verified(on_valkey, near).seen["entries"] == size
            export(on_valkey, far, "--from", url, "--token", auditor)
            assert files(near) == files(far)


def test_it_is_of_one_checkpoint_while_others_write(on_valkey: Ledger, tmp_path: Path) -> None:
    said = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(600))]
    on_valkey.post(*said[:5])
    on_valkey.drain()
    over, sizes = threading.Event(), list[int]()

    def write() -> None:
        projector = on_valkey.projector()
        for start in range(5, len(said), 30):
            on_valkey.post(*said[start : start + 30])
            on_valkey.drain(projector)
            keep(on_valkey)
        over.set()

    def look() -> None:
        while not over.is_set() or not sizes:
            out = tmp_path / f"export-{len(sizes)}"
            export(on_valkey, out)
            sizes.append(verified(on_valkey, out).seen["entries"])

    with Together(write):
        look()  # here: a command takes signals
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 1, "nothing was written meanwhile"


def test_every_log_and_what_was_kept_of_each(
    tmp_path: Path, database: Database, valkey_url: str
) -> None:
    ledger = Ledger(tmp_path, database, valkey_url, partitions=3)
    people = [Voice(f"person:p{number}") for number in range(12)]
    ledger.post(*(about(each.id, each.starts()) for each in people))
    ledger.drain()
    for log in range(3):
        keep(ledger, log)
        keep(ledger, log, cosigned=1)
    ledger.post(*(about(each.id, each.states()) for each in people))
    ledger.drain()
    keep(ledger, 0)
    told = json.loads(export(ledger, tmp_path / "export", "--json").stdout)
    assert verified(ledger, tmp_path / "export").seen["entries"] == 24
    assert [each["log"] for each in told["logs"]] == [0, 1, 2]
    assert [each["kept"] for each in told["logs"]] == [1, 1, 1], "earlier ones, once a size"
    assert all(each["size"] > 1 for each in told["logs"])
    ledger.close()


def test_two_archives_of_one_checkpoint_are_the_same_bytes(
    on_valkey: Ledger, tmp_path: Path
) -> None:
    on_valkey.post(ada.starts(), *(ada.writes("Food", f"Fish {n}") for n in range(300)))
    on_valkey.drain()
    outs = [tmp_path / name for name in ("one.tar.gz", "two.tar.gz", "three.tgz")]
    for out in outs:
        export(on_valkey, out)
    assert len({out.read_bytes() for out in outs}) == 1
    with tarfile.open(outs[0]) as archive:
        names = archive.getnames()
    assert names == sorted(names)
    (tmp_path / "unpacked").mkdir()
    assert unpack(outs[0], tmp_path / "unpacked")[1] == []
    export(on_valkey, tmp_path / "folder")
    assert files(tmp_path / "unpacked") == files(tmp_path / "folder")
    assert verify.main([str(outs[0])]) == 0


def test_it_is_there_whole_or_not_at_all(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts(), ada.states())
    on_valkey.drain()
    there = tmp_path / "there.tar.gz"
    there.write_text("something of ours")
    assert "exists; name a new" in export(on_valkey, there, code=2).output
    assert "missing folder" in export(on_valkey, tmp_path / "no/where", code=2).output
    assert there.read_text() == "something of ours"
    before = set(tmp_path.iterdir())
    with served(on_valkey) as url:
        stranger = token(on_valkey, "auditor:kim", "read")
        for out in ("new", "new.tar.gz"):
            words = ("--from", url, "--token", stranger)
            assert "scope 'log'" in export(on_valkey, tmp_path / out, *words, code=2).output
    assert set(tmp_path.iterdir()) == before


class Short:
    """A source that lacks an entry, or the end of a tile."""

    def __init__(self, lacks: str) -> None:
        self.log, self.lacks = TiledLog([b"one", b"two", b"three"]), lacks

    def read(self, log: int, path: str) -> bytes | None:
        if log:
            return None
        if path in ("checkpoint", "vkey"):
            return (self.log.checkpoint(3) if path == "checkpoint" else SIGNER.vkey).encode()
        tile = Tile.parse(path)
        if path != self.lacks:
            return self.log.tile(tile)
        return self.log.tile(Tile(tile.level, tile.number, tile.width - 1))

    def archived(self, _: int) -> tuple[()]:
        return ()


@pytest.mark.parametrize("lacks", ["tile/0/000.p/3", "tile/entries/000.p/3"])
def test_a_source_that_gives_less_than_its_checkpoint_signs_ends_it(
    lacks: str, tmp_path: Path
) -> None:
    source = Short(lacks)
    with (
        pytest.raises(Unavailable, match=f"logs/0/{lacks} has 2 of its 3 parts"),
        packing(tmp_path / "out") as sink,
    ):
        write(source, heads(source), sink)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_store_that_lost_its_guards_is_not_exported(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts(), ada.states(), ada.states())
    on_valkey.drain()
    on_valkey.change("DROP TRIGGER entries_no_delete", 'DELETE FROM entries WHERE "index" = 1')
    before = set(tmp_path.iterdir())
    out = export(on_valkey, tmp_path / "new.tar.gz", code=3).output
    assert "entries are not append-only" in out
    assert set(tmp_path.iterdir()) == before


def half_way(out: Path) -> None:
    with packing(out) as sink:
        sink.put("logs/0/checkpoint", b"half")
        assert len(list(out.parent.glob(f".{out.name}*.part"))) == 1
        raise KeyboardInterrupt


def test_one_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    for out in (Path("new"), Path("new.tar.gz")):
        with pytest.raises(KeyboardInterrupt):
            half_way(tmp_path / out)
    assert not list(tmp_path.glob("*new*")) + list(tmp_path.glob(".new*"))
