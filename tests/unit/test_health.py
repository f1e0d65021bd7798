"""What a health check says, and that it ends with a status that an engine understands."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from services.cli import main
from services.ledger.writer.metrics import serve
from tests.ports import free_port

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


def test_a_worker_is_asked_whether_it_is_stuck() -> None:
    reasons = [""]
    port = free_port()
    serve(CollectorRegistry(), "127.0.0.1", port, lambda: reasons[-1])
    result = healthy("worker", FIRSTHAND_METRICS_PORT=str(port))
    assert (result.exit_code, "worker is well." in result.output) == (0, True), result.output
    reasons.append("it has not finished a sweep for 91 s")
    result = healthy("worker", FIRSTHAND_METRICS_PORT=str(port))
    assert result.exit_code == 3
    assert "worker is not ready: it has not finished a sweep for 91 s" in result.output


def test_a_worker_that_is_not_there_is_not_well() -> None:
    assert healthy("worker", FIRSTHAND_METRICS_PORT=str(free_port())).exit_code == 3


def test_without_a_port_of_the_worker_the_setting_is_named() -> None:
    result = healthy("worker", FIRSTHAND_METRICS_PORT="")
    assert result.exit_code == 2
    assert "FIRSTHAND_METRICS_PORT" in result.output
