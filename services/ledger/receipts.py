r"""Receipts: the response to the author of an event, accepted or refused.

JSON members: `id`, `author`, `subject`, `verdict`, `refusal`? and `because`?, `log`, `index`,
`sequence`?, `planversion`?, `onbehalfof`?, `warnings`?, `received`, `recorded`, `rules`,
`digest`, `salt` (base64url; for the author only), `entry` (the entry's exact bytes, as text) and
`proof`: a .tlog-proof (C2SP tlog-proof) of that entry in a published checkpoint. An event's
**outcome** has the same members without `proof`.

With the log's vkey one verifies offline that `proof` leads from `entry` to its signed root. With
the event, one verifies that `entry` contains BASE64URL(SHA-256(salt || canonical event)) as its
`digest`. verify.py does both (docs/how-to/check-a-receipt.md).

The reply to a waiting request is `<HTTP status>\n<receipt>`: 201 accepted, 200 a duplicate of an
accepted one, 403 or 409 refused.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.log.proofs import Proof
from services.ledger.vault import Vault
from shared.crypto.jwe import b64url
from shared.errors import DecryptionError
from shared.events.refusals import REASONS, WARNINGS, Code


@dataclass(frozen=True, slots=True)
class LocatedEntry:
    """An entry with its log and index."""

    log: int
    index: int
    entry: Entry

    def salt(self, vault: Vault) -> bytes:
        """Return the salt of the entry's digest, derived from the key that encrypted it."""
        key = vault.find(self.entry.subject)(self.entry.kid)
        if key is None:
            raise DecryptionError(f"no key {self.entry.kid} for entry {self.index}")
        return entry.salt_of(key, self.entry.author, self.entry.id)


def outcome(recorded: LocatedEntry, vault: Vault) -> dict[str, Any]:
    """Return the members of an event's receipt without the proof."""
    recorded_entry = recorded.entry
    members: dict[str, Any] = {
        "id": recorded_entry.id,
        "author": recorded_entry.author,
        "subject": recorded_entry.subject,
        "verdict": recorded_entry.verdict,
        "log": recorded.log,
        "index": recorded.index,
        "received": recorded_entry.received,
        "recorded": recorded_entry.recorded,
        "rules": recorded_entry.rules,
        "digest": recorded_entry.digest,
        "salt": b64url(recorded.salt(vault)).decode(),
        "entry": recorded_entry.leaf.decode(),
    }
    if recorded_entry.refusal is not None:
        members |= {
            "refusal": recorded_entry.refusal,
            "because": REASONS[Code(recorded_entry.refusal)],
        }
    if recorded_entry.onbehalfof is not None:
        members["onbehalfof"] = recorded_entry.onbehalfof
    if recorded_entry.warnings:
        members["warnings"] = [
            {"code": code, "because": WARNINGS[code]} for code in recorded_entry.warnings
        ]
    if recorded_entry.sequence is not None:
        members |= {"sequence": recorded_entry.sequence, "planversion": recorded_entry.planversion}
    return members


def receipt(recorded: LocatedEntry, vault: Vault, proof: Proof) -> dict[str, Any]:
    """Return the members of an event's receipt."""
    return outcome(recorded, vault) | {"proof": proof.text()}


def encode_reply(recorded: LocatedEntry, vault: Vault, proof: Proof, *, repeat: bool) -> bytes:
    """Return the status and receipt for a waiting request."""
    refusal = recorded.entry.refusal
    status = Code(refusal).http_status if refusal else 200 if repeat else 201
    return b"%d\n%b" % (status, orjson.dumps(receipt(recorded, vault, proof)))
