"""Sender: post the events of an outbox in order, until the outcome of each is known.

An event leaves the outbox only if its receipt has arrived, and the digest in the receipt matches
the event in the outbox (docs/reference/formats.md). An event that intake rejects as invalid is set
aside. A 202 means durable, but without a verdict: the event stays, and the sender polls the ledger.
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
    problem.slug
    for problem in (MalformedBody, Forbidden, TooLarge, UnsupportedMediaType, InvalidEvent)
}
_POLL_SECONDS = 0.05
_REMOVE_AT_ONCE = 50  # rows: sending some again after a crash costs less than a commit for each


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of posting an event.

    `status` is `accepted`, `again` (a duplicate of an accepted event), `refused`, `invalid`
    (nothing was recorded), or `safe` (durable, without a verdict yet). `body` is the receipt, the
    problem, or the body of the 202.
    """

    row: OutboxRow
    status: str
    body: Json

    @property
    def type(self) -> str:
        """The event's type, printable. The body may contain surrogates, which intake rejects."""
        name = str(json.loads(self.row.body).get("type"))
        return name.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Sender:
    """Posts events with an author's token, and polls the ledger for their receipts.

    Times are in seconds. `wait` is how long intake waits for a verdict, `retry_for` how long to
    retry a post, and `idle` how long to poll the ledger without a new receipt.
    """

    token: str
    intake: ServiceClient
    ledger: ServiceClient
    wait: int = 0
    retry_for: float = PATIENCE
    idle: float = 2.0

    def run(
        self, outbox: Outbox, events: list[OutboxRow], step: Callable[[int], None]
    ) -> Generator[Delivery]:
        """Send the events and yield their deliveries.

        NoResponse or SettingsError leaves the rest in the outbox. A row is removed after its
        delivery was yielded, in groups. `step` is called for each event that intake answered.
        """
        done: list[int] = []
        try:
            for delivery in self._deliveries(events, step):
                yield delivery
                if delivery.status == "invalid":
                    why = "; ".join(_faults(delivery.body)) or delivery.body["detail"]
                    outbox.set_aside(delivery.row.number, why)
                elif delivery.status != "safe":
                    done.append(delivery.row.number)
                if len(done) >= _REMOVE_AT_ONCE:
                    outbox.remove(done)
                    done.clear()
        finally:
            outbox.remove(done)

    def _deliveries(
        self, events: list[OutboxRow], step: Callable[[int], None]
    ) -> Iterator[Delivery]:
        pending: list[Delivery] = []
        for row in events:
            response = deliver(
                self.intake, self.token, row.body, wait=self.wait, patience=self.retry_for
            )
            step(1)
            delivery = _delivery(row, response)
            if delivery.status == "safe":
                pending.append(delivery)
            else:
                yield delivery
        yield from self._poll(pending)

    def _poll(self, pending: list[Delivery]) -> Iterator[Delivery]:
        """Poll the ledger for the receipts of durable events, while new ones arrive."""
        idle = max(self.wait, self.idle)
        end = time.monotonic() + idle
        for delivery in pending:
            receipt = self._receipt(delivery)
            while receipt is None and time.monotonic() < end:
                time.sleep(_POLL_SECONDS)
                receipt = self._receipt(delivery)
            if receipt is None:
                yield delivery
            else:
                end = time.monotonic() + idle
                status = "refused" if "refusal" in receipt else "accepted"
                yield Delivery(delivery.row, status, receipt)

    def _receipt(self, delivery: Delivery) -> Json | None:
        """Return the event's receipt if the ledger has one that this author may read."""
        try:
            response = self.ledger.send(str(delivery.body.get("ledger")), self.token)
        except NoResponse:
            return None
        body = response.json()
        if response.status != 200 or not isinstance(body, dict):
            return None
        receipts = [body, *body.get("also", ())]
        return next((item for item in receipts if _is_receipt(item, delivery.row)), None)


def delivery_line(delivery: Delivery) -> str:
    """Describe the outcome of a posted event in one line, and every fault in another."""
    name, body = f"{delivery.type} {delivery.row.id}", delivery.body
    if delivery.status in ("accepted", "again"):
        again = " (already recorded)" if delivery.status == "again" else ""
        return f"accepted  {name}: entry {body['index']} of log {body['log']}{again}"
    if delivery.status == "safe":
        return f"safe      {name}: {body['durability']}; its verdict will be at {body['ledger']}"
    if delivery.status == "refused":
        return f"refused   {name}: {body['because']}."
    return "\n          ".join([f"invalid   {name}: {body['detail']}", *_faults(body)])


def _faults(problem: Json) -> list[str]:
    return [f"{fault['pointer'] or '/'}: {fault['detail']}" for fault in problem.get("errors", ())]


def _delivery(row: OutboxRow, response: HttpResponse) -> Delivery:
    """Interpret a response of intake; NoResponse or SettingsError if it is not about the event."""
    body = response.json()
    if isinstance(body, dict):
        if response.status == 202 and body.get("id") == row.id:
            return Delivery(row, "safe", body)
        if response.status in (200, 201) and _is_receipt(body, row):
            return Delivery(row, "accepted" if response.status == 201 else "again", body)
        if response.status in (403, 409) and _is_receipt(body.get("receipt"), row):
            return Delivery(row, "refused", body["receipt"])
        slug = str(body.get("type")).rpartition("/")[2]
        if 400 <= response.status < 500 and slug in _ABOUT_THE_EVENT and not body.get("recorded"):
            return Delivery(row, "invalid", body)
        if slug == Unauthorized.slug:
            raise SettingsError(str(body.get("detail")))
    raise NoResponse(f"the response is not from Firsthand's intake (status {response.status})")


def _is_receipt(receipt: Any, row: OutboxRow) -> bool:
    """Return True if this is the receipt of this event: recompute its digest from the row."""
    try:
        event = orjson.loads(row.body)
        event.pop("datacontenttype", None)
        salt = from_b64url(receipt["salt"].encode())
        digest = b64url(sha256(salt + canonical(event)).digest()).decode()
        return bool(receipt["digest"] == digest and receipt["author"] == row.author)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
