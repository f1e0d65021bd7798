"""Inclusion and consistency: others' vectors, RFC 6962's own words, and pymerkle's roots."""

import json
from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from services.ledger.log.merkle import EMPTY_ROOT, Frontier, leaf_hash
from services.ledger.log.proofs import (
    Proof,
    consistency,
    inclusion,
    nodes_from_frontier,
    nodes_from_leaves,
    subtree,
    verify_consistency,
    verify_inclusion,
)
from tests.golden.make import HERE
from tests.logs import SIGNER, made_up_log

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def vectors(kind: str) -> list[Any]:
    """The vectors of transparency-dev, each under its file's name."""
    lines = (HERE / f"vectors/merkle/{kind}.jsonl").read_text().splitlines()
    assert len(lines) == 98
    return [pytest.param(told, id=told["file"]) for told in map(json.loads, lines)]


def hashes(told: list[str] | None) -> list[bytes]:
    """A proof of the vectors."""
    return [b64decode(each) for each in told or []]


@pytest.mark.parametrize("told", vectors("inclusion"))
def test_inclusion_is_judged_as_the_vectors_say(told: dict[str, Any]) -> None:
    leaf, root = b64decode(told["leafHash"] or ""), b64decode(told["root"] or "")
    given_to_us = (leaf, told["leafIdx"], told["treeSize"], hashes(told["proof"]), root)
    if told["wantErr"]:
        with pytest.raises(ValueError, match=r"proof|no leaf"):
            verify_inclusion(*given_to_us)
    else:
        verify_inclusion(*given_to_us)


@pytest.mark.parametrize("told", vectors("consistency"))
def test_consistency_is_judged_as_the_vectors_say(told: dict[str, Any]) -> None:
    roots = b64decode(told["root1"] or ""), b64decode(told["root2"] or "")
    given_to_us = (told["size1"], told["size2"], *roots, hashes(told["proof"]))
    if told["wantErr"]:
        with pytest.raises(ValueError, match=r"proof|no proof can link"):
            verify_consistency(*given_to_us)
    else:
        verify_consistency(*given_to_us)


def rfc_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01" + rfc_root(leaves[:k]) + rfc_root(leaves[k:])).digest()


def rfc_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m < k:
        return [*rfc_path(m, leaves[:k]), rfc_root(leaves[k:])]
    return [*rfc_path(m - k, leaves[k:]), rfc_root(leaves[:k])]


def rfc_subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2, word for word."""
    if m == len(leaves):
        return [] if whole else [rfc_root(leaves)]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m <= k:
        return [*rfc_subproof(m, leaves[:k], whole), rfc_root(leaves[k:])]
    return [*rfc_subproof(m - k, leaves[k:], False), rfc_root(leaves[:k])]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_of_small_trees_is_the_rfcs_and_verifies(size: int) -> None:
    node, root = nodes_from_leaves(LEAVES), rfc_root(LEAVES[:size])
    assert subtree(node, 0, size) == root
    for index in range(size):
        path = inclusion(node, index, size)
        assert path == rfc_path(index, LEAVES[:size])
        verify_inclusion(LEAVES[index], index, size, path, root)
    for old in range(1, size + 1):
        tied = consistency(node, old, size)
        assert tied == rfc_subproof(old, LEAVES[:size], True)
        verify_consistency(old, size, rfc_root(LEAVES[:old]), root, tied)


@given(st.integers(0, 70))
def test_roots_are_pymerkles(size: int) -> None:
    theirs, ours = InmemoryTree(algorithm="sha256"), Frontier()
    for number in range(size):
        theirs.append_entry(bytes([number]))
        ours.append(LEAVES[number])
    # pymerkle has no root of an empty tree of its own; RFC 6962 says what it is
    assert ours.root() == (theirs.get_root() if size else EMPTY_ROOT)


@given(st.data())
def test_a_proof_with_anything_changed_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, size - 1))
    node, root = nodes_from_leaves(LEAVES), rfc_root(LEAVES[:size])
    old_root = rfc_root(LEAVES[:old])
    cases: list[tuple[list[bytes], Callable[..., None]]] = [
        (inclusion(node, old, size), partial(verify_inclusion, LEAVES[old], old, size, root=root)),
        (consistency(node, old, size), partial(verify_consistency, old, size, old_root, root)),
    ]
    for path, verify in cases:
        verify(path=path)
        place = data.draw(st.integers(0, len(path)))
        wrong = [
            [*path[:place], bytes(32), *path[place:]],
            [*path, path[-1]],
            path[:-1],
            [*path[:-1], path[-1][::-1]],
            [*path[:-1], path[-1][:31]],
        ]
        for each in wrong:
            with pytest.raises(ValueError, match=r"proof"):
                verify(path=each)


def test_what_was_never_there_cannot_be_proved() -> None:
    node = nodes_from_leaves(LEAVES)
    for index, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion(node, index, size)
    for old, size in ((6, 5), (-1, 5)):
        with pytest.raises(ValueError, match="no earlier size"):
            consistency(node, old, size)
    assert consistency(node, 0, 5) == consistency(node, 5, 5) == []


def test_a_tree_does_not_follow_from_itself_by_a_proof() -> None:
    left, right = subtree(nodes_from_leaves(LEAVES), 0, 2), LEAVES[2]
    root = subtree(nodes_from_leaves(LEAVES), 0, 3)
    with pytest.raises(ValueError, match="equal roots and an empty proof"):
        verify_consistency(3, 3, root, root, [right, left])


def test_a_tlog_proof_is_read_as_it_was_written() -> None:
    log = made_up_log(11)
    checkpoint = log.checkpoint(11)
    for index in range(11):
        proof = Proof(index, tuple(inclusion(log.node(), index, 11)), checkpoint)
        assert Proof.parse(proof.text()) == proof
    text = Proof(0, (LEAVES[1],), checkpoint).text()
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 0\n")
    assert text.endswith(f"=\n\n{checkpoint}")
    extra = text.replace("index", "extra YWJj\nindex", 1)
    assert Proof.parse(extra) == Proof.parse(text)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("@v1", "@v2"),
        ("index 7", "index 07"),
        ("index 7", "index -1"),
        ("index 7", "index seven"),
        ("index 7\n", ""),
        ("index 7", "extra =\nindex 7"),
        ("index 7", "extra YQ==\nextra YQ==\nindex 7"),
        ("index 7\n", "index 7\nAAAA\n"),
        ("index 7\n", "index 7\nnot base64\n"),
        (f"\n\n{SIGNER.origin}", f"\n{SIGNER.origin}"),
    ],
)
def test_a_malformed_tlog_proof_is_refused(good: str, bad: str) -> None:
    log = made_up_log(8)
    text = Proof(7, tuple(inclusion(log.node(), 7, 8)), log.checkpoint(8)).text()
    assert good in text
    with pytest.raises(ValueError, match=r"tlog-proof|base64|proof is a list"):
        Proof.parse(text.replace(good, bad, 1))


@given(st.integers(0, 40), st.integers(1, 30))
def test_a_batch_proves_its_own_leaves_from_the_frontier_it_found(old: int, more: int) -> None:
    frontier, whole = Frontier(), nodes_from_leaves(LEAVES[: old + more])
    for each in LEAVES[:old]:
        frontier.append(each)
    node = nodes_from_frontier(frontier, LEAVES[old : old + more])
    for index in range(old, old + more):
        assert inclusion(node, index, old + more) == inclusion(whole, index, old + more)
    if old > 1:
        with pytest.raises(ValueError, match="is not available"):
            inclusion(node, 0, old + more)
