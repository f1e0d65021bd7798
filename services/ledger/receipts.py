r"""Receipts: what an author is told about an event of theirs, accepted or refused.

JSON members: `id`, `author`, `subject`, `verdict`, `refusal`? and `because`?, `log`, `index`,
`sequence`?, `planversion`?, `onbehalfof`?, `warnings`?, `received`, `recorded`, `rules`,
`digest`, `salt` (base64url; for the author alone), `entry` (the entry's exact bytes, as text) and
`proof`: a .tlog-proof (C2SP tlog-proof) of that entry in a published checkpoint. An event's
**fate** is the same without `proof`.

Whoever has the log's vkey checks offline that `proof` leads from `entry` to its signed root; and
with the event they kept, that digest = BASE64URL(SHA-256(salt || canonical event)) stands in
`entry`. verify.py does both (docs/how-to/check-a-receipt.md).

Sent to a waiting request as `<HTTP status>\n<receipt>`: 201 accepted, 200 a repeat of an
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
    """An entry and its place."""

    log: int
    index: int
    entry: Entry

    def salt(self, vault: Vault) -> bytes:
        """The salt of the entry's digest, by the key that sealed it."""
        key = vault.find(self.entry.subject)(self.entry.kid)
        if key is None:
            raise DecryptionError(f"no key {self.entry.kid} for entry {self.index}")
        return entry.salt_of(key, self.entry.author, self.entry.id)


def outcome(recorded: LocatedEntry, vault: Vault) -> dict[str, Any]:
    """What became of an event: the members of its receipt, but for the proof."""
    told = recorded.entry
    members: dict[str, Any] = {
        "id": told.id,
        "author": told.author,
        "subject": told.subject,
        "verdict": told.verdict,
        "log": recorded.log,
        "index": recorded.index,
        "received": told.received,
        "recorded": told.recorded,
        "rules": told.rules,
        "digest": told.digest,
        "salt": b64url(recorded.salt(vault)).decode(),
        "entry": told.leaf.decode(),
    }
    if told.refusal is not None:
        members |= {"refusal": told.refusal, "because": REASONS[Code(told.refusal)]}
    if told.onbehalfof is not None:
        members["onbehalfof"] = told.onbehalfof
    if told.warnings:
        members["warnings"] = [{"code": each, "because": WARNINGS[each]} for each in told.warnings]
    if told.sequence is not None:
        members |= {"sequence": told.sequence, "planversion": told.planversion}
    return members


def receipt(recorded: LocatedEntry, vault: Vault, proof: Proof) -> dict[str, Any]:
    """The receipt's members."""
    return outcome(recorded, vault) | {"proof": proof.text()}


def encode_reply(recorded: LocatedEntry, vault: Vault, proof: Proof, *, repeat: bool) -> bytes:
    """The status and receipt for a request that waits."""
    refusal = recorded.entry.refusal
    status = Code(refusal).http_status if refusal else 200 if repeat else 201
    return b"%d\n%b" % (status, orjson.dumps(receipt(recorded, vault, proof)))
