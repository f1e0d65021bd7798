"""How the partitions lie on the queue's servers: said by the worker, who knows the ledger, and
compared by intake, which knows none. Two that differ would put a person's events in two places.

    8 partitions, server 1 of 2        stands on the first of two servers
"""

from dataclasses import dataclass

from shared.durability import Durability

REMEDY = "set FIRSTHAND_PARTITIONS and FIRSTHAND_REDIS_URL as the worker has them"
LONGEST = 60  # characters of what stands there, which others too may have written


@dataclass(frozen=True, slots=True)
class Layout:
    """What a process holds for true of one server, and the key under which the worker says it."""

    key: str
    says: str

    def other(self, theirs: object) -> str:
        """How the ledger's differs, in words; empty where it is the same, or nobody said yet."""
        if theirs is None or theirs == self.says.encode():
            return ""
        if not isinstance(theirs, bytes):
            return f"the queue does not tell the ledger's partitions: {theirs}"
        told = theirs.decode("utf-8", "replace")[:LONGEST]
        return f"set to {self.says}, but the ledger has {told}; {REMEDY}"

    def judge(self, found: Durability, theirs: object) -> Durability:
        """Nothing is safe where the ledger would look for it elsewhere."""
        why = self.other(theirs)
        return Durability(None, f"intake is {why}") if why else found
