"""Sends what rests in an outbox, in order, until the fate of each event is known.

An event leaves the outbox for one of two reasons alone: its receipt came, and the digest in it is
that of the event as it was kept (docs/reference/formats.md); or intake said what is wrong with it,
and it is set aside. A 202 says that it is durable, and not what became of it: it stays, and the
ledger is asked.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from services.client.http import PATIENCE, HttpResponse, NoResponse, ServiceClient, deliver
from services.client.outbox import Outbox, OutboxRow
from shared.crypto.jwe import b64url, from_b64url
from shared.errors import (
    Forbidden,
    InvalidEvent,
    MalformedBody,
    SettingsError,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)
from shared.events.event import Json, canonical

_ABOUT_THE_EVENT = {
    each.slug for each in (MalformedBody, Forbidden, TooLarge, UnsupportedMediaType, InvalidEvent)
}
_PAUSE = 0.05  # seconds between two questions
_TOGETHER = 50  # are removed at once: to send a few again costs less than a commit for each


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an event: a `word`, and its receipt, intake's problem or the body of a 202.

    Words: `accepted`, `again` (accepted before), `refused`, `invalid` (nothing was recorded), and
    `safe`, which is no fate yet.
    """

    kept: OutboxRow
    word: str
    told: Json

    @property
    def type(self) -> str:
        """The event's type, as it can be printed; a body may hold what intake takes for no JSON."""
        told = str(json.loads(self.kept.body).get("type"))
        return told.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Sender:
    """An author's token, the two services, and how long to wait for them, in seconds.

    `wait` for a verdict, `patience` with intake, `news`: until the ledger has said something new.
    """

    token: str
    intake: ServiceClient
    ledger: ServiceClient
    wait: int = 0
    patience: float = PATIENCE
    news: float = 2.0

    def run(
        self, outbox: Outbox, events: list[OutboxRow], step: Callable[[int], None]
    ) -> Generator[Delivery]:
        """Send the events; their fates. NoAnswer or SettingsError leaves the rest in the outbox.

        Each event is removed after its fate was handed out, at the latest when the next few are.
        `step` is called for each that intake has.
        """
        done: list[int] = []
        try:
            for fate in self._fates(events, step):
                yield fate
                if fate.word == "invalid":
                    outbox.set_aside(
                        fate.kept.place, "; ".join(_faults(fate.told)) or fate.told["detail"]
                    )
                elif fate.word != "safe":
                    done.append(fate.kept.place)
                if len(done) >= _TOGETHER:
                    outbox.remove(done)
                    done.clear()
        finally:
            outbox.remove(done)

    def _fates(self, events: list[OutboxRow], step: Callable[[int], None]) -> Iterator[Delivery]:
        safe: list[Delivery] = []
        for kept in events:
            answer = deliver(
                self.intake, self.token, kept.body, wait=self.wait, patience=self.patience
            )
            step(1)
            fate = _fate(kept, answer)
            if fate.word == "safe":
                safe.append(fate)
            else:
                yield fate
        yield from self._asked(safe)

    def _asked(self, safe: list[Delivery]) -> Iterator[Delivery]:
        """The fates of events that are safe, from the ledger, as long as it has news."""
        patience = max(self.wait, self.news)
        end = time.monotonic() + patience
        for fate in safe:
            receipt = self._receipt(fate)
            while receipt is None and time.monotonic() < end:
                time.sleep(_PAUSE)
                receipt = self._receipt(fate)
            if receipt is None:
                yield fate
            else:
                end = time.monotonic() + patience
                yield Delivery(
                    fate.kept, "refused" if "refusal" in receipt else "accepted", receipt
                )

    def _receipt(self, safe: Delivery) -> Json | None:
        """The event's receipt, if the ledger has one and lets this author see it."""
        try:
            answer = self.ledger.send(str(safe.told.get("ledger")), self.token)
        except NoResponse:
            return None
        told = answer.json()
        if answer.status != 200 or not isinstance(told, dict):
            return None
        found = [told, *told.get("also", ())]
        return next((each for each in found if _is_receipt(each, safe.kept)), None)


def delivery_line(fate: Delivery) -> str:
    """What became of a posted event, in a line, or in one more for each fault."""
    name, body = f"{fate.type} {fate.kept.id}", fate.told
    if fate.word in ("accepted", "again"):
        again = " (it was there already)" if fate.word == "again" else ""
        return f"accepted  {name}: entry {body['index']} of log {body['log']}{again}"
    if fate.word == "safe":
        return f"safe      {name}: {body['durability']}; its fate will be at {body['ledger']}"
    if fate.word == "refused":
        return f"refused   {name}: {body['because']}."
    return "\n          ".join([f"invalid   {name}: {body['detail']}", *_faults(body)])


def _faults(problem: Json) -> list[str]:
    """What intake found wrong, and where."""
    return [f"{each['pointer'] or '/'}: {each['detail']}" for each in problem.get("errors", ())]


def _fate(kept: OutboxRow, answer: HttpResponse) -> Delivery:
    """What an answer of intake's says; SettingsError or NoAnswer if it is none about the event."""
    told = answer.json()
    if isinstance(told, dict):
        if answer.status == 202 and told.get("id") == kept.id:
            return Delivery(kept, "safe", told)
        if answer.status in (200, 201) and _is_receipt(told, kept):
            return Delivery(kept, "accepted" if answer.status == 201 else "again", told)
        if answer.status in (403, 409) and _is_receipt(told.get("receipt"), kept):
            return Delivery(kept, "refused", told["receipt"])
        slug = str(told.get("type")).rpartition("/")[2]
        if 400 <= answer.status < 500 and slug in _ABOUT_THE_EVENT and not told.get("recorded"):
            return Delivery(kept, "invalid", told)
        if slug == Unauthorized.slug:
            raise SettingsError(str(told.get("detail")))
    raise NoResponse(f"what answers is not Firsthand's intake (status {answer.status})")


def _is_receipt(told: Any, kept: OutboxRow) -> bool:
    """Whether this is the receipt of just this event: its digest is made anew from what we kept."""
    try:
        event = orjson.loads(kept.body)
        event.pop("datacontenttype", None)
        salt = from_b64url(told["salt"].encode())
        digest = b64url(sha256(salt + canonical(event)).digest()).decode()
        return bool(told["digest"] == digest and told["author"] == kept.author)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
