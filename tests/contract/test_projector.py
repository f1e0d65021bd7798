"""The projector: whatever came however often, one entry and one verdict, in order."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.ledger.config import signers
from services.ledger.fold import unwrap_keys
from services.ledger.log import entry
from services.ledger.log.merkle import leaf_hash
from services.ledger.log.proofs import Proof, verify_inclusion
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.plan.decide import RULES
from services.ledger.vault import Vault
from shared.crypto.jwe import b64url, from_b64url
from shared.events.event import Event, partition_of
from tests.contract.ledgers import Ledger, kid_of, waited_for
from tests.given import (
    ADA,
    EVE,
    Voice,
    about,
    ada,
    again,
    eve,
    sam,
    shoes,
    tom,
    under_the_id_of,
)
from tests.postgres import Database

STATED = ada.states()
STARTED = ada.starts()


def receipt(ledger: Ledger, waiter: str, partition: int = 0) -> tuple[int, dict[str, Any]]:
    """Status and receipt that a waiting request hears."""
    told = ledger.inbox().receipt(partition, waiter, 1)
    assert told is not None
    status, body = told.split(b"\n", 1)
    return int(status), orjson.loads(body)


def test_events_become_entries_in_order(ledger: Ledger) -> None:
    told = [STARTED, STATED, eve.starts(), sam.rewords("Lose weight."), ada.rewords("Swim.")]
    told[2] = about(EVE, told[2])
    ledger.post(*told)
    assert ledger.drain() == 5
    rows = ledger.rows()
    assert [row["id"] for row in rows] == [each.id for each in told]
    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["sequence"] for row in rows] == [1, 2, 1, None, 3]
    assert [row["planversion"] for row in rows] == [1, 2, 1, None, 3]
    assert ledger.verdicts() == ["accepted"] * 3 + ["not-yours-to-say", "accepted"]
    assert ledger.waiting() == 0
    assert not ledger.replay().findings


def test_what_rests_is_unreadable_without_keys(ledger: Ledger) -> None:
    ledger.post(STARTED, STATED, sam.rewords("Lose weight."))
    resting = ledger.inbox().redis.xrange("firsthand:{p0}:inbox")
    ledger.drain()
    stored = [ledger.table(name) for name in ("entries", "plans", "people", "heads", "keys")]
    for words in ("walk to the sea", "Lose weight", "aspiration"):
        assert words not in repr(resting)
        assert words not in repr(stored)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "across batches"])
def test_the_same_bytes_fifty_times_are_one_entry(ledger: Ledger, together: bool) -> None:
    projector = ledger.projector()
    ledger.post(STARTED)
    for number in range(50):
        ledger.post(waited_for(STATED, f"w{number}"))
        if not together and number % 5 == 0:
            ledger.drain(projector)
    ledger.drain(projector)
    assert ledger.ids(ADA) == [STARTED.id, STATED.id]
    told = [receipt(ledger, f"w{number}") for number in range(50)]
    assert [status for status, _ in told] == [201] + [200] * 49
    for name in ("entry", "digest", "salt", "index", "sequence"):
        assert len({repr(each[name]) for _, each in told}) == 1, name


def test_a_repeat_is_known_after_the_key_changed(on_valkey: Ledger) -> None:
    """Before a plan is started, the envelope key seals; afterwards the person's own."""
    early = [waited_for(STATED, "early"), sam.rewords("Lose weight."), ada.observes()]
    on_valkey.post(*early)
    on_valkey.drain()
    on_valkey.post(STARTED)
    on_valkey.drain()
    on_valkey.post(waited_for(STATED, "late"), *early[1:])
    on_valkey.drain()
    assert on_valkey.verdicts() == ["no-such-plan", "not-yours-to-say", "no-such-plan", "accepted"]
    assert receipt(on_valkey, "early")[1]["entry"] == receipt(on_valkey, "late")[1]["entry"]
    assert receipt(on_valkey, "late")[0] == 409
    assert not on_valkey.replay().findings


def test_in_one_batch_too(on_valkey: Ledger) -> None:
    on_valkey.post(STATED, STARTED, STATED, STARTED, STATED)
    assert on_valkey.drain() == 5
    assert on_valkey.verdicts() == ["no-such-plan", "accepted"]
    assert not on_valkey.replay().findings


def test_an_id_with_other_words_is_refused(on_valkey: Ledger) -> None:
    other = under_the_id_of(STATED, ada.states("I want to fly."))
    for batch in ([STARTED, STATED, other], [other, STATED], [again(other)]):
        on_valkey.post(*batch)
        on_valkey.drain()
    assert on_valkey.verdicts() == ["accepted", "accepted", "id-reused", "exists"]
    assert on_valkey.rows()[2]["sequence"] == 3
    assert not on_valkey.replay().findings


def test_an_id_of_anothers_plan_is_refused_and_replayed_alone(on_valkey: Ledger) -> None:
    """One author, one id, two people: an event is named by author and id."""
    told = [STARTED, about(EVE, eve.starts()), ada.grants("partner:sam", "observe")]
    eves = about(EVE, eve.grants("partner:sam", "observe"))
    seen = sam.observes()
    on_valkey.post(*told, eves, seen, about(EVE, seen))
    on_valkey.drain()
    assert on_valkey.verdicts() == ["accepted"] * 5 + ["id-reused"]
    assert not on_valkey.replay().findings
    assert not on_valkey.replay(EVE).findings
    assert not on_valkey.replay(ADA).findings


def test_anothers_event_may_not_take_an_id_of_the_plan(on_valkey: Ledger) -> None:
    granted = ada.grants("partner:sam", "observe")
    on_valkey.post(STARTED, STATED, granted, under_the_id_of(STATED, sam.observes()))
    on_valkey.drain()
    assert on_valkey.verdicts()[-1] == "id-reused"
    assert not on_valkey.replay().findings


def test_who_has_no_standing_leaves_no_trace_in_the_order(on_valkey: Ledger) -> None:
    """No sequence, no words, and a key's name that does not tell whether there is a plan."""
    attempts: list[Callable[[], Event]] = [
        lambda: sam.rewords("Lose weight."),
        lambda: tom.observes("Fell."),
        lambda: eve.rewords("Nothing."),
        lambda: shoes.states("More shoes."),
    ]
    before = [each() for each in attempts]
    on_valkey.post(*before)
    on_valkey.drain()
    on_valkey.post(STARTED, STATED, *(again(each) for each in before))
    on_valkey.drain()
    rows = on_valkey.rows()
    assert {(row["sequence"], row["planversion"]) for row in rows if row["refusal"]} == {
        (None, None)
    }
    kids = {name: {kid_of(row) for row in rows if row["verdict"] == name} for name in _BOTH}
    assert len(kids["refused"]) == len(kids["accepted"]) == 1
    assert kids["refused"] != kids["accepted"]
    assert on_valkey.verdicts()[:4] == on_valkey.verdicts()[6:]
    assert b"Lose weight" not in _opened(on_valkey)


_BOTH = ("accepted", "refused")


def _opened(ledger: Ledger) -> bytes:
    """Everything sealed in the entries, opened with every key there is."""
    vault = Vault.from_folder(ledger.settings.key_folder)
    with ledger.as_services(write=False) as connection:
        unwrap_keys(connection, vault, [ADA])
    found = (entry.parse(row["leaf"]).open(vault.find(ADA)) for row in ledger.rows())
    return b"".join(each.canonical for each in found)


def test_a_refusal_of_one_with_standing_has_its_place(on_valkey: Ledger) -> None:
    on_valkey.post(STARTED, ada.rewords("Nothing there.", "missing"), STATED)
    on_valkey.drain()
    assert [row["sequence"] for row in on_valkey.rows()] == [1, 2, 3]
    assert [row["planversion"] for row in on_valkey.rows()] == [1, 1, 2]
    assert b"Nothing there." in _opened(on_valkey)


def test_a_receipt_can_be_checked_by_its_author(ledger: Ledger) -> None:
    ledger.post(STARTED, waited_for(STATED, "w"), waited_for(sam.rewords("No."), "s"))
    ledger.drain()
    vkey = signers(ledger.settings)[0].vkey
    for waiter, said, status in (("w", STATED, 201), ("s", sam.rewords("No."), 403)):
        told_status, told = receipt(ledger, waiter)
        salt = from_b64url(told["salt"].encode())
        digest = b64url(sha256(salt + said.canonical).digest()).decode()
        assert (told_status, told["digest"]) == (status, digest)
        assert orjson.loads(told["entry"])["digest"] == digest
        proof = Proof.parse(told["proof"])
        size, root = read_checkpoint(proof.checkpoint, vkey)
        assert (proof.index, size) == (told["index"], 3)
        verify_inclusion(leaf_hash(told["entry"].encode()), proof.index, size, proof.path, root)
        assert root == ledger.table("heads")[0]["root"]


def test_what_was_committed_is_published(on_valkey: Ledger) -> None:
    on_valkey.post(STARTED, STATED)
    on_valkey.drain()
    (head,) = on_valkey.table("heads")
    published = on_valkey.inbox().peek(0, 1).published
    assert published is not None
    assert published.decode() == head["checkpoint"]
    assert (head["size"], head["rules"]) == (2, RULES)


def forged(sealed: bytes) -> bytes:
    """The same under a known key's name, with another text."""
    return sealed[:-30] + b64url(bytes(22))[:30]


def kid_changed(sealed: bytes, kid: str) -> bytes:
    """The same under a name that no key can have."""
    header, rest = sealed.split(b".", 1)
    members = orjson.loads(from_b64url(header)) | {"kid": kid}
    return b64url(orjson.dumps(members)) + b"." + rest


@pytest.mark.parametrize(
    "what", ["garbage", "foreign field", "forged", "receipt", "moved", "odd kid"]
)
def test_what_does_not_open_is_kept_aside(
    on_valkey: Ledger, what: str, request: pytest.FixtureRequest
) -> None:
    ledger = on_valkey
    inbox = ledger.inbox()
    sealed = {
        "garbage": b"\xff\x00garbage",
        "forged": forged(inbox.transit.encrypt(0, STATED.message(), "event")),
        "odd kid": kid_changed(inbox.transit.encrypt(0, STATED.message(), "event"), "mine"),
        "receipt": inbox.transit.encrypt(0, STATED.message(), "receipt"),
        "moved": inbox.transit.encrypt(1, STATED.message(), "event"),
    }.get(what, b"")
    ledger.post(STARTED)
    field = "note" if what == "foreign field" else "e"
    inbox.redis.xadd("firsthand:{p0}:inbox", {field: sealed or b"who knows"})
    ledger.post(ada.writes("Food", "Fish"))
    assert ledger.drain() == 3
    assert ledger.verdicts() == ["accepted", "accepted"], request.node.name
    ((row),) = ledger.table("unreadable")
    assert (sealed or b"who knows") in row["message"]
    assert (row["log"], bool(row["reason"]), bool(row["seen"])) == (0, True, True)
    assert ledger.waiting() == 0
    assert not ledger.replay().findings


def test_an_unreadable_message_alone_is_kept_too(on_valkey: Ledger) -> None:
    on_valkey.inbox().redis.xadd("firsthand:{p0}:inbox", {"e": "x"})
    assert on_valkey.drain() == 1
    assert len(on_valkey.table("unreadable")) == 1
    assert on_valkey.rows() == []


def test_people_of_several_partitions(tmp_path: Path, database: Database, valkey_url: str) -> None:
    ledger = Ledger(tmp_path, database, valkey_url, partitions=3)
    people = [f"person:p{number}" for number in range(12)]
    for who in people:
        voice = Voice(who)
        ledger.post(about(who, voice.starts()), about(who, voice.states()), about(who, STATED))
    assert ledger.drain() == 36
    for row in ledger.rows():
        assert row["log"] == partition_of(row["subject"], 3)
    assert {row["log"] for row in ledger.rows()} == {0, 1, 2}
    assert not ledger.replay().findings
    ledger.close()
