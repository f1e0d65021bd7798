"""A private Docker Engine of Debian 13's packages, on a Debian machine, as root.

Its programs are in a root folder in the cache; nothing is installed on this machine. It runs in
namespaces of its own for processes, mounts and the network: containers, bridges and firewall rules
are in there, and end with its first process, which ends with this one, whatever happens. The way
out of its network is slirp4netns, a process. Only its cgroups are the machine's; `stop` removes
them, and so does the next `start`.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from tests.process import LAUNCHER, children_of, wait_until

SUITE = "trixie"
BASE = "COMPOSE_TEST_BASE"  # names the archive of a Debian system with Python
SCRIPT = Path(__file__).with_name("build_engine_root.sh")
NEEDED = ("apt-get", "chroot", "dpkg-deb", "nsenter", "pivot_root", "unshare")
NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child")
CGROUP = "firsthand-compose"  # the parent of all cgroups of its containers
STOP_SECONDS = 20
INSTALL_SECONDS = 300
START = f"""
cd "$1"
mount --bind . .
cd "$1"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs tmpfs run
mount --bind -o ro /proc/sys/kernel proc/sys/kernel # the engine would raise limits of keys
pivot_root . mnt
umount --lazy /mnt
ip link set lo up
exec tini -- dockerd --host unix:///engine.sock --cgroup-parent {CGROUP} \
  --exec-opt native.cgroupdriver=cgroupfs
"""


class EngineUnavailable(Exception):
    """No engine can be installed or started on this machine; the text says why."""


class DockerError(Exception):
    """A `docker` command failed; the text is what it printed."""


def cache_folder() -> Path:
    """Return the folder that all clones on this machine share."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "firsthand" / "compose"


def cgroups() -> list[Path]:
    """Return the engine's cgroup in each hierarchy, wherever that has the caller's own."""
    return [
        Path(folder, CGROUP)
        for folder, subfolders, _ in os.walk("/sys/fs/cgroup")
        if CGROUP in subfolders
    ]


def remove_cgroups() -> None:
    """Remove the engine's cgroups, as soon as the kernel has finished with their processes."""
    for group in cgroups():
        for folder, _, _ in os.walk(group, topdown=False):
            wait_until(partial(_removed, Path(folder)), f"{folder} to be empty")


def dying_with_us(*command: str) -> list[str]:
    """Return the command such that the kernel kills it when this process dies."""
    program = shutil.which(command[0]) or command[0]
    death = str(int(signal.SIGKILL))
    launcher = [sys.executable, "-IS", str(LAUNCHER), str(os.getpid()), death, "-"]
    return [*launcher, program, *command[1:]]


class Engine:
    """The engine, while a `with` block lasts. Only one at a time uses the cache: others wait."""

    def __init__(self) -> None:
        self.folder = cache_folder()
        self.root = self.folder / SUITE / "root"
        self.log = self.folder / "dockerd.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start, without anything that a run left that was killed; raises EngineUnavailable."""
        try:
            self._start()
            self._clear()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._clear()
        finally:
            self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `docker` and `docker compose` talk to this engine."""
        return {
            **os.environ,
            "PATH": f"{self.root.parent}/bin:{os.environ['PATH']}",
            "DOCKER_HOST": f"unix://{self.root}/engine.sock",
            "DOCKER_CONFIG": str(self.folder),
            BASE: str(self.root.parent / "base.tar"),
        }

    def docker(self, *words: str) -> str:
        """Run a `docker` command and return what it printed; raises DockerError."""
        completed = subprocess.run(
            ["docker", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode != 0:
            raise DockerError(f"docker {' '.join(words)}:\n{completed.stdout}{completed.stderr}")
        return completed.stdout

    def in_its_network(self, *command: str) -> list[str]:
        """Return the command such that it runs in the engine's network, on this machine's files."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", "--", *command]

    def namespaces(self) -> set[str]:
        """Return the names of its own namespaces, as /proc/PID/ns shows them."""
        links = [Path(f"/proc/{self._pid}/ns/{name}") for name in ("mnt", "net", "pid")]
        return {str(link.readlink()) for link in links}

    def stop(self) -> None:
        """Stop it and everything in it, and remove its cgroups."""
        for process in self._processes[1:]:  # slirp4netns
            process.kill()
            process.wait()
        for process in self._processes[:1]:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.kill(self._pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()
        remove_cgroups()

    def _clear(self) -> None:
        """Remove containers with their volumes and networks; tagged images stay."""
        if containers := self.docker("ps", "--all", "--quiet").split():
            self.docker("rm", "--force", "--volumes", *containers)
        self.docker("volume", "prune", "--all", "--force")
        self.docker("network", "prune", "--force")
        self.docker("image", "prune", "--force")
        self.docker("builder", "prune", "--force", "--keep-storage", "2GB")

    def install(self) -> None:
        """Wait for other runs, then fill the root folder; raises EngineUnavailable.

        That is done once, and again when the script that fills it has changed.
        """
        if reason := _missing():
            raise EngineUnavailable(reason)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")  # until this process ends
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        remove_cgroups()  # of a run that was killed
        done, script = self.root.parent / "installed", SCRIPT.read_text()
        if done.exists() and done.read_text() == script:
            return
        shutil.rmtree(self.root.parent, ignore_errors=True)
        self.root.parent.mkdir()
        self._run("apt-get", "-qq", "update")
        indexes = "apt-get", "indextargets", "--format", "$(REPO_URI)"
        mirrors = self._run(*indexes, "Created-By: Packages", "Label: Debian").split()
        if not mirrors:
            raise EngineUnavailable("apt has no mirror of Debian")
        folder = str(self.root.parent)
        self._run("unshare", *NAMESPACES, "sh", str(SCRIPT), folder, mirrors[0], SUITE)
        (self.root.parent / "bin").mkdir()
        (self.root.parent / "bin" / "docker").symlink_to("../root/usr/bin/docker")
        plugins = self.root / "usr/libexec/docker/cli-plugins"
        (self.folder / "config.json").write_text(
            json.dumps({"cliPluginsExtraDirs": [str(plugins)]})
        )
        done.write_text(script)

    def _run(self, *command: str) -> str:
        try:
            return subprocess.run(
                dying_with_us(*command),
                capture_output=True,
                text=True,
                check=True,
                timeout=INSTALL_SECONDS,
            ).stdout
        except subprocess.TimeoutExpired:
            raise EngineUnavailable(f"{command[0]} took more than {INSTALL_SECONDS} s") from None
        except subprocess.CalledProcessError as failure:
            last = (failure.stderr or failure.stdout).strip().splitlines()[-5:]
            raise EngineUnavailable("\n".join([f"{command[0]} failed:", *last])) from None

    def _start(self) -> None:
        self._launch("unshare", *NAMESPACES, "--net", "sh", "-euc", START, "sh", str(self.root))
        wait_until(self._answers, "the engine")
        inside = "nsenter", f"--mount=/proc/{self._pid}/ns/mnt", "--"
        options = "--configure", "--mtu=65520", "--disable-host-loopback"
        self._launch(*inside, "slirp4netns", *options, "1", "tap0")

    def _launch(self, *command: str) -> None:
        with self.log.open("ab" if self._processes else "wb") as log:
            self._processes.append(
                subprocess.Popen(
                    dying_with_us(*command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=0,  # Ctrl-C ends this process, which stops the engine
                )
            )

    @property
    def _pid(self) -> int:
        """The first process in its namespaces."""
        (pid,) = children_of(self._processes[0].pid)
        return pid

    def _answers(self) -> bool:
        if self._processes[0].poll() is not None:
            last = self.log.read_text(errors="replace").splitlines()[-5:]
            raise EngineUnavailable("\n".join(["the engine does not start:", *last]))
        with suppress(DockerError):
            return bool(self.docker("version"))
        return False


def _removed(cgroup: Path) -> bool:
    with suppress(OSError):
        cgroup.rmdir()
    return not cgroup.exists()


def _missing() -> str:
    """Say what this machine lacks to run it, or nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it needs root on Linux"
    if programs := [name for name in NEEDED if shutil.which(name) is None]:
        return f"it needs the programs {', '.join(programs)}"
    if not Path("/dev/net/tun").exists():
        return "it needs /dev/net/tun"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlay file system"
    return ""
