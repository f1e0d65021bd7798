"""Signed notes and checkpoints: what is opened, what is refused, who else can read ours."""

from base64 import b64encode

import metamorphic_log
import pytest
from aics_tlog import cosignature_vkey, parse_note, parse_vkey, sign_cosignature, verify_checkpoint
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.ledger.log.signed_note import (
    MAX_SIGNATURES,
    Checkpoint,
    Signature,
    Signer,
    Verifier,
    attach,
    open_note,
    read_checkpoint,
    split_note,
)

ORIGIN = "example.org/firsthand/0"
OLD, NEW, OTHER = bytes(32), bytes([1]) * 32, bytes([2]) * 32
ROOT = bytes(range(32))
SIGNER = Signer(ORIGIN, OLD)
NOTE = SIGNER.checkpoint(7, ROOT)
TEXT, (LINE,) = split_note(NOTE)
KNOWN = Verifier.parse(SIGNER.vkey)
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)


def cosigned(name: str = "witness.example/w1", time: int = 1_700_000_000) -> tuple[str, Signature]:
    """A witness's vkey, and its cosignature of the note, made by aics-tlog."""
    _, line = sign_cosignature(WITNESS, name, time, ORIGIN, 7, ROOT)
    vkey = cosignature_vkey(name, WITNESS.public_key())
    raw = b64encode(bytes([4]) + WITNESS.public_key().public_bytes_raw()).decode()
    told = Signature(line.name, line.key_id, line.signature)
    return f"{name}+{vkey.key_id.hex()}+{raw}", told


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text",
        "text\n",
        "text\n\n",
        TEXT,
        TEXT + LINE.line,
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "more\n",
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("7", "7\t", 1),
        NOTE.replace("7", "7\x00", 1),
        NOTE.replace("\u2014 ", "\u2014"),
        NOTE.replace("\u2014 ", "- "),
        NOTE.replace("\u2014 ", " \u2014 "),
        NOTE.replace(f"\u2014 {ORIGIN}", "\u2014 "),
        NOTE.replace(f"\u2014 {ORIGIN}", "\u2014 a+b"),
        NOTE.replace(f"\u2014 {ORIGIN}", "\u2014 a\u00a0b"),
        NOTE.replace(f"\u2014 {ORIGIN}", "\u2014 a b"),
        NOTE.replace("=\n", "\n"),
        f"{TEXT}\n\u2014 {ORIGIN} AAAA\n",
        f"{TEXT}\n\u2014 {ORIGIN} \n",
        f"{TEXT}\n{LINE.line[:-1]} \n",
        f"{TEXT}\n{LINE.line[:-1]}x\n",
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(ValueError, match=r"note|signature|base64|key|[Pp]adding|data"):
        open_note(note, [KNOWN])


def test_a_note_may_hold_a_hundred_signatures_and_no_more() -> None:
    others = [Signature(f"other/{number}", b"1234", b"5") for number in range(MAX_SIGNATURES)]
    assert open_note(attach(NOTE, others[1:]), [KNOWN]) == (TEXT, [LINE])
    with pytest.raises(ValueError, match="at most 100"):
        open_note(attach(NOTE, others), [KNOWN])
    with pytest.raises(ValueError, match="at most a million"):
        open_note("x" * 1_000_000 + NOTE, [KNOWN])


def test_signatures_by_unknown_keys_are_passed_over_whatever_they_say() -> None:
    same_name = Signature(ORIGIN, b"\x00\x00\x00\x00", b"no signature of ours")
    same_id = Signature("example.org/other", LINE.key_id, b"no signature of theirs")
    note = attach(NOTE, [same_name, same_id])
    assert open_note(note, [KNOWN]) == (TEXT, [LINE])
    assert open_note(note + same_name.line, [KNOWN]) == (TEXT, [LINE])
    with pytest.raises(ValueError, match="no signature by a known key"):
        open_note(note, [Verifier.parse(Signer(ORIGIN, NEW).vkey)])


def test_one_bad_signature_by_a_known_key_spoils_the_note() -> None:
    both = Signer(ORIGIN, NEW, OLD)
    good = both.checkpoint(7, ROOT)
    assert len(open_note(good, map(Verifier.parse, both.vkeys))[1]) == 2
    bad = attach(good, [Signature(ORIGIN, LINE.key_id, bytes(64))])
    with pytest.raises(ValueError, match="not by this key"):
        open_note(bad, map(Verifier.parse, both.vkeys))


def test_a_key_that_signs_twice_spoils_the_note() -> None:
    with pytest.raises(ValueError, match="signed twice"):
        open_note(NOTE + LINE.line, [KNOWN])


def test_a_note_keeps_its_blank_lines() -> None:
    text = "one\n\n\ntwo\n"
    key = Ed25519PrivateKey.from_private_bytes(OLD)
    line = Signature(ORIGIN, KNOWN.key_id, key.sign(text.encode()))
    assert open_note(f"{text}\n{line.line}", [KNOWN]) == (text, [line])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+12345678",
        SIGNER.vkey.replace("+", "++", 1),
        SIGNER.vkey.replace("example", "exam ple"),
        SIGNER.vkey.replace("cbace1ca", "CBACE1CA"),
        SIGNER.vkey.replace("cbace1ca", "cbace1cb"),
        SIGNER.vkey + "=",
        SIGNER.vkey[:-4],
        SIGNER.vkey.partition("+")[2],
        f"{ORIGIN}+00000000+{b64encode(bytes([2]) + bytes(32)).decode()}",
        f"{ORIGIN}+00000000+",
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(ValueError, match=r"key|base64|unpack|[Pp]adding|data"):
        Verifier.parse(vkey)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n7\n",
        TEXT[:-1],
        TEXT.replace("7", "07", 1),
        TEXT.replace("7", "+7", 1),
        TEXT.replace("7", "-7", 1),
        TEXT.replace("7", "\u0667", 1),
        TEXT.replace("7", str(2**63), 1),
        TEXT.replace("7", "", 1),
        TEXT.replace(ORIGIN, ""),
        f"{TEXT}\n",
        f"{TEXT}\nextension\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT[:31]).decode()}\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT + ROOT[:1]).decode()}\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT).decode()[:-1]}\n",
        f"{ORIGIN}\n7\n{b64encode(ROOT).decode()[:-2]}9=\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"checkpoint|base64|[Pp]adding"):
        Checkpoint.parse(text)


def test_extension_lines_are_read_in_others_checkpoints_and_refused_in_ours() -> None:
    theirs = Checkpoint(ORIGIN, 7, ROOT, ("an extension",))
    assert Checkpoint.parse(theirs.text) == theirs
    key = Ed25519PrivateKey.from_private_bytes(OLD)
    line = Signature(ORIGIN, KNOWN.key_id, key.sign(theirs.text.encode()))
    with pytest.raises(ValueError, match="not a checkpoint of this log"):
        read_checkpoint(f"{theirs.text}\n{line.line}", SIGNER.vkey)


def test_another_logs_checkpoint_under_our_key_is_refused() -> None:
    text = Checkpoint("example.org/another/0", 7, ROOT).text
    key = Ed25519PrivateKey.from_private_bytes(OLD)
    line = Signature(ORIGIN, KNOWN.key_id, key.sign(text.encode()))
    with pytest.raises(ValueError, match="not a checkpoint of this log"):
        read_checkpoint(f"{text}\n{line.line}", SIGNER.vkey)


def test_while_keys_change_either_verifies_and_afterwards_both_are_known() -> None:
    both = Signer(ORIGIN, NEW, OLD)
    note = both.checkpoint(7, ROOT)
    for vkey in both.vkeys:
        assert read_checkpoint(note, vkey) == (7, ROOT)
        assert metamorphic_log.checkpoint_verify(note, [vkey]).size == 7
        assert verify_checkpoint(parse_note(note), parse_vkey(vkey)).ok
    after = Signer(ORIGIN, NEW, retired=[SIGNER.vkey])
    assert after.vkeys == both.vkeys
    assert after.vkey != SIGNER.vkey
    assert read_checkpoint(after.checkpoint(7, ROOT), *after.vkeys) == (7, ROOT)
    assert read_checkpoint(NOTE, *after.vkeys) == (7, ROOT)
    with pytest.raises(ValueError, match="no signature"):
        read_checkpoint(after.checkpoint(7, ROOT), SIGNER.vkey)


def test_a_key_file_is_read_as_it_was_written() -> None:
    for signer in (
        SIGNER,
        Signer(ORIGIN, NEW, OLD),
        Signer(ORIGIN, NEW, OLD, retired=[Signer(ORIGIN, OTHER).vkey]),
    ):
        found = Signer.from_skey(f"{signer.skey}\n")
        assert (found.skey, found.vkeys) == (signer.skey, signer.vkeys)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        SIGNER.vkey,
        f"{SIGNER.vkey}\n{SIGNER.skey}",
        f"{SIGNER.skey}\n{Signer('example.org/another/0', NEW).skey}",
        f"{SIGNER.skey}\n{Signer('example.org/another/0', NEW).vkey}",
        f"{SIGNER.skey}\nnonsense",
        SIGNER.skey[:-4],
        SIGNER.skey.replace("cbace1ca", "cbace1cb"),
    ],
)
def test_a_key_file_that_is_none_is_refused(lines: str) -> None:
    with pytest.raises(ValueError, match=r"key|unpack|base64"):
        Signer.from_skey(lines)


def test_a_witness_cosignature_is_verified_and_kept_once() -> None:
    vkey, line = cosigned()
    witness = Verifier.parse(vkey)
    assert witness.vkey == vkey
    note = attach(NOTE, [line])
    assert open_note(note, [KNOWN, witness]) == (TEXT, [LINE, line])
    assert line.time == 1_700_000_000
    _, later = cosigned(time=1_700_000_060)
    again = attach(note, [later])
    assert open_note(again, [KNOWN, witness]) == (TEXT, [LINE, later])
    assert attach(again, [later]) == again
    judged = verify_checkpoint(parse_note(again), parse_vkey(SIGNER.vkey), [parse_vkey(vkey)], 1)
    assert (judged.ok, judged.cosignature_count) == (True, 1)


def test_a_cosignature_of_another_time_key_or_head_is_refused() -> None:
    vkey, line = cosigned()
    witness = Verifier.parse(vkey)
    moved = Signature(line.name, line.key_id, (line.time + 1).to_bytes(8) + line.signed[8:])
    for bad in (
        moved,
        Signature(line.name, line.key_id, line.signed[8:]),
        Signature(line.name, line.key_id, b"\x00"),
        Signature(line.name, line.key_id, b"\xff" * 8 + line.signed[8:]),
    ):
        with pytest.raises(ValueError, match=r"not by this key|begins with its time"):
            open_note(attach(NOTE, [bad]), [KNOWN, witness])
    with pytest.raises(ValueError, match="not by this key"):
        open_note(attach(SIGNER.checkpoint(8, ROOT), [line]), [KNOWN, witness])
