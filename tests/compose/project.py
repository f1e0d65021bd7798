"""A Compose project on the engine of `DOCKER_HOST`."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import httpx

from tests.compose.engine import BASE, cgroups
from tests.process import wait_until

ROOT = Path(__file__).parents[2]
IMAGES = Path(__file__).with_name("images")  # a stand-in for the image of each service named there
DOWN = ("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")
TOOL = ("docker", "compose", "run", "--rm", "--no-deps", "-T", "tool")
RECOVERY = 150.0  # seconds for a service to be healthy again after a kill or a hang


class Project:
    """`docker compose` for the files in one folder. The end of its `with` block removes it all."""

    def __init__(self, name: str, source: Path = ROOT, **environment: str) -> None:
        self.source = source
        self._name, self._environment = name, environment
        socket = os.environ["DOCKER_HOST"].removeprefix("unix://")
        transport = httpx.HTTPTransport(uds=socket)
        self._engine = httpx.Client(base_url="http://engine", transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.attempt("docker", "compose", *DOWN)
        self._engine.close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `docker compose` means this project."""
        return {
            **os.environ,
            **self._environment,
            "COMPOSE_FILE": str(self.source / "docker-compose.yml"),
            "COMPOSE_PROJECT_NAME": self._name,
        }

    def attempt(self, *command: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command with `text` as its input, and return what came of it."""
        return subprocess.run(
            command, env=self.environment, input=text, capture_output=True, text=True, check=False
        )

    def run(self, *command: str, text: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        completed = self.attempt(*command, text=text)
        printed = completed.stdout + completed.stderr
        assert completed.returncode == 0, f"{' '.join(command)}\n{printed[-6000:]}"
        return completed.stdout

    def compose(self, *words: str, text: str = "") -> str:
        """Run a `docker compose` command."""
        return self.run("docker", "compose", *words, text=text)

    def shell(self, line: str, folder: Path) -> str:
        """Run a line of a page in a folder; return what it printed."""
        return self.run("bash", "-euo", "pipefail", "-c", f"cd {folder}\n{line}")

    def build(self) -> None:
        """Build all images under the tags of the file: ours, and stand-ins for the others."""
        dockerfile = (self.source / "services" / "Dockerfile").read_text()
        base = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)[0]
        if not self.run("docker", "image", "ls", "--quiet", base):
            change = "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt"  # that of this machine
            self.run("docker", "import", "--change", change, os.environ[BASE], base)
        stand_ins = {folder.name: self._stand_in(folder, base) for folder in IMAGES.iterdir()}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as override:
            json.dump({"services": stand_ins}, override)
            override.flush()
            files = "--file", self.environment["COMPOSE_FILE"], "--file", override.name
            self.compose(*files, "build")

    def _stand_in(self, folder: Path, base: str) -> dict[str, object]:
        service = self.services[folder.name]
        version = service["image"].rpartition(":")[2]
        arguments = {"BASE": base, "ACCOUNT": service["user"], "VERSION": version}
        return {"build": {"context": str(folder), "args": arguments}}

    def up(self, *words: str) -> None:
        """Start what is not running and wait until it is healthy, with two workers."""
        self.compose("up", "--detach", "--wait", "--scale", "worker=2", *words)

    @cached_property
    def services(self) -> dict[str, Any]:
        """Return the services as Compose reads them from the file."""
        configuration = self.compose("--profile", "*", "config", "--format", "json")
        return dict(json.loads(configuration)["services"])

    def containers(self, *services: str) -> list[str]:
        """Return the names of the services' containers, also of those that have ended."""
        return sorted(self.compose("ps", "--all", "--format", "{{.Name}}", *services).split())

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        response = self._engine.get(f"/containers/{container}/json").raise_for_status()
        return dict(response.json())

    def execute(self, container: str, *words: str) -> str:
        """Run a command in a container that runs."""
        return self.run("docker", "exec", container, *words)

    def tool(self, *words: str, text: str = "") -> str:
        """Run the operator's command, once the services that it waits for are up."""
        return self.run(*TOOL, *words, text=text)

    def is_healthy(self, container: str) -> bool:
        """Tell whether it runs, and its health check has succeeded since."""
        state = self.inspect(container)["State"]
        return bool(state["Running"]) and state["Health"]["Status"] == "healthy"

    def check_health(self, container: str) -> bool:
        """Run its health check now, as the engine does."""
        check = self.inspect(container)["Config"]["Healthcheck"]
        kind, *words = check["Test"]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        seconds = str(check["Timeout"] / 1e9)
        return (
            self.attempt("timeout", seconds, "docker", "exec", container, *command).returncode == 0
        )

    def wait_for(self, *containers: str) -> None:
        """Wait until the engine says that they are healthy."""
        for container in containers:
            healthy = partial(self.is_healthy, container)
            wait_until(healthy, f"{container} to be healthy", RECOVERY)

    def signal(self, container: str, number: signal.Signals) -> None:
        """Send a signal to every process of a container, as the kernel does, not the engine."""
        identifier = self.inspect(container)["Id"]
        groups = {pid for group in cgroups() for pid in _pids(group / identifier)}
        assert groups, f"{container} has no process"
        for pid in groups:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, *containers: str) -> None:
        """Kill all of their processes, as when memory is exhausted, and wait for their restart."""
        before = {name: self.inspect(name)["State"]["StartedAt"] for name in containers}
        for name in containers:
            self.signal(name, signal.SIGKILL)
        for name in containers:
            wait_until(partial(self._started_after, name, before[name]), f"{name} to be restarted")
        self.wait_for(*containers)

    def _started_after(self, container: str, moment: str) -> bool:
        return str(self.inspect(container)["State"]["StartedAt"]) > moment

    @contextmanager
    def frozen(self, *containers: str) -> Iterator[None]:
        """Stop all processes of containers for the time being: they hang."""
        for container in containers:
            self.signal(container, signal.SIGSTOP)
        try:
            yield
        finally:
            for container in containers:
                self.signal(container, signal.SIGCONT)

    def port(self, service: str) -> int:
        """Return the port at which a service is published."""
        (port,) = self.services[service]["ports"]
        return int(port["published"])

    def history(self, person: str, token: str) -> list[str]:
        """Return the ids of a person's events as recorded, read at the published port."""
        url = f"http://127.0.0.1:{self.port('ledger')}/people/{person}/history"
        ids, query = list[str](), {"limit": "500"}
        while query:
            headers = {"Authorization": f"Bearer {token}"}
            response = httpx.get(url, params=query, headers=headers, trust_env=False, timeout=30)
            assert response.status_code == 200, response.text
            page = response.json()
            ids += (entry["id"] for entry in page["entries"])
            query = {"limit": "500", "cursor": page["next"]} if "next" in page else {}
        return ids

    def queue(self, service: str, *words: str) -> str:
        """Ask the queue, with the account of a service; return its answer."""
        file = self.services[service]["environment"]["FIRSTHAND_REDIS_URL_FILE"]
        url = httpx.URL(self.execute(self.containers(service)[0], "cat", file).strip())
        account = "--no-auth-warning", "--user", url.username, "--pass", url.password
        return self.execute(self.containers("valkey")[0], "valkey-cli", *account, *words).strip()


def _pids(cgroup: Path) -> list[int]:
    """Return the processes in a cgroup; none if it is gone."""
    with suppress(OSError):
        return [int(line) for line in (cgroup / "cgroup.procs").read_text().split()]
    return []
