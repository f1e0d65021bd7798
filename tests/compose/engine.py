"""Runs a compose project without a container engine: Linux' own namespaces, through util-linux.

Each container has a root of its own (read-only if the file says so), its volumes, its tmpfs, its
account and groups, no capabilities, its own network with the neighbours of its compose networks
and nobody else, and exactly the environment of image and file. A holder, process 1 of its own
process namespace, keeps all that while the service is killed and started again.

It needs root. What it cannot show is whatever belongs to the real images and the real engine.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.compose.image import Image
from tests.compose.project import Service, mounts, seconds
from tests.process import LAUNCHER, PATIENCE, children_of, is_running, wait_until

PUBLISH = Path(__file__).with_name("publish.py")
PROGRAMS = ("unshare", "nsenter", "setpriv", "ip", "mount", "chroot")


def _holder(*namespaces: str) -> "subprocess.Popen[bytes]":
    """A process that keeps namespaces, and dies with the tests."""
    launcher = [sys.executable, "-IS", str(LAUNCHER), str(os.getpid()), str(int(signal.SIGKILL))]
    held = ["-", "/usr/bin/unshare", *namespaces, "/usr/bin/sleep", "infinity"]
    return subprocess.Popen([*launcher, *held], stdin=subprocess.DEVNULL)


def _sh(*command: str, script: str = "") -> None:
    done = subprocess.run(
        [*command, *(("sh", "-ec", script) if script else ())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script or command}\n{done.stderr}"


class Switch:
    """A compose network: a bridge in a namespace that leads nowhere else."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._next = 1
        self._process = _holder("--net")
        self._in = ("nsenter", "--target", str(self._process.pid), "--net", "--")
        wait_until(lambda: _net(self._process.pid) != _net(os.getpid()), "a network of its own")
        _sh(*self._in, script="ip link add lan type bridge; ip link set lan up")

    def plug(self, holder: int, name: str) -> str:
        """Connect a container's namespace; returns its address."""
        self._next += 1
        address, here = f"10.77.{self.number}.{self._next}", f"p{self._next}"
        ours, theirs = str(self._process.pid), str(holder)
        peer = ("peer", "name", here, "netns", ours)
        _sh("ip", "link", "add", name, "netns", theirs, "type", "veth", *peer)
        _sh(*self._in, script=f"ip link set {here} master lan up")
        inside = ("nsenter", "--target", theirs, "--net", "--")
        _sh(*inside, script=f"ip addr add {address}/24 dev {name}; ip link set {name} up")
        return address

    def close(self) -> None:
        """Gone with its process."""
        self._process.kill()
        self._process.wait()


def _net(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


class Container:
    """One container of a service. Its networks are plugged in by the project."""

    def __init__(self, name: str, service: Service, image: Image, folder: Path) -> None:
        self.name, self.service, self.image = name, service, image
        self.folder = folder / name
        self.root, self.log = self.folder / "root", self.folder / "log"
        self.root.mkdir(parents=True)
        self.addresses: dict[str, str] = {}
        self._publishers: list[subprocess.Popen[bytes]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._unshare = _holder(
            "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"
        )
        wait_until(lambda: bool(children_of(self._unshare.pid)), "the holder")
        (self.holder,) = children_of(self._unshare.pid)
        wait_until(lambda: Path(f"/proc/{self.holder}/comm").read_text() == "sleep\n", "the holder")
        self._net = ("nsenter", "--target", str(self.holder), "--net", "--")
        _sh(*self._net, script="ip link set lo up")

    def mount(self, volumes: Path, hosts: str) -> None:
        """Make its root: the image, its volumes, its tmpfs, the names of its neighbours."""
        root, image = self.root, self.image
        (self.folder / "hosts").write_text(hosts)
        lines = [f"mount --bind {image.root} {root}"]
        places = [(f"{self.folder}/hosts", "/etc/hosts", True)]
        places += [("/usr", "/usr", True), *((a, b, True) for a, b in image.shared.items())]
        for volume, place, read_only in mounts(self.service):
            places.append((str(self._volume(volumes / volume, place)), place, read_only))
        places += [(f"/dev/{each}", f"/dev/{each}", False) for each in ("null", "zero", "urandom")]
        for source, place, read_only in places:
            _mount_point(image.root, place, directory=Path(source).is_dir())
            option = "-o ro" if read_only else ""
            lines.append(f"mount --rbind {option} {shlex.quote(source)} {root}{place}")
        for place in (*self.service.get("tmpfs", []), "/dev/shm"):  # noqa: S108 - in its own root
            _mount_point(image.root, place, directory=True)
            lines.append(f"mount -t tmpfs -o mode=1777,noexec,nosuid,nodev tmpfs {root}{place}")
        lines.append(f"mount -t proc proc {root}/proc")
        if self.service.get("read_only"):
            lines.append(f"mount -o remount,bind,ro {root}")
        held = ("--target", str(self.holder), "--mount", "--pid", "--")
        _sh("nsenter", *held, script="\n".join(lines))

    def _volume(self, volume: Path, place: str) -> Path:
        """A volume's folder; a new one takes over owner and mode from the image's."""
        if not volume.exists():
            volume.mkdir(parents=True)
            found = self.image.root / place.lstrip("/")
            if found.exists():
                volume.chmod(found.stat().st_mode & 0o7777)
                os.chown(volume, found.stat().st_uid, found.stat().st_gid)
        return volume

    def command(self, command: list[str]) -> list[str]:
        """A command as the engine would run it in here, and with nothing that is not said."""
        account, _, group = str(self.service["user"]).partition(":")
        groups = ",".join([group, *map(str, self.service.get("group_add", []))])
        told = {**self.image.environment, **self.service.get("environment", {})}
        ambient = [f"{name}={value}" for name, value in told.items()]
        return [
            *("nsenter", "--target", str(self.holder), "--net", "--mount", "--pid", "--"),
            *("chroot", str(self.root), "/usr/bin/setpriv", f"--reuid={account}"),
            *(f"--regid={group}", f"--groups={groups}", "--bounding-set=-all", "--inh-caps=-all"),
            *("--no-new-privs", "/usr/bin/env", "-i", f"--chdir={self.image.workdir}"),
            *(*ambient, *command),
        ]

    def start(self) -> None:
        """Start the service's command."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command([*self.image.entrypoint, *map(str, self.service["command"])]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def publish(self) -> dict[int, int]:
        """Open its `ports:` on this machine, on free ports; {its port: ours}."""
        found = {}
        for each in self.service.get("ports", []):
            host, _, inside = each.rsplit(":", 2)
            with socket.create_server((host, 0)) as listening:
                found[int(inside)] = listening.getsockname()[1]
                self._publishers.append(self._publisher(listening, int(inside)))
        return found

    def _publisher(self, listening: socket.socket, port: int) -> "subprocess.Popen[bytes]":
        number, address = listening.fileno(), next(iter(self.addresses.values()))
        command = [sys.executable, "-IS", str(PUBLISH), str(number), address, str(port)]
        return subprocess.Popen([*self._net, *command], pass_fds=[number])

    def run(self, *command: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        """Run something else in it, as `docker compose exec` does."""
        return subprocess.run(
            self.command(list(command)),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            **more,
        )

    @property
    def pid(self) -> int | None:
        """The service's own process while it runs."""
        running = self._process is not None and self._process.poll() is None
        below = children_of(self._process.pid) if running and self._process else []
        return below[0] if below else None

    @property
    def status(self) -> int | None:
        """How the service ended; None while it runs."""
        return self._process.poll() if self._process else None

    def health(self) -> "subprocess.CompletedProcess[str]":
        """Run its health check, as written."""
        told = self.service["healthcheck"]
        how, *test = told["test"]
        command = ["sh", "-c", *test] if how == "CMD-SHELL" else test
        return self.run("timeout", "--signal=KILL", told["timeout"], *command)

    def until_healthy(self) -> None:
        """Wait until it is healthy, for as long as the file gives it."""
        told = self.service["healthcheck"]
        patience = seconds(told["start_period"]) + told["retries"] * seconds(told["interval"])
        wait_until(self._is_well, f"{self.name} to be healthy", patience)

    def _is_well(self) -> bool:
        assert self.status is None, f"{self.name} ended ({self.status})\n{self.said()}"
        return self.health().returncode == 0

    def signal(self, number: signal.Signals) -> None:
        """Signal the service's process."""
        wait_until(lambda: self.pid is not None, f"{self.name} to run")
        assert self.pid is not None
        os.kill(self.pid, number)

    def freeze(self) -> None:
        """Stop every process in it for the time being: it hangs."""
        for pid in self.others():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all go on; nsenter, which stops with what it watches, too."""
        assert self._process is not None
        for pid in (*self.others(), self._process.pid):
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> int:
        """As `docker compose stop`: asked to, and its status within the grace period."""
        assert self._process is not None
        self.signal(self.image.stop_signal)
        return self._process.wait(seconds(self.service["stop_grace_period"]))

    def kill(self) -> None:
        """SIGKILL to all of it, as when the machine runs out of memory."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait(PATIENCE)
        wait_until(self._is_gone, f"{self.name} to be gone")

    def _is_gone(self) -> bool:
        """What lost its parent is killed with it."""
        left = self.others()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    def others(self) -> list[int]:
        """Every process in it but the holder."""
        ours, found = _link(Path(f"/proc/{self.holder}/ns/pid")), []
        for place in Path("/proc").glob("[0-9]*/ns/pid"):
            pid = int(place.parts[2])
            if _link(place) == ours and pid != self.holder and is_running(pid):
                found.append(pid)
        return found

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace")[-6000:]

    def close(self) -> None:
        """Everything in it ends with its holder."""
        for each in (*self._publishers, self._unshare):
            each.kill()
            each.wait()
        if self._process is not None:
            self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _link(place: Path) -> str:
    try:
        return str(place.readlink())
    except OSError:
        return ""


def _mount_point(root: Path, place: str, *, directory: bool) -> None:
    """Where something is laid, there must be something of its sort."""
    at = root / place.lstrip("/")
    if at.exists():
        return
    if directory:
        at.mkdir(parents=True)
    else:
        at.parent.mkdir(parents=True, exist_ok=True)
        at.touch()
