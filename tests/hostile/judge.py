"""Posts steps to builds of intake, each in a process of its own, and writes down what they answer.

Read from standard input: a list of `{"build": folder, "steps": […]}`; written: `answers.json` in
each folder. A step: `keys`, the folder of the issuers; `queue`, the address of the inbox; `pause`
in seconds before it; `query`, `headers` and `body` of the request.

What belongs to no build is imported once; then each build is a fork of this process.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

for each in ("cryptography.hazmat.primitives.asymmetric.ed25519", "environs", "flask"):
    importlib.import_module(each)
for each in ("marshmallow", "orjson", "redis", "rq", "structlog"):
    importlib.import_module(each)


def answers(build: Path, steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One for each step."""
    sys.path.insert(0, str(build))
    shared, joserfc, app, callers, inbox, transit = (
        importlib.import_module(name)
        for name in (
            "shared",
            "joserfc",
            "services.intake.app",
            "shared.callers",
            "shared.inbox",
            "shared.transit",
        )
    )
    assert all(Path(each.__file__ or "").is_relative_to(build) for each in (shared, joserfc, app))
    keys = Path(steps[0]["keys"])
    with ExitStack() as stack:
        queue = stack.enter_context(inbox.connect(steps[0]["queue"]))
        whole = inbox.Inbox(queue, transit.Transit.from_folder(keys))
        moment = [0.0]
        judging = callers.Callers.from_folder(keys, "firsthand", lambda: moment[0])
        client = app.create_app(judging, whole).test_client(use_cookies=False)
        for step in steps:
            moment[0] = step["now"]
            place = f"/events{step['query']}"
            told = client.post(place, data=step["body"], headers=step["headers"])
            yield {"status": told.status_code, "body": told.get_json()}


def run(build: Path, steps: list[dict[str, Any]]) -> None:
    """Write down what a build answers."""
    (build / "answers.json").write_text(json.dumps(list(answers(build, steps))))


if __name__ == "__main__":
    for asked in json.load(sys.stdin):
        if (child := os.fork()) == 0:
            run(Path(asked["build"]), asked["steps"])
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{asked['build']} failed")
