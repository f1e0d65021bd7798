"""Static checks of docker-compose.yml and the Dockerfile; they need no container engine."""

import ast
import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from services.cli import COMMANDS
from services.intake.app import IntakeSettings
from services.ledger.config import LedgerSettings
from services.operations.provision import ACCOUNTS, EXTRA
from shared.settings import variables

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "services" / "Dockerfile"
SCHEMA = json.loads(Path(__file__).with_name("compose-spec.json").read_bytes())
VARIABLE = re.compile(r"\$(?:\$|\{(\w+):-([^}]*)\})")


def filled(value: Any) -> Any:
    """Fill in the defaults of variables, as Compose does where none is set."""
    if isinstance(value, dict):
        return {key: filled(member) for key, member in value.items()}
    if isinstance(value, list):
        return [filled(member) for member in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda match: match[2] if match[1] else "$", value)
    return value


PROJECT = filled(yaml.safe_load(FILE.read_text()))
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
ONCE = {"provision-secrets", "init", "tool"}  # they end by themselves
OURS = {name for name, item in SERVICES.items() if str(item["image"]).startswith("firsthand:")}
CLIENT = {"FIRSTHAND_INTAKE_URL", "FIRSTHAND_LEDGER_URL"}  # read by the commands
EACH = pytest.mark.parametrize("name", sorted(SERVICES))


def test_the_file_is_what_the_compose_specification_allows() -> None:
    """A member that the schema does not know is an error. compose-spec.README.md has its origin."""
    schema = jsonschema_rs.validator_for(SCHEMA)
    whole = yaml.safe_load(FILE.read_text())
    assert [error.message for error in schema.iter_errors(whole)] == []
    whole["services"]["intake"]["memory_limit"] = "1g"
    assert not schema.is_valid(whole)


def test_every_name_leads_somewhere() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("networks", [])) <= set(PROJECT["networks"]), name
        assert {volume for volume, _, _ in mounts(service)} <= set(PROJECT["volumes"]), name
        for other, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (other in ONCE), f"{name} waits for {other}"
            assert ends or "healthcheck" in SERVICES[other], f"{name} waits for {other}"
    used = {volume for service in SERVICES.values() for volume, _, _ in mounts(service)}
    assert used == set(PROJECT["volumes"])


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
    assert [name for name, service in SERVICES.items() if "build" in service] == [
        "provision-secrets"
    ]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}

    def after(name: str) -> set[str]:
        direct = set(SERVICES[name].get("depends_on", {}))
        return direct.union(*map(after, direct))

    assert all(
        "provision-secrets" in after(name) for name in SERVICES if name != "provision-secrets"
    )


def test_only_intake_and_the_read_api_are_published_and_only_here() -> None:
    published = {name: item["ports"] for name, item in SERVICES.items() if "ports" in item}
    assert published == {"intake": ["127.0.0.1:8081:8081"], "ledger": ["127.0.0.1:8082:8082"]}
    for port in re.findall(r"ports: .*", FILE.read_text()):
        assert re.search(r":\$\{FIRSTHAND_\w+_PORT:-\d+\}:", port), port


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
    assert [name for name, options in PROJECT["networks"].items() if not options] == ["front"]


def test_who_joins_the_network_metrics_reaches_the_figures_of_all_and_of_every_worker() -> None:
    joined = {name for name, item in SERVICES.items() if "metrics" in item.get("networks", [])}
    assert joined == {"intake", "ledger", "worker"}
    environment = SERVICES["worker"]["environment"]
    address = environment["FIRSTHAND_METRICS_HOST"], environment["FIRSTHAND_METRICS_PORT"]
    assert address == ("0.0.0.0", "8083")  # noqa: S104 - in the container's own networks
    page = (ROOT / "docs/how-to/monitor-and-troubleshoot.md").read_text()
    assert "firsthand_metrics" in page, "the network's name, with the project's before it"
    for name, port in {"intake": 8081, "ledger": 8082, "worker": 8083}.items():
        assert f"names: [{name}], type: A, port: {port}" in page


def test_the_tools_outbox_is_there_for_the_next_one() -> None:
    data = SERVICES["tool"]["environment"]["FIRSTHAND_DATA"]
    assert ("outbox", data, False) in mounts(SERVICES["tool"])
    assert data not in SERVICES["tool"]["tmpfs"]


@EACH
def test_every_variable_is_one_that_is_read(name: str) -> None:
    known = {row[0] for row in variables(IntakeSettings, LedgerSettings)} | CLIENT
    for variable in SERVICES[name].get("environment", {}) if name in OURS else ():
        assert variable.removesuffix("_FILE") in known, variable


@EACH
def test_every_secret_is_a_file(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert "://" not in str(value) or variable in CLIENT, variable
        if re.search("PASSWORD|DATABASE|REDIS|TOKEN", variable):
            assert variable.endswith("_FILE")
            assert value.startswith("/keys/")
    arguments = map(str, SERVICES[name].get("command", [])[1:])  # the first is the command's name
    assert not re.search("password|secret|redis://", " ".join(arguments))


@EACH
def test_a_service_that_keeps_running_has_only_its_own_keys_and_cannot_change_them(
    name: str,
) -> None:
    keys = [mount for mount in mounts(SERVICES[name]) if mount[0].startswith("keys")]
    wanted = {
        "provision-secrets": [("keys", "/keys", False)]
        + [
            (f"keys-{reader}", f"/handed/{reader}", False)
            for reader in ("intake", "worker", "ledger", "valkey", "postgres")
        ],
        "init": [("keys", "/keys", True)],
        "tool": [("keys", "/keys", True)],
    }
    assert keys == wanted.get(name, [(f"keys-{name}", "/keys", True)])


@EACH
def test_a_command_of_ours_is_one_that_there_is(name: str) -> None:
    words = [str(word) for word in SERVICES[name].get("command", [])]
    checks = SERVICES[name].get("healthcheck", {}).get("test", [])
    if name in OURS:
        assert not words or words[0] in COMMANDS
        assert not checks or (checks[:2] == ["CMD", "firsthand"] and checks[2] in COMMANDS)


def test_the_inbox_and_the_ledger_are_durable() -> None:
    queue = " ".join(map(str, SERVICES["valkey"]["command"]))
    for option in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert option in queue
    store = " ".join(map(str, SERVICES["postgres"]["command"]))
    for option in ("fsync=on", "full_page_writes=on", "synchronous_commit=on"):
        assert f"-c {option}" in store
    assert ("queue", "/data", False) in mounts(SERVICES["valkey"])
    assert ("ledger", "/var/lib/postgresql", False) in mounts(SERVICES["postgres"])


def test_the_read_api_may_read_in_the_queue_how_far_it_may_read_and_nothing_else() -> None:
    account = next(line for line in ACCOUNTS.splitlines() if line.startswith("user reader "))
    assert account.split("} ", 1)[1].split() == [
        *(f"%R~firsthand:*:{key}" for key in ("published", "waiting", "inbox")),
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
    command = [str(word) for word in SERVICES["valkey"]["command"]]
    used = memory(command[command.index("--maxmemory") + 1].removesuffix("b"))
    assert memory(SERVICES["valkey"]["mem_limit"]) >= 2 * used


def mounts(service: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Return volume, folder and whether it is read-only, of each volume of a service."""
    parts = (volume.split(":") for volume in service.get("volumes", []))
    return [(volume, folder, options == ["ro"]) for volume, folder, *options in parts]


def seconds(duration: str) -> float:
    """Return a duration such as `30s` in seconds."""
    return float(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def memory(limit: str) -> int:
    """Bytes, as compose writes them."""
    return int(limit[:-1]) << {"k": 10, "m": 20, "g": 30}[limit[-1]]


def test_the_queues_account_gets_only_what_is_harmless_of_the_dangerous() -> None:
    assert EXTRA.split() == ["+info", "+config|get", "+client|list"]


def test_the_image_copies_what_is_there_and_what_may_be_there() -> None:
    allowed = {line[1:] for line in _lines(".dockerignore") if line.startswith("!")}
    sources = set()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            sources |= {name.removeprefix("./") for name in rest.split()[:-1]}
    assert sources == allowed
    assert all((ROOT / name).exists() for name in sources)
    assert next(_lines(".dockerignore")) == "*"


def test_the_image_compiles_nothing_and_installs_what_the_lock_says() -> None:
    base, build, final = stages()
    assert base[0] == ("FROM", "python:3.13.11-slim-trixie AS base")
    assert (build[0][1], final[0][1]) == ("base AS build", "base")
    runs = " ".join(rest for word, rest in build if word == "RUN")
    locked = "--require-hashes --only-binary :all: --requirement requirements.lock"
    assert f"pip install --no-compile {locked}" in runs
    assert "pip install --no-compile --no-deps --no-build-isolation ." in runs
    assert not re.search("apt|gcc|curl|http", DOCKERFILE.read_text())


def test_the_image_runs_as_an_account_of_its_own() -> None:
    *_, final = stages()
    values = dict(final)
    assert values["USER"] == SERVICES["intake"]["user"] == "10001:10001"
    assert ast.literal_eval(values["ENTRYPOINT"]) == ["firsthand"]
    assert "HEALTHCHECK" not in values


def instructions() -> Iterator[tuple[str, str]]:
    """Yield the Dockerfile's instructions, continued lines joined: (word, the rest)."""
    for line in "\n".join(_lines("services/Dockerfile")).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        yield word, " ".join(rest.split())


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage, FROM first."""
    groups: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            groups.append([])
        groups[-1].append((word, rest))
    return groups


def _lines(name: str) -> Iterator[str]:
    text = (ROOT / name).read_text()
    return (line for line in text.splitlines() if line and not line.startswith("#"))
