"""`firsthand up` starts everything, stops everything, and continues where it stopped."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.running import COMMAND, Up, environment, event
from tests.process import PATIENCE, is_running, wait_until

STARTED = {"name_to_use": "Ada", "language": "en"}
ADA = "person:ada"


@pytest.fixture(autouse=True)
def noted(in_matrix: Callable[..., None]) -> None:
    """Note the store of these tests in the matrix."""
    in_matrix(store="sqlite")


def environments(up: Up) -> dict[str, dict[str, str]]:
    """Return each service's environment, as the kernel has it."""
    by_service = {}
    for pid in up.below:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        service = words[3].decode() if b"services.cli" in words else "queue"
        pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
        by_service[service] = dict(pair.partition("=")[::2] for pair in pairs)
    return by_service


@pytest.mark.parametrize("way", ["SIGTERM", "Ctrl-C"])
def test_it_stops_cleanly_and_goes_on_where_it_was(tmp_path: Path, way: str) -> None:
    up = Up(tmp_path)
    with up:
        first = up.say(ADA, "plan.started", STARTED, ADA)
        before = up.get(ADA, "plan", ADA)
        status = up.interrupt() if way == "Ctrl-C" else up.stop()
        assert (status, up.errors.split()) == (0, ["Stopping", "…"])
        up.nothing_is_left()
        assert not (up.data / "up.json").exists()
    with up:
        again = up.get(ADA, "plan", ADA)
        assert (again.content, again.headers["etag"]) == (before.content, before.headers["etag"])
        repeat = up.post(ADA, first)
        assert (repeat.status_code, repeat.json()["index"]) == (200, 0)
        up.say(ADA, "aspiration.stated", {"words": "Walk."}, ADA)
        assert [entry["index"] for entry in up.history(ADA)] == [0, 1]


def test_what_waits_when_it_stops_is_recorded_when_it_starts(tmp_path: Path) -> None:
    up = Up(tmp_path)
    with up:
        up.say(ADA, "plan.started", STARTED, ADA)
        events = [event("aspiration.stated", {"words": f"Wish {n}."}, ADA) for n in range(20)]
        assert {up.post(ADA, sent, wait=0).status_code for sent in events} == {202}
        assert up.stop() == 0
    with up:
        wait_until(lambda: len(up.history(ADA)) == 21, "all events to be recorded")
        assert [entry["id"] for entry in up.history(ADA)][1:] == [sent["id"] for sent in events]


def test_killed_outright_it_leaves_nothing_running_and_loses_nothing(tmp_path: Path) -> None:
    up = Up(tmp_path)
    with up:
        posted = event("plan.started", STARTED, ADA)
        assert up.post(ADA, posted, wait=0).status_code == 202
        up.stop(signal.SIGKILL)
        up.nothing_is_left()
    with up:
        wait_until(lambda: len(up.history(ADA)) == 1, "the event to be recorded")
        assert up.post(ADA, posted).status_code == 200


@pytest.mark.parametrize("service", ["queue", "worker", "ledger", "intake"])
def test_when_one_service_ends_all_end_and_say_which(tmp_path: Path, service: str) -> None:
    with Up(tmp_path) as up:
        position = ["queue", "worker", "ledger", "intake"].index(service)
        child = [pid for pid in up.below if parent_of(pid) == up.process.pid][position]
        os.kill(child, signal.SIGKILL)
        assert up.process.wait(PATIENCE) == 3
        assert f"{service} exited unexpectedly" in up.errors.splitlines()[-1]
        up.nothing_is_left()


def parent_of(pid: int) -> int:
    """Return the parent's process id."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_the_workers_metrics_are_at_the_printed_address(tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        assert any(f"worker  {up.worker} " in line for line in up.output)
        up.say(ADA, "plan.started", STARTED, ADA)
        served = up.client.get(f"{up.worker}/metrics").text
        assert 'firsthand_entries_total{verdict="accepted"} 1.0' in served
        assert 'firsthand_refusals_total{code="our-fault"} 0.0' in served


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path, position: int) -> None:
    up = Up(tmp_path)
    with socket.create_server(("127.0.0.1", up.ports[position])):
        done = subprocess.run(
            up.command(),
            env=up.environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    option = ("--intake-port", "--ledger-port", "--metrics-port")[position]
    assert (done.returncode, done.stdout) == (3, "")
    says = f"firsthand: port {up.ports[position]} is already in use; choose another with {option}\n"
    assert done.stderr == says


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        second = Up(tmp_path).command()
        done = subprocess.run(
            second,
            env=up.environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == f"firsthand: 'firsthand up' already runs on {up.data}\n"
        up.say(ADA, "plan.started", STARTED, ADA)  # the first one continues
        assert all(map(is_running, up.below))


def test_a_folder_deep_down_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's path has at most 107 bytes; a folder's may be longer."""
    with Up(tmp_path / ("a" * 60) / ("b" * 60)) as up:
        up.say(ADA, "plan.started", STARTED, ADA)
        assert up.stop() == 0


def test_intake_has_no_database_address(
    tmp_path: Path, request: pytest.FixtureRequest, in_matrix: Callable[..., None]
) -> None:
    server = request.getfixturevalue("postgres_server")
    in_matrix(store="postgresql")
    with server.database() as store:
        urls = {
            "FIRSTHAND_DATABASE_URL": store.app_url,
            "FIRSTHAND_DATABASE_OWNER_URL": store.owner_url,
        }
        with Up(tmp_path, **urls) as up:
            up.say(ADA, "plan.started", STARTED, ADA)
            by_service = environments(up)
    assert by_service.keys() == {"queue", "worker", "ledger", "intake"}
    settings = {
        service: {name for name in variables if "DATABASE" in name}
        for service, variables in by_service.items()
    }
    assert settings == {
        "queue": set(),
        "intake": set(),
        "worker": {"FIRSTHAND_DATABASE_URL"},
        "ledger": {"FIRSTHAND_DATABASE_URL"},
    }
    assert store.app_url not in str(by_service["intake"])


def test_intake_imports_no_store() -> None:
    """Check in a fresh interpreter, with all modules that it loads."""
    program = """
import sys
import services.intake.app, services.intake.routes, services.intake.event_types
strange = ("sqlalchemy", "alembic", "psycopg", "pysqlite3", "sqlite3", "services.ledger")
print(sorted(name for name in sys.modules if name.startswith(strange)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(Path("/nowhere"), PYTHONPATH=str(COMMAND.parents[2])),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_a_token_is_printed_bare(tmp_path: Path) -> None:
    with Up(tmp_path) as up:
        done = up.run("token", ADA, "--ttl=60")
        assert (done.returncode, done.stderr) == (0, "")
        bearer = done.stdout.removesuffix("\n")
        url, headers = f"{up.ledger}/people/{ADA}/history", {"Authorization": f"Bearer {bearer}"}
        assert up.client.get(url, headers=headers).json() == {"subject": ADA, "entries": []}
