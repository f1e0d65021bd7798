"""Neighbours of the projector that die, stall or fail where a test wants them to."""

import threading
from collections.abc import Iterable, Sequence

from services.ledger.log.note import Signer
from shared.inbox import Inbox, Outgoing
from tests.contract.ledgers import Ledger
from tests.given import ada

TOLD = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(8))]
IDS = [each.id for each in TOLD]
WAITING = "firsthand:{p0}:waiting"


class Dies(Inbox):
    """An inbox of a process that dies between COMMIT and delete."""

    def settle(self, *_: object, **__: object) -> None:
        """Never get there."""
        raise KeyboardInterrupt


class Stalls(Inbox):
    """An inbox of a process that is stopped between COMMIT and publishing, until `go`."""

    def stall(self) -> "Stalls":
        """Begin to."""
        self.there, self.go = threading.Event(), threading.Event()
        return self

    def settle(
        self,
        partition: int,
        places: Sequence[bytes],
        receipts: Iterable[Outgoing],
        checkpoint: bytes | None,
    ) -> None:
        """Late."""
        self.there.set()
        assert self.go.wait(10)
        super().settle(partition, places, receipts, checkpoint)


class FailsOnce(Signer):
    """A signer that fails at its first head: everything was judged, nothing is committed."""

    failed = False

    def checkpoint(self, size: int, root: bytes) -> str:
        """Fail, then sign."""
        if not self.failed:
            self.failed = True
            raise RuntimeError("the signer is away")
        return super().checkpoint(size, root)


def like(kind: type[Inbox], ledger: Ledger) -> Inbox:
    own = ledger.inbox()
    return kind(own.redis, own.transit)
