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
from tests.answering import Answering, Heard, Said, cut, to
from tests.e2e.running import COMMAND, Up, environment, event, somebody
from tests.process import wait_until

pytestmark = pytest.mark.xdist_group("up")
STARTED = {"name_to_use": "Ada", "language": "en"}


class Desk:
    """Where somebody posts: a folder with an outbox of its own, and a token."""

    def __init__(self, up: Up, folder: Path, intake: str) -> None:
        self.up, self.ada, self.folder = up, somebody(), folder
        self.token = up.bearer(self.ada)["Authorization"].removeprefix("Bearer ")
        self.environment = environment(
            folder,
            FIRSTHAND_TOKEN=self.token,
            FIRSTHAND_INTAKE_URL=intake,
            FIRSTHAND_LEDGER_URL=up.ledger,
            FIRSTHAND_DATA=str(folder / "data"),
        )

    def write(self, *said: Json, name: str = "said.ndjson") -> str:
        """A file of events."""
        (self.folder / name).write_text("".join(json.dumps(each) + "\n" for each in said))
        return name

    def begin(self, *words: str, stderr: int = subprocess.PIPE) -> "subprocess.Popen[str]":
        """The command, begun."""
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
        """The command: status, output, errors."""
        process = self.begin(*words)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def history(self) -> list[str]:
        """The ids of the entries, in their order."""
        return [each["id"] for each in self.up.history(self.ada)]


@pytest.fixture
def desk(up: Up, tmp_path: Path) -> Desk:
    """A desk in front of the real intake."""
    return Desk(up, tmp_path, up.intake)


def wishes(count: int, **more: object) -> list[Json]:
    """A plan's beginning, and wishes."""
    told = [{"type": "aspiration.stated", "data": {"words": f"{n}"}, **more} for n in range(count)]
    return [{"type": "plan.started", "data": STARTED, **more}, *told]


def cutting(intake: str, dice: Random) -> Callable[[Heard], Said | None]:
    """An intake that is cut off before it hears, after it has answered, and in the middle of it."""
    real = to(intake)

    def ask(heard: Heard) -> Said | None:
        fate = dice.choice(["deaf", "mute", "half", *["good"] * 12])
        said = None if fate == "deaf" else real(heard)
        if said is None or fate == "mute":
            return None
        code, headers, content = said
        more = {"Content-Length": str(len(content) + 5)} if fate == "half" else {}
        return code, headers | more, content

    return ask


def has_heard(intake: Answering, count: int, process: "subprocess.Popen[str]") -> bool:
    """Whether so many posts have come, or none will come any more."""
    return len(intake.heard) >= count or process.poll() is not None


@pytest.mark.parametrize(("seed", "wait"), [(0, "--wait=0"), (1, "--wait=5")])
def test_killed_and_cut_off_again_and_again_it_records_each_event_once_and_in_order(
    up: Up, tmp_path: Path, seed: int, wait: str
) -> None:
    dice = Random(seed)
    with Answering(cutting(up.intake, Random(seed))) as intake:
        desk = Desk(up, tmp_path, intake.url)
        words = ["post", desk.write(*wishes(40)), wait]
        for _ in range(4):
            until = len(intake.heard) + dice.randrange(1, 15)
            process = desk.begin(*words)
            wait_until(partial(has_heard, intake, until, process), "posts")
            process.send_signal(signal.SIGKILL)
            process.communicate()
            words = ["post", "--resume", wait]
        status, _, errors = desk.run("post", "--resume", "--wait=5")
        assert (status, errors) == (0, "")
    first_heard = list(dict.fromkeys(json.loads(each.body)["id"] for each in intake.heard))
    assert len(first_heard) == 41
    assert desk.history() == first_heard
    assert len({each.body for each in intake.heard}) == 41, "an event has the same bytes each time"
    assert desk.run("outbox") == (0, "", "")


def test_killed_between_the_answer_and_the_removal_it_gets_the_same_receipt_again(
    desk: Desk,
) -> None:
    process = desk.begin("post", desk.write(*wishes(30)), "--wait=5", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    first = json.loads(process.stdout.readline())
    process.kill()
    process.communicate()
    status, output, _ = desk.run("post", "--resume", "--wait=5", "--json")
    again = json.loads(output.splitlines()[0])
    assert status == 0
    same = ("id", "log", "index", "entry", "digest", "salt", "verdict", "received", "recorded")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert len(desk.history()) == len(output.splitlines()) == 31


def test_two_at_once_send_each_event_once(up: Up, tmp_path: Path) -> None:
    with Answering(to(up.intake)) as intake:
        desk = Desk(up, tmp_path, intake.url)
        assert desk.run("post", desk.write(wishes(0)[0]), "--wait=5")[0] == 0
        one = desk.write(*wishes(30)[1:], name="one")
        two = desk.write(*wishes(20)[1:], name="two")
        processes = [desk.begin("post", each, "--wait=5") for each in (one, two, one)]
        done = [each.communicate(timeout=120) for each in processes]
        assert [each.returncode for each in processes] == [0, 0, 0], done
    sent = [each.body for each in intake.heard]
    assert len(sent) == len(set(sent)) == len(desk.history())
    assert desk.run("outbox") == (0, "", "")


def test_what_one_left_behind_is_not_sent_with_anothers_token_or_to_another_place(
    up: Up, tmp_path: Path
) -> None:
    with Answering(cut) as intake:
        desk = Desk(up, tmp_path, intake.url)
        assert desk.run("post", desk.write(*wishes(3)), "--retry-for=0")[0] == 3
        assert len(intake.heard) == 1
    kept = desk.run("outbox")[1].splitlines()
    eve = Desk(up, tmp_path, intake.url)
    assert eve.run("post", "--resume") == (0, "", "")
    desk.environment["FIRSTHAND_INTAKE_URL"] = up.intake
    assert desk.run("post", "--resume") == (0, "", "")
    assert desk.run("outbox")[1].splitlines() == kept
    assert len(kept) == 4
    assert all(f"{desk.ada} for {intake.url}  waits" in line for line in kept)
    assert (desk.history(), eve.history()) == ([], [])


def test_a_failure_is_one_line_that_says_what_is_kept_and_how_to_go_on(desk: Desk) -> None:
    desk.environment["FIRSTHAND_INTAKE_URL"] = "http://127.0.0.1:9"
    status, output, errors = desk.run("post", desk.write(*wishes(2)), "--retry-for=0.2")
    assert (status, output) == (3, "")
    assert errors == (
        "firsthand: http://127.0.0.1:9: [Errno 111] Connection refused "
        "(3 in the outbox; 'firsthand post --resume' continues)\n"
    )
    status, output, errors = desk.run("post", "said.ndjson", "--retry-for=0.2")
    assert errors.startswith("This input is in the outbox already; continuing with it.\n")
    assert len(desk.run("outbox")[1].splitlines()) == 3


def test_no_token_rests_in_the_outbox(desk: Desk) -> None:
    desk.environment["FIRSTHAND_INTAKE_URL"] = "http://127.0.0.1:9"
    desk.run("post", desk.write(*wishes(2)), "--retry-for=0")
    [file] = (desk.folder / "data" / "outbox").iterdir()
    content = file.read_bytes()
    assert STARTED["name_to_use"].encode() in content
    assert not any(part.encode() in content for part in desk.token.split("."))


def test_what_cannot_be_taken_is_set_aside_and_can_be_taken_out(desk: Desk) -> None:
    wrong = event("aspiration.stated", {"words": 7}, desk.ada)
    status, output, errors = desk.run(
        "post", desk.write(*wishes(0), wrong, *wishes(1)[1:]), "--wait=5"
    )
    assert (status, errors) == (1, "")
    assert [line.split()[0] for line in output.splitlines() if line[0] != " "] == [
        "accepted",
        "invalid",
        "accepted",
    ]
    status, output, _ = desk.run("outbox")
    place = f"{wrong['id']}  {desk.ada} for {desk.up.intake}"
    assert output == f"{place}  set aside: /data/words: Not a valid string.\n"
    assert json.loads(desk.run("outbox", "--json")[1])["aside"].startswith("/data/words")
    assert desk.run("outbox", "--forget", wrong["id"]) == (0, "", "")
    assert desk.run("outbox", "--forget", wrong["id"])[0] == 1
    assert desk.run("outbox") == (0, "", "")


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
def test_what_cannot_even_be_read_is_set_aside_and_what_stands_behind_it_goes(
    desk: Desk, words: str, why: str
) -> None:
    started = json.dumps({"type": "plan.started", "data": STARTED})
    wrong = f'{{"type":"strength\\ud83d.named","data":{{"words":{words}}}}}'
    (desk.folder / "said.ndjson").write_text(f"{wrong}\n{started}\n")
    status, output, errors = desk.run("post", "said.ndjson", "--wait=5")
    assert (status, errors) == (1, "")
    first, *_, last = output.splitlines()
    assert first.startswith("invalid   strength\\ud83d.named")
    assert last.startswith("accepted  plan.started")
    assert desk.run("outbox")[1].endswith(f"set aside: {why}\n")


@pytest.mark.parametrize("patience", ["nan", "-1", "inf"])
def test_patience_is_a_number_of_seconds(desk: Desk, patience: str) -> None:
    status, _, errors = desk.run("post", desk.write(*wishes(1)), f"--retry-for={patience}")
    assert (status, "must be 0 or more" in errors) == (2, True)
    assert desk.run("outbox") == (0, "", "")


@pytest.mark.parametrize("address", ["ftp://x", "http://[::1"])
def test_nothing_is_kept_for_an_address_that_is_none(desk: Desk, address: str) -> None:
    desk.environment["FIRSTHAND_INTAKE_URL"] = address
    status, _, errors = desk.run("post", desk.write(*wishes(1)))
    assert (status, "is not the address of a service" in errors) == (2, True)
    assert desk.run("outbox") == (0, "", "")


def test_a_bar_is_for_the_terminal_and_answers_are_for_the_file(desk: Desk) -> None:
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
    process = desk.begin("post", desk.write(*wishes(20)), "--wait=5", "--json", stderr=theirs)
    output, _ = process.communicate(timeout=60)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert [json.loads(line)["index"] >= 0 for line in output.splitlines()] == [True] * 21
    assert b"Posting" in seen
    assert b"verdict" not in seen


@pytest.mark.parametrize("words", [["post"], ["post", "-", "--resume"]])
def test_it_wants_a_file_or_resume(desk: Desk, words: list[str]) -> None:
    status, _, errors = desk.run(*words)
    assert (status, "Name a FILE" in errors) == (2, True)
