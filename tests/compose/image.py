"""Stand-ins for images: folders that become the root of a container's processes.

Ours is built by running services/Dockerfile's own COPY and RUN lines. This machine's /usr and its
Python stand for `FROM python:…`; this machine's Valkey and PostgreSQL for their images, whose
entry points are told here in a few lines.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.compose.project import ROOT
from tests.postgres import find_postgres
from tests.servers import RedisServer, ValkeyServer

DOCKERFILE = ROOT / "services" / "Dockerfile"
PASSWD = "root:x:0:0::/:/bin/sh\nserver:x:999:999::/:/bin/sh\n"
GROUP = "root:x:0:\nserver:x:999:\n"
POSTGRES_ENTRYPOINT = """set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
  initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" \
    --auth-local=trust $POSTGRES_INITDB_ARGS
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
fi
exec "$@" -D "$PGDATA"
"""


@dataclass(frozen=True)
class Image:
    """A root folder; what of this machine is laid over it, read-only; and what the image says."""

    root: Path
    shared: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    workdir: str = "/"
    stop_signal: signal.Signals = signal.SIGTERM


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """A Dockerfile's lines, continued ones joined: (word, the rest)."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in bare.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word, " ".join(rest.split())


def stages(text: str) -> list[list[tuple[str, str]]]:
    """The lines of each stage, FROM first."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions(text):
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def environment_of(stage: list[tuple[str, str]]) -> dict[str, str]:
    """What ENV sets."""
    words = (each for word, rest in stage if word == "ENV" for each in shlex.split(rest))
    return dict(each.split("=", 1) for each in words)


def ours(folder: Path) -> Image:
    """Build our image: every RUN line of the Dockerfile is run."""
    base, build, final = stages(DOCKERFILE.read_text())
    root = _root(folder / "ours")
    told = environment_of(base)
    (root / "opt/firsthand").mkdir(parents=True)
    _build(folder, root, build, told)
    for word, rest in final:
        if word == "RUN":
            _in_chroot(root, rest)
    path = f"/opt/firsthand/bin:{Path(sys.base_prefix, 'bin')}:/usr/bin:/bin"
    entrypoint = next(shlex.split(rest.strip("[]")) for word, rest in final if word == "ENTRYPOINT")
    return Image(
        root,
        shared={sys.base_prefix: sys.base_prefix},
        environment={**told, "PATH": path},
        entrypoint=tuple(entrypoint),
        workdir=dict(final)["WORKDIR"],
    )


def _build(folder: Path, root: Path, stage: list[tuple[str, str]], told: dict[str, str]) -> None:
    """The build stage, in an empty folder, with /opt/firsthand laid where the image has it."""
    source = folder / "src"
    source.mkdir()
    path = f"/opt/firsthand/bin:{Path(sys.base_prefix, 'bin')}:{os.environ['PATH']}"
    environment = {**os.environ, **told, "PATH": path}
    for word, rest in stage:
        if word == "COPY":
            *sources, to = rest.split()
            for each in sources:
                copy(ROOT / each, source / to)
        if word == "RUN":
            script = f"""set -e; mkdir -p {folder}/opt/firsthand
              for each in /opt/*; do [ "$each" = /opt/firsthand ] || {{
                mkdir -p {folder}/opt/${{each##*/}}; mount --bind $each {folder}/opt/${{each##*/}}
              }}; done
              mount --rbind {folder}/opt /opt; mount --bind {root}/opt/firsthand /opt/firsthand
              {rest}"""
            _run(["unshare", "--mount", "sh", "-c", script], source, environment)


def copy(what: Path, to: Path) -> None:
    """COPY, of what .dockerignore lets through."""
    if what.is_dir():
        shutil.copytree(what, to, ignore=shutil.ignore_patterns("__pycache__", "*.py[cod]"))
    else:
        shutil.copy(what, to)


def _in_chroot(root: Path, command: str) -> None:
    script = (
        f"mount --rbind -o ro /usr {root}/usr; exec chroot {root} sh -ec {shlex.quote(command)}"
    )
    _run(["unshare", "--mount", "sh", "-ec", script], root, {"PATH": "/usr/sbin:/usr/bin"})


def _run(command: list[str], cwd: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"


def _root(root: Path) -> Path:
    """What every root has: this machine's /usr to be laid in, and a small /etc."""
    for name in ("usr", "etc", "proc", "dev", "tmp", "run", "var", "opt"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    (root / "var/run").symlink_to("../run")
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    shutil.copy("/etc/ld.so.cache", root / "etc")
    return root


def valkey(folder: Path) -> Image:
    """`valkey/valkey`: the server, and the command that its health check calls."""
    root = _root(folder / "valkey")
    server = ValkeyServer.find() or RedisServer.find()
    client = shutil.which("valkey-cli") or shutil.which("redis-cli")
    assert server is not None
    assert client is not None, "no valkey-cli and no redis-cli on this machine"
    (root / "opt/bin").mkdir()
    shutil.copy(server, root / "opt/bin/valkey-server")
    (root / "opt/bin/valkey-cli").symlink_to(client)
    _owned(root / "data", 999, 0o1777)
    return Image(root, environment={"PATH": "/opt/bin:/usr/bin:/bin"}, workdir="/data")


def postgres(folder: Path) -> Image:
    """`postgres`: the programs, and what its entry point does before the first start."""
    root, programs = _root(folder / "postgres"), find_postgres()
    assert programs is not None
    shared = {}
    for place in (programs.parent, programs.parents[1].with_name(f"{programs.parts[-3]}.libs")):
        if not place.is_relative_to("/usr") and place.exists():
            shared[str(place)] = f"/opt/pg/{re.sub(r'.*site-packages/', '', str(place))}"
    inside = shared.get(str(programs.parent), str(programs.parent))
    _owned(root / "var/lib/postgresql", 999, 0o1777)
    _owned(root / "run/postgresql", 999, 0o3777)
    return Image(
        root,
        shared=shared,
        environment={
            "PATH": f"{inside}/bin:/usr/bin:/bin",
            "PGDATA": "/var/lib/postgresql/18/docker",
        },
        entrypoint=("sh", "-c", POSTGRES_ENTRYPOINT, "sh"),
        stop_signal=signal.SIGINT,
    )


def _owned(place: Path, owner: int, mode: int) -> None:
    place.mkdir(parents=True)
    os.chown(place, owner, owner)
    place.chmod(mode)
