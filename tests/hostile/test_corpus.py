"""Every file of the corpus gets the answer that it names, and none leaves a trace.

Each is sent to a running service over a bare socket, so that what no client would send is really
sent; and handed to the application in this process, without a server before it.
"""

import json
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fakeredis
import pytest

from services.intake.app import create_app
from shared.auth.tokens import Callers, local_token, make_local_issuer
from shared.crypto.transit import Transit
from shared.inbox.inbox import Inbox
from tests.e2e.running import Up
from tests.hostile.corpus import Case, cases
from tests.hostile.inprocess import ask
from tests.integration.together import Door

CORPUS = list(cases())
WHOSE = ("person:hostile", "person:eve")
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything, running."""
    with Up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Intake in this process, over a pretended queue."""
    folder = tmp_path_factory.mktemp("keys")
    make_local_issuer(folder)
    Transit.make(folder)
    with fakeredis.FakeStrictRedis(server=fakeredis.FakeServer()) as queue:
        inbox = Inbox(queue, Transit.from_folder(folder))
        app = create_app(Callers.from_folder(folder, "firsthand"), inbox)
        yield Door(folder, app.test_client(), inbox)


def is_answered(case: Case, status: int, body: bytes) -> None:
    """Status, problem and faults are those that the file names."""
    assert status == case.status, body
    if case.problem is not None:
        told = json.loads(body)
        assert (told["type"], told["status"]) == (f"/problems/{case.problem}", status)
        faults = told.get("errors", [])
        named = [f"{each['pointer']} {each['code']}".strip() for each in faults]
        assert sorted(named) == sorted(case.errors)


def sent(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of what is answered to a request, sent as it is."""
    with socket.create_connection(("127.0.0.1", port), 30) as line:
        with suppress(ConnectionError):  # who is answered before all was heard may be cut off
            line.sendall(request)
        answer = b""
        with suppress(ConnectionError):
            while piece := line.recv(65_536):
                answer += piece
    status = STATUS.match(answer)
    assert status is not None, answer[:200]
    return int(status[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.xdist_group("corpus")
@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_over_a_socket(up: Up, case: Case) -> None:
    port = up.ports[0] if case.service == "intake" else up.ports[1]
    token = local_token(up.data / "keys", case.author, scopes=case.scopes.split())
    is_answered(case, *sent(port, case.request(token)))


@pytest.mark.parametrize(
    "case",
    [each for each in CORPUS if each.service == "intake" and each.raw is None],
    ids=lambda case: case.name,
)
def test_in_this_process(door: Door, case: Case) -> None:
    token = local_token(door.folder, case.author, scopes=case.scopes.split())
    answer = ask(door.client, case, token)
    is_answered(case, answer.status_code, answer.data)
    assert door.length() == 0


@pytest.mark.xdist_group("corpus")
def test_after_all_that_nothing_was_recorded_and_everything_answers(up: Up) -> None:
    for person in WHOSE:
        assert up.history(person) == []
    for port in up.ports:
        assert sent(port, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0] == 200
    assert up.say(
        "person:hostile", "plan.started", {"name_to_use": "H", "language": "en"}, WHOSE[0]
    )
    assert len(up.history(WHOSE[0])) == 1
    assert up.run("replay", "--all").returncode == 0


def test_there_are_at_least_20_classes_of_5() -> None:
    classes = Counter(each.name.partition("/")[0] for each in CORPUS)
    assert len([name for name, count in classes.items() if count >= 5]) >= 20
    assert [name for name, count in classes.items() if count < 5] == []
    assert {path.parent.name for path in Path(__file__).parent.glob("corpus/*/*")} == set(classes)
