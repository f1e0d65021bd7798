"""People in memory: folded plans, from the store and back.

A cached plan is used only if its sequence equals the row read under the head lock, and was made
by the same rules; a batch that does not commit drops every plan it touched. Whatever is not
cached is folded again: stored plan, then the entries past it; without one, every entry.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from services.ledger.log import entry
from services.ledger.plan.changes import evolve
from services.ledger.plan.model import Plan, dump, load
from services.ledger.plan.rules import RULES
from services.ledger.store import reads
from services.ledger.store.engine import Connection, Row
from services.ledger.vault import LEDGER, Vault
from shared.logs import told
from shared.problems import SealBroken
from shared.seal import Key, seal, unseal

log_line = structlog.get_logger()
LIMIT = 20_000  # people kept in memory


@dataclass(slots=True)
class Person:
    """A person's plan, and where their stream stands.

    `stored` and `snapped` are the sequences at which the plan was last stored and last kept for
    the past.
    """

    plan: Plan
    sequence: int = 0
    stored: int = 0
    snapped: int = 0


class People:
    """The people of one ledger, as this process knows them."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._known: OrderedDict[str, Person] = OrderedDict()

    def open(self, connection: Connection, log: int, subjects: set[str]) -> dict[str, Person]:
        """These people, true to what the head lock shows. Loads their keys too."""
        rows = reads.people_of(connection, subjects)
        unwrap_keys(connection, self.vault, (s for s in subjects if self.vault.person(s) is None))
        stale = [each for each in subjects if not self._is_true(each, rows.get(each))]
        if stale:
            self._known.update(fold(connection, self.vault, log, stale))
        for subject in stale:
            if subject in rows and not self._is_true(subject, rows[subject]):
                raise SealBroken(f"{subject}: the entries end where the row of people does not")
        for subject in subjects:
            self._known.move_to_end(subject)
        return {subject: self._known[subject] for subject in subjects}

    def _is_true(self, subject: str, row: Row | None) -> bool:
        person = self._known.get(subject)
        return person is not None and person.sequence == (row["sequence"] if row else 0)

    def replace(self, subject: str, person: Person) -> None:
        """Put a freshly folded person in place of the one at hand."""
        self._known[subject] = person

    def drop(self, subjects: Iterable[str]) -> None:
        """Forget people whose batch did not commit."""
        for subject in subjects:
            self._known.pop(subject, None)
            self.vault.forget(subject)

    def __len__(self) -> int:
        return len(self._known)

    def trim(self) -> None:
        """Keep the newest people only. Between batches: nobody holds a plan then."""
        while len(self._known) > LIMIT:
            self.drop([next(iter(self._known))])


def unwrap_keys(connection: Connection, vault: Vault, subjects: Iterable[str]) -> None:
    """Bring people's keys, and the ledger's own, into the vault's memory."""
    wanted = {*subjects} if vault.is_open else {LEDGER, *subjects}
    for row in reads.keys_of(connection, wanted) if wanted else ():
        vault.remember(row["subject"], vault.unwrap(row["kid"], row["wrapped"]))


def fold(
    connection: Connection, vault: Vault, log: int, subjects: Collection[str]
) -> dict[str, Person]:
    """People as the store has them now: the stored plan, if it opens and is of these rules, and
    the entries past it; else every entry. Their keys must be in the vault's memory.
    """
    found = {subject: Person(Plan(subject)) for subject in subjects}
    snapped = reads.last_snapshots(connection, subjects)
    for row in reads.plans_of(connection, subjects):
        if (plan := usable_plan(vault, row)) is not None:
            subject, sequence = row["subject"], row["sequence"]
            found[subject] = Person(plan, sequence, sequence, snapped.get(subject, 0))
    new = [subject for subject, person in found.items() if person.sequence == 0]
    for row in reads.entries_of_many(connection, log, new):
        take(vault, found[row["subject"]], entry.read(row["leaf"]))
    for subject in found.keys() - new:
        person = found[subject]
        for row in reads.entries_in_sequence(connection, log, subject, after=person.sequence):
            take(vault, person, entry.read(row["leaf"]))
    return found


def usable_plan(vault: Vault, row: Row) -> Plan | None:
    """The plan of a row of `plans` or `snapshots`, or None: these are derived, so whatever is
    wrong with one, the entries say what it must be, and the next one is right again.
    """
    if row["rules"] != RULES:
        return None
    try:
        return open_plan(vault, row)
    except (SealBroken, ValueError, KeyError, TypeError) as fault:
        log_line.warning("stored plan", subject=row["subject"], why=told(fault))
        return None


def fold_one(connection: Connection, vault: Vault, log: int, subject: str) -> Person:
    """One person, as `fold`."""
    return fold(connection, vault, log, [subject])[subject]


def take(vault: Vault, person: Person, each: entry.Entry) -> None:
    """Move a person past the next entry of their stream; SealBroken if it is not the next."""
    if each.sequence != person.sequence + 1:
        raise SealBroken(
            f"{each.subject}: {each.sequence} follows {person.sequence}; run 'firsthand audit'"
        )
    if each.verdict == entry.ACCEPTED:
        evolve(person.plan, each.open(vault.find(each.subject)))
    person.sequence = each.sequence


def seal_plan(key: Key, person: Person) -> bytes:
    """A plan as it is stored: its bytes, sealed, bound to person and sequence."""
    bound = {"subject": person.plan.subject, "sequence": person.sequence, "rules": RULES}
    return seal(key, dump(person.plan), bound)


def open_plan(vault: Vault, row: Row) -> Plan:
    """The plan of a row of `plans` or `snapshots`; SealBroken if it is not what it says."""
    return load(plan_bytes(vault, row))


def plan_bytes(vault: Vault, row: Row) -> bytes:
    """The same, as its bytes."""
    header, stored = unseal(row["plan"], vault.find(row["subject"]))
    for name in ("subject", "sequence", "rules"):
        if header.get(name) != row[name]:
            raise SealBroken(f"a stored plan of another {name}")
    return stored


def plan_row(log: int, key: Key, person: Person) -> dict[str, Any]:
    """The row that stores a person's plan."""
    return {
        "subject": person.plan.subject,
        "log": log,
        "sequence": person.sequence,
        "planversion": person.plan.version,
        "rules": RULES,
        "plan": seal_plan(key, person),
    }
