"""Any fault at the start of a service is one line and an exit status, never a stack trace."""

import re
import socket
import subprocess
from pathlib import Path

import pytest

from services.ledger.config import LedgerSettings
from services.ledger.maintenance.init import init
from shared.process import check_port
from tests.e2e.running import COMMAND, environment
from tests.ports import free_port


def started(folder: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [str(COMMAND), *words],
        env=environment(folder, FIRSTHAND_DATA=str(folder / "data"), **settings),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def error_line(done: "subprocess.CompletedProcess[str]", status: int) -> str:
    """Return the only line that it wrote to standard error."""
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert re.fullmatch(r"firsthand: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a ledger in it."""
    init(LedgerSettings.load(data=tmp_path / "data"))
    return tmp_path


@pytest.mark.parametrize(
    ("service", "file"), [("intake", "transit.jwks"), ("ledger", "kek"), ("worker", "transit.jwks")]
)
def test_a_key_file_that_is_missing(folder: Path, service: str, file: str) -> None:
    (folder / "data/keys" / file).unlink()
    assert f"{file}: " in (line := error_line(started(folder, service), 2))
    assert "Run 'firsthand init'" in line


@pytest.mark.parametrize("service", ["intake", "ledger"])
def test_a_folder_with_nothing_in_it(tmp_path: Path, service: str) -> None:
    assert "Run 'firsthand init'" in error_line(started(tmp_path, service), 2)


@pytest.mark.parametrize("service", ["ledger", "worker"])
def test_an_unsupported_database_url(folder: Path, service: str) -> None:
    wrong = {"FIRSTHAND_DATABASE_URL": "mysql://x"}
    assert "FIRSTHAND_DATABASE_URL: use" in error_line(started(folder, service, **wrong), 2)


@pytest.mark.parametrize("service", ["intake", "ledger", "worker", "up"])
def test_an_invalid_queue_url(folder: Path, service: str) -> None:
    wrong = {"FIRSTHAND_REDIS_URL": "http://x"}
    assert "FIRSTHAND_REDIS_URL: not a URL" in error_line(started(folder, service, **wrong), 2)


def test_the_doctor_reports_an_invalid_queue_url(folder: Path) -> None:
    done = started(folder, "doctor", FIRSTHAND_REDIS_URL="http://x")
    assert (done.returncode, done.stderr) == (1, "")
    assert "error    queue               FIRSTHAND_REDIS_URL: " in done.stdout


@pytest.mark.parametrize("service", ["intake", "ledger"])
def test_a_port_where_somebody_listens(folder: Path, service: str) -> None:
    """Also Granian's own listener, which would otherwise share it (SO_REUSEPORT)."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = error_line(started(folder, service, f"--port={port}"), 3)
    assert line == f"firsthand: port {port} is already in use; choose another with --port\n"


def test_a_name_of_this_machine_resolves_to_its_address() -> None:
    assert check_port("localhost", free_port()) in ("127.0.0.1", "::1")


def test_an_address_of_another_machine(folder: Path) -> None:
    line = error_line(started(folder, "intake", "--host=192.0.2.1", f"--port={free_port()}"), 3)
    assert "cannot listen on 192.0.2.1" in line
    assert "--host" in line


@pytest.mark.parametrize(
    "words", [("intake", "--port=99999"), ("ledger", "--port=0"), ("up", "--intake-port=-1")]
)
def test_a_port_out_of_range(folder: Path, words: tuple[str, ...]) -> None:
    done = started(folder, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not in the range" in done.stderr


def test_a_ledger_is_private_even_in_a_public_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    init(LedgerSettings.load(data=tmp_path / "data"))
    assert (tmp_path / "data/ledger.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", ["init", "up"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, command: str) -> None:
    line = error_line(started(tmp_path, command, "--data=/proc/x"), 2)
    assert "/proc/x" in line
    assert "FIRSTHAND_DATA" in line


def test_a_half_written_up_json_is_ignored(folder: Path) -> None:
    (folder / "data/up.json").write_text('{"intake": "http://127')
    wrong = {
        "FIRSTHAND_INTAKE_URL": "http://127.0.0.1:9",
        "FIRSTHAND_REDIS_URL": "redis://127.0.0.1:9",
    }
    done = started(folder, "doctor", **wrong)
    assert (done.returncode, done.stderr) == (3, "")
    assert "intake does not answer at http://127.0.0.1:9" in done.stdout
    assert "no address is configured; set FIRSTHAND_LEDGER_URL" in done.stdout
