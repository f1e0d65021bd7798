"""History format of an entry: author, sentence, verdict and annotations, for the person."""

from dataclasses import dataclass

import orjson

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.sentences import (
    YOU,
    DisplayNames,
    annotation_sentences,
    history_sentence,
    name_of,
)
from services.ledger.vault import Vault
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, Json
from shared.events.refusals import WARNINGS


@dataclass(frozen=True, slots=True)
class HistoryFormatter:
    """Formatter of one person's entries. Their key must be in the vault's memory."""

    vault: Vault
    names: DisplayNames
    subject: str

    def format(
        self, record: Entry, index: int, annotations: Annotations, event: Event | None = None
    ) -> Json:
        """Return an entry as in the history; `event` is its decrypted event, if known."""
        event = event or record.open(self.vault.find(self.subject))
        document = self._document(record, index, event)
        return (
            self.with_annotations(document, annotations)
            if record.verdict == entry.ACCEPTED
            else document
        )

    def _document(self, record: Entry, index: int, event: Event) -> Json:
        row = CATALOGUE[event.type]
        document: Json = {
            "index": index,
            "id": record.id,
            "type": event.type,
            "author": record.author,
            "via": record.via,
            "issuer": record.issuer,
            "received": record.received,
            "recorded": record.recorded,
            "verdict": record.verdict,
            "sentence": history_sentence(
                self.names, event, record.refusal, represented=record.onbehalfof is not None
            ),
        }
        for name in ("onbehalfof", "refusal", "sequence", "planversion", "warnings"):
            value = getattr(record, name)
            if value not in (None, ()):
                document[name] = value
        if row.words is not None and row.words in event.data:
            document["words"] = event.data[row.words]
        if time := orjson.loads(event.canonical).get("time"):
            document["time"] = time
        return document

    def with_annotations(self, document: Json, annotations: Annotations) -> Json:
        """Add the annotations of an entry: as data, and as `notes` to read."""
        added = annotations.for_entry(document["id"])
        notes = list(annotation_sentences({**self.names, self.subject: YOU}, added))
        if "struck" in added:
            through = name_of(self.names, document["via"])
            notes.append(
                f"It came through {through}; {document['issuer']} vouched for who wrote it."
            )
        warnings = (WARNINGS[warning] for warning in document.get("warnings", ()))
        notes += [f"{warning.replace('the person', 'You')}." for warning in warnings]
        return {**document, **added, **({"notes": notes} if notes else {})}
