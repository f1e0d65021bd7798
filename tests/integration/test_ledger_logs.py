"""The logs over HTTP: what is for everybody, what is not, and nothing beyond what was published."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aics_tlog import HttpTileReader, audit_tiles
from tlog_scales.backend import HttpBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from werkzeug.serving import make_server

from services.ledger.bootstrap import open_store
from services.ledger.config import signers
from services.ledger.log.merkle import leaf_hash
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.log.tiles import ENTRIES, Tile, hashes_at, read_bundle, tiles_of
from services.ledger.store.checkpoint_archive import archive_checkpoint
from services.ledger.store.database import transaction
from shared.auth.tokens import local_token
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import published_key
from tests.integration.together import ADA, SAM, SEA, STARTED, Together, problem
from tests.logs import TiledLog, made_up_log

SIZES = [0, 1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000]
WHEN = "2026-03-02T12:00:00.000Z"


@pytest.fixture(scope="module")
def big() -> TiledLog:
    """What the long log holds."""
    return made_up_log(70_000)


def bearer(house: Together, subject: str = "auditor:kim", scope: str = "log") -> str:
    """A header's value."""
    return f"Bearer {local_token(house.settings.key_folder, subject, scopes=[scope])}"


def size_of(house: Together) -> int:
    """The size of the served checkpoint, which is signed."""
    answer = house.log("checkpoint")
    assert answer.status_code == 200, answer.text
    return read_checkpoint(answer.text, signers(house.settings)[0].vkey)[0]


@pytest.mark.parametrize("size", SIZES)
def test_a_log_is_served_whole_at_sizes_with_edges(
    small_house: Together, big: TiledLog, size: int
) -> None:
    small_house.grow(big, size)
    token = bearer(small_house)
    assert size_of(small_house) == size
    for level in (ENTRIES, 0, 1, 2):
        listed = list(tiles_of(size, level))
        for each in {*listed[:1], *listed[-2:]}:
            answer = small_house.log(each.path, token)
            assert (answer.status_code, answer.data) == (200, big.tile(each))
            assert answer.content_type == "application/octet-stream"
            assert "immutable" in answer.headers["Cache-Control"]
        full, rest = divmod(hashes_at(level, size), 256)
        problem(small_house.log(Tile(level, full, rest + 1).path, token), 404, "not-found")


def test_others_read_a_log_over_http(house: Together, tmp_path: Path) -> None:
    log = made_up_log(600)
    house.grow(log, 600)
    vkey = house.log("vkey").text.strip()
    with over_http(house) as url:
        scales = TilesReader(HttpBackend(f"{url}/logs/0"))
        assert isinstance(scales.backend, HttpBackend)
        scales.backend.session.headers["Authorization"] = bearer(house)
        checkpoint = scales.get_checkpoint()
        checkpoint.verify(Vkey.from_string(vkey))
        assert scales.calculate_root_hash() == checkpoint.root_hash == log.root(600)
        assert scales.get_entry(599) == b"entry 599"
        aics = HttpTileReader([f"{url}/logs/0/"], cache_dir=tmp_path / "cache")
        assert aics.read_checkpoint() == house.log("checkpoint").data
        assert audit_tiles(aics, 600, log.root(600), entries=False).tiles == 4


@contextmanager
def over_http(house: Together) -> Iterator[str]:
    """The read API's address, while it answers there."""
    server = make_server("127.0.0.1", 0, house.ledger.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_was_recorded_stands_in_the_log_without_its_words(begun: Together) -> None:
    entries = read_bundle(begun.log("tile/entries/000.p/3", bearer(begun)).data)
    hashes = begun.log("tile/0/000.p/3").data
    assert b"".join(map(leaf_hash, entries)) == hashes
    assert not any(SEA["words"].encode() in each for each in entries)
    receipt = begun.get(ADA, f"events/{begun.history()[0]['id']}").get_json()
    assert receipt["entry"].encode() == entries[0]


def test_headers_are_those_of_the_specification(begun: Together) -> None:
    checkpoint = begun.log("checkpoint")
    assert checkpoint.content_type == "text/plain; charset=utf-8"
    assert checkpoint.headers["Cache-Control"] == "no-cache"
    etag = {"If-None-Match": checkpoint.headers["ETag"]}
    assert begun.ledger.get("/logs/0/checkpoint", headers=etag).status_code == 304
    tile = begun.log("tile/0/000.p/2")
    assert tile.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    bundle = begun.log("tile/entries/000.p/2", bearer(begun))
    assert bundle.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    for answer in (checkpoint, tile, bundle):
        assert "Content-Encoding" not in answer.headers
    assert begun.log("vkey").text == f"{signers(begun.settings)[0].vkey}\n"
    told = problem(begun.ledger.post("/logs/0/checkpoint"), 405, "method-not-allowed")
    assert told["detail"] == "This address supports GET, HEAD, OPTIONS."


@pytest.mark.parametrize(
    "path",
    [
        *("tile/0/000", "tile/0/000.p/4", "tile/0/001", "tile/1/000", "tile/1/000.p/1"),
        *("tile/entries/000", "tile/entries/000.p/4", "tile/0/000.p/0", "tile/0/000.p/03"),
        *("tile/0/0", "tile//000", "tile/0/000.p/3/", "tile/-1/000.p/3", "tile/63/000"),
        *(
            "tile/entries/x000/000.p/3",
            "tile/0/%00",
            "tile/0/999",
            "tile/",
            "tile",
            "",
            "Checkpoint",
        ),
    ],
)
def test_what_is_not_there_is_a_404(begun: Together, path: str) -> None:
    problem(begun.log(path, bearer(begun)), 404, "not-found")


@pytest.mark.parametrize("log", ["1", "00", "-1", "x", "0x0", "٠"])
def test_another_log_is_a_404(begun: Together, log: str) -> None:
    for path in ("checkpoint", "vkey", "tile/0/000.p/1"):
        problem(begun.ledger.get(f"/logs/{log}/{path}"), 404, "not-found")


def test_entries_are_for_auditors_and_operators_with_the_scope(begun: Together) -> None:
    path = "tile/entries/000.p/3"
    problem(begun.log(path), 401, "unauthorized")
    for subject, scope in (("auditor:kim", "read"), ("operator:lee", "write"), (ADA, "read")):
        problem(begun.log(path, bearer(begun, subject, scope)), 403, "forbidden")
    for subject in (ADA, SAM, "service:app"):
        problem(begun.log(path, bearer(begun, subject)), 403, "forbidden")
    for subject in ("auditor:kim", "operator:lee"):
        assert begun.log(path, bearer(begun, subject)).status_code == 200


def test_nobody_reads_beyond_what_was_published(begun: Together) -> None:
    """As between a batch's commit and its publishing, and after a crash there."""
    queue = begun.door.inbox.redis
    before = PublishedCheckpoints(queue).read(0)
    told = begun.post(ADA, "aspiration.stated", {**SEA, "id": "hill"})
    begun.publish(before)
    assert size_of(begun) == 3
    token = bearer(begun)
    for path in ("tile/0/000.p/4", "tile/entries/000.p/4"):
        problem(begun.log(path, token), 404, "not-found")
    problem(begun.get(ADA, f"events/{told['id']}"), 404, "not-found")
    assert begun.drain() == 0  # the worker's next start publishes it
    assert size_of(begun) == 4
    assert begun.log("tile/0/000.p/4").status_code == 200
    assert begun.log("tile/0/000.p/3").status_code == 200
    receipt = begun.get(ADA, f"events/{told['id']}/receipt").get_json()
    assert receipt["proof"].endswith(f"\n\n{begun.log('checkpoint').text}")


@pytest.mark.parametrize("spoiled", ["", "garbage", "\x00"])
def test_without_the_queues_word_what_was_kept_is_served(begun: Together, spoiled: str) -> None:
    queue = begun.door.inbox.redis
    kept = PublishedCheckpoints(queue).read(0)
    told = begun.post(ADA, "aspiration.stated", {**SEA, "id": "hill"})
    queue.set(published_key(0), spoiled) if spoiled else queue.delete(published_key(0))
    for path in ("checkpoint", "tile/0/000.p/1"):
        problem(begun.log(path), 503, "unavailable")
    engine, _ = open_store(begun.settings, write=True)
    with transaction(engine) as connection:
        archive_checkpoint(connection, 0, 3, 0, kept, WHEN)
    engine.dispose()
    assert size_of(begun) == 3
    assert begun.log("tile/0/000.p/3").status_code == 200
    problem(begun.log("tile/0/000.p/4"), 404, "not-found")
    problem(begun.get(ADA, f"events/{told['id']}"), 404, "not-found")


def test_a_database_behind_what_was_published_serves_no_log(begun: Together) -> None:
    """A restored copy, or a standby that is late."""
    begun.publish(signers(begun.settings)[0].checkpoint(9, bytes(32)))
    for path in ("checkpoint", "tile/0/000.p/1"):
        problem(begun.log(path), 503, "unavailable")


def test_a_new_ledgers_log_is_empty(small_house: Together) -> None:
    assert size_of(small_house) == 0
    problem(small_house.log("tile/0/000.p/1"), 404, "not-found")
    small_house.post(ADA, "plan.started", STARTED)
    assert size_of(small_house) == 1
