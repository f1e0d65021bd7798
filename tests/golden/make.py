"""Regenerate golden files: `python -m tests.golden.make`. Each folder's README describes them.

Keys, nonces and seeds are fixed and public: they protect nothing. The output must equal the files
in the repository, byte for byte. A difference is a new format and needs a new format version.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from joserfc import jwt
from joserfc.jwk import OKPKey

from services.ledger.log import entry
from services.ledger.log.entry import (
    StreamPosition,
    VerdictRecord,
    digest_of,
    salt_of,
    without_words,
)
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.signed_note import Signer
from services.ledger.plan.decide import RULES, Accepted, Refusal, Verdict, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump
from services.ledger.vault import Vault
from shared.auth.issuers import ROLES
from shared.crypto.jwe import Key, b64url, encrypt
from shared.events.catalogue import VERSION
from shared.events.event import Event, Json, canonical, timestamp
from shared.events.refusals import Code

HERE = Path(__file__).parent
ADA = "person:ada"
BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)
NONCE = bytes(range(12))
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PERSON, LEDGER, TRANSIT, KEK = (Key(bytes(range(at, at + 32))) for at in (0, 32, 64, 96))
CHECKPOINT_SEED, TOKEN_SEED = bytes(range(128, 160)), bytes(range(160, 192))
ORIGIN = "golden.example/firsthand/0"
ISSUED = 1_772_452_800  # 2026-03-02T12:00:00Z
SIZES = (*range(9), 255, 256, 257)
RECORDED = "2026-03-02T13:00:00.000Z"
# One entry of each sort: file, number in the history, position in Ada's stream, plan version.
ENTRIES: dict[str, tuple[int, StreamPosition | None]] = {
    "accepted": (5, StreamPosition(3, 2)),
    "own-refusal": (7, StreamPosition(5, 3)),
    "no-standing": (9, None),
    "before-a-plan": (2, None),
}


def vault() -> Vault:
    """Return a vault with the golden keys."""
    golden = Vault(KEK.raw)
    golden.remember("ledger", LEDGER)
    golden.remember(ADA, PERSON)
    return golden


def name(number: int) -> str:
    """Return the id of an event by its number in the history."""
    return f"00000000-0000-4000-8000-{number:012d}"


def events(story: str = "story.jsonl") -> Iterator[Event]:
    """Yield a golden history's events, as the ledger sees them."""
    for number, line in enumerate((HERE / story).read_text().splitlines(), 1):
        row = json.loads(line)
        posted = {"specversion": "1.0", "id": name(number), "source": "/golden", "subject": ADA}
        yield Event.from_canonical(
            canonical(posted | {"type": row["type"], "data": row["data"]} | row.get("more", {})),
            author=row["author"],
            via="service:notebook",
            issuer="golden",
            received=timestamp(BEGAN + timedelta(minutes=row["minute"])),
        )


def replay(history: Iterable[Event]) -> tuple[Plan, list[Verdict]]:
    """Return the plan and the verdicts of a history."""
    plan, verdicts = Plan(ADA), []
    for event in history:
        verdicts.append(decide(plan, event))
        if isinstance(verdicts[-1], Accepted):
            evolve(plan, event)
    return plan, verdicts


def code_of(verdict: Verdict) -> Code | None:
    """Return a refusal's code; None for an acceptance."""
    return verdict.code if isinstance(verdict, Refusal) else None


def lines(rows: Iterable[Json]) -> bytes:
    """Return JSON lines."""
    return b"".join(canonical(row) + b"\n" for row in rows)


def pretty(value: Any) -> bytes:
    """Return indented JSON."""
    return json.dumps(value, indent=2).encode() + b"\n"


def message(version: int) -> str:
    """Return the path of the message encrypted under that version of the catalogue."""
    return "seal/message.jwe" if version == 1 else f"seal/message-{version}.jwe"


def events_and_seals() -> Iterator[tuple[str, bytes]]:
    """Yield a canonical event, its message, and the message as encrypted in the queue."""
    event = list(events())[4]
    yield "event/canonical.json", event.canonical
    yield "event/message.txt", event.message()
    yield "event/message-traced.txt", event._replace(traceparent=TRACEPARENT).message()
    for version in range(1, VERSION + 1):
        bound = {"partition": 0, "catalogue": version, "use": "event"}
        yield message(version), encrypt(TRANSIT, event.message(), bound, nonce=NONCE)
    yield "seal/words.jwe", encrypt(PERSON, b"mine", {"subject": ADA}, nonce=NONCE)
    keys = {"person": PERSON, "ledger": LEDGER, "transit": TRANSIT, "kek": KEK}
    keys["envelope"] = vault().envelope(ADA)
    described = {label: {"key": key.raw.hex(), "kid": key.kid} for label, key in keys.items()}
    described["person"]["wrapped"] = aes_key_wrap(KEK.raw, PERSON.raw).hex()
    yield "seal/keys.json", pretty(described | {"nonce": NONCE.hex()})


def entries() -> Iterator[tuple[str, bytes]]:
    """Yield one entry of each sort, and the input of their digests."""
    history, (_, verdicts) = list(events()), replay(events())
    digests = {}
    for sort, (number, standing) in ENTRIES.items():
        event, code = history[number - 1], code_of(verdicts[number - 1])
        key = PERSON if standing else vault().envelope(ADA)
        ruling = VerdictRecord(RULES, RECORDED, code)
        row = entry.write(event, ruling, key=key, position=standing, nonce=NONCE)
        yield f"entry/{sort}.json", row["leaf"]
        salt = salt_of(key, event.author, event.id)
        sealed = event.canonical if standing else without_words(event.canonical)
        digests[sort] = {
            "key": key.raw.hex(),
            "author": event.author,
            "id": event.id,
            "posted": event.canonical.decode(),
            "sealed": sealed.decode(),
            "salt": b64url(salt).decode(),
            "digest": digest_of(salt, event.canonical),
            "leaf_hash": leaf_hash(row["leaf"]).hex(),
        }
    yield "entry/digests.json", pretty(digests)


def trees() -> Iterator[tuple[str, bytes]]:
    """Yield frontier and root at each size, and the checkpoint of the last."""
    rows, tree = [], Frontier()
    for size in range(SIZES[-1] + 1):
        if size in SIZES:
            row = {"frontier": tree.to_bytes().hex(), "root": tree.root().hex()}
            rows.append({"size": size} | row)
        tree.append(leaf_hash(b"entry %d" % size))
    yield "tree/heads.jsonl", lines(rows)
    signer, root = Signer(ORIGIN, CHECKPOINT_SEED), bytes.fromhex(str(rows[-1]["root"]))
    yield "checkpoint/checkpoint.txt", signer.checkpoint(SIZES[-1], root).encode()
    yield "checkpoint/log.vkey", signer.vkey.encode() + b"\n"
    yield "checkpoint/log.skey", signer.skey.encode() + b"\n"


def plans() -> Iterator[tuple[str, bytes]]:
    """Yield each history with its verdicts and plan; the first plan also as it is stored."""
    for number in ("", "-2"):
        yield from history_and_plan(f"story{number}.jsonl", number)
    plan, _ = replay(events())
    bound = {"subject": ADA, "sequence": len(plan.entries), "rules": RULES}
    yield f"plan/rules-{RULES}/stored.jwe", encrypt(PERSON, dump(plan), bound, nonce=NONCE)


def history_and_plan(story: str, number: str) -> Iterator[tuple[str, bytes]]:
    """Yield a history with its verdicts, and the plan's bytes."""
    history, (plan, verdicts) = list(events(story)), replay(events(story))
    rows = [
        {
            "author": event.author,
            "received": event.received,
            "posted": event.canonical.decode(),
            "verdict": code_of(verdict) or "accepted",
        }
        for event, verdict in zip(history, verdicts, strict=True)
    ]
    yield f"plan/rules-{RULES}/history{number}.jsonl", lines(rows)
    yield f"plan/rules-{RULES}/plan{number}.json", dump(plan)


def tokens() -> Iterator[tuple[str, bytes]]:
    """Yield one token for each role, and the key set that verifies them."""
    public = Ed25519PrivateKey.from_private_bytes(TOKEN_SEED).public_key().public_bytes_raw()
    key = OKPKey.import_key(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "d": b64url(TOKEN_SEED).decode(),
            "x": b64url(public).decode(),
            "alg": "Ed25519",
            "use": "sig",
            "kid": "golden",
        }
    )
    yield "token/tokens.jwks", pretty({"keys": [key.as_dict(private=False)]})
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": "golden"}
    for role in ROLES:
        claims = {
            "iss": "urn:firsthand:golden",
            "aud": "firsthand",
            "sub": f"{role}:ada",
            "iat": ISSUED,
            "exp": ISSUED + 3600,
            "jti": f"golden-{role}",
            "client_id": "service:notebook",
            "scope": "read write share",
            "roles": [role],
        }
        yield f"token/{role}.jwt", jwt.encode(header, claims, key, ["Ed25519"]).encode()


def made() -> dict[str, bytes]:
    """Return every golden file by its path below this folder."""
    parts = (events_and_seals, entries, trees, plans, tokens)
    return {path: content for part in parts for path, content in part()}


if __name__ == "__main__":
    for path, content in made().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_bytes(content)
