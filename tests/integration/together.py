"""Both services in one process, over a real queue and a real store: no server, no worker process.

    with Together(folder, queue_url, store) as house:
        house.post(ADA, "plan.started", {"name_to_use": "Ada", "language": "en"})
        house.drain()
        house.get(ADA, "plan")

The clock is the test's: `house.now`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.intake.app import create_app as create_intake
from services.ledger.api.app import create_app as create_ledger
from services.ledger.bootstrap import open_store
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.config import LedgerSettings, signers
from services.ledger.maintenance.init import init
from services.ledger.store.database import transaction
from services.ledger.writer.projector import Projector
from shared.auth.tokens import Callers, local_token
from shared.crypto.transit import Transit
from shared.events.event import Json
from shared.inbox.inbox import Inbox
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import inbox_key, published_key
from shared.inbox.servers import connect
from tests.conforming import Conforming
from tests.growing import grow
from tests.logs import TiledLog
from tests.postgres import Database

ADA, EVE, SAM, TOM = "person:ada", "person:eve", "partner:sam", "partner:tom"
MEDIA_TYPE = "application/cloudevents+json"
NOON = datetime(2126, 3, 2, 12, tzinfo=UTC)  # a ledger is made now, and its clock never goes back
STARTED: Json = {"name_to_use": "Ada", "language": "en"}
SEA: Json = {"id": "sea", "words": "Walk to the sea again."}
GRANT: Json = {
    "to": SAM,
    "scopes": ["observe"],
    "until": "until-withdrawn",
    "purpose": "Walking",
    "wording": "Sam may.",
}
NAMES = {SAM: "Sam (nurse)"}


def event(kind: str, data: Any, subject: str = ADA, **more: Any) -> Json:
    """A CloudEvent with a fresh id."""
    whole = {"specversion": "1.0", "id": str(uuid4()), "source": "/tests", "subject": subject}
    return {**whole, "type": kind, "data": data, **more}


def body(told: Any) -> bytes:
    """JSON as people write it."""
    return json.dumps(told, ensure_ascii=False).encode()


@dataclass
class Door:
    """Intake behind Flask's test client, with the bells it rang. `folder` holds its keys."""

    folder: Path
    client: FlaskClient
    inbox: Inbox
    rung: list[int] = field(default_factory=list)

    def bearer(self, author: str = ADA, scopes: str = "read write share") -> str:
        """A header's value."""
        return f"Bearer {local_token(self.folder, author, scopes=scopes.split())}"

    def send(self, raw: bytes, author: str = ADA, **headers: str) -> TestResponse:
        """Post bytes; a header is named with _ for -, and left out where it is empty."""
        given = {"Authorization": self.bearer(author), "Content-Type": MEDIA_TYPE}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in given.items() if value}
        return self.client.post("/events", data=raw, headers=kept)

    def post(self, told: Any, author: str = ADA, **headers: str) -> TestResponse:
        """Post an event."""
        return self.send(body(told), author, **headers)

    def length(self) -> int:
        """How many messages rest in the queue."""
        return int(self.inbox.redis.xlen(inbox_key(0)))


class Together:
    """Intake, queue, projector, store and read API, in one process."""

    def __init__(self, folder: Path, queue_url: str, store: Database) -> None:
        self.now, self.step = NOON, timedelta(minutes=1)
        self.settings = LedgerSettings.load(
            data=folder,
            redis_url=queue_url,
            database_url=store.app_url,
            database_owner_url=store.owner_url,
        )
        init(self.settings)
        keys = self.settings.key_folder
        self._clients = [connect(queue_url), connect(queue_url, timeout=35)]
        self._writer, vault = open_store(self.settings, write=True)
        self.reader, for_reading = open_store(self.settings, write=False)
        callers = Callers.from_folder(keys, "firsthand")
        self.rung: list[int] = []
        inbox = Inbox(
            self._clients[0],
            Transit.from_folder(keys),
            ring=self.rung.append,
            blocking=self._clients[1],
        )
        told = signers(self.settings)
        self._projector = Projector(self._writer, inbox, vault, told, lambda: self.now, skew=inf)
        intake = create_intake(callers, inbox, clock=lambda: self.now)
        watermark = PublishedView(
            self.reader, PublishedCheckpoints(self._clients[0]), [each.vkeys for each in told]
        )
        ledger = create_ledger(
            self.reader, for_reading, callers, NAMES, watermark, clock=lambda: self.now
        )
        intake.test_client_class = ledger.test_client_class = Conforming
        self.ledger = ledger.test_client()
        self.door = Door(keys, intake.test_client(), inbox, self.rung)

    def __enter__(self) -> Self:
        """Ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no connection behind."""
        self._writer.dispose()
        self.reader.dispose()
        for client in self._clients:
            client.close()

    def drain(self) -> int:
        """Record what waits; each drain is a minute after the one before."""
        self.now += self.step
        return self._projector.batch(0)

    @contextmanager
    def draining(self) -> Iterator[None]:
        """A worker beside us, for requests that wait."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.01):
                self._projector.batch(0)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def post(self, author: str, kind: str, data: Any, **more: Any) -> Json:
        """Post an event and record it; the event."""
        told = event(kind, data, **more)
        answer = self.door.post(told, author)
        assert answer.status_code == 202, answer.text
        assert self.drain() == 1
        return told

    def get(self, reader: str, path: str, person: str = ADA, **headers: str) -> TestResponse:
        """Read something about a person; the path goes below theirs."""
        given = {"Authorization": self.door.bearer(reader)} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        kept = {name: value for name, value in given.items() if value}
        return self.ledger.get(f"/people/{person}/{path}", headers=kept)

    def plan(self, query: str = "") -> Json:
        """Ada's plan, as she reads it."""
        answer = self.get(ADA, f"plan{query}")
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def history(self) -> list[Json]:
        """Ada's history, as she reads it."""
        return list(self.get(ADA, "history?limit=500").get_json()["entries"])

    def grow(self, log: TiledLog, size: int) -> None:
        """Make log 0 as long as that with entries that are none, and publish it."""
        with transaction(self._writer) as connection:
            note = grow(connection, self.settings, log, size)
        self.publish(note)

    def publish(self, note: str) -> None:
        """Set the watermark."""
        self.door.inbox.redis.set(published_key(0), note)

    def log(self, path: str, token: str = "") -> TestResponse:
        """Read something of log 0."""
        headers = {"Authorization": token} if token else {}
        return self.ledger.get(f"/logs/0/{path}", headers=headers)

    def verdict(self, told: Json, author: str) -> str:
        """What became of an event: accepted, or the code of its refusal."""
        fate = self.get(author, f"events/{told['id']}", told["subject"]).get_json()
        return str(fate.get("refusal", fate["verdict"]))


def problem(answer: TestResponse, status: int, slug: str) -> Json:
    """The body of a problem; checks its form (RFC 9457)."""
    told: Json = json.loads(answer.data)
    assert (answer.status_code, told["type"]) == (status, f"/problems/{slug}"), answer.text
    assert answer.mimetype == "application/problem+json"
    assert told["status"] == status
    assert told["title"]
    assert told["detail"].endswith(".")
    for fault in told.get("errors", ()):
        assert fault.keys() == {"pointer", "code", "detail"}
        assert fault["pointer"] == "" or fault["pointer"].startswith("/")
    return told


def pointers(told: Json) -> list[str]:
    """The places that a problem names."""
    return [fault["pointer"] for fault in told["errors"]]
