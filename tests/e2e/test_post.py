"""`firsthand post` is killed, cut off and started twice: every event is recorded once, in order."""

import json
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from shared.events.event import Json
from tests.answering import Answering, Request, Response, cut, to
from tests.e2e.running import COMMAND, Up, environment, event, new_id
from tests.process import wait_until

pytestmark = pytest.mark.xdist_group("up")
STARTED = {"name_to_use": "Ada", "language": "en"}


class Poster:
    """A person who posts: a folder with an outbox, and a token."""

    def __init__(self, up: Up, folder: Path, intake: str) -> None:
        self.up, self.ada, self.folder = up, new_id(), folder
        self.token = up.bearer(self.ada)["Authorization"].removeprefix("Bearer ")
        self.environment = environment(
            folder,
            FIRSTHAND_TOKEN=self.token,
            FIRSTHAND_INTAKE_URL=intake,
            FIRSTHAND_LEDGER_URL=up.ledger,
            FIRSTHAND_DATA=str(folder / "data"),
        )

    def write(self, *events: Json, name: str = "said.ndjson") -> str:
        """Write a file of events; return its name."""
        (self.folder / name).write_text("".join(json.dumps(item) + "\n" for item in events))
        return name

    def begin(self, *words: str, stderr: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        """Start the command."""
        return subprocess.Popen(
            [str(COMMAND), *words],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run the command; return status, output, errors."""
        process = self.begin(*words)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def history(self) -> list[str]:
        """Return the ids of the entries, in their order."""
        return [entry["id"] for entry in self.up.history(self.ada)]


@pytest.fixture
def poster(up: Up, tmp_path: Path) -> Poster:
    """Return a person who posts to the real intake."""
    return Poster(up, tmp_path, up.intake)


def wishes(count: int, **more: object) -> list[Json]:
    """Return the start of a plan, and aspirations."""
    stated = [
        {"type": "aspiration.stated", "data": {"words": f"{n}"}, **more} for n in range(count)
    ]
    return [{"type": "plan.started", "data": STARTED, **more}, *stated]


def cutting(intake: str, dice: Random) -> Callable[[Request], Response | None]:
    """Return an intake's answer, cut before the request, in the middle, or after the response."""
    real = to(intake)

    def answer(request: Request) -> Response | None:
        fate = dice.choice(["deaf", "mute", "half", *["good"] * 12])
        response = None if fate == "deaf" else real(request)
        if response is None or fate == "mute":
            return None
        code, headers, content = response
        more = {"Content-Length": str(len(content) + 5)} if fate == "half" else {}
        return code, headers | more, content

    return answer


def has_received(intake: Answering, count: int, process: "subprocess.Popen[str]") -> bool:
    """Return whether so many posts have arrived, or no more will."""
    return len(intake.requests) >= count or process.poll() is not None


@pytest.mark.parametrize(("seed", "wait"), [(0, "--wait=0"), (1, "--wait=5")])
def test_killed_and_cut_off_again_and_again_it_records_each_event_once_and_in_order(
    up: Up, tmp_path: Path, seed: int, wait: str
) -> None:
    dice = Random(seed)
    with Answering(cutting(up.intake, Random(seed))) as intake:
        poster = Poster(up, tmp_path, intake.url)
        words = ["post", poster.write(*wishes(40)), wait]
        for _ in range(4):
            until = len(intake.requests) + dice.randrange(1, 15)
            process = poster.begin(*words)
            wait_until(partial(has_received, intake, until, process), "posts")
            process.send_signal(signal.SIGKILL)
            process.communicate()
            words = ["post", "--resume", wait]
        status, _, errors = poster.run("post", "--resume", "--wait=5")
        assert (status, errors) == (0, "")
    first_received = list(
        dict.fromkeys(json.loads(request.body)["id"] for request in intake.requests)
    )
    assert len(first_received) == 41
    assert poster.history() == first_received
    assert len({request.body for request in intake.requests}) == 41, "a retry has the same bytes"
    assert poster.run("outbox") == (0, "", "")


def test_killed_between_the_answer_and_the_removal_it_gets_the_same_receipt_again(
    poster: Poster,
) -> None:
    process = poster.begin("post", poster.write(*wishes(30)), "--wait=5", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    first = json.loads(process.stdout.readline())
    process.kill()
    process.communicate()
    status, output, _ = poster.run("post", "--resume", "--wait=5", "--json")
    again = json.loads(output.splitlines()[0])
    assert status == 0
    same = ("id", "log", "index", "entry", "digest", "salt", "verdict", "received", "recorded")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert len(poster.history()) == len(output.splitlines()) == 31


def test_two_at_once_send_each_event_once(up: Up, tmp_path: Path) -> None:
    with Answering(to(up.intake)) as intake:
        poster = Poster(up, tmp_path, intake.url)
        assert poster.run("post", poster.write(wishes(0)[0]), "--wait=5")[0] == 0
        one = poster.write(*wishes(30)[1:], name="one")
        two = poster.write(*wishes(20)[1:], name="two")
        processes = [poster.begin("post", name, "--wait=5") for name in (one, two, one)]
        done = [process.communicate(timeout=120) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], done
    sent = [request.body for request in intake.requests]
    assert len(sent) == len(set(sent)) == len(poster.history())
    assert poster.run("outbox") == (0, "", "")


def test_an_outbox_is_not_sent_with_anothers_token_or_to_another_intake(
    up: Up, tmp_path: Path
) -> None:
    with Answering(cut) as intake:
        poster = Poster(up, tmp_path, intake.url)
        assert poster.run("post", poster.write(*wishes(3)), "--retry-for=0")[0] == 3
        assert len(intake.requests) == 1
    waiting = poster.run("outbox")[1].splitlines()
    eve = Poster(up, tmp_path, intake.url)
    assert eve.run("post", "--resume") == (0, "", "")
    poster.environment["FIRSTHAND_INTAKE_URL"] = up.intake
    assert poster.run("post", "--resume") == (0, "", "")
    assert poster.run("outbox")[1].splitlines() == waiting
    assert len(waiting) == 4
    assert all(f"{poster.ada} for {intake.url}  waiting" in line for line in waiting)
    assert (poster.history(), eve.history()) == ([], [])


def test_a_failure_is_one_line_with_what_waits_and_how_to_continue(poster: Poster) -> None:
    poster.environment["FIRSTHAND_INTAKE_URL"] = "http://127.0.0.1:9"
    status, output, errors = poster.run("post", poster.write(*wishes(2)), "--retry-for=0.2")
    assert (status, output) == (3, "")
    assert errors == (
        "firsthand: http://127.0.0.1:9: [Errno 111] Connection refused "
        "(3 in the outbox; 'firsthand post --resume' continues)\n"
    )
    status, output, errors = poster.run("post", "said.ndjson", "--retry-for=0.2")
    assert errors.startswith("This input is in the outbox already; continuing with it.\n")
    assert len(poster.run("outbox")[1].splitlines()) == 3


def test_no_token_is_stored_in_the_outbox(poster: Poster) -> None:
    poster.environment["FIRSTHAND_INTAKE_URL"] = "http://127.0.0.1:9"
    poster.run("post", poster.write(*wishes(2)), "--retry-for=0")
    [file] = (poster.folder / "data" / "outbox").iterdir()
    content = file.read_bytes()
    assert STARTED["name_to_use"].encode() in content
    assert not any(part.encode() in content for part in poster.token.split("."))


def test_an_invalid_event_is_set_aside_and_can_be_removed(poster: Poster) -> None:
    wrong = event("aspiration.stated", {"words": 7}, poster.ada)
    status, output, errors = poster.run(
        "post", poster.write(*wishes(0), wrong, *wishes(1)[1:]), "--wait=5"
    )
    assert (status, errors) == (1, "")
    assert [row.split()[0] for row in output.splitlines() if row[0] != " "] == [
        "accepted",
        "invalid",
        "accepted",
    ]
    status, output, _ = poster.run("outbox")
    line = f"{wrong['id']}  {poster.ada} for {poster.up.intake}"
    assert output == f"{line}  set aside: /data/words: Not a valid string.\n"
    assert json.loads(poster.run("outbox", "--json")[1])["aside"].startswith("/data/words")
    assert poster.run("outbox", "--forget", wrong["id"]) == (0, "", "")
    assert poster.run("outbox", "--forget", wrong["id"])[0] == 1
    assert poster.run("outbox") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("7", "/type: Text contains half of a surrogate pair."),
        ("NaN", "/: NaN is not a whole number; send a decimal as a string."),
        (
            f'"{"y" * 5_000_000}"',
            "The body exceeds 73728 bytes, the maximum for this content mode.",
        ),
    ],
    ids=["half a pair", "no number", "too long"],
)
def test_an_unreadable_event_is_set_aside_and_the_next_ones_are_sent(
    poster: Poster, words: str, why: str
) -> None:
    started = json.dumps({"type": "plan.started", "data": STARTED})
    wrong = f'{{"type":"strength\\ud83d.named","data":{{"words":{words}}}}}'
    (poster.folder / "said.ndjson").write_text(f"{wrong}\n{started}\n")
    status, output, errors = poster.run("post", "said.ndjson", "--wait=5")
    assert (status, errors) == (1, "")
    first, *_, last = output.splitlines()
    assert first.startswith("invalid   strength\\ud83d.named")
    assert last.startswith("accepted  plan.started")
    assert poster.run("outbox")[1].endswith(f"set aside: {why}\n")


@pytest.mark.parametrize("patience", ["nan", "-1", "inf"])
def test_patience_is_a_number_of_seconds(poster: Poster, patience: str) -> None:
    status, _, errors = poster.run("post", poster.write(*wishes(1)), f"--retry-for={patience}")
    assert (status, "must be 0 or more" in errors) == (2, True)
    assert poster.run("outbox") == (0, "", "")


@pytest.mark.parametrize("address", ["ftp://x", "http://[::1"])
def test_nothing_is_stored_for_an_invalid_address(poster: Poster, address: str) -> None:
    poster.environment["FIRSTHAND_INTAKE_URL"] = address
    status, _, errors = poster.run("post", poster.write(*wishes(1)))
    assert (status, "is not the address of a service" in errors) == (2, True)
    assert poster.run("outbox") == (0, "", "")


def test_the_bar_goes_to_the_terminal_and_answers_to_the_file(poster: Poster) -> None:
    ours, theirs = pty.openpty()
    seen = bytearray()

    def read() -> None:
        while True:
            try:
                seen.extend(os.read(ours, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    process = poster.begin("post", poster.write(*wishes(20)), "--wait=5", "--json", stderr=theirs)
    output, _ = process.communicate(timeout=60)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert [json.loads(line)["index"] >= 0 for line in output.splitlines()] == [True] * 21
    assert b"Posting" in seen
    assert b"verdict" not in seen


@pytest.mark.parametrize("words", [["post"], ["post", "-", "--resume"]])
def test_it_wants_a_file_or_resume(poster: Poster, words: list[str]) -> None:
    status, _, errors = poster.run(*words)
    assert (status, "Name a FILE" in errors) == (2, True)
