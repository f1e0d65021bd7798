"""docker-compose.yml and the Dockerfile say what they must, and name only what there is."""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from services.cli import COMMANDS
from services.intake.app import IntakeSettings
from services.ledger.config import LedgerSettings
from services.operations.provision import ACCOUNTS, EXTRA
from shared.settings import variables
from tests.compose.image import DOCKERFILE, instructions, stages
from tests.compose.project import FILE, ROOT, mounts, order, project, seconds

PROJECT = project()
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
ONCE = {"provision-secrets", "init", "tool"}  # they end by themselves
OURS = {name for name, each in SERVICES.items() if str(each["image"]).startswith("firsthand:")}
CLIENT = {"FIRSTHAND_INTAKE_URL", "FIRSTHAND_LEDGER_URL"}  # read by the commands
KEYS = {  # of compose's specification, as far as we use it
    *("build", "cap_drop", "command", "depends_on", "environment", "group_add", "healthcheck"),
    *("image", "init", "logging", "mem_limit", "network_mode", "networks", "pids_limit", "ports"),
    *("profiles", "pull_policy"),
    *("read_only", "restart", "security_opt", "shm_size", "stop_grace_period", "tmpfs", "user"),
    "volumes",
}
EACH = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_file_has_only_what_the_specification_knows() -> None:
    whole = yaml.safe_load(FILE.read_text())
    told = {key for key in whole if not key.startswith("x-")}
    assert told == {"name", "services", "networks", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name
    for service in SERVICES.values():
        health = service.get("healthcheck")
        assert not health or set(health) == {
            "test",
            "interval",
            "timeout",
            "retries",
            "start_period",
        }


def test_every_name_leads_somewhere() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("networks", [])) <= set(PROJECT["networks"]), name
        assert {volume for volume, _, _ in mounts(service)} <= set(PROJECT["volumes"]), name
        for other, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (other in ONCE), f"{name} waits for {other}"
            assert ends or "healthcheck" in SERVICES[other], f"{name} waits for {other}"
    used = {volume for each in SERVICES.values() for volume, _, _ in mounts(each)}
    assert used == set(PROJECT["volumes"])
    assert order(SERVICES)[0] == "provision-secrets"


def test_services_that_wait_for_each_other_are_found() -> None:
    with pytest.raises(ValueError, match="a -> b -> a wait for each other"):
        order({"a": {"depends_on": {"b": {}}}, "b": {"depends_on": {"a": {}}}})


@EACH
def test_a_container_may_as_little_as_possible(name: str) -> None:
    service = SERVICES[name]
    account, group = map(int, service["user"].split(":"))
    assert account > 0
    assert group > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@EACH
def test_what_runs_on_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    if name in ONCE:
        assert "restart" not in service
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert 20 <= seconds(service["stop_grace_period"]) <= 60


@EACH
def test_an_image_is_of_one_version(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", tag)
    assert (tag == version) if image == "firsthand" else (name in ("valkey", "postgres"))


def test_one_service_builds_our_image_and_all_others_wait_for_it() -> None:
    assert [name for name, each in SERVICES.items() if "build" in each] == ["provision-secrets"]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}

    def after(name: str) -> set[str]:
        found = set(SERVICES[name].get("depends_on", {}))
        return found.union(*map(after, found))

    assert all(
        "provision-secrets" in after(name) for name in SERVICES if name != "provision-secrets"
    )


def test_only_intake_and_the_read_api_are_published_and_only_here() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published == {"intake": ["127.0.0.1:8081:8081"], "ledger": ["127.0.0.1:8082:8082"]}


def test_networks_keep_apart_who_has_nothing_to_say_to_each_other() -> None:
    neighbours = {
        frozenset(pair)
        for pair in itertools.combinations(SERVICES, 2)
        if set(SERVICES[pair[0]].get("networks", [])) & set(SERVICES[pair[1]].get("networks", []))
    }
    strangers = {
        ("intake", "postgres"),
        ("postgres", "valkey"),
        ("init", "valkey"),
    }
    assert not neighbours & set(map(frozenset, strangers))
    assert SERVICES["provision-secrets"]["network_mode"] == "none"
    assert [name for name, each in PROJECT["networks"].items() if not each] == ["front"]


def test_who_joins_the_network_metrics_reaches_the_figures_of_all_and_of_every_worker() -> None:
    joined = {name for name, each in SERVICES.items() if "metrics" in each.get("networks", [])}
    assert joined == {"intake", "ledger", "worker"}
    told = SERVICES["worker"]["environment"]
    where = told["FIRSTHAND_METRICS_HOST"], told["FIRSTHAND_METRICS_PORT"]
    assert where == ("0.0.0.0", "8083")  # noqa: S104 - in the container's own networks
    page = (ROOT / "docs/how-to/monitor-and-troubleshoot.md").read_text()
    assert "firsthand_metrics" in page, "the network's name, with the project's before it"
    for each in ("intake", "ledger", "worker"):
        port = {"intake": 8081, "ledger": 8082, "worker": 8083}[each]
        assert f"names: [{each}], type: A, port: {port}" in page


def test_the_tools_outbox_is_there_for_the_next_one() -> None:
    data = SERVICES["tool"]["environment"]["FIRSTHAND_DATA"]
    assert ("outbox", data, False) in mounts(SERVICES["tool"])
    assert data not in SERVICES["tool"]["tmpfs"]


@EACH
def test_every_variable_is_one_that_is_read(name: str) -> None:
    known = {each for each, *_ in variables(IntakeSettings, LedgerSettings)} | CLIENT
    for each in SERVICES[name].get("environment", {}) if name in OURS else ():
        assert each.removesuffix("_FILE") in known, each


@EACH
def test_every_secret_is_a_file(name: str) -> None:
    for each, value in SERVICES[name].get("environment", {}).items():
        assert "://" not in str(value) or each in CLIENT, each
        if re.search("PASSWORD|DATABASE|REDIS|TOKEN", each):
            assert each.endswith("_FILE")
            assert value.startswith("/keys/")
    arguments = map(str, SERVICES[name].get("command", [])[1:])  # the first is the command's name
    assert not re.search("password|secret|redis://", " ".join(arguments))


@EACH
def test_whoever_runs_on_has_its_own_keys_only_and_cannot_change_them(name: str) -> None:
    found = [
        (volume, place, read_only)
        for volume, place, read_only in mounts(SERVICES[name])
        if volume.startswith("keys")
    ]
    wanted = {
        "provision-secrets": [("keys", "/keys", False)]
        + [
            (f"keys-{each}", f"/handed/{each}", False)
            for each in ("intake", "worker", "ledger", "valkey", "postgres")
        ],
        "init": [("keys", "/keys", True)],
        "tool": [("keys", "/keys", True)],
    }
    assert found == wanted.get(name, [(f"keys-{name}", "/keys", True)])


@EACH
def test_a_command_of_ours_is_one_that_there_is(name: str) -> None:
    words = [str(each) for each in SERVICES[name].get("command", [])]
    checks = SERVICES[name].get("healthcheck", {}).get("test", [])
    if name in OURS:
        assert not words or words[0] in COMMANDS
        assert not checks or (checks[:2] == ["CMD", "firsthand"] and checks[2] in COMMANDS)


def test_the_inbox_and_the_ledger_are_durable() -> None:
    queue = " ".join(map(str, SERVICES["valkey"]["command"]))
    for each in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert each in queue
    store = " ".join(map(str, SERVICES["postgres"]["command"]))
    for each in ("fsync=on", "full_page_writes=on", "synchronous_commit=on"):
        assert f"-c {each}" in store
    assert ("queue", "/data", False) in mounts(SERVICES["valkey"])
    assert ("ledger", "/var/lib/postgresql", False) in mounts(SERVICES["postgres"])


def test_the_read_api_may_read_in_the_queue_how_far_it_may_read_and_nothing_else() -> None:
    account = next(each for each in ACCOUNTS.splitlines() if each.startswith("user reader "))
    assert account.split("} ", 1)[1].split() == [
        *(f"%R~firsthand:*:{each}" for each in ("published", "waiting", "inbox")),
        *("resetchannels", "-@all", "+get", "+xlen", "+ping", "+client|setinfo"),
    ]


@EACH
def test_a_container_has_a_limit_of_memory_and_of_processes(name: str) -> None:
    service = SERVICES[name]
    limit = memory(service["mem_limit"])
    assert memory("128m") <= limit <= memory("4g")
    assert 16 <= service["pids_limit"] <= 512
    page = (ROOT / "docs/how-to/run-with-compose.md").read_text()
    row = re.search(rf"^\| `?{name}`? \| (\d+[mg]) \| (\d+) \|$", page, re.MULTILINE)
    assert row, f"the page says no limit of {name}"
    assert (row[1], row[2]) == (service["mem_limit"], str(service["pids_limit"]))


def test_the_queue_has_room_to_rewrite_its_file() -> None:
    command = [str(each) for each in SERVICES["valkey"]["command"]]
    used = memory(command[command.index("--maxmemory") + 1].removesuffix("b"))
    assert memory(SERVICES["valkey"]["mem_limit"]) >= 2 * used


def memory(limit: str) -> int:
    """Bytes, as compose writes them."""
    return int(limit[:-1]) << {"k": 10, "m": 20, "g": 30}[limit[-1]]


def test_the_queues_account_gets_only_what_is_harmless_of_the_dangerous() -> None:
    assert EXTRA.split() == ["+info", "+config|get", "+client|list"]


def test_the_image_copies_what_is_there_and_what_may_be_there() -> None:
    allowed = {line[1:] for line in _lines(".dockerignore") if line.startswith("!")}
    found = set()
    for word, rest in instructions(DOCKERFILE.read_text()):
        if word == "COPY" and not rest.startswith("--from"):
            found |= {each.removeprefix("./") for each in rest.split()[:-1]}
    assert found == allowed
    assert all((ROOT / each).exists() for each in found)
    assert next(_lines(".dockerignore")) == "*"


def test_the_image_compiles_nothing_and_installs_what_the_lock_says() -> None:
    base, build, final = stages(DOCKERFILE.read_text())
    assert base[0] == ("FROM", "python:3.13.11-slim-trixie AS base")
    assert (build[0][1], final[0][1]) == ("base AS build", "base")
    runs = " ".join(rest for word, rest in build if word == "RUN")
    locked = "--require-hashes --only-binary :all: --requirement requirements.lock"
    assert f"pip install --no-compile {locked}" in runs
    assert "pip install --no-compile --no-deps --no-build-isolation ." in runs
    assert not re.search("apt|gcc|curl|http", DOCKERFILE.read_text())


def test_the_image_runs_as_an_account_of_its_own() -> None:
    *_, final = stages(DOCKERFILE.read_text())
    told = dict(final)
    assert told["USER"] == SERVICES["intake"]["user"] == "10001:10001"
    assert ast.literal_eval(told["ENTRYPOINT"]) == ["firsthand"]
    assert "HEALTHCHECK" not in told


def _lines(name: str) -> Iterator[str]:
    text = (ROOT / name).read_text()
    return (line for line in text.splitlines() if line and not line.startswith("#"))
