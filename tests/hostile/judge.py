"""What builds of intake, the real one or one without a check, answer to abuses of tokens."""

from multiprocessing import get_context
from pathlib import Path
from typing import Any

from services.intake.app import create_app
from shared.auth.tokens import Callers
from shared.crypto.transit import Transit
from shared.inbox.inbox import Inbox
from shared.inbox.servers import connect
from tests.hostile.checks import Check

Answer = dict[str, Any]  # `status` and `body`
Step = tuple[float, dict[str, Any]]  # the time, and a request as the test client takes it


def judge(
    builds: list[tuple[str | None, dict[str, list[Step]]]], keys: Path, queue: str
) -> list[dict[str, list[Answer]]]:
    """Ask each build, a check to leave out and its steps by abuse, in a process of its own."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["pytest", __name__])
    with context.Pool(maxtasksperchild=1) as pool:
        return pool.starmap(answers, [(*build, keys, queue) for build in builds], chunksize=1)


def answers(
    check: str | None, steps: dict[str, list[Step]], keys: Path, queue: str
) -> dict[str, list[Answer]]:
    """Ask intake without that check; what is replaced here stays replaced."""
    if check is not None:
        Check[check].leave_out()
    now = [0.0]
    callers = Callers.from_folder(keys, "firsthand", lambda: now[0])
    answered: dict[str, list[Answer]] = {name: [] for name in steps}
    with connect(queue) as redis:
        app = create_app(callers, Inbox(redis, Transit.from_folder(keys)))
        client = app.test_client(use_cookies=False)
        for name, step in ((name, step) for name, some in steps.items() for step in some):
            now[0], request = step
            response = client.post("/events", **request)
            answered[name].append({"status": response.status_code, "body": response.get_json()})
    return answered
