"""Which program runs the embedded queue: the one whose files it can read, and none by surprise."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from services.ledger.config import LedgerSettings
from services.operations import embedded_queue as module
from services.operations.embedded_queue import (
    Program,
    Tail,
    embedded_queue,
    note,
    queue_server,
)
from services.operations.supervisor import LocalStack
from shared.errors import PreconditionFailed, SettingsError
from shared.inbox.servers import connect, is_reachable

REDIS = shutil.which("redis-server")
ours = pytest.mark.skipif(module.queue_server().name != "Valkey", reason="no wheel here")
theirs = pytest.mark.skipif(REDIS is None, reason="no redis-server on PATH")


def fake(folder: Path, says: str, name: str = "redis-server") -> Path:
    """A program that says its version, and ends with a last line when it is started."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "{says}" && exit 0\n'
        "echo '17:M 28 Nov 2026 20:11:54.943 # Some line before'\n"
        "printf '17:M 28 Nov 2026 20:11:54.943 # Cannot \\033[2Jread it\\n'\n"
        "exit 4\n"
    )
    program.chmod(0o755)
    return program


def written(data: Path, writer: Program | None) -> Path:
    """A data folder with the queue's files, and who wrote them."""
    (data / module.FILES).mkdir(parents=True)
    if writer:
        note(data, writer)
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@ours
def test_a_server_that_is_installed_later_is_not_taken(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = queue_server(data)
    other = fake(tmp_path / "bin", "Redis server v=7.0.15 sha=0")
    monkeypatch.setenv("PATH", f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    assert queue_server(data) == before
    assert queue_server(written(data, before)) == before


def test_without_a_wheel_one_on_path_is(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fake(tmp_path / "bin", "Redis server v=7.0.15 sha=0")
    monkeypatch.setenv("PATH", f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert queue_server(data).name in ("Redis", "Valkey")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreconditionFailed, match="install Valkey or Redis"):
        queue_server(data)


def test_one_that_is_named_is_taken_and_kept_to(tmp_path: Path, data: Path) -> None:
    program = fake(tmp_path, "Redis server v=7.0.15 sha=0")
    assert queue_server(data, program) == (named := Program("Redis", str(program), "7.0.15"))
    assert queue_server(written(data, named)) == named, "without being named again"


@pytest.mark.parametrize(
    ("writer", "says", "reads"),
    [
        ("7.0.15", "Redis server v=7.0.15", True),
        ("7.0.15", "Redis server v=7.0.3", True),
        ("7.0.15", "Redis server v=7.2.1", True),
        ("7.0.15", "Redis server v=8.0.0", True),
        ("7.0.15", "Redis server v=6.2.9", False),
        ("7.10.1", "Redis server v=7.9.9", False),
        ("7.0.15", "Valkey server v=9.1.2", False),
    ],
)
def test_an_older_server_or_another_is_refused_with_the_remedy(
    tmp_path: Path, data: Path, writer: str, says: str, reads: bool
) -> None:
    written(data, Program("Redis", "/nowhere/redis-server", writer))
    program = fake(tmp_path, says)
    if reads:
        assert queue_server(data, program).program == str(program)
        return
    with pytest.raises(PreconditionFailed) as fault:
        queue_server(data, program)
    for part in (f"written by Redis {writer} (/nowhere", "--queue-server", f"{writer} or newer"):
        assert part in str(fault.value)


@ours
@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name":"x","program":"y","version":"z"}'])
def test_a_note_that_says_nothing_is_no_obstacle(data: Path, text: str) -> None:
    (written(data, None) / module.NOTE).write_text(text)
    assert queue_server(data).name == "Valkey"


@ours
def test_a_folder_without_the_queues_files_is_anybodys(data: Path) -> None:
    written(data, Program("Redis", "/nowhere", "99.0.0"))
    with pytest.raises(PreconditionFailed, match=r"99\.0\.0"):
        queue_server(data)
    (data / module.FILES).rmdir()
    assert queue_server(data).name == "Valkey"


@pytest.mark.parametrize("program", ["/nowhere", "/bin/true", __file__])
def test_what_is_no_server_is_said(data: Path, program: str) -> None:
    with pytest.raises(SettingsError, match=r"no such program|is not a valkey-server"):
        queue_server(data, Path(program))


def settings(data: Path, program: Path | str | None = None) -> LedgerSettings:
    data.mkdir(mode=0o700, exist_ok=True)
    return LedgerSettings.load(data=data, queue_server=program and Path(program))


@ours
@theirs
def test_what_one_server_wrote_is_not_given_to_another(data: Path) -> None:
    """With a real Redis 7, which ends at once on what Valkey 9 wrote."""
    with embedded_queue(settings(data)), connect(settings(data).queue_url) as client:
        client.set("kept", "1")
    noted = json.loads((data / module.NOTE).read_bytes())
    assert noted["name"] == "Valkey"
    with (
        pytest.raises(PreconditionFailed, match="were written by Valkey"),
        embedded_queue(settings(data, REDIS)),
    ):
        pass
    with embedded_queue(settings(data)), connect(settings(data).queue_url) as client:
        assert client.get("kept") == b"1"


@theirs
def test_a_server_that_was_named_once_goes_on(data: Path) -> None:
    with (
        embedded_queue(settings(data, REDIS)),
        connect(settings(data).queue_url) as client,
    ):
        client.set("kept", "1")
    with embedded_queue(settings(data)), connect(settings(data).queue_url) as client:
        assert client.get("kept") == b"1"
        assert "valkey_version" not in client.info("server")


def test_a_queue_that_does_not_start_says_why(tmp_path: Path, data: Path) -> None:
    program = fake(tmp_path, "Redis server v=7.0.15 sha=0")
    with pytest.raises(PreconditionFailed) as fault, embedded_queue(settings(data, program)):
        pass
    assert str(fault.value) == (
        "queue exited unexpectedly (status 4); "
        "its last lines: Some line before | Cannot ?[2Jread it"
    )
    assert not (data / module.NOTE).exists(), "it wrote nothing"


@ours
def test_a_damaged_file_of_the_queue_is_named(data: Path) -> None:
    with embedded_queue(settings(data)), connect(settings(data).queue_url) as client:
        client.set("kept", "1")
    (damaged,) = (data / module.FILES).glob("*.incr.aof")
    damaged.write_bytes(damaged.read_bytes() + b"what no server writes\r\n")
    says = f"Bad file format reading .*{damaged.name}"
    with pytest.raises(PreconditionFailed, match=says), embedded_queue(settings(data)):
        pass
    assert not is_reachable(settings(data).queue_url)


def write_without_end(to: int) -> None:
    while True:
        os.write(to, b"A line of some length\n")


def test_a_child_that_writes_without_end_is_neither_waited_for_nor_held_up() -> None:
    tail = Tail()
    with pytest.raises(BlockingIOError):
        write_without_end(tail.writing)
    assert tail.read() != []
    os.write(tail.writing, b"\nthe last\n")
    tail.started()
    assert tail.read()[-1] == "the last"
    tail.close()


def test_the_supervisor_names_its_queues_last_words_when_it_ends(data: Path) -> None:
    everything = LocalStack(settings(data), intake_port=0, ledger_port=0)
    before = [(each, signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM)]
    try:
        everything.start_queue()
        with connect(settings(data).queue_url) as client:
            client.shutdown(nosave=True)
        with pytest.raises(
            PreconditionFailed, match=r"queue exited unexpectedly \(status 0\); its last lines: .*"
        ):
            everything.wait()
    finally:
        everything.stop()
        for each, handler in before:
            signal.signal(each, handler)
