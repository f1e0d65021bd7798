"""Opened events: decrypted events from an export's opened.jsonl."""

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
    """The opener for exports: reads events from the lines of opened.jsonl."""

    code = "opened"

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()

    def begin(self, log: int, people: Iterable[str]) -> None:
        """Do nothing: no keys are needed."""

    def open(self, members: Json, _seal: SealedPart, line: bytes) -> tuple[bytes, str | None]:
        """Return the event of a line, and its digest."""
        if not line:
            raise CannotOpen(SEALED if "sequence" in members else NO_WORDS)
        opened = orjson.loads(line)
        if canonical(opened) != line or opened.keys() != {"event", "index", "log", "salt"}:
            raise DecryptionError("not a line of opened.jsonl (RFC 8785)")
        try:
            salt = from_b64url(opened["salt"].encode())
        except (ValueError, AttributeError):
            raise DecryptionError("the salt is not base64url") from None
        posted = canonical(opened["event"])
        return posted, entry.digest_of(salt, posted)

    def column_differences(self, _line: bytes) -> Iterable[tuple[str, str]]:
        """Return nothing: an export has no columns."""
        return ()

    def check_stored_plans(self, _person: PersonState, _recorded: str) -> Found:
        """Return nothing: an export has no stored plans."""
        return ()

    def check_person_row(self, _person: PersonState) -> Found:
        """Return nothing: an export has no rows of people."""
        return ()
