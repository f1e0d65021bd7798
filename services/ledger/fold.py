"""Fold of a person's entries to their plan: from the stored plan, or from the first entry.

When a plan is stored, and when a snapshot of it, depends on how much was posted since. The bytes
written for a person therefore stay in proportion to the bytes posted.
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
STORE_EVERY = 16  # entries of one person that a reader may have to fold; more for longer plans
SNAPSHOT_BYTES = 16 * 1024  # of accepted events between two snapshots, and more for longer plans
SNAPSHOT_ENTRIES = 4_096  # of one person, refusals included, that a reader may have to fold


@dataclass(slots=True)
class PersonState:
    """A person's plan, and the position of their stream.

    `stored` is the sequence at which the plan was last stored, `unstored` the number of bytes of
    later entries.
    """

    plan: Plan
    sequence: int = 0
    stored: int = 0
    unstored: int = 0


def is_store_due(person: PersonState) -> bool:
    """Return whether a person's plan is to be stored again.

    It is after some entries, but not before a 64th of its bytes were added, so that small events do
    not rewrite a long plan again and again.
    """
    entries = max(STORE_EVERY, len(person.plan.entries) // 64)
    enough = person.unstored >= person.plan.accepted_bytes // 64
    return person.sequence - person.stored >= entries and enough


def is_snapshot_due(before: int, person: PersonState) -> bool:
    """Return whether a snapshot is due after an entry; the plan had `before` accepted bytes.

    Snapshots are due at every 16 KiB, or at every eighth of the power of two below the size.
    """
    after = person.plan.accepted_bytes
    step = max(SNAPSHOT_BYTES, (1 << max(after.bit_length() - 1, 0)) >> 3)
    return after // step > before // step or person.sequence % SNAPSHOT_ENTRIES == 0


def unwrap_each(
    connection: Connection, vault: Vault, subjects: Iterable[str]
) -> dict[str, KeyUnwrapError]:
    """Unwrap and cache the keys of people and the ledger; return the errors by subject.

    Raises KeyUnwrapError if the ledger key is wrong, since no event can be decided then.
    """
    missing = {*subjects} if vault.is_open else {LEDGER, HOLD, *subjects}
    failed: dict[str, KeyUnwrapError] = {}
    for row in reads.keys_of(connection, missing) if missing else ():
        try:
            vault.remember(row["subject"], vault.unwrap(row["kid"], row["wrapped"]))
        except KeyUnwrapError as fault:
            if row["subject"] == LEDGER:
                raise
            failed[row["subject"]] = fault
    return failed


def unwrap_keys(connection: Connection, vault: Vault, subjects: Iterable[str]) -> None:
    """Unwrap and cache the keys of people and the ledger; raise KeyUnwrapError if one is wrong."""
    for fault in unwrap_each(connection, vault, subjects).values():
        raise fault


def load_states(
    connection: Connection, vault: Vault, log: int, subjects: Collection[str]
) -> dict[str, PersonState]:
    """Return people as stored: the stored plan, if usable, and the entries past it.

    Without a usable plan all entries are folded. Their keys must be cached in the vault.
    """
    people, failed = fold_each(connection, vault, log, subjects)
    for fault in failed.values():
        raise fault
    return people


def fold_each(
    connection: Connection, vault: Vault, log: int, subjects: Collection[str]
) -> tuple[dict[str, PersonState], dict[str, Exception]]:
    """Fold people as `load_states` does; also return the errors of those that fail."""
    people = {subject: PersonState(Plan(subject)) for subject in subjects}
    failed: dict[str, Exception] = {}
    for row in reads.plans_of(connection, subjects):
        if (plan := usable_plan(vault, row)) is not None:
            subject, sequence = row["subject"], row["sequence"]
            people[subject] = PersonState(plan, sequence, sequence)
    new = [subject for subject, person in people.items() if person.sequence == 0]
    for row in reads.entries_of_many(connection, log, new) if new else ():
        _fold_on(vault, people, failed, row["subject"], row)
    for subject in people.keys() - new:
        after = people[subject].sequence
        for row in reads.entries_in_sequence(connection, log, subject, after=after):
            _fold_on(vault, people, failed, subject, row)
    return people, failed


def _fold_on(
    vault: Vault,
    people: dict[str, PersonState],
    failed: dict[str, Exception],
    subject: str,
    row: Row,
) -> None:
    """Apply an entry to a person, unless they failed; an error concerns that person only."""
    if subject in failed:
        return
    try:
        apply_entry(vault, people[subject], entry.parse(row["leaf"]))
    except (StoreError, MemoryError):
        raise
    except Exception as fault:  # noqa: BLE001 - damage or a bug, which must affect one person only
        failed[subject] = fault
        del people[subject]


def usable_plan(vault: Vault, row: Row) -> Plan | None:
    """Return the plan of a row of `plans` or `snapshots`, or None if it is unusable.

    These rows are derived: the plan can be folded from entries, and the next row is right again.
    """
    if row["rules"] != RULES:
        return None
    try:
        return open_plan(vault, row)
    except (DecryptionError, ValueError, KeyError, TypeError) as fault:
        log_line.warning("stored plan", subject=row["subject"], why=describe_error(fault))
        return None


def load_state(connection: Connection, vault: Vault, log: int, subject: str) -> PersonState:
    """Return one person as stored; see `load_states`."""
    return load_states(connection, vault, log, [subject])[subject]


def apply_entry(vault: Vault, person: PersonState, next_entry: entry.Entry) -> None:
    """Apply the next entry of a person's stream.

    Raises DecryptionError if it is not the next one, or its clear members differ from what folding
    yields: changing these must not change the plan.
    """
    if next_entry.sequence != person.sequence + 1:
        raise DecryptionError(
            f"{next_entry.subject}: {next_entry.sequence} follows {person.sequence}; "
            "run 'firsthand audit'"
        )
    if next_entry.verdict != (entry.ACCEPTED if next_entry.refusal is None else entry.REFUSED):
        raise DecryptionError(
            f"{next_entry.subject}: {next_entry.sequence} has no verdict; run 'firsthand audit'"
        )
    if next_entry.verdict == entry.ACCEPTED:
        evolve(person.plan, next_entry.open(vault.find(next_entry.subject)))
    if next_entry.planversion != person.plan.version:
        raise DecryptionError(
            f"{next_entry.subject}: {next_entry.sequence} has plan version "
            f"{next_entry.planversion}, folding yields {person.plan.version}; run 'firsthand audit'"
        )
    person.sequence = next_entry.sequence
    person.unstored += len(next_entry.leaf)


def encrypt_plan(key: Key, person: PersonState) -> bytes:
    """Encrypt a plan's bytes for the store, bound to person and sequence."""
    bound = {"subject": person.plan.subject, "sequence": person.sequence, "rules": RULES}
    return encrypt(key, dump(person.plan), bound)


def open_plan(vault: Vault, row: Row) -> Plan:
    """Decrypt the plan of a row of `plans` or `snapshots`; raise DecryptionError if it differs."""
    return load(plan_bytes(vault, row))


def plan_bytes(vault: Vault, row: Row) -> bytes:
    """Decrypt the bytes of a row's plan; raise DecryptionError if the row does not match it."""
    header, stored = decrypt(row["plan"], vault.find(row["subject"]))
    for name in ("subject", "sequence", "rules"):
        if header.get(name) != row[name]:
            raise DecryptionError(f"a stored plan of another {name}")
    return stored


def plan_row(log: int, key: Key, person: PersonState) -> dict[str, Any]:
    """Return the row that stores a person's plan."""
    return {
        "subject": person.plan.subject,
        "log": log,
        "sequence": person.sequence,
        "planversion": person.plan.version,
        "rules": RULES,
        "plan": encrypt_plan(key, person),
    }
