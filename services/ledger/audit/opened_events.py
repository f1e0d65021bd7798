"""Opening events with what opened.jsonl of an export says of them."""

from collections import Counter
from collections.abc import Iterable

import orjson

from services.ledger.audit.engine import Found
from services.ledger.audit.entry_checks import SealedPart
from services.ledger.audit.stream_checks import NO_WORDS, SEALED, CannotOpen
from services.ledger.fold import PersonState
from services.ledger.log import entry
from shared.crypto.jwe import from_b64url
from shared.errors import DecryptionError
from shared.events.event import Json, canonical


class OpenedEvents:
    """Opens events with what opened.jsonl says of them."""

    code = "opened"

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()

    def begin(self, log: int, people: Iterable[str]) -> None:
        """Nothing is needed."""

    def open(self, told: Json, _seal: SealedPart, line: bytes) -> tuple[bytes, str | None]:
        """The event in a line, and its digest."""
        if not line:
            raise CannotOpen(SEALED if "sequence" in told else NO_WORDS)
        opened = orjson.loads(line)
        if canonical(opened) != line or opened.keys() != {"event", "index", "log", "salt"}:
            raise DecryptionError("not a line of opened.jsonl (RFC 8785)")
        try:
            salt = from_b64url(opened["salt"].encode())
        except (ValueError, AttributeError):
            raise DecryptionError("the salt is not base64url") from None
        posted = canonical(opened["event"])
        return posted, entry.digest_of(salt, posted)

    def beside(self, _line: bytes) -> Iterable[tuple[str, str]]:
        """An export has no columns."""
        return ()

    def at(self, _person: PersonState, _recorded: str) -> Found:
        """Nor stored plans."""
        return ()

    def end(self, _person: PersonState) -> Found:
        """Nor rows of people."""
        return ()
