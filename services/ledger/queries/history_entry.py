"""An entry, told to the person it is about: who, what, the verdict, and what is said of it."""

from dataclasses import dataclass

import orjson

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.sentences import (
    YOU,
    DisplayNames,
    history_sentence,
    name_of,
    spoken_of,
)
from services.ledger.vault import Vault
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json
from shared.events.refusals import WARNINGS


@dataclass(frozen=True, slots=True)
class HistoryFormatter:
    """Tells the entries of one person. Their key must be in the vault's memory."""

    vault: Vault
    names: DisplayNames
    subject: str

    def format(
        self, each: Entry, index: int, against: Annotations, event: Event | None = None
    ) -> Json:
        """An entry as the history tells it; `event` is what is in it, if it was opened."""
        event = event or each.open(self.vault.find(self.subject))
        told = self._told(each, index, event)
        return self.with_annotations(told, against) if each.verdict == entry.ACCEPTED else told

    def _told(self, each: Entry, index: int, event: Event) -> Json:
        row = CATALOGUE[event.type]
        told: Json = {
            "index": index,
            "id": each.id,
            "type": event.type,
            "author": each.author,
            "via": each.via,
            "issuer": each.issuer,
            "received": each.received,
            "recorded": each.recorded,
            "verdict": each.verdict,
            "sentence": history_sentence(
                self.names, event, each.refusal, represented=each.onbehalfof is not None
            ),
        }
        for name in ("onbehalfof", "refusal", "sequence", "planversion", "warnings"):
            value = getattr(each, name)
            if value not in (None, ()):
                told[name] = value
        if row.words is not None and row.words in event.data:
            told["words"] = event.data[row.words]
        if when := orjson.loads(event.canonical).get("time"):
            told["time"] = when
        return told

    def with_annotations(self, told: Json, against: Annotations) -> Json:
        """What is said of the entry stands with it: as data, and as `notes` to read."""
        pinned = against.for_entry(told["id"])
        notes = list(spoken_of({**self.names, self.subject: YOU}, pinned))
        if "struck" in pinned:
            through = name_of(self.names, told["via"])
            notes.append(f"It came through {through}; {told['issuer']} vouched for who wrote it.")
        warned = (WARNINGS[each] for each in told.get("warnings", ()))
        notes += [f"{each.replace('the person', 'You')}." for each in warned]
        return {**told, **pinned, **({"notes": notes} if notes else {})}
