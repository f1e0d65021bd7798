"""Seals: what joserfc opens we seal, what it seals we open; and nothing else opens."""

import hmac
import os
from base64 import urlsafe_b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter

from shared.crypto.jwe import Key, b64url, decrypt, derive_key, encrypt, from_b64url
from shared.crypto.transit import Transit
from shared.errors import DecryptionError, FirsthandError, KeyUnavailable

KEY, OTHER = Key(bytes(range(32))), Key(bytes(range(1, 33)))
FIND = {KEY.kid: KEY, OTHER.kid: OTHER}.get
BOUND = {"subject": "person:ada", "author": "partner:sam", "partition": 3}
SEALED = encrypt(KEY, b"I want to walk to the sea.", BOUND, nonce=bytes(range(12)))
ORACLE = jwe.JWERegistry(
    header_registry={
        "subject": HeaderParameter("whose", "str"),
        "author": HeaderParameter("who says it", "str"),
        "partition": HeaderParameter("where", "int"),
    },
    algorithms=["dir", "A256GCM"],
)
MANY = settings(max_examples=500, deadline=None, database=None)


def jwk(key: Key) -> OctKey:
    return OctKey.import_key(key.raw)


def parts(**changed: bytes) -> bytes:
    """The sealed text with some of its five parts put in place of ours."""
    names = ("header", "empty", "nonce", "text", "tag")
    told = dict(zip(names, SEALED.split(b"."), strict=True))
    return b".".join((told | changed).values())


def sealed_with(members: Any) -> bytes:
    """A text that KEY really sealed, under any header."""
    header = b64url(orjson.dumps(members))
    text = KEY.cipher.encrypt(bytes(12), b"words", header)
    return b".".join((header, b"", b64url(bytes(12)), b64url(text[:-16]), b64url(text[-16:])))


@MANY
@given(st.binary(max_size=300))
def test_what_we_seal_joserfc_opens(plaintext: bytes) -> None:
    opened = jwe.decrypt_compact(encrypt(KEY, plaintext, BOUND), jwk(KEY), registry=ORACLE)
    assert opened.plaintext == plaintext
    assert opened.headers() == {"alg": "dir", "enc": "A256GCM", "kid": KEY.kid, **BOUND}


@MANY
@given(st.binary(max_size=300))
def test_what_joserfc_seals_we_open(plaintext: bytes) -> None:
    header = {"alg": "dir", "enc": "A256GCM", "kid": KEY.kid, **BOUND}
    sealed = jwe.encrypt_compact(header, plaintext, jwk(KEY), registry=ORACLE)
    assert decrypt(sealed.encode(), FIND) == (header, plaintext)


@MANY
@given(st.binary(max_size=300), st.dictionaries(st.sampled_from("abc"), st.text(max_size=9)))
def test_what_is_sealed_opens_with_its_header(plaintext: bytes, bound: dict[str, str]) -> None:
    header, opened = decrypt(encrypt(KEY, plaintext, bound), FIND)
    assert opened == plaintext
    assert header == {"alg": "dir", "enc": "A256GCM", "kid": KEY.kid, **bound}


def test_every_seal_has_a_nonce_of_its_own() -> None:
    nonces = {encrypt(KEY, b"the same", {}).split(b".")[2] for _ in range(1000)}
    assert len(nonces) == 1000
    assert {len(from_b64url(nonce)) for nonce in nonces} == {12}


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_a_changed_byte_breaks_the_seal_wherever_it_is(place: int) -> None:
    for put in {SEALED[place] ^ 1, SEALED[place] ^ 0x80, *b"Aa0-_.=+/ \n\0"} - {SEALED[place]}:
        with pytest.raises(DecryptionError):
            decrypt(SEALED[:place] + bytes([put]) + SEALED[place + 1 :], FIND)


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_a_lost_or_doubled_byte_breaks_the_seal(place: int) -> None:
    for broken in (SEALED[:place], SEALED[:place] + SEALED[place + 1 :]):
        with pytest.raises(DecryptionError):
            decrypt(broken, FIND)
    with pytest.raises(DecryptionError):
        decrypt(SEALED[: place + 1] + SEALED[place:], FIND)


@pytest.mark.parametrize("more", [b".", b"=", b"A", b"AAAA", b"\n", b" ", b".AAAA", SEALED])
def test_nothing_may_stand_before_or_after_a_seal(more: bytes) -> None:
    for changed in (SEALED + more, more + SEALED):
        with pytest.raises(DecryptionError):
            decrypt(changed, FIND)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(DecryptionError, match="no key with this kid"):
        decrypt(SEALED, {OTHER.kid: OTHER}.get)


def test_the_kid_commits_to_the_key() -> None:
    with pytest.raises(DecryptionError, match="does not match its kid"):
        decrypt(SEALED, lambda _kid: OTHER)


def test_a_kid_of_another_key_does_not_open_it() -> None:
    header = b64url(orjson.dumps(decrypt(SEALED, FIND)[0] | {"kid": OTHER.kid}))
    with pytest.raises(DecryptionError, match="modified, or encrypted with another key"):
        decrypt(parts(header=header), FIND)


@pytest.mark.parametrize("member", BOUND)
def test_what_is_bound_cannot_be_changed(member: str) -> None:
    members = decrypt(SEALED, FIND)[0] | {member: "person:eve"}
    with pytest.raises(DecryptionError, match="modified"):
        decrypt(parts(header=b64url(orjson.dumps(members))), FIND)


def test_nothing_more_can_be_bound_afterwards() -> None:
    members = {**decrypt(SEALED, FIND)[0], "more": 1}
    with pytest.raises(DecryptionError, match="modified"):
        decrypt(parts(header=b64url(orjson.dumps(members))), FIND)


GOOD = {"alg": "dir", "enc": "A256GCM", "kid": KEY.kid}


@pytest.mark.parametrize(
    "members",
    [
        GOOD | {"alg": "A256KW"},
        GOOD | {"alg": None},
        GOOD | {"enc": "A128GCM"},
        {"alg": "dir", "enc": "A256GCM"},
        {"enc": "A256GCM", "kid": KEY.kid},
        {"alg": "dir", "kid": KEY.kid},
        GOOD | {"kid": None},
        GOOD | {"kid": 7},
        GOOD | {"kid": [KEY.kid]},
        GOOD | {"kid": {}},
        GOOD | {"kid": KEY.kid + "="},
        [GOOD],
        "kid",
        7,
        None,
        True,
        [],
        {},
    ],
)
def test_a_header_that_is_not_ours_does_not_open_even_under_our_key(members: object) -> None:
    with pytest.raises(DecryptionError):
        decrypt(sealed_with(members), FIND)


def test_a_good_header_under_our_key_opens() -> None:
    assert decrypt(sealed_with(GOOD), FIND) == (GOOD, b"words")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 13, 16, 128, 129, 5_000])
def test_a_nonce_of_another_length_does_not_open_it(length: int) -> None:
    with pytest.raises(DecryptionError):
        decrypt(parts(nonce=b64url(bytes(length))), FIND)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"....",
        b"....." * 1000,
        b"\xff\xfe....",
        b"e30....",
        b64url(b"[" * 100_000) + b"....",
        b64url(b'{"kid":' * 50_000) + b"..AAAA.AAAA.AAAA",
        b64url(b'{"kid":"\xff"}') + b"....",
        b64url(b'{"kid":1e999}') + b"....",
        SEALED.replace(b"..", b".AAAA."),
        SEALED.decode().encode("utf-16"),
        urlsafe_b64encode(b'{"alg":"dir"}') + b"....",
    ],
)
def test_garbage_is_no_seal(garbage: bytes) -> None:
    with pytest.raises(DecryptionError):
        decrypt(garbage, FIND)


@MANY
@given(st.binary(max_size=200) | st.lists(st.binary(max_size=40), max_size=6).map(b".".join))
def test_any_bytes_are_no_seal(garbage: bytes) -> None:
    with pytest.raises(DecryptionError):
        decrypt(garbage, FIND)


@MANY
@given(st.lists(st.sampled_from([None, 1, True, "", "dir", KEY.kid, [], {}]), min_size=3))
def test_any_header_is_no_seal(values: list[object]) -> None:
    members = dict(zip(("kid", "alg", "enc"), values, strict=False))
    with pytest.raises(DecryptionError):
        decrypt(sealed_with(members), FIND)


@pytest.mark.parametrize("shift", [4, 8, 16])
def test_the_dot_between_text_and_tag_cannot_be_moved(shift: int) -> None:
    text, tag = SEALED.split(b".")[3:]
    whole = from_b64url(text) + from_b64url(tag)
    cut = len(whole) - 16 - shift
    with pytest.raises(DecryptionError):
        decrypt(parts(text=b64url(whole[:cut]), tag=b64url(whole[cut:])), FIND)


# Keys.


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(DecryptionError, match="32 bytes"):
        Key(bytes(length))


def test_a_key_does_not_print_itself() -> None:
    assert repr(KEY) == f"Key({KEY.kid})"
    assert KEY.raw.hex() not in f"{KEY} {KEY!r}"


def test_fresh_keys_differ() -> None:
    assert len({Key.fresh().kid for _ in range(100)}) == 100


def test_keys_for_different_uses_differ() -> None:
    derived = {
        derive_key(KEY.raw, b"a"),
        derive_key(KEY.raw, b"b"),
        KEY.raw,
        KEY.salting.copy().finalize(),
    }
    assert len(derived) == 4
    salting = derive_key(KEY.raw, b"firsthand/digest/1")
    assert KEY.salting.copy().finalize() == hmac.digest(salting, b"", "sha256")


@MANY
@given(st.binary(max_size=100))
def test_base64url_goes_both_ways(raw: bytes) -> None:
    assert b64url(raw) == urlsafe_b64encode(raw).rstrip(b"=")
    assert from_b64url(b64url(raw)) == raw


@pytest.mark.parametrize("text", [b"A", b"AB", b"AA==", b"AA=", b"A A", b"AA\n", b"+/", b"AAAAA"])
def test_only_one_text_stands_for_the_same_bytes(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_b64url(text)


# Transit: the inbox's own seals.


def test_a_message_cannot_be_moved_to_another_partition_or_use() -> None:
    transit = Transit([KEY])
    sealed = transit.encrypt(3, b"words", "event")
    assert transit.decrypt(3, sealed, "event") == b"words"
    for partition, use in ((4, "event"), (3, "receipt"), (0, "")):
        with pytest.raises(DecryptionError, match="another partition"):
            transit.decrypt(partition, sealed, use)


def test_the_newest_transit_key_seals_and_all_open() -> None:
    old, both, new = Transit([KEY]), Transit([OTHER, KEY]), Transit([OTHER])
    assert both.decrypt(0, old.encrypt(0, b"words", "event"), "event") == b"words"
    assert new.decrypt(0, both.encrypt(0, b"words", "event"), "event") == b"words"
    with pytest.raises(KeyUnavailable, match=KEY.kid):
        new.decrypt(0, old.encrypt(0, b"words", "event"), "event")


def test_what_breaks_is_an_error_of_ours() -> None:
    assert issubclass(DecryptionError, FirsthandError)
    with pytest.raises(FirsthandError):
        Transit([KEY]).decrypt(0, os.urandom(100), "event")
