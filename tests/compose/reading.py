"""What can be asked of a composition from outside: tokens, histories, the queue, a replay."""

import json
from urllib.parse import urlsplit

import httpx

from tests.compose.composition import Composition
from tests.process import wait_until
from tests.steady import Steady


def token(compose: Composition, who: str) -> str:
    """What `docker compose run --rm tool token` prints."""
    return str(compose.tool("token", who).stdout).strip()


def recorded(compose: Composition, who: str) -> list[str]:
    """The ids in a person's history, as they read it."""
    url = f"http://127.0.0.1:{compose.ports[8082]}/people/{who}/history"
    headers, found = {"Authorization": f"Bearer {token(compose, who)}"}, list[str]()
    told: dict[str, int] | None = {"limit": 500}
    while told:
        answer = httpx.get(url, params=told, headers=headers, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += (each["id"] for each in page["entries"])
        told = {"limit": 500, "cursor": page["next"]} if "next" in page else None
    return found


def queue(compose: Composition, *words: str, of: str = "intake") -> str:
    """What the queue answers to the account of a service."""
    place = compose.one(of).service["environment"]["FIRSTHAND_REDIS_URL_FILE"]
    url = urlsplit(compose.one(of).run("cat", place).stdout.strip())
    assert url.username
    assert url.password
    account = ("--no-auth-warning", "--user", url.username, "--pass", url.password)
    return str(compose.one("valkey").run("valkey-cli", *account, *words).stdout).strip()


def waiting(compose: Composition) -> int:
    """How many messages are not yet recorded."""
    return int(queue(compose, "XLEN", "firsthand:{p0}:inbox"))


def holds(compose: Composition, steady: Steady) -> None:
    """What was acknowledged is there once, each person's in order; and a replay finds nothing."""
    wait_until(lambda: waiting(compose) == 0, "all to be recorded")
    for who, ids in steady.taken.items():
        assert recorded(compose, who) == ids
    replayed = compose.tool("replay", "--all", "--json")
    assert replayed.returncode == 0, replayed.stdout
    assert json.loads(replayed.stdout)["findings"] == []
