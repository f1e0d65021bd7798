"""An export is of one published checkpoint a log, whole or not there, and verify.py accepts it."""

import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from services import verify
from services.cli import main
from services.ledger.app import create_app
from services.ledger.config import open_store, signers
from services.ledger.export import export as write
from services.ledger.export import heads
from services.ledger.log.note import read_checkpoint
from services.ledger.log.tiles import Tile
from services.ledger.packing import packing
from services.ledger.store.published import keep_checkpoint
from services.ledger.watermark import Watermark
from shared.callers import Callers, local_token
from shared.problems import Unavailable
from shared.published import LastPublished
from tests.contract.ledgers import Ledger, Together
from tests.given import ADA, EVE, SAM, Voice, about, ada, eve, sam
from tests.logs import SIGNER, TiledLog
from tests.postgres import Database

SIZES = (0, 1, 255, 256, 257, 511, 512, 513)
WHEN = "2026-03-02T12:00:00.000Z"


def export(ledger: Ledger, out: Path, *words: str, code: int = 0) -> Result:
    """`firsthand export`, as it is typed."""
    done = CliRunner().invoke(main, ["export", str(out), *words], env=ledger.environment)
    assert done.exit_code == code, done.output
    return done


def verified(ledger: Ledger, out: Path) -> verify.Report:
    """What verify.py, given the keys, says; nothing is wrong."""
    report = verify.Report()
    keys = [verify.read_vkey(key) for each in signers(ledger.settings) for key in each.vkeys]
    verify.check_export(out, keys, [], report)
    assert report.findings == []
    return report


def token(ledger: Ledger, who: str, *scopes: str) -> str:
    return local_token(ledger.settings.key_folder, who, scopes=scopes)


def keep(ledger: Ledger, log: int = 0, cosigned: int = 0) -> int:
    """Keep what was published last, as the keeper does; its size."""
    note = LastPublished(ledger.inbox().redis).of(log)
    size, _ = read_checkpoint(note, *signers(ledger.settings)[log].vkeys)
    with ledger.as_services() as connection:
        keep_checkpoint(connection, log, size, cosigned, note, WHEN)
    return size


@contextmanager
def served(ledger: Ledger) -> Iterator[str]:
    """The ledger's read API; its address."""
    engine, vault = open_store(ledger.settings, write=False)
    vkeys = [each.vkeys for each in signers(ledger.settings)]
    watermark = Watermark(engine, LastPublished(ledger.inbox().redis), vkeys)
    callers = Callers.from_folder(ledger.settings.key_folder, "firsthand")
    app = create_app(engine, vault, callers, {}, watermark, partitions=len(vkeys))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        engine.dispose()


def files(out: Path) -> dict[str, str]:
    """Every file of an export: its path and its hash."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


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
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert names == sorted(names)
    export(on_valkey, tmp_path / "folder")
    assert files(tmp_path / "unpacked") == files(tmp_path / "folder")
    assert verify.main([str(outs[0])]) == 0


def test_it_is_there_whole_or_not_at_all(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts(), ada.states())
    on_valkey.drain()
    there = tmp_path / "there.tar.gz"
    there.write_text("something of ours")
    assert "is there already" in export(on_valkey, there, code=2).output
    assert "there is no folder" in export(on_valkey, tmp_path / "no/where", code=2).output
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

    def kept(self, _: int) -> tuple[()]:
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
    assert "entries are not append-only here" in out
    assert set(tmp_path.iterdir()) == before


def test_opened_are_the_entries_of_those_who_say_so_themselves(
    on_valkey: Ledger, tmp_path: Path
) -> None:
    secret = "Only my sister knows."
    on_valkey.post(ada.starts(), about(EVE, eve.starts()), ada.states(secret), sam.rewords("No."))
    on_valkey.post(about(EVE, eve.states("Fly.")))
    on_valkey.drain()
    leave = token(on_valkey, ADA, "leave")
    one, both = tmp_path / "one", tmp_path / "both"
    export(on_valkey, one, "--opened", ADA, "--token", leave)
    assert [each["index"] for each in opened(one)] == [0, 2]
    assert secret in json.dumps(opened(one))
    hers = ("--opened", EVE, "--token", token(on_valkey, EVE, "read", "leave"))
    export(on_valkey, both, "--opened", ADA, "--token", leave, *hers)
    assert [each["index"] for each in opened(both)] == [0, 1, 2, 4]
    for out, count in ((one, 2), (both, 4)):
        report = verified(on_valkey, out)
        assert f"the words of {report.seen['entries'] - count} entries" in str(report.unchecked)


def opened(out: Path) -> list[dict[str, object]]:
    """The lines of opened.jsonl."""
    return [json.loads(line) for line in (out / "opened.jsonl").read_text().splitlines()]


def test_nobody_else_opens_a_persons_entries(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts())
    on_valkey.drain()
    others = [token(on_valkey, who, "leave", "read", "log") for who in ("operator:o", EVE, SAM)]
    for words in ([], *(["--token", each] for each in (*others, token(on_valkey, ADA, "read")))):
        told = export(on_valkey, tmp_path / "out", "--opened", ADA, *words, code=2).output
        assert "scope 'leave'" in told
    forged = export(on_valkey, tmp_path / "out", "--opened", ADA, "--token", "a.b.c", code=2)
    assert "not one that its issuer signed" in forged.output
    words = ["--from", "http://127.0.0.1:1", "--token", token(on_valkey, ADA, "leave")]
    assert (
        "where the keys are"
        in export(on_valkey, tmp_path / "out", "--opened", ADA, *words, code=2).output
    )
    assert not (tmp_path / "out").exists()


def test_what_its_digest_does_not_say_is_not_opened(on_valkey: Ledger, tmp_path: Path) -> None:
    """The entry is consistent in itself and signed: only its digest is another's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.ledger.log.entry.salt_of", lambda *_: bytes(32))
        on_valkey.post(ada.starts())
        on_valkey.drain()
    words = ("--opened", ADA, "--token", token(on_valkey, ADA, "leave"))
    for out in (tmp_path / "out", tmp_path / "out.tar.gz"):
        told = export(on_valkey, out, *words, code=3).output
        assert "log 0, entry 0: its digest is not" in told
    assert not list(tmp_path.glob("*out*"))


def test_no_key_goes_into_an_export(on_valkey: Ledger, tmp_path: Path) -> None:
    on_valkey.post(ada.starts(), ada.states())
    on_valkey.drain()
    export(on_valkey, tmp_path / "out", "--opened", ADA, "--token", token(on_valkey, ADA, "leave"))
    whole = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    secrets = [path.read_bytes().strip() for path in on_valkey.settings.key_folder.glob("*.key")]
    secrets += [bytes(row["wrapped"]) for row in on_valkey.table("keys")]
    secrets.append((on_valkey.settings.key_folder / "kek").read_bytes().strip())
    assert len(secrets) > 3
    assert not [each for each in secrets if each in whole]


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
