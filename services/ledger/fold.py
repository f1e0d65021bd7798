"""Fold a person's entries to their plan: stored plan, then the entries past it; else every entry.

When a plan is stored, and when a snapshot of it is kept, depends on how much was posted since: what
is written for one person stays in proportion to what came about them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from services.ledger.log import entry
from services.ledger.plan.decide import RULES
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, load
from services.ledger.store import reads
from services.ledger.store.database import Connection, Row, StoreError
from services.ledger.vault import HOLD, LEDGER, KeyUnwrapError, Vault
from shared.crypto.jwe import Key, decrypt, encrypt
from shared.errors import DecryptionError
from shared.log_setup import describe_error

log_line = structlog.get_logger()
STORE_EVERY = 16  # entries of one person, and more for longer plans: so many a reader folds
SNAPSHOT_BYTES = 16 * 1024  # of accepted events between two snapshots, and more for longer plans
SNAPSHOT_ENTRIES = 4_096  # of one person: of refusals, too, a reader passes no more than these


@dataclass(slots=True)
class PersonState:
    """A person's plan, and where their stream stands.

    `stored` is the sequence at which the plan was last stored, `unstored` how many bytes of entries
    came since.
    """

    plan: Plan
    sequence: int = 0
    stored: int = 0
    unstored: int = 0


def is_store_due(person: PersonState) -> bool:
    """Whether a person's plan is to be stored again: after some entries, and not before a 64th of
    its bytes came, so that small events do not write a long plan again and again.
    """
    entries = max(STORE_EVERY, len(person.plan.entries) // 64)
    enough = person.unstored >= person.plan.accepted_bytes // 64
    return person.sequence - person.stored >= entries and enough


def is_snapshot_due(before: int, person: PersonState) -> bool:
    """Whether a snapshot is kept after an entry, before which the plan had accepted `before` bytes:
    at every 16 KiB, or at every eighth of the power of two below what the plan has accepted.
    """
    after = person.plan.accepted_bytes
    step = max(SNAPSHOT_BYTES, (1 << max(after.bit_length() - 1, 0)) >> 3)
    return after // step > before // step or person.sequence % SNAPSHOT_ENTRIES == 0


def unwrap_each(
    connection: Connection, vault: Vault, subjects: Iterable[str]
) -> dict[str, KeyUnwrapError]:
    """Bring people's keys, and the ledger's own, into the vault's memory; why, where one is wrong.

    VaultClosed if the ledger's own is: then nobody can be judged.
    """
    wanted = {*subjects} if vault.is_open else {LEDGER, HOLD, *subjects}
    failed: dict[str, KeyUnwrapError] = {}
    for row in reads.keys_of(connection, wanted) if wanted else ():
        try:
            vault.remember(row["subject"], vault.unwrap(row["kid"], row["wrapped"]))
        except KeyUnwrapError as fault:
            if row["subject"] == LEDGER:
                raise
            failed[row["subject"]] = fault
    return failed


def unwrap_keys(connection: Connection, vault: Vault, subjects: Iterable[str]) -> None:
    """The same; VaultClosed if any of them is wrong."""
    for fault in unwrap_each(connection, vault, subjects).values():
        raise fault


def load_states(
    connection: Connection, vault: Vault, log: int, subjects: Collection[str]
) -> dict[str, PersonState]:
    """People as the store has them now: the stored plan, if it opens and is of these rules, and
    the entries past it; else every entry. Their keys must be in the vault's memory.
    """
    found, failed = fold_each(connection, vault, log, subjects)
    for fault in failed.values():
        raise fault
    return found


def fold_each(
    connection: Connection, vault: Vault, log: int, subjects: Collection[str]
) -> tuple[dict[str, PersonState], dict[str, Exception]]:
    """The same, and why, of those who cannot be folded."""
    found = {subject: PersonState(Plan(subject)) for subject in subjects}
    failed: dict[str, Exception] = {}
    for row in reads.plans_of(connection, subjects):
        if (plan := usable_plan(vault, row)) is not None:
            subject, sequence = row["subject"], row["sequence"]
            found[subject] = PersonState(plan, sequence, sequence)
    new = [subject for subject, person in found.items() if person.sequence == 0]
    for row in reads.entries_of_many(connection, log, new) if new else ():
        _fold_on(vault, found, failed, row["subject"], row)
    for subject in found.keys() - new:
        after = found[subject].sequence
        for row in reads.entries_in_sequence(connection, log, subject, after=after):
            _fold_on(vault, found, failed, subject, row)
    return found, failed


def _fold_on(
    vault: Vault,
    found: dict[str, PersonState],
    failed: dict[str, Exception],
    subject: str,
    row: Row,
) -> None:
    """Take a person past an entry, unless they failed; whatever fails is of theirs alone."""
    if subject in failed:
        return
    try:
        apply_entry(vault, found[subject], entry.parse(row["leaf"]))
    except (StoreError, MemoryError):
        raise
    except Exception as fault:  # noqa: BLE001 - damage, or a fault of ours: it stays one person's
        failed[subject] = fault
        del found[subject]


def usable_plan(vault: Vault, row: Row) -> Plan | None:
    """The plan of a row of `plans` or `snapshots`, or None: these are derived, so whatever is
    wrong with one, the entries say what it must be, and the next one is right again.
    """
    if row["rules"] != RULES:
        return None
    try:
        return open_plan(vault, row)
    except (DecryptionError, ValueError, KeyError, TypeError) as fault:
        log_line.warning("stored plan", subject=row["subject"], why=describe_error(fault))
        return None


def load_state(connection: Connection, vault: Vault, log: int, subject: str) -> PersonState:
    """One person, as `fold`."""
    return load_states(connection, vault, log, [subject])[subject]


def apply_entry(vault: Vault, person: PersonState, each: entry.Entry) -> None:
    """Move a person past the next entry of their stream; SealBroken if it is not the next, or its
    clear fields are not what folding gives: by changing these, nobody can change the plan.
    """
    if each.sequence != person.sequence + 1:
        raise DecryptionError(
            f"{each.subject}: {each.sequence} follows {person.sequence}; run 'firsthand audit'"
        )
    if each.verdict != (entry.ACCEPTED if each.refusal is None else entry.REFUSED):
        raise DecryptionError(
            f"{each.subject}: {each.sequence} has no verdict; run 'firsthand audit'"
        )
    if each.verdict == entry.ACCEPTED:
        evolve(person.plan, each.open(vault.find(each.subject)))
    if each.planversion != person.plan.version:
        raise DecryptionError(
            f"{each.subject}: {each.sequence} says plan version {each.planversion}, folding gives "
            f"{person.plan.version}; run 'firsthand audit'"
        )
    person.sequence = each.sequence
    person.unstored += len(each.leaf)


def encrypt_plan(key: Key, person: PersonState) -> bytes:
    """A plan as it is stored: its bytes, sealed, bound to person and sequence."""
    bound = {"subject": person.plan.subject, "sequence": person.sequence, "rules": RULES}
    return encrypt(key, dump(person.plan), bound)


def open_plan(vault: Vault, row: Row) -> Plan:
    """The plan of a row of `plans` or `snapshots`; SealBroken if it is not what it says."""
    return load(plan_bytes(vault, row))


def plan_bytes(vault: Vault, row: Row) -> bytes:
    """The same, as its bytes."""
    header, stored = decrypt(row["plan"], vault.find(row["subject"]))
    for name in ("subject", "sequence", "rules"):
        if header.get(name) != row[name]:
            raise DecryptionError(f"a stored plan of another {name}")
    return stored


def plan_row(log: int, key: Key, person: PersonState) -> dict[str, Any]:
    """The row that stores a person's plan."""
    return {
        "subject": person.plan.subject,
        "log": log,
        "sequence": person.sequence,
        "planversion": person.plan.version,
        "rules": RULES,
        "plan": encrypt_plan(key, person),
    }
