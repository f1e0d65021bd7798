"""Tiles: their paths, their bytes, which a tree has, and what readers of others make of them."""

from itertools import pairwise
from typing import Any

import metamorphic_log
import pytest
from aics_tlog import MemoryTileReader, audit_tiles, parse_note, parse_vkey, verify_checkpoint
from aics_tlog.tiles import (
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    materialise_tiles,
    parse_entry_bundle_path,
    parse_tile_path,
)
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import ConsistencyProof, InclusionProof

from services.ledger.log.merkle import EMPTY_ROOT
from services.ledger.log.proofs import (
    consistency,
    inclusion,
    nodes_from_leaves,
    subtree,
    verify_consistency,
    verify_inclusion,
)
from services.ledger.log.tiles import (
    ENTRIES,
    Tile,
    bundle,
    completed_tiles,
    read_bundle,
    read_tile,
    tiles_of,
)
from tests.golden.make import HERE
from tests.logs import SIGNER, TiledLog, made_up_log

SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000]
VECTORS = HERE / "vectors/tlog-tiles"


@pytest.fixture(scope="module")
def big() -> TiledLog:
    """The longest log of the sizes that have edges."""
    return made_up_log(70_000)


@pytest.mark.parametrize(
    "tile", [Tile(0, 0), Tile(63, 999, 1), Tile(1, 1000, 255), Tile(ENTRIES, 1_234_067)]
)
def test_a_path_names_its_tile_to_us_and_to_others(tile: Tile) -> None:
    assert Tile.parse(tile.path) == tile
    width = tile.width if tile.width < 256 else None
    if tile.level == ENTRIES:
        assert parse_entry_bundle_path(tile.path) == (tile.number, width)
    else:
        assert parse_tile_path(tile.path) == (tile.level, tile.number, width)


@given(st.integers(-1, 63), st.integers(0, 10**21 - 1), st.integers(1, 256))
def test_every_path_is_read_back(level: int, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        *("", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1000"),
        *(
            "tile/00/000",
            "tile/01/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/1.0/000",
        ),
        *(
            "tile/0/x000/000",
            "tile/0/x000/x001/000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/X001/000",
        ),
        *("tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/00", "tile/0/000.p/01"),
        *("tile/0/000.p/256", "tile/0/000.p/1000", "tile/0/000.p/-1", "tile/0/000.p/1/1"),
        *(
            "tile/entries",
            "tile/entries/",
            "tile/entry/000",
            "tile/Entries/000",
            "tile/entries/-01",
        ),
        *("/tile/0/000", "tile/0/000/", "tile/0/000\n", "tile//000", "tile/0/٠٠٠", "tile/٣/000"),
        "tile/0/" + "x001/" * 7 + "000",
    ],
)
def test_a_path_that_is_not_just_so_is_no_tile(path: str) -> None:
    with pytest.raises(ValueError, match="is not a tile path"):
        Tile.parse(path)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    tiles = list(tiles_of(70_000))
    full = [each for each in tiles if each.width == 256]
    partial = [each.path for each in tiles if each.width < 256]
    assert [sum(each.level == level for each in full) for level in range(3)] == [273, 1, 0]
    assert partial == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert [each.path for each in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == list(tiles_of(0, ENTRIES)) == []
    assert all(each.within(70_000) for each in tiles)
    assert [each.path for each in tiles if not each.within(69_999)] == ["tile/0/273.p/112"]


def test_the_small_log_of_others_has_our_tiles() -> None:
    entries = read_bundle((VECTORS / "entries.15").read_bytes())
    log = TiledLog(entries)
    assert [each.path for each in tiles_of(15)] == ["tile/0/000.p/15"]
    assert log.files(15)["tile/entries/000.p/15"] == (VECTORS / "entries.15").read_bytes()
    assert log.files(15)["tile/0/000.p/15"] == (VECTORS / "hashes.15").read_bytes()


@pytest.mark.parametrize("cut", [0, 1, 2, 9, 10, 12])
def test_a_bundle_that_is_cut_short_is_refused(cut: int) -> None:
    whole = bundle([b"entry 00", b"1"])
    assert read_bundle(whole[:10]) == [b"entry 00"]
    if cut != 10:
        with pytest.raises(ValueError, match="not a bundle"):
            read_bundle(whole[:cut])


def test_a_bundle_holds_at_most_256_entries_and_each_at_most_65535_bytes() -> None:
    longest = [bytes(65_535)] * 2
    assert read_bundle(bundle(longest)) == longest
    with pytest.raises(OverflowError):
        bundle([bytes(65_536)])
    with pytest.raises(ValueError, match="not a bundle"):
        read_bundle(bundle([b"x"] * 257))


@pytest.mark.parametrize("length", [0, 31, 33, 257 * 32])
def test_hashes_that_fill_no_tile_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="not a tile"):
        read_tile(bytes(length))


@pytest.mark.parametrize("steps", [[1, 255, 1], [300, 300], [256, 256], [7] * 100, [65_530, 20]])
def test_tiles_fill_alike_however_a_tree_grows(steps: list[int], big: TiledLog) -> None:
    leaves, levels = big.levels[0], big.levels
    found, size = [], 0
    for step in steps:
        new = leaves[size : size + step]
        found += completed_tiles(size, new, lambda level, start, end: levels[level][start:end])
        size += step
    wanted = {each.path for each in tiles_of(size) if each.width == 256}
    assert {Tile(each.level, each.number).path for each in found} == wanted
    for each in found:
        assert each.hashes == big.tile(Tile(each.level, each.number))
        assert each.root == big.levels[each.level + 1][each.number]


def test_what_stood_before_is_read_only_when_a_tile_fills() -> None:
    def refuse(*_: Any) -> list[bytes]:
        raise AssertionError

    assert completed_tiles(3, [bytes(32)] * 252, refuse) == []
    assert len(completed_tiles(256, [bytes(32)] * 512, refuse)) == 2


@pytest.mark.parametrize("size", SIZES[:9])
def test_the_files_of_a_log_are_those_that_others_make(size: int) -> None:
    log = made_up_log(size)
    theirs = {
        name.removeprefix("/"): each for name, each in materialise_tiles(list(log.entries)).items()
    }
    ours = log.files(size)
    del ours["checkpoint"]
    assert ours == theirs


@pytest.mark.parametrize("size", SIZES)
def test_proofs_through_tiles_verify_at_sizes_with_edges(size: int, big: TiledLog) -> None:
    node, root, leaves = big.node(), big.root(size), big.levels[0]
    assert subtree(node, 0, size) == (root if size else EMPTY_ROOT)
    for index in {0, 1, 254, 255, 256, size // 2, size - 1} & set(range(size)):
        path = inclusion(node, index, size)
        verify_inclusion(leaves[index], index, size, path, root)
        if size < 600:
            assert path == inclusion(nodes_from_leaves(leaves), index, size)
        InclusionProof(index, size, path).check(leaves[index], root)
        metamorphic_log.verify_inclusion(index, size, leaves[index], path, root)


@pytest.mark.parametrize(("old", "size"), [*pairwise(SIZES[1:]), (1, 70_000), (65_535, 70_000)])
def test_consistency_through_tiles_verifies_at_sizes_with_edges(
    old: int, size: int, big: TiledLog
) -> None:
    roots = big.root(old), big.root(size)
    path = consistency(big.node(), old, size)
    verify_consistency(old, size, *roots, path)
    ConsistencyProof(old, size, path).check(*roots)
    metamorphic_log.verify_consistency(old, size, path, *roots)
    told = (big.checkpoint(old), big.checkpoint(size), [SIGNER.vkey])
    metamorphic_log.checkpoint_verify_consistency(*told, path)


class InFiles:
    """tlog-scales' backend, over our files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get(self, *path: str) -> bytes | None:
        """A file, if it is there."""
        return self.files.get("/".join(path))


@pytest.mark.parametrize("size", SIZES)
def test_others_read_our_log_from_its_files(size: int, big: TiledLog) -> None:
    files = big.files(size)
    note = files["checkpoint"].decode()
    root = big.root(size)
    judged = verify_checkpoint(parse_note(note), parse_vkey(SIGNER.vkey))
    assert (judged.ok, judged.size, judged.root) == (True, size, root)
    head = metamorphic_log.checkpoint_verify(note, [SIGNER.vkey])
    assert (head.origin, head.size, head.root) == (SIGNER.origin, size, root)
    reader = MemoryTileReader(files)
    if size:
        assert audit_tiles(reader, size, root).tiles == len(list(tiles_of(size)))
        assert inclusion_proof_from_tiles(reader, size - 1, size) == inclusion(
            big.node(), size - 1, size
        )
        assert consistency_proof_from_tiles(reader, (size + 1) // 2, size) == consistency(
            big.node(), (size + 1) // 2, size
        )
    scales = TilesReader(InFiles(files))
    checkpoint = scales.get_checkpoint()
    checkpoint.verify(Vkey.from_string(SIGNER.vkey))
    assert scales.calculate_root_hash() == checkpoint.root_hash == root
    if size:
        assert scales.get_entry(size - 1) == big.entries[size - 1]
