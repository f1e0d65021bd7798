"""The frozen formats: what we make today is what is there, and what is there still verifies.

Where something that is not our code can read a format, it reads the golden file too: joserfc the
seals, rfc8785 the canonical bytes, hashlib and hmac the digests, RFC 6962's own recursion the tree.
"""

import hmac
import json
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from typing import Any, cast

import orjson
import pytest
import rfc8785
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from joserfc import jwe
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter
from sqlalchemy import RowMapping

from services.ledger.fold import PersonState, encrypt_plan, open_plan
from services.ledger.log import entry
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.signed_note import Signer, read_checkpoint
from services.ledger.plan.decide import RULES, Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, load
from services.ledger.vault import Vault
from shared.crypto.jwe import Key, b64url, decrypt, from_b64url
from shared.crypto.transit import Transit
from shared.events.catalogue import CATALOGUE, VERSION
from shared.events.event import Event, canonical
from shared.events.refusals import NO_STANDING, Code
from tests.golden.make import (
    ADA,
    ENTRIES,
    HERE,
    KEK,
    PERSON,
    TRANSIT,
    made,
    message,
    vault,
)

KEYS: dict[str, dict[str, str]] = {
    name: told
    for name, told in json.loads((HERE / "seal/keys.json").read_text()).items()
    if name != "nonce"
}
CATALOGUES = range(1, VERSION + 1)
FIRST_TYPES = {  # what catalogue 1 held
    *("plan.started", "about-me.written", "aspiration.stated", "aspiration.reworded"),
    *("aspiration.let-go", "action.planned", "action.done", "proposal.made", "proposal.accepted"),
    *("proposal.declined", "observation.recorded", "disagreement.stated"),
    *("access.granted", "access.withdrawn"),
}
FIRST_REFUSALS = {
    *(NO_STANDING - {Code.PLAN_ERASED}),
    *(Code.ID_REUSED, Code.VERSION_CONFLICT, Code.PLAN_EXISTS, Code.UNKNOWN_TARGET, Code.LAPSED),
    *(Code.ALREADY_ANSWERED, Code.INVALID_CHANGE, Code.WRONG_STATE, Code.EXISTS, Code.UNCHANGED),
    *(Code.MISSING_OBSERVABLE, Code.WORDING_MISSING),
}
PLANS = f"plan/rules-{RULES}"
BOUND = ("subject", "author", "id", "use")
ORACLE = jwe.JWERegistry(
    header_registry={
        **{name: HeaderParameter(name, "str") for name in BOUND},
        **{name: HeaderParameter(name, "int") for name in ("partition", "catalogue")},
        **{name: HeaderParameter(name, "int") for name in ("sequence", "rules")},
    },
    algorithms=["dir", "A256GCM"],
)


def golden(path: str) -> bytes:
    """A golden file's bytes."""
    return (HERE / path).read_bytes()


def opened(path: str, key: str) -> bytes:
    """What joserfc finds in a seal."""
    told = OctKey.import_key(bytes.fromhex(KEYS[key]["key"]))
    return _plaintext(golden(path), told)


def _plaintext(sealed: bytes, key: OctKey) -> bytes:
    return bytes(jwe.decrypt_compact(sealed, key, registry=ORACLE).plaintext or b"")


def hkdf(key: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, 32 bytes: by hand."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


# all of them


def test_what_is_made_today_is_what_is_there() -> None:
    changed = [path for path, content in made().items() if golden(path) != content]
    assert changed == [], "a format changed: it needs a new version, and the old file stays"


def test_nothing_is_there_that_nobody_makes_or_explains() -> None:
    files = (path for path in HERE.rglob("*") if path.is_file())
    there = {path.relative_to(HERE).as_posix() for path in files if "__pycache__" not in path.parts}
    ours = {path for path in there if not path.startswith("vectors/") and "README" not in path}
    assert ours - {"make.py", "story.jsonl", "story-2.jsonl"} == set(made())
    folders = {path.rpartition("/")[0] for path in there} - {PLANS}
    assert all((HERE / folder / "README.md").exists() for folder in folders)


@pytest.mark.parametrize(
    "path",
    [
        "event/canonical.json",
        *(f"{PLANS}/plan{number}.json" for number in ("", "-2")),
        *(f"entry/{sort}.json" for sort in ENTRIES),
    ],
)
def test_canonical_bytes_are_rfc_8785(path: str) -> None:
    assert rfc8785.dumps(json.loads(golden(path))) == golden(path)


# event and seal


def test_the_message_holds_the_event_and_what_intake_added() -> None:
    event = Event.from_message(golden("event/message.txt"))
    assert event.canonical == golden("event/canonical.json")
    assert event.message() == golden("event/message.txt")
    assert (event.author, event.subject, event.issuer) == (ADA, ADA, "golden")
    assert event.data["words"] == 'Café — 海, 😀 \t"\\\u2028.'


def test_joserfc_opens_the_seals() -> None:
    assert opened("seal/words.jwe", "person") == b"mine"
    for version in CATALOGUES:
        assert opened(message(version), "transit") == golden("event/message.txt")


def test_we_open_the_seals() -> None:
    header, words = decrypt(golden("seal/words.jwe"), {PERSON.kid: PERSON}.get)
    assert (words, header["subject"]) == (b"mine", ADA)


@pytest.mark.parametrize("version", CATALOGUES)
def test_a_message_of_any_catalogue_opens_today(version: int) -> None:
    sealed = golden(message(version))
    assert decrypt(sealed, {TRANSIT.kid: TRANSIT}.get)[0]["catalogue"] == version
    assert Transit([TRANSIT]).decrypt(0, sealed, "event") == golden("event/message.txt")


def test_a_message_sealed_today_has_the_golden_header() -> None:
    today = Transit([TRANSIT]).encrypt(0, b"", "event")
    assert today.split(b".")[0] == golden(message(VERSION)).split(b".")[0]


@pytest.mark.parametrize("name", KEYS)
def test_a_kid_commits_to_its_key(name: str) -> None:
    raw = bytes.fromhex(KEYS[name]["key"])
    assert b64url(sha256(b"firsthand/key/1" + raw).digest()).decode() == KEYS[name]["kid"]


def test_wrapped_and_derived_keys_are_found_again() -> None:
    wrapped = bytes.fromhex(KEYS["person"]["wrapped"])
    assert aes_key_unwrap(KEK.raw, wrapped) == PERSON.raw
    assert Vault(KEK.raw).unwrap(KEYS["person"]["kid"], wrapped).raw == PERSON.raw
    ledger = bytes.fromhex(KEYS["ledger"]["key"])
    info = b"firsthand/envelope/1\x00" + ADA.encode()
    assert hkdf(ledger, info).hex() == KEYS["envelope"]["key"]


# entries


@pytest.mark.parametrize("sort", ENTRIES)
def test_a_golden_entry_reads_opens_and_has_its_digest(sort: str) -> None:
    leaf, told = golden(f"entry/{sort}.json"), json.loads(golden("entry/digests.json"))[sort]
    each = entry.parse(leaf)
    event = each.open(vault().find(ADA))
    assert event.canonical == told["sealed"].encode()
    key = bytes.fromhex(told["key"])
    assert _plaintext(each.sealed, OctKey.import_key(key)) == told["sealed"].encode()
    name = f"{told['author']}\0{told['id']}".encode()
    salt = hmac.digest(hkdf(key, b"firsthand/digest/1"), name, "sha256")
    assert b64url(salt).decode() == told["salt"]
    digest = sha256(salt + told["posted"].encode()).digest()
    assert b64url(digest).decode() == told["digest"] == each.digest
    assert sha256(b"\0" + leaf).hexdigest() == told["leaf_hash"]


@pytest.mark.parametrize(
    ("sort", "verdict", "refusal", "words"),
    [
        ("accepted", "accepted", None, True),
        ("own-refusal", "refused", "exists", True),
        ("no-standing", "refused", "not-yours-to-say", False),
        ("before-a-plan", "refused", "no-such-plan", False),
    ],
)
def test_an_entry_keeps_words_only_where_there_was_standing(
    sort: str, verdict: str, refusal: str | None, words: bool
) -> None:
    leaf = golden(f"entry/{sort}.json")
    each = entry.parse(leaf)
    assert (each.verdict, each.refusal, each.rules) == (verdict, refusal, RULES)
    data = each.open(vault().find(ADA)).data
    assert bool(data) is words
    assert (each.sequence is not None) is (each.planversion is not None) is words
    said = json.loads(json.loads(golden("entry/digests.json"))[sort]["posted"])["data"]["words"]
    assert said.encode() not in leaf
    kid = orjson.loads(from_b64url(each.sealed.split(b".")[0]))["kid"]
    assert kid == KEYS["person" if words else "envelope"]["kid"]


# tree and checkpoint


def test_roots_are_those_of_rfc_6962() -> None:
    leaves = [leaf_hash(b"entry %d" % number) for number in range(257)]
    for line in golden("tree/heads.jsonl").splitlines():
        told = json.loads(line)
        frontier = bytes.fromhex(told["frontier"])
        tree = Frontier.from_bytes(told["size"], frontier)
        assert len(frontier) == 32 * told["size"].bit_count()
        assert tree.root().hex() == told["root"] == root_of(leaves[: told["size"]]).hex()


def test_a_stored_frontier_grows_into_the_next_golden_one() -> None:
    heads = [json.loads(line) for line in golden("tree/heads.jsonl").splitlines()]
    for before, after in pairwise(heads):
        tree = Frontier.from_bytes(before["size"], bytes.fromhex(before["frontier"]))
        for number in range(before["size"], after["size"]):
            tree.append(leaf_hash(b"entry %d" % number))
        assert tree.to_bytes().hex() == after["frontier"]


def test_the_checkpoint_verifies_and_signs_the_golden_head() -> None:
    note, vkey = golden("checkpoint/checkpoint.txt").decode(), golden("checkpoint/log.vkey")
    size, root = read_checkpoint(note, vkey.decode().strip())
    last = json.loads(golden("tree/heads.jsonl").splitlines()[-1])
    assert (size, root.hex()) == (last["size"], last["root"])
    signer = Signer.from_skey(golden("checkpoint/log.skey").decode())
    assert signer.checkpoint(size, root) == note
    assert signer.vkey == vkey.decode().strip()


# plan


def test_the_history_has_every_type_of_its_day_and_every_refusal_it_can_earn() -> None:
    rows = [json.loads(line) for line in golden(f"{PLANS}/history.jsonl").splitlines()]
    accepted = {json.loads(row["posted"])["type"] for row in rows if row["verdict"] == "accepted"}
    assert accepted == FIRST_TYPES < set(CATALOGUE)
    assert {row["verdict"] for row in rows} - {"accepted"} == FIRST_REFUSALS


@pytest.mark.parametrize("number", ["", "-2"])
def test_the_rules_make_the_frozen_verdicts_and_the_frozen_plan(number: str) -> None:
    plan = Plan(ADA)
    for line in golden(f"{PLANS}/history{number}.jsonl").splitlines():
        row = json.loads(line)
        author, received = row["author"], row["received"]
        posted = row["posted"].encode()
        event = Event.from_canonical(posted, author=author, via="", issuer="", received=received)
        verdict = decide(plan, event)
        assert (row["verdict"] == "accepted") is isinstance(verdict, Accepted)
        if isinstance(verdict, Accepted):
            evolve(plan, event)
        else:
            assert verdict.code == row["verdict"]
    assert dump(plan) == golden(f"{PLANS}/plan{number}.json")


def test_the_second_history_has_what_rules_2_refuse() -> None:
    rows = [json.loads(line) for line in golden(f"{PLANS}/history-2.jsonl").splitlines()]
    refused = Counter(
        (json.loads(row["posted"])["type"], row["verdict"])
        for row in rows
        if row["verdict"] not in ("accepted", "unknown-target")
    )
    assert refused == {
        ("proposal.accepted", "not-yours-to-say"): 3,
        ("disagreement.stated", "no-grant"): 5,
        ("disagreement.stated", "too-many"): 2,
    }


def test_the_stored_plan_opens_and_is_bound_to_its_place() -> None:
    stored, bytes_of = golden(f"{PLANS}/stored.jwe"), golden(f"{PLANS}/plan.json")
    assert opened(f"{PLANS}/stored.jwe", "person") == bytes_of
    header, _ = decrypt(stored, {PERSON.kid: PERSON}.get)
    row: Any = {**header, "plan": stored}
    plan = open_plan(vault(), cast(RowMapping, row))
    assert plan == load(bytes_of)
    sequence = cast(int, header["sequence"])
    today = encrypt_plan(PERSON, PersonState(plan, sequence))
    assert today.split(b".")[0] == stored.split(b".")[0]


def test_every_key_of_the_golden_files_is_one_that_anybody_can_read_here() -> None:
    assert {Key(bytes.fromhex(told["key"])).kid for told in KEYS.values()} == {
        told["kid"] for told in KEYS.values()
    }
    assert canonical({}) == b"{}"
