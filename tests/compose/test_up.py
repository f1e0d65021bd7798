"""`docker compose up --scale worker=2`, without an engine: what the file says, as it says it.

There is no container engine where these tests run. What stands for it, and what that leaves
unproved, is told in `engine.py` and `image.py`. It needs root on Linux.
"""

import time

import pytest

from tests.compose.composition import Composition
from tests.compose.reading import holds, queue, token
from tests.process import wait_until
from tests.steady import Steady

PEOPLE = [f"person:p{number}" for number in range(6)]
CONNECTS = ("timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/$0/$1")

pytestmark = [pytest.mark.xdist_group("compose"), pytest.mark.timeout(900)]


def test_a_person_is_heard_and_reads_their_plan(compose: Composition) -> None:
    told = '{"type": "plan.started", "data": {"name_to_use": "Eve", "language": "en"}}'
    posted = compose.tool("post", "-", "--as", "person:eve", "--wait", "10", input=told)
    assert posted.stdout.startswith("accepted  plan.started"), posted.stderr + compose.logs()
    plan = compose.tool("plan", "person:eve").stdout
    assert plan.startswith("The plan of Eve."), plan


def test_what_could_not_be_posted_waits_for_the_next_tool(compose: Composition) -> None:
    """`run --rm` leaves nothing of a container but its volumes."""
    told = '{"type": "plan.started", "data": {"name_to_use": "Lea", "language": "en"}}'
    words = ("post", "-", "--as", "person:lea", "--wait", "10")
    compose.one("valkey").freeze()  # intake answers 503
    try:
        failed = compose.tool(*words, "--retry-for", "0.1", input=told)
        assert failed.returncode == 3, failed.stdout
        assert "1 in the outbox; 'firsthand post --resume' continues" in failed.stderr
    finally:
        compose.one("valkey").thaw()
    compose.until_healthy()
    volume = compose.folder / "volumes" / "outbox"
    assert volume.stat().st_mode & 0o777 == 0o700
    assert volume.stat().st_uid == 10001
    assert [each for each in volume.rglob("*") if each.is_file()]
    resumed = compose.tool("post", "--resume", "--as", "person:lea", "--wait", "10")
    assert resumed.stdout.startswith("accepted  plan.started"), resumed.stderr


def test_who_is_in_the_network_metrics_reads_the_figures_of_every_worker(
    compose: Composition,
) -> None:
    read = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    for worker in compose.of("worker"):
        url = f"http://{worker.addresses['metrics']}:8083/metrics"
        served = compose.one("intake").run("python", "-c", read, url)
        assert 'firsthand_refusals_total{code="our-fault"} 0.0' in served.stdout, served.stderr


@pytest.mark.parametrize(
    ("service", "keys"),
    [
        ("intake", {"transit.jwks", "queue.url", "issuers.json", "tokens.jwks"}),
        ("worker", {"transit.jwks", "queue.url", "database.url", "kek", "log-0.key"}),
        (
            "ledger",
            {
                "queue-reader.url",
                "database-reader.url",
                "kek",
                "log-0.vkey",
                "issuers.json",
                "tokens.jwks",
            },
        ),
        ("valkey", {"users.acl"}),
        ("postgres", {"owner.password"}),
    ],
)
def test_each_container_has_its_own_keys_and_no_others(
    compose: Composition, service: str, keys: set[str]
) -> None:
    for each in compose.of(service):
        assert set(each.run("ls", "-A", "/keys").stdout.split()) == keys
        assert each.run("touch", "/keys/x").returncode != 0
        assert each.run("touch", "/x").returncode != 0


@pytest.mark.parametrize(
    ("service", "other", "port"),
    [
        ("intake", "valkey", 6379),
        ("worker", "valkey", 6379),
        ("worker", "postgres", 5432),
        ("ledger", "postgres", 5432),
        ("ledger", "valkey", 6379),
    ],
)
def test_who_works_together_can_speak(
    compose: Composition, service: str, other: str, port: int
) -> None:
    tried = compose.of(service)[0].run(*CONNECTS, other, str(port))
    assert tried.returncode == 0, tried.stderr


@pytest.mark.parametrize(
    ("service", "other", "port"), [("intake", "postgres", 5432), ("valkey", "postgres", 5432)]
)
def test_who_has_nothing_to_say_to_each_other_cannot(
    compose: Composition, service: str, other: str, port: int
) -> None:
    for address in (other, *compose.one(other).addresses.values()):
        tried = compose.one(service).run(*CONNECTS, address, str(port))
        assert tried.returncode != 0, f"{service} reached {other} as {address}"


@pytest.mark.parametrize(
    "words", [("FLUSHALL",), ("CONFIG", "SET", "appendfsync", "no"), ("KEYS", "*")]
)
def test_the_queue_takes_no_dangerous_command_of_anybody(
    compose: Composition, words: tuple[str, ...]
) -> None:
    for account in ("intake", "ledger"):
        assert queue(compose, *words, of=account).startswith("NOPERM")
    assert compose.one("valkey").run("valkey-cli", *words).stdout.startswith("NOPERM")


def test_the_read_api_sees_nothing_of_the_queue_but_what_was_published(
    compose: Composition,
) -> None:
    refused = queue(compose, "XRANGE", "firsthand:{p0}:inbox", "-", "+", of="ledger")
    assert refused.startswith("NOPERM")
    assert queue(compose, "SET", "firsthand:{p0}:published", "", of="ledger").startswith("NOPERM")
    assert queue(compose, "GET", "firsthand:{p0}:wake", of="ledger").startswith("NOPERM")
    for each in ("XINFO", "STREAM", "firsthand:{p0}:inbox"), ("XREAD", "STREAMS", "x", "0"):
        assert queue(compose, *each, of="ledger").startswith("NOPERM")
    assert queue(compose, "XLEN", "firsthand:{p0}:inbox", of="ledger").isdigit()
    assert queue(compose, "GET", "firsthand:{p0}:published", of="ledger").startswith("firsthand-")


def test_the_doctor_finds_nothing_wrong(compose: Composition) -> None:
    told = compose.tool("doctor")
    assert told.returncode == 0, told.stdout + told.stderr
    assert " 0 wrong, " in told.stdout


def test_handing_out_again_changes_no_key_and_hands_on_what_is_new(compose: Composition) -> None:
    def seen(service: str) -> str:
        return str(compose.of(service)[0].run("sh", "-c", "cat /keys/*").stdout)

    handing = compose.one("provision-secrets")
    again = [*handing.image.entrypoint, *handing.service["command"]]
    before = {each: seen(each) for each in ("intake", "worker", "ledger", "valkey", "postgres")}
    handing.run("sh", "-c", "echo '{\"keys\": []}' >/keys/clinic.jwks")
    assert handing.run(*again).returncode == 0
    assert "clinic.jwks" in compose.one("intake").run("ls", "/keys").stdout
    assert "clinic.jwks" not in compose.of("worker")[0].run("ls", "/keys").stdout
    handing.run("rm", "/keys/clinic.jwks")
    assert handing.run(*again).returncode == 0
    assert {each: seen(each) for each in before} == before


def test_init_again_changes_nothing(compose: Composition) -> None:
    init = compose.one("init")
    done = init.run(*init.image.entrypoint, *init.service["command"])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("asleep", ["valkey", "postgres", "intake", "ledger", "worker"])
def test_a_service_that_does_not_answer_is_seen(compose: Composition, asleep: str) -> None:
    found = compose.of(asleep)[0]
    found.freeze()
    try:
        wait_until(lambda: found.health().returncode != 0, f"{asleep} to be seen")
    finally:
        found.thaw()
    compose.until_healthy()


def test_whatever_is_killed_comes_back_and_nothing_is_lost(compose: Composition) -> None:
    tokens = {who: token(compose, who) for who in PEOPLE}
    with Steady([compose.ports[8081]], tokens, pause=0.05) as steady:
        steady.more(30)
        for service in ("intake", "worker", "ledger", "valkey", "postgres"):
            for container in compose.of(service):
                compose.crash(container)
            for container in compose.of(service):
                container.until_healthy()
            steady.more(30)
    holds(compose, steady)


def test_stopping_in_turn_ends_well_and_nothing_is_lost(compose: Composition) -> None:
    tokens = {who: token(compose, who) for who in map("{}x".format, PEOPLE)}
    with Steady([compose.ports[8081]], tokens, pause=0.05) as steady:
        for service in ("intake", "worker", "ledger", "valkey", "postgres"):
            for container in compose.of(service):
                steady.more(20)
                assert container.stop() == 0, container.said()
                container.start()
                container.until_healthy()
        steady.more(20)
    holds(compose, steady)


def test_no_log_holds_a_secret_or_a_persons_words(compose: Composition) -> None:
    secrets = (
        compose.one("provision-secrets").run("sh", "-c", "cat /keys/*.password /keys/kek").stdout
    )
    said = "".join(
        each.log.read_text() for each in compose.containers.values() if each.log.exists()
    )
    assert time.strftime("%Y") in said, "something was logged"
    for each in (*filter(None, secrets.split()), "Fish 1", "Eve"):
        assert each not in said
