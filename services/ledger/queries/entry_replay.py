"""Going through a person's entries one by one, and seeing what each did to a line of the plan."""

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
    """What became of a line, by one entry or by several; `before` None: there was none."""

    key: str
    before: Line | None
    after: Line

    def members(self) -> Iterator[Json]:
        """The state and the members of `data` that differ: `member` is a pointer into the line
        (RFC 6901); without `from` it was not there, without `to` it is gone.
        """
        old, new = _flat(self.before), _flat(self.after)
        for member in [*new, *(each for each in old if each not in new)]:
            told = {"from": old.get(member), "to": new.get(member)}
            if told["from"] != told["to"]:
                there = {name: value for name, value in told.items() if value is not None}
                yield {"member": member, **there}


def _flat(line: Line | None) -> dict[str, Any]:
    if line is None:
        return {}
    return {"/state": line["state"]} | {
        f"/data/{each}": line["data"][each] for each in line["data"]
    }


@dataclass(frozen=True, slots=True)
class ReplayedEntry:
    """An entry that was passed, its event, and what it changed; `version` is the plan's then."""

    index: int
    entry: Entry
    event: Event
    change: LineChange | None
    version: int


class EntryReplay:
    """Folds a plan on, entry by entry, from a place in the person's stream. The plan that was
    given stays as it was.
    """

    def __init__(self, vault: Vault, plan: Plan, sequence: int = 0) -> None:
        self.plan = copy_of(plan)
        self._sequence = sequence
        self._find = vault.find(plan.subject)
        self._seen = {key: copy_of_line(line) for key, line in plan.lines.items()}

    def past(self, index: int, leaf: bytes) -> ReplayedEntry:
        """Take the next entry, by its place in the log and its bytes; SealBroken if it is none, or
        not the next of the person's stream.
        """
        each, version = entry.parse(leaf), self.plan.version
        if each.sequence is not None:
            if each.sequence != self._sequence + 1:
                raise DecryptionError(
                    f"entry {index} of {each.subject} has sequence {each.sequence}, and "
                    f"{self._sequence + 1} was next: one is missing, or says it is about somebody "
                    "else; run 'firsthand audit'"
                )
            self._sequence = each.sequence
        event = each.open(self._find)
        if each.verdict == entry.ACCEPTED:
            evolve(self.plan, event)
        moved = self.plan.version != version
        change = self._change() if moved else None
        return ReplayedEntry(index, each, event, change, self.plan.version)

    def _change(self) -> LineChange:
        """What the newest version wrote: one line bears its number, mostly the last one."""
        lines = reversed(self.plan.lines.items())
        key, line = next(each for each in lines if each[1]["version"] == self.plan.version)
        before, after = self._seen.get(key), copy_of_line(line)
        self._seen[key] = after
        return LineChange(key, before, after)
