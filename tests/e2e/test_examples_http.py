"""Every served example gets the documented verdict over HTTP, on each store.

The examples come from the running service and are posted unchanged: first the given events, then
the event. Each has its own person, so they can be posted concurrently.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from shared.auth.tokens import local_token
from shared.events.catalogue import CATALOGUE
from shared.events.event import Json
from shared.events.refusals import REASONS, Code
from tests import matrix, postgres
from tests.e2e.running import MEDIA_TYPE, Up

ROOT = Path(__file__).parents[2]
STORES = ["sqlite", *(["postgresql"] if postgres.find_postgres() else [])]
SIDE_BY_SIDE = 8  # the number of clients that may wait at intake


@pytest.fixture(params=STORES)
def fresh_up(
    request: pytest.FixtureRequest, tmp_path: Path, in_matrix: Callable[..., None]
) -> Iterator[Up]:
    """Start an `up` for this test only, running the code of this checkout."""
    settings = {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        if request.param == "postgresql":
            server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
            store = stack.enter_context(server.database())
            settings["FIRSTHAND_DATABASE_URL"] = store.app_url
            settings["FIRSTHAND_DATABASE_OWNER_URL"] = store.owner_url
        up = stack.enter_context(Up(tmp_path, **settings))
        in_matrix(store=request.param, queue=up.queue)
        yield up


def post(up: Up, step: Json, *, wait: int = 0) -> httpx.Response:
    """Post a step as its author, through its service."""
    client = {"client": step["via"]} if "via" in step else {}
    token = local_token(up.data / "keys", step["author"], **client)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": MEDIA_TYPE}
    headers |= {"Prefer": f"wait={wait}"} if wait else {}
    return up.client.post(f"{up.intake}/events", json=step["event"], headers=headers)


def verdict(answer: httpx.Response) -> str:
    """Return the answer's verdict; check a refusal's status, sentence and receipt."""
    if answer.status_code == 201:
        return str(answer.json()["verdict"])
    problem = answer.json()
    code = Code(problem["code"])
    assert (answer.status_code, problem["recorded"]) == (code.http_status, True)
    assert problem["detail"] == f"It was refused: {REASONS[code]}."
    return code


def replay(up: Up, example: Json) -> str:
    """Post an example; return a description of any mismatch."""
    wanted = ["accepted"] * len(example["given"]) + [example["verdict"]]
    for step in example["given"]:
        assert post(up, step).status_code == 202
    answer = post(up, example, wait=20)
    history = up.history(example["event"]["subject"])
    recorded = [entry.get("refusal", entry["verdict"]) for entry in history]
    fine = answer.status_code != 202 and verdict(answer) == example["verdict"]
    name = f"{example['event']['type']} {example['verdict']}"
    return "" if fine and recorded == wanted else f"{name}: {answer.text}, {recorded}"


def is_readable(up: Up, example: Json) -> bool:
    """Return whether the result is readable: the plan as data and text, a sentence per entry."""
    person = example["event"]["subject"]
    if example["verdict"] != "accepted":
        return True
    answers = [up.get(person, "plan", person, Accept=kind) for kind in ("*/*", "text/plain")]
    sentences = all(entry["sentence"].endswith(".") for entry in up.history(person))
    return sentences and all(answer.status_code == 200 and answer.text for answer in answers)


def test_every_example_earns_its_verdict(fresh_up: Up, request: pytest.FixtureRequest) -> None:
    up = fresh_up
    types = up.client.get(f"{up.intake}/event-types").json()
    assert [row["type"] for row in types] == list(CATALOGUE)
    rows = [up.client.get(f"{up.intake}/event-types/{row['type']}").json() for row in types]
    examples = [example for row in rows for example in row["examples"]]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        wrong = [fault for fault in pool.map(partial(replay, up), examples) if fault]
    assert wrong == []
    counts = Counter(example["verdict"] for example in examples)
    summary = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    assert [example for example in examples if not is_readable(up, example)] == []
    store = request.node.callspec.params["fresh_up"]
    matrix.tell(
        request, f"examples over HTTP, {store}: {len(examples)} of {len(rows)} types: {summary}"
    )
    done = up.run("replay", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_an_example_posted_again_is_answered_the_same(fresh_up: Up) -> None:
    up = fresh_up
    examples = up.client.get(f"{up.intake}/event-types/action.done").json()["examples"]
    for example in examples:
        assert replay(up, example) == ""
        history = up.history(example["event"]["subject"])
        assert [post(up, step, wait=20).status_code for step in example["given"]] == [
            200 for _ in example["given"]
        ]
        again = post(up, example, wait=20)
        code = again.json().get("code", "accepted")
        assert (again.status_code != 201, code) == (True, example["verdict"])
        assert up.history(example["event"]["subject"]) == history
