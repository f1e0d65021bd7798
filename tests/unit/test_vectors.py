"""What others made, read by us: C2SP's signed note, and a small log in tlog-tiles layout."""

from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.signed_note import key_id, read_checkpoint
from tests.golden.make import HERE

NOTE = (HERE / "vectors/signed-note/note.txt").read_text()
NOTE_KEY = (HERE / "vectors/signed-note/note.vkey").read_text().strip()
LOG = HERE / "vectors/tlog-tiles"
LOG_KEY = (LOG / "log.vkey").read_text().strip()
SIZES = range(16)


def checkpoint(size: int) -> str:
    """The log's checkpoint at a size."""
    return (LOG / f"checkpoint.{size}").read_text()


def bundle() -> Iterator[bytes]:
    """The entries of the log's entry bundle: two bytes of length, big-endian, and the entry."""
    rest = (LOG / "entries.15").read_bytes()
    while rest:
        length = int.from_bytes(rest[:2])
        yield rest[2 : 2 + length]
        rest = rest[2 + length :]


@pytest.mark.parametrize("vkey", [NOTE_KEY, LOG_KEY])
def test_key_ids_are_those_of_others(vkey: str) -> None:
    name, told, raw = vkey.split("+", 2)
    assert b64decode(raw)[:1] == b"\x01"
    assert key_id(name, b64decode(raw)[1:]).hex() == told


def test_the_signed_note_example_is_signed_as_we_sign() -> None:
    text, _, line = NOTE.partition("\n\n")
    dash, name, signature = line.split()
    signed, public = b64decode(signature), b64decode(NOTE_KEY.split("+", 2)[2])[1:]
    assert (dash, name) == ("\u2014", "example.com/foo")
    assert signed[:4] == key_id(name, public)
    Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], f"{text}\n".encode())


def test_a_good_note_that_is_no_checkpoint_is_refused_for_that() -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_checkpoint(NOTE, NOTE_KEY)
    with pytest.raises(ValueError, match="not by this key"):
        read_checkpoint(NOTE.replace("example message", "example massage"), NOTE_KEY)


@pytest.mark.parametrize("size", SIZES)
def test_the_logs_checkpoints_verify_and_its_roots_are_ours(size: int) -> None:
    tree = Frontier()
    for each in list(bundle())[:size]:
        tree.append(leaf_hash(each))
    assert read_checkpoint(checkpoint(size), LOG_KEY) == (size, tree.root())


def test_the_logs_leaf_hashes_are_ours() -> None:
    tile = b"".join(sha256(b"\x00" + each).digest() for each in bundle())
    assert tile == (LOG / "hashes.15").read_bytes()
    assert tile == b"".join(map(leaf_hash, bundle()))


def flipped(note: str) -> Iterator[str]:
    """The note with one bit changed, at each place in turn, where it is still text."""
    raw = note.encode()
    for place in range(len(raw)):
        for bit in (1, 4, 32):
            changed = bytearray(raw)
            changed[place] ^= bit
            try:
                yield changed.decode()
            except UnicodeDecodeError:
                continue


def test_a_flipped_bit_anywhere_is_refused() -> None:
    taken = []
    for changed in flipped(checkpoint(15)):
        try:
            read_checkpoint(changed, LOG_KEY)
        except ValueError:
            continue
        taken.append(changed)
    assert taken == []


@pytest.mark.parametrize("size", [1, 7, 15])
def test_another_logs_key_is_refused(size: int) -> None:
    for vkey in (NOTE_KEY, LOG_KEY.replace("33d7b496", "33d7b497"), f"example.com/x+{LOG_KEY}"):
        with pytest.raises(ValueError, match=r"no signature|key id|base64"):
            read_checkpoint(checkpoint(size), vkey)
