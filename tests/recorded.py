"""Made-up histories as ledger entries, without a store."""

from collections.abc import Iterator, Sequence

from services.ledger.log import entry
from services.ledger.log.entry import StreamPosition, VerdictRecord
from services.ledger.plan.decide import RULES, Accepted, Refusal
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan
from services.ledger.queries.entry_replay import EntryReplay, ReplayedEntry
from services.ledger.vault import LEDGER, Vault
from shared.crypto.jwe import Key
from shared.events.event import Json
from tests.histories import Step
from tests.voices import ADA

RECORDED = "2026-03-03T12:00:00.000Z"


def vault() -> Vault:
    """Return a vault with Ada's key and the ledger's."""
    opened = Vault(bytes(32))
    opened.remember(ADA, Key(bytes(range(32))))
    opened.remember(LEDGER, Key(bytes(32)))
    return opened


def rows(opened: Vault, steps: Sequence[Step]) -> Iterator[Json]:
    """Yield the rows of a history, as the store has them."""
    plan, sequence = Plan(ADA), 0
    key = opened.person(ADA)
    assert key is not None
    for index, (event, verdict) in enumerate(steps):
        code = verdict.code if isinstance(verdict, Refusal) else None
        if isinstance(verdict, Accepted):
            evolve(plan, event)
        in_stream = plan.state == "started" and (code is None or code.standing)
        sequence += in_stream
        ruling = VerdictRecord(RULES, RECORDED, code, verdict.represented)
        sealed_by = key if in_stream else opened.envelope(ADA)
        standing = StreamPosition(sequence, plan.version) if in_stream else None
        yield {"index": index, **entry.write(event, ruling, key=sealed_by, position=standing)}


def walked(opened: Vault, plan: Plan, steps: Sequence[Step], after: int = 0) -> list[ReplayedEntry]:
    """Replay entries on a plan, beginning after so many entries of a history."""
    recorded = list(rows(opened, steps))
    last = max((row["sequence"] or 0 for row in recorded[:after]), default=0)
    walk = EntryReplay(opened, plan, last)
    return [walk.apply(row["index"], row["leaf"]) for row in recorded[after:]]
