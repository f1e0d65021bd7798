"""What a health check says, and that it ends with a status that an engine understands."""

import http.server
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli import main

NOT_READY = b'{"ready": false, "why": "the queue did not answer"}'


def healthy(service: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["healthcheck", service], env=environment)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A service that says this to whoever asks whether it is ready."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to the terminal."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("service", ["intake", "ledger"])
@pytest.mark.parametrize(
    ("status", "body", "ends", "says"),
    [
        (200, b'{"ready": true}', 0, "is well."),
        (503, NOT_READY, 3, "is not ready: the queue did not answer"),
        (500, b"<html>", 3, "is not ready: status 500"),
        (503, b"[]", 3, "is not ready: status 503"),
    ],
)
def test_a_service_is_asked_whether_it_is_ready(
    service: str, status: int, body: bytes, ends: int, says: str
) -> None:
    with answering(status, body) as url:
        told = healthy(service, **{f"FIRSTHAND_{service.upper()}_URL": url})
    assert (told.exit_code, f"{service} {says}" in told.output) == (ends, True), told.output


def test_a_service_that_is_not_there_is_not_well() -> None:
    assert healthy("intake", FIRSTHAND_INTAKE_URL="http://127.0.0.1:9").exit_code == 3


@pytest.mark.parametrize(("seconds", "ends"), [(0, 0), (60, 0), (120, 3)])
def test_a_worker_is_well_while_it_sweeps(tmp_path: Path, seconds: int, ends: int) -> None:
    beat = tmp_path / "beat"
    beat.touch()
    os.utime(beat, (time.time() - seconds, time.time() - seconds))
    told = healthy("worker", FIRSTHAND_HEARTBEAT=str(beat))
    assert told.exit_code == ends, told.output


def test_a_worker_that_has_not_swept_yet_is_not_well(tmp_path: Path) -> None:
    told = healthy("worker", FIRSTHAND_HEARTBEAT=str(tmp_path / "beat"))
    assert told.exit_code == 3
    assert "has not finished a sweep yet" in told.output


def test_without_a_heartbeat_the_setting_is_named() -> None:
    told = healthy("worker", FIRSTHAND_HEARTBEAT="")
    assert told.exit_code == 2
    assert "FIRSTHAND_HEARTBEAT" in told.output
