"""docker-compose.yml on a real engine. `make compose-test` runs this file; `make test` does not.

The tests share one project and run in this order: it is up from the first to the last but one.
"""

import fnmatch
import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.compose.project import DOWN, ROOT, TOOL, Project
from tests.ports import free_port
from tests.process import wait_until
from tests.steady import Steady

pytestmark = pytest.mark.timeout(900)
RUN = "docs/how-to/run-with-compose.md"
BACK_UP = "docs/how-to/back-up-and-restore.md"
ROTATE = "docs/how-to/rotate-the-transit-key.md"
UPGRADE = "docs/how-to/upgrade.md"
RUNNING = ("intake", "worker", "ledger", "valkey", "postgres")
SERVERS = {"valkey": 6379, "postgres": 5432}
INBOX = "firsthand:{p0}:inbox"
PUBLISHED = "firsthand:{p0}:published"
CONNECT = ("timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/$0/$1")


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """The project, built, and up with two workers."""
    with Project("firsthand-test") as project:
        project.build()
        project.up()
        yield project


@pytest.fixture(scope="module")
def tokens(project: Project) -> dict[str, str]:
    """A token for each of a few persons."""
    return {name: project.tool("token", name).strip() for name in ("person:p0", "person:p1")}


@pytest.fixture(autouse=True)
def logs_of_a_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Show what the services logged last when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed and "project" in request.fixturenames:
        running: Project = request.getfixturevalue("project")
        request.node.add_report_section("call", "logs", running.compose("logs", "--tail", "15"))


def plan_started(name: str) -> str:
    """An event that starts a plan, as the operator's command takes it."""
    data = {"name_to_use": name, "language": "en"}
    return json.dumps({"type": "plan.started", "data": data})


def post(project: Project, name: str, *words: str) -> str:
    """Post an event that starts a person's plan, and wait for its verdict."""
    person = f"person:{name.lower()}"
    return project.tool(
        "post", "-", "--as", person, "--wait", "10", *words, text=plan_started(name)
    )


def waits_for(services: dict[str, Any], condition: str) -> set[tuple[str, str]]:
    """Return the pairs of a service and one that it waits for, with this condition."""
    return {
        (name, other)
        for name, service in services.items()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == condition and "profiles" not in service
    }


def assert_nothing_is_lost(project: Project, tokens: dict[str, str], steady: Steady) -> None:
    """What was acknowledged is recorded once, each person's events in order; a replay agrees."""
    wait_until(lambda: project.queue("intake", "XLEN", INBOX) == "0", "all events to be recorded")
    for person, ids in steady.taken.items():

        def recorded(person: str = person, ids: list[str] = ids) -> bool:
            history = project.history(person, tokens[person])
            assert len(set(history)) == len(history)
            return history[-len(ids) :] == ids

        wait_until(recorded, f"all of {person}'s events, in order", 10)
    assert json.loads(project.tool("replay", "--all", "--json"))["findings"] == []


def lines(page: str) -> Iterator[str]:
    """The commands that are typed on a page."""
    text = (ROOT / page).read_text()
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.removeprefix("$ ").split("\n$ "):
            if "docker compose" in line:
                yield " ".join(line.split())


def test_services_start_in_the_order_of_the_file(project: Project) -> None:
    services = project.services
    states = {
        name: project.inspect(project.containers(name)[0])["State"]
        for name, service in services.items()
        if "profiles" not in service
    }
    for name, other in waits_for(services, "service_completed_successfully"):
        assert states[other]["ExitCode"] == 0
        assert states[other]["FinishedAt"] < states[name]["StartedAt"], f"{name} before {other}"
    for name, other in waits_for(services, "service_healthy"):
        assert states[other]["StartedAt"] < states[name]["StartedAt"], f"{name} before {other}"
    for container in project.containers(*RUNNING):
        assert project.is_healthy(container)


def test_a_second_up_changes_nothing(project: Project) -> None:
    def running() -> dict[str, tuple[str, str]]:
        containers = map(project.inspect, project.containers(*RUNNING))
        return {item["Name"]: (item["Id"], item["State"]["StartedAt"]) for item in containers}

    before = running(), all_secrets(project)
    project.up()
    assert (running(), all_secrets(project)) == before


def test_a_person_posts_and_reads_their_plan(project: Project) -> None:
    posted = post(project, "Eve")
    assert "accepted  plan.started" in posted, posted
    assert "The plan of Eve." in project.tool("plan", "person:eve")


def test_an_event_is_posted_at_the_published_port(project: Project, tokens: dict[str, str]) -> None:
    with Steady([project.port("intake")], tokens) as steady:
        steady.more(10)
    assert_nothing_is_lost(project, tokens, steady)


def test_an_event_that_could_not_be_posted_waits_for_the_next_tool(project: Project) -> None:
    """`run --rm` leaves nothing of a container but its volumes."""
    with project.frozen(*project.containers("valkey")):  # intake answers 503
        words = "post", "-", "--as", "person:lea", "--wait", "10", "--retry-for", "0.1"
        failed = project.attempt(*TOOL, *words, text=plan_started("Lea"))
    assert "firsthand post --resume" in failed.stderr, failed.stderr
    project.wait_for(*project.containers("valkey"), *project.containers("intake"))
    resumed = project.tool("post", "--resume", "--as", "person:lea", "--wait", "10")
    assert "accepted  plan.started" in resumed, resumed


def test_no_container_has_more_rights_than_it_needs(project: Project) -> None:
    for container in project.containers():
        configuration = project.inspect(container)
        account = configuration["Config"]["User"].partition(":")[0]
        host = configuration["HostConfig"]
        assert int(account) > 0
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert not host["Privileged"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
    for container in project.containers(*RUNNING):
        status = project.execute(container, "cat", "/proc/1/status")
        values = dict(line.split(":\t", 1) for line in status.splitlines())
        assert "0" not in values["Uid"].split()
        assert "0" not in values["Gid"].split()
        assert int(values["CapBnd"], 16) == int(values["CapEff"], 16) == 0
        assert values["NoNewPrivs"] == "1"
        for path in ("/x", "/keys/x", "/usr/x"):
            denied = project.attempt("docker", "exec", container, "touch", path)
            assert "Read-only file system" in denied.stderr, f"{container} writes {path}"


def test_the_processes_have_no_secret_in_their_environment(project: Project) -> None:
    secrets = all_secrets(project)
    for container in project.containers():
        configuration = project.inspect(container)["Config"]
        words = "\n".join([*configuration["Env"], *(configuration["Cmd"] or [])])
        assert [secret for secret in secrets if secret in words] == []


def all_secrets(project: Project) -> list[str]:
    """Every password, and the key of all keys, as the service that makes them sees them."""
    maker = next(name for name, service in project.services.items() if "build" in service)
    script = "for file in /keys/*.password /keys/kek; do cat $file; echo; done"
    words = "run", "--rm", "-T", "--entrypoint", "sh", maker, "-c", script
    secrets = project.compose(*words).split()
    assert len(secrets) > 4
    assert min(map(len, secrets)) > 20
    return secrets


def test_each_container_has_the_keys_that_the_page_names_and_no_others(project: Project) -> None:
    rows = re.findall(r"^\| (\w+) \| [^|]* \| (.*) \|$", (ROOT / RUN).read_text(), re.MULTILINE)
    keys = {name: re.findall(r"`([^`]+)`", cell) for name, cell in rows if "`" in cell}
    for service in RUNNING:
        patterns = keys[service]
        allowed = [pattern.replace("<n>", "*") for pattern in patterns]
        for container in project.containers(service):
            names = project.execute(container, "ls", "-A", "/keys").split()
            for name in names:
                assert any(fnmatch.fnmatch(name, pattern) for pattern in allowed), (service, name)
            always = {pattern for pattern in allowed if "*" not in pattern} - {"witnesses.json"}
            assert always <= set(names)


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_only_services_that_share_a_network_with_a_server_reach_it(
    project: Project, server: str
) -> None:
    services = project.services
    (target,) = project.containers(server)
    networks = project.inspect(target)["NetworkSettings"]["Networks"]
    addresses = [server, *(network["IPAddress"] for network in networks.values())]
    reached = set()
    for service in sorted({*RUNNING} - {server}):
        container = project.containers(service)[0]
        for address in addresses:
            connect = *CONNECT, address, str(SERVERS[server])
            if project.attempt("docker", "exec", container, *connect).returncode == 0:
                reached.add(service)
    expected = {
        service
        for service in {*RUNNING} - {server}
        if set(services[service]["networks"]) & set(services[server]["networks"])
    }
    assert reached == expected
    assert "intake" not in reached or server != "postgres"


def test_the_inner_networks_lead_nowhere_else(project: Project) -> None:
    for service in ("worker", "valkey", "postgres"):
        table = project.execute(project.containers(service)[0], "cat", "/proc/net/route")
        destinations = [line.split()[1] for line in table.splitlines()[1:]]
        assert destinations
        assert "00000000" not in destinations, f"{service} has a way out"


def test_the_network_metrics_shows_the_figures_of_every_worker(project: Project) -> None:
    read = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    (intake,) = project.containers("intake")
    port = project.services["worker"]["environment"]["FIRSTHAND_METRICS_PORT"]
    workers = project.containers("worker")
    assert len(workers) == 2
    for worker in workers:
        networks = project.inspect(worker)["NetworkSettings"]["Networks"]
        (address,) = (
            network["IPAddress"] for name, network in networks.items() if "metrics" in name
        )
        url = f"http://{address}:{port}/metrics"
        assert "firsthand_" in project.execute(intake, "python", "-c", read, url)


@pytest.mark.parametrize(
    "words", [("FLUSHALL",), ("CONFIG", "SET", "appendfsync", "no"), ("KEYS", "*")], ids=" ".join
)
def test_no_account_of_the_queue_may_do_what_loses_events(
    project: Project, words: tuple[str, ...]
) -> None:
    for service in ("intake", "ledger"):
        assert project.queue(service, *words).startswith("NOPERM")
    (valkey,) = project.containers("valkey")
    assert project.execute(valkey, "valkey-cli", *words).startswith("NOPERM")


@pytest.mark.parametrize(
    "words",
    [
        ("XRANGE", INBOX, "-", "+"),
        ("SET", PUBLISHED, ""),
        ("GET", "firsthand:{p0}:wake"),
        ("XINFO", "STREAM", INBOX),
        ("XREAD", "STREAMS", "x", "0"),
    ],
    ids=" ".join,
)
def test_the_read_api_may_not_look_into_the_queue(project: Project, words: tuple[str, ...]) -> None:
    assert project.queue("ledger", *words).startswith("NOPERM")


def test_the_read_api_may_see_what_was_published(project: Project) -> None:
    assert project.queue("ledger", "XLEN", INBOX).isdigit()
    assert project.queue("ledger", "GET", PUBLISHED).startswith("firsthand-")


def test_a_service_that_hangs_fails_its_health_check_and_recovers(project: Project) -> None:
    containers = [project.containers(service)[0] for service in RUNNING]
    with project.frozen(*containers), ThreadPoolExecutor(len(containers)) as threads:
        assert not any(threads.map(project.check_health, containers))
    project.wait_for(*containers)
    assert all(map(project.check_health, containers))


def test_each_service_that_is_killed_comes_back_and_nothing_is_lost(
    project: Project, tokens: dict[str, str]
) -> None:
    with Steady([project.port("intake")], tokens, pause=0.05) as steady:
        steady.more(20)
        for service in RUNNING:
            project.kill(*project.containers(service))
            steady.more(20)
    assert_nothing_is_lost(project, tokens, steady)


def test_events_that_wait_survive_a_kill_of_the_queue(
    project: Project, tokens: dict[str, str]
) -> None:
    project.compose("stop", "worker")
    with Steady([project.port("intake")], tokens) as steady:
        steady.more(10)
    waiting = project.queue("intake", "XLEN", INBOX)
    project.kill(*project.containers("valkey"))
    assert project.queue("intake", "XLEN", INBOX) == waiting
    project.compose("start", "worker")
    assert_nothing_is_lost(project, tokens, steady)


def test_each_service_that_is_stopped_ends_well_and_nothing_is_lost(
    project: Project, tokens: dict[str, str]
) -> None:
    with Steady([project.port("intake")], tokens, pause=0.05) as steady:
        for service in RUNNING:
            steady.more(20)
            project.compose("stop", service)
            for container in project.containers(service):
                assert project.inspect(container)["State"]["ExitCode"] == 0, container
            project.compose("start", service)
        steady.more(20)
        project.wait_for(*project.containers(*RUNNING))
    assert_nothing_is_lost(project, tokens, steady)


def test_the_doctor_and_an_audit_find_nothing_wrong(project: Project) -> None:
    project.tool("doctor")
    project.tool("audit")


def test_no_log_has_a_secret_or_a_persons_words(project: Project) -> None:
    logs = project.compose("logs", "--no-log-prefix")
    assert time.strftime("%Y") in logs, "something was logged"
    for words in (*all_secrets(project), "Fish 1", "Eve"):
        assert words not in logs


def test_the_page_on_running_is_true(project: Project, tmp_path: Path) -> None:
    maker = next(name for name, service in project.services.items() if "build" in service)
    words = "run", "--rm", "-T", "--entrypoint", "cat", maker, "/keys/issuers.json"
    (tmp_path / "issuers.json").write_text(project.compose(*words))
    printed = ""
    for line in lines(RUN):
        printed += project.shell(line, tmp_path)
        project.wait_for(*project.containers(*RUNNING))
    for text in ("accepted  plan.started", "eyJ", "The plan of Ada."):
        assert text in printed


def test_the_page_on_restoring_is_true(project: Project, tmp_path: Path) -> None:
    post(project, "Bo")
    size = project.queue("intake", "GET", PUBLISHED).splitlines()[1]
    printed = "".join(project.shell(line, tmp_path) for line in lines(BACK_UP))
    assert f"Replayed {int(size):,} entries" in printed, printed
    assert (tmp_path / "keys-backup.tar").stat().st_size > 10_000
    words = "post", "-", "--as", "person:bo", "--wait", "10"
    again = project.attempt(*TOOL, *words, text=plan_started("Bo"))
    assert again.stdout.startswith("refused"), again.stdout


def test_the_page_on_transit_keys_is_true(project: Project, tmp_path: Path) -> None:
    for number, line in enumerate(lines(ROTATE)):
        project.shell(line, tmp_path)
        posted = post(project, f"Cy{number}")
        assert "accepted  plan.started" in posted, posted


def test_down_leaves_nothing(project: Project) -> None:
    project.compose(*DOWN)
    of_ours = "--quiet", "--filter", "label=com.docker.compose.project=firsthand-test"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert project.run("docker", *kind, *of_ours) == ""


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The files of the last version with a tag before this commit, or of the commit before."""
    script = """
      version=$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null || git rev-parse --verify HEAD^)
      mkdir "$0"
      git archive "$version" | tar -x -C "$0"
    """
    folder = tmp_path / "previous"
    command = ["bash", "-euo", "pipefail", "-c", script, str(folder)]
    if subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode != 0:
        pytest.skip("this clone has no commit before the present one")
    return folder


def test_an_upgrade_keeps_what_the_previous_version_took(previous: Path, tmp_path: Path) -> None:
    names = "FIRSTHAND_INTAKE_PORT", "FIRSTHAND_LEDGER_PORT"
    ports = {name: str(free_port()) for name in names}
    with (
        Project("firsthand-upgrade", previous, **ports) as old,
        Project("firsthand-upgrade", ROOT, **ports) as new,
    ):
        new.build()
        old.build()  # it may have the same tag
        old.up()
        assert post(old, "Ida").startswith("accepted")
        tokens = {name: old.tool("token", name).strip() for name in ("person:ida", "person:jo")}
        old.compose("stop", "worker")  # the new version records what this one takes from here on
        with Steady([old.port("intake")], {"person:jo": tokens["person:jo"]}) as steady:
            steady.more(5)
        assert int(old.queue("intake", "XLEN", INBOX)) >= 5
        for line in lines(UPGRADE):
            new.shell(line, tmp_path)
        built = new.run(
            "docker", "image", "inspect", "--format={{.Id}}", new.services["intake"]["image"]
        )
        assert new.inspect(new.containers("intake")[0])["Image"] == built.strip()
        assert len(new.history("person:ida", tokens["person:ida"])) == 1
        assert_nothing_is_lost(new, tokens, steady)
        new.tool("doctor")
