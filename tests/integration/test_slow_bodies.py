"""A real intake, and senders that stop in the midst of their bodies, or before they begin."""

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.cli.services import IDLE_SECONDS
from shared.auth.tokens import local_token
from shared.http.request_bodies import MAX_PER_CALLER
from shared.process import raise_file_limit
from tests.integration.together import ADA, EVE, MEDIA_TYPE, STARTED, body, event
from tests.ports import free_port
from tests.process import Server, wait_until
from tests.servers import RedisLikeServer

SOFT_LIMIT = 1024  # open files: as in most shells, and under systemd
STALLED = 20  # bodies: more than intake lets itself wait for


class Serving(Server):
    """`firsthand intake`, as it is typed."""

    name = "intake"

    def __init__(self, keys: Path, queue: str) -> None:
        super().__init__()
        self.port = free_port()
        self._told = {"FIRSTHAND_KEYS": str(keys), "FIRSTHAND_REDIS_URL": queue}

    def command(self) -> list[str]:
        started = [sys.executable, "-m", "services.cli", "intake", "--port", str(self.port)]
        return ["/bin/sh", "-c", f'ulimit -Sn {SOFT_LIMIT}; exec "$@"', "sh", *started]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self._told}

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def begin(self, bearer: str) -> socket.socket:
        """A POST with one byte of its body."""
        head = (
            f"POST /events HTTP/1.1\r\nHost: intake\r\nAuthorization: Bearer {bearer}\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: 500\r\n\r\n{{"
        )
        opened = socket.create_connection(("127.0.0.1", self.port))
        opened.sendall(head.encode())
        opened.settimeout(20)
        return opened

    def get(self, path: str) -> int:
        """The status of a GET."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False).status_code

    def post(self, bearer: str) -> int:
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": MEDIA_TYPE}
        url, said = f"http://127.0.0.1:{self.port}/events", body(event("plan.started", STARTED))
        return httpx.post(url, content=said, headers=headers, trust_env=False).status_code


@pytest.fixture
def intake(keys: Path, valkey: RedisLikeServer) -> Iterator[Serving]:
    """A process of its own."""
    with Serving(keys, valkey.url) as serving:
        yield serving


def test_stalled_bodies_of_one_caller_do_not_stop_intake(intake: Serving, keys: Path) -> None:
    mallory, ada = (local_token(keys, each) for each in (EVE, ADA))
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(intake.begin(mallory)) for _ in range(STALLED)]
        assert [intake.post(ada) for _ in range(10)] == [202] * 10
        heard, _, _ = select.select(stalled, [], [], 30)
        assert {each.recv(12) for each in heard} == {b"HTTP/1.1 503"}
        assert [intake.post(ada) for _ in range(10)] == [202] * 10


@pytest.mark.parametrize("tokens", [13, 40])
def test_stalled_bodies_of_many_callers_are_ended_and_others_are_served(
    intake: Serving, keys: Path, tokens: int
) -> None:
    """Held for 15 seconds: longer than a body may take, which is when intake once stood still."""
    callers = [local_token(keys, f"person:m{number}") for number in range(tokens)]
    ada = local_token(keys, ADA)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(intake.begin(each)) for each in callers for _ in range(3)]
        until = time.monotonic() + 15
        while time.monotonic() < until:
            assert (intake.post(ada), intake.get("/livez"), intake.get("/readyz")) == (
                202,
                200,
                200,
            )
        assert {each.recv(12) for each in stalled} == {b"HTTP/1.1 503"}


def test_a_caller_with_too_many_bodies_coming_is_answered_at_once(
    intake: Serving, keys: Path
) -> None:
    mallory, ada = (local_token(keys, each) for each in (EVE, ADA))
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_PER_CALLER):
            stack.enter_context(intake.begin(mallory))
        wait_until(lambda: intake.post(mallory) == 503, "the caller to have no place left")
        assert intake.post(ada) == 202


@pytest.mark.parametrize("who", ["auditor:kim", "operator:lee"])
def test_who_may_author_nothing_is_told_before_the_body(
    intake: Serving, keys: Path, who: str
) -> None:
    with contextlib.ExitStack() as stack:
        bearer = local_token(keys, who)
        stalled = [stack.enter_context(intake.begin(bearer)) for _ in range(STALLED)]
        assert {each.recv(12) for each in stalled} == {b"HTTP/1.1 403"}


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost"], ids=["nothing", "a-part"])
def test_idle_connections_keep_nobody_out(intake: Serving, keys: Path, sent: bytes) -> None:
    """As many as there are files by the soft limit; none of them has sent a whole request."""
    if raise_file_limit() < 2 * SOFT_LIMIT:
        pytest.skip("the hard limit of open files does not allow so many connections")
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", intake.port)))
            for _ in range(SOFT_LIMIT)
        ]
        for each in idle:
            each.sendall(sent)
        assert intake.post(local_token(keys, ADA)) == 202
        idle[-1].settimeout(3 * IDLE_SECONDS)
        with contextlib.suppress(ConnectionError):
            while idle[-1].recv(100):  # a part of a request is answered 408, or not at all
                pass
