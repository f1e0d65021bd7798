"""The whole project, up: `docker compose up --scale worker=2`, in the order the file asks for."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from tests.compose import image
from tests.compose.engine import Container, Switch
from tests.compose.image import Image
from tests.compose.project import order, project
from tests.process import PATIENCE, scratch_folder, wait_until


class Composition:
    """Containers by name, `worker-1`, `worker-2`, …; their volumes outlive them."""

    def __init__(
        self, scale: Mapping[str, int] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.project = project(environment)
        self.services: dict[str, Any] = self.project["services"]
        self.containers: dict[str, Container] = {}
        self.ports: dict[int, int] = {}
        self.folder = scratch_folder()
        self._scale = scale or {}
        self._left = ExitStack()
        self._built: dict[str, Image] = {}

    def __enter__(self) -> Self:
        """Up, and every service healthy."""
        self._left.callback(shutil.rmtree, self.folder)
        try:
            self._lay()
            self.up()
            for each in self.containers.values():
                self.ports |= each.publish()
        except BaseException:
            self._left.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Down, with its volumes."""
        self._left.close()

    @cached_property
    def wanted(self) -> dict[str, Any]:
        """What `up` starts: whatever has no profile."""
        return {name: each for name, each in self.services.items() if "profiles" not in each}

    def of(self, service: str) -> list[Container]:
        """The containers of a service."""
        return [
            each for name, each in self.containers.items() if name.rpartition("-")[0] == service
        ]

    def one(self, service: str) -> Container:
        """The only container of a service."""
        (found,) = self.of(service)
        return found

    def build(self, service: str) -> Image:
        """The image of a service, made once."""
        wanted = str(self.services[service]["image"])
        make = {"valkey/valkey": image.valkey, "postgres": image.postgres, "firsthand": image.ours}
        name = wanted.partition(":")[0]
        if name not in self._built:
            self._built[name] = make[name](self.folder)
        return self._built[name]

    def _lay(self) -> None:
        """Containers, networks, names: all of it, before anything starts."""
        switches = {
            name: self._left.enter_context(closing(Switch(number)))
            for number, name in enumerate(self.project["networks"], 1)
        }
        for name, service in self.services.items():
            for number in range(1, self._scale.get(name, 1) + 1):
                whole = f"{name}-{number}"
                container = Container(whole, service, self.build(name), self.folder)
                self.containers[whole] = self._left.enter_context(container)
                for place, network in enumerate(service.get("networks", [])):
                    plugged = switches[network].plug(container.holder, f"eth{place}")
                    container.addresses[network] = plugged
        for container in self.containers.values():
            container.mount(self.folder / "volumes", self._hosts(container))

    def _hosts(self, container: Container) -> str:
        """/etc/hosts: the services that share a network with it, and no others."""
        lines = ["127.0.0.1 localhost"]
        for network in container.addresses:
            lines += (
                f"{each.addresses[network]} {service} {each.name}"
                for service in self.services
                for each in self.of(service)
                if network in each.addresses
            )
        return "\n".join(lines) + "\n"

    def _begin(self, service: str) -> None:
        """Start a service when what it waits for is as it says."""
        for name, how in self.services[service].get("depends_on", {}).items():
            for each in self.of(name):
                self._until(each, how["condition"])
        for container in self.of(service):
            if container.pid is None:
                container.start()

    def _until(self, container: Container, condition: str) -> None:
        if condition == "service_completed_successfully":
            wait_until(lambda: container.status is not None, f"{container.name} to end", PATIENCE)
            assert container.status == 0, container.said()
        else:
            assert condition == "service_healthy"
            container.until_healthy()

    def up(self, named: Sequence[str] = ()) -> None:
        """Start what does not run, in order, those that end by themselves again too."""
        for name in order(self.wanted):
            if name in (named or self.wanted):
                self._begin(name)
        self.until_healthy()

    def until_healthy(self) -> None:
        """Wait for everybody that can say so."""
        for each in self.containers.values():
            if "healthcheck" in each.service:
                each.until_healthy()

    def tool(self, *words: str, **more: Any) -> Any:
        """`docker compose run --rm tool …`."""
        tool = self.one("tool")
        return tool.run(*tool.image.entrypoint, *words, **more)

    def crash(self, container: Container) -> None:
        """SIGKILL, and then what `restart:` says."""
        container.kill()
        assert container.service["restart"] == "unless-stopped"
        container.start()

    def logs(self) -> str:
        """What everybody said last."""
        return "\n".join(
            f"== {name}\n{each.said()}"
            for name, each in self.containers.items()
            if each.log.exists()
        )
