"""Replay of a person's entries one by one, with the change of each to a line of the plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Line, Plan, copy_of, copy_of_line
from services.ledger.vault import Vault
from shared.errors import DecryptionError
from shared.events.event import Event, Json


@dataclass(frozen=True, slots=True)
class LineChange:
    """Change of a line by one or more entries; `before` is None for a new line."""

    key: str
    before: Line | None
    after: Line

    def members(self) -> Iterator[Json]:
        """Yield the state and the members of `data` that differ.

        `member` is a pointer into the line (RFC 6901). `from` is missing for an added member, `to`
        for a removed one.
        """
        old, new = _flat(self.before), _flat(self.after)
        for member in [*new, *(name for name in old if name not in new)]:
            change = {"from": old.get(member), "to": new.get(member)}
            if change["from"] != change["to"]:
                present = {name: value for name, value in change.items() if value is not None}
                yield {"member": member, **present}


def _flat(line: Line | None) -> dict[str, Any]:
    if line is None:
        return {}
    return {"/state": line["state"]} | {
        f"/data/{name}": line["data"][name] for name in line["data"]
    }


@dataclass(frozen=True, slots=True)
class ReplayedEntry:
    """A replayed entry, its event, its change, and the plan's `version` after it."""

    index: int
    entry: Entry
    event: Event
    change: LineChange | None
    version: int


class EntryReplay:
    """Replay that folds entries onto a copy of a plan, from a position in the person's stream."""

    def __init__(self, vault: Vault, plan: Plan, sequence: int = 0) -> None:
        self.plan = copy_of(plan)
        self._sequence = sequence
        self._find = vault.find(plan.subject)
        self._seen = {key: copy_of_line(line) for key, line in plan.lines.items()}

    def apply(self, index: int, leaf: bytes) -> ReplayedEntry:
        """Apply the next entry, from its index in the log and its bytes.

        Raises DecryptionError if it cannot be decrypted or is not the next of the person's stream.
        """
        record, version = entry.parse(leaf), self.plan.version
        if record.sequence is not None:
            if record.sequence != self._sequence + 1:
                raise DecryptionError(
                    f"entry {index} of {record.subject} has sequence {record.sequence}, but "
                    f"{self._sequence + 1} was expected: an entry is missing, or names another "
                    "subject; run 'firsthand audit'"
                )
            self._sequence = record.sequence
        event = record.open(self._find)
        if record.verdict == entry.ACCEPTED:
            evolve(self.plan, event)
        moved = self.plan.version != version
        change = self._change() if moved else None
        return ReplayedEntry(index, record, event, change, self.plan.version)

    def _change(self) -> LineChange:
        """Return the change of the newest version: the line with that version, usually the last."""
        lines = reversed(self.plan.lines.items())
        key, line = next(item for item in lines if item[1]["version"] == self.plan.version)
        before, after = self._seen.get(key), copy_of_line(line)
        self._seen[key] = after
        return LineChange(key, before, after)
