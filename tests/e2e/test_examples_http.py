"""Every example that is served earns over HTTP what it says, on each store.

The examples are taken from the running service, and posted as they stand: what is given first,
then the event. Each has a person of its own, so they can be posted side by side.
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
SIDE_BY_SIDE = 8  # as many as intake lets wait at once


@pytest.fixture(params=STORES)
def everything(
    request: pytest.FixtureRequest, tmp_path: Path, in_matrix: Callable[..., None]
) -> Iterator[Up]:
    """An `up` of this test's own, running the code beside these tests."""
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
    """A step, posted by its author through its service."""
    through = {"client": step["via"]} if "via" in step else {}
    token = local_token(up.data / "keys", step["author"], **through)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": MEDIA_TYPE}
    headers |= {"Prefer": f"wait={wait}"} if wait else {}
    return up.client.post(f"{up.intake}/events", json=step["event"], headers=headers)


def verdict(answer: httpx.Response) -> str:
    """What the answer says; a refusal with its status, its sentence and its receipt."""
    if answer.status_code == 201:
        return str(answer.json()["verdict"])
    problem = answer.json()
    code = Code(problem["code"])
    assert (answer.status_code, problem["recorded"]) == (code.http_status, True)
    assert problem["detail"] == f"It was refused: {REASONS[code]}."
    return code


def replay(up: Up, example: Json) -> str:
    """Post an example; what was not as it should be, if anything."""
    wanted = ["accepted"] * len(example["given"]) + [example["verdict"]]
    for step in example["given"]:
        assert post(up, step).status_code == 202
    answer = post(up, example, wait=20)
    history = up.history(example["event"]["subject"])
    recorded = [each.get("refusal", each["verdict"]) for each in history]
    fine = answer.status_code != 202 and verdict(answer) == example["verdict"]
    place = f"{example['event']['type']} {example['verdict']}"
    return "" if fine and recorded == wanted else f"{place}: {answer.text}, {recorded}"


def is_readable(up: Up, example: Json) -> bool:
    """Whether what it left can be read: the plan as data and aloud, and a sentence an entry."""
    person = example["event"]["subject"]
    if example["verdict"] != "accepted":
        return True
    answers = [up.get(person, "plan", person, Accept=kind) for kind in ("*/*", "text/plain")]
    told = all(each["sentence"].endswith(".") for each in up.history(person))
    return told and all(each.status_code == 200 and each.text for each in answers)


def test_every_example_earns_its_verdict(everything: Up, request: pytest.FixtureRequest) -> None:
    up = everything
    types = up.client.get(f"{up.intake}/event-types").json()
    assert [each["type"] for each in types] == list(CATALOGUE)
    told = [up.client.get(f"{up.intake}/event-types/{each['type']}").json() for each in types]
    examples = [each for row in told for each in row["examples"]]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        wrong = [each for each in pool.map(partial(replay, up), examples) if each]
    assert wrong == []
    counts = Counter(each["verdict"] for each in examples)
    said = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    assert [each for each in examples if not is_readable(up, each)] == []
    store = request.node.callspec.params["everything"]
    matrix.tell(
        request, f"examples over HTTP, {store}: {len(examples)} of {len(told)} types: {said}"
    )
    done = up.run("replay", "--all", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_an_example_posted_again_is_answered_the_same(everything: Up) -> None:
    up = everything
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
