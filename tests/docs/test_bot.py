"""The text-message bot of the how-to page, whole, against a ledger of its own."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.auth.tokens import local_token
from tests.docs.blocks import BLOCK, ROOT, environment
from tests.docs.test_pages import up

pytestmark = pytest.mark.xdist_group("bot")
PROGRAM = ROOT / "docs/how-to/text_message_bot.py"
PAGE = ROOT / "docs/how-to/build-a-text-message-bot.md"
ADA = "person:ada"
MEASURE = {"id": "m1", "name": "How steady I felt", "min": 0, "max": 10, "low": "x", "high": "y"}
KEPT = "I have kept it, and shall tell you what became of it."
Line = dict[str, Any]


class House:
    """A running ledger, and Ada's things in it."""

    def __init__(self, data: Path, ports: dict[str, str]) -> None:
        self.intake, self.ledger = (f"http://127.0.0.1:{ports[each]}" for each in ("8081", "8082"))
        self.token = local_token(data / "keys", ADA)

    def bot(self, outbox: Path, intake: str = "") -> Any:
        """The example, loaded from its file."""
        outbox.mkdir(exist_ok=True)
        spec = importlib.util.spec_from_file_location("text_message_bot", PROGRAM)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.Bot(intake or self.intake, self.ledger, ADA, self.token, outbox)

    def read(self, what: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(f"{self.ledger}/people/{ADA}/{what}", headers=headers).json()

    def history(self) -> list[Line]:
        return list(self.read("history?limit=500")["entries"])

    def wishes(self) -> list[str]:
        lines = self.read("plan")["lines"]
        return [line["data"]["words"] for line in lines if line["thing"] == "aspiration"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Everything, running: Ada has a plan and a measure of her own."""
    folder = tmp_path_factory.mktemp("bot")
    with up(folder, environment(folder)) as (ports, _):
        running = House(folder / ".firsthand", ports)
        begin = running.bot(folder / "outbox")
        started = begin.say("s1", "plan.started", {"name_to_use": "Ada", "language": "en"})
        assert started == "It is in your plan."
        assert begin.say("s2", "measure.defined", MEASURE) == "It is in your plan."
        yield running


class Line503(BaseHTTPRequestHandler):
    """A bad line between the bot and intake; `faults` says what happens to each request."""

    server: "BadLine"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        fault = self.server.faults.pop(0) if self.server.faults else ""
        if fault == "away":
            self._answer(503, b"{}", {"Retry-After": "1"})
            return
        wanted = ("Authorization", "Content-Type", "Prefer")
        headers = {name: self.headers[name] for name in wanted if name in self.headers}
        if fault == "undecided":
            del headers["Prefer"]
        answer = httpx.post(f"{self.server.intake}/events", content=body, headers=headers)
        if fault == "lost":
            self.close_connection = True
            return  # it arrived, and nobody says so
        self._answer(answer.status_code, answer.content, {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class BadLine(HTTPServer):
    """Passes events on to intake, or does not."""

    def __init__(self, intake: str, faults: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Line503)
        self.intake, self.faults, self.bodies = intake, faults, list[bytes]()


@contextmanager
def bad_line(intake: str, *faults: str) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a bad line, and what went over it."""
    with BadLine(intake, list(faults)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.bodies
        finally:
            server.shutdown()
            thread.join()


def test_the_page_shows_the_program_whole_and_it_is_short() -> None:
    program = PROGRAM.read_text()
    shown = [text for language, text in BLOCK.findall(PAGE.read_text()) if language == "python"]
    assert shown == [program]
    assert len(program.splitlines()) <= 60


def test_a_person_states_what_they_want_rates_a_measure_and_hears_their_plan(
    house: House, tmp_path: Path
) -> None:
    bot = house.bot(tmp_path / "outbox")
    assert bot.hear("1", "I want to walk to the sea again.") == "It is in your plan."
    assert bot.hear("2", "Steady 6, better than Monday") == "It is in your plan."
    plan = bot.hear("3", "Plan").splitlines()
    assert plan[0] == "The plan of Ada. Version 4."
    assert "- I want to walk to the sea again." in plan
    assert any(line.endswith(": 6. better than Monday") for line in plan)
    assert not list((tmp_path / "outbox").iterdir())


def test_what_it_does_not_understand_is_posted_nowhere(house: House, tmp_path: Path) -> None:
    bot, before = house.bot(tmp_path / "outbox"), len(house.history())
    for text in ("Hello", "6", "mood 6", "steady", "steady six", "I wanted", "", "I want "):
        assert bot.hear(text, text).startswith("Text me: I want …") or text == "I want "
    assert len(house.history()) == before + 1  # "I want " is what somebody wants to say


def test_a_refusal_is_told_in_a_sentence_and_let_go(house: House, tmp_path: Path) -> None:
    bot = house.bot(tmp_path / "outbox")
    assert bot.hear("11", "steady 12") == "It was refused: the value lies outside the scale."
    assert house.history()[-1]["refusal"] == "out-of-range"
    assert not list((tmp_path / "outbox").iterdir())


def test_the_same_text_delivered_twice_is_one_event(house: House, tmp_path: Path) -> None:
    bot = house.bot(tmp_path / "outbox")
    for _ in range(2):
        assert bot.hear("21", "I want to bake.") == "It is in your plan."
    assert house.bot(tmp_path / "other").hear("21", "I want to bake.") == "It is in your plan."
    assert house.wishes().count("I want to bake.") == 1


@pytest.mark.parametrize("fault", ["away", "lost", "undecided"])
def test_whatever_the_line_does_it_is_recorded_once(
    house: House, tmp_path: Path, fault: str
) -> None:
    """503, an answer that is lost, and a 202: the same bytes again, until it is decided."""
    words = f"I want to dance, {fault}."
    with bad_line(house.intake, fault) as (intake, sent):
        bot = house.bot(tmp_path / "outbox", intake)
        assert bot.hear("31" + fault, words) == KEPT
        assert len(list((tmp_path / "outbox").iterdir())) == 1
        bot = house.bot(tmp_path / "outbox", intake)  # it was restarted meanwhile
        assert bot.resend() == ["It is in your plan."]
        assert bot.resend() == []
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert UUID(json.loads(sent[0])["id"]).version == 5
    assert house.wishes().count(words) == 1


def test_with_nobody_there_it_keeps_what_was_said(house: House, tmp_path: Path) -> None:
    bot = house.bot(tmp_path / "outbox", "http://127.0.0.1:1")
    assert bot.hear("41", "I want to swim.") == KEPT
    assert bot.resend() == [KEPT]
    assert house.bot(tmp_path / "outbox").resend() == ["It is in your plan."]
    assert house.wishes().count("I want to swim.") == 1


def test_a_token_that_ran_out_loses_nothing(house: House, tmp_path: Path) -> None:
    bot = house.bot(tmp_path / "outbox")
    bot.token = "nothing"
    assert bot.hear("51", "I want to sing.") == KEPT
    assert "I want to sing." not in house.wishes()
    assert house.bot(tmp_path / "outbox").resend() == ["It is in your plan."]
