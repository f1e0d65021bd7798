"""The peers that store events: eventsourcing, Message DB and UmaDB, installed and measured.

Each gets the same events as ours, on the core where our worker runs; its server, if it has one,
runs on the load's core. None of them decides, encrypts, hashes or proves anything.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.processes import (
    BUILD,
    LOAD_CORE,
    PEERS,
    SERVER_CORE,
    Service,
    on_core,
)
from tests.ports import free_port
from tests.postgres import Database

Rates = dict[str, float]  # events a second, by operation: single, batch, replay or read
MESSAGE_DB = "@eventide/message-db@1.3.1"
MESSAGE_DB_SHA512 = (
    "n3hdE5YAZNXTr2HK9gG0GJ6dusgdE544LTvS+21/yOEHBvNuUzNmXXw5vS05vpe6RSuhzTRy5Wg0q7c1VfJg+A=="
)


class NotHere(Exception):
    """A peer cannot be measured on this machine; the message says why."""


def eventsourced_on_sqlite(
    python: str, folder: Path, events: Sequence[bytes], singles: int
) -> Rates:
    """Measure the eventsourcing library on SQLite."""
    variables = {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(folder / "eventsourcing.db"),
    }
    return _measured(python, "eventsourced", [str(singles)], events, variables)


def eventsourced_on_postgresql(
    python: str, database: Database, events: Sequence[bytes], singles: int
) -> Rates:
    """Measure the eventsourcing library on PostgreSQL."""
    name, host = _name_and_host(database)
    variables = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": name,
        "POSTGRES_HOST": host,
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "",
    }
    return _measured(python, "eventsourced", [str(singles)], events, variables)


def message_db(python: str, database: Database, events: Sequence[bytes], singles: int) -> Rates:
    """Measure Message DB; raise NotHere without npm."""
    name, host = _name_and_host(database)
    words = [str(message_db_package(BUILD / "message-db", shutil.which("npm"))), str(singles)]
    variables = {"PEER_DATABASE": f"host={host} dbname={name} user=postgres"}
    return _measured(python, "message_db", words, events, variables)


def umadb(python: str, folder: Path, events: Sequence[bytes], singles: int) -> Rates:
    """Measure UmaDB: its server where our worker would run, its client on the load's core."""
    port = free_port()
    program = str(Path(python).with_name("umadb"))
    words = [program, "--listen", f"127.0.0.1:{port}", "--db-path", str(folder / "uma.db")]
    with Service("umadb", words, port=port):
        url = f"http://127.0.0.1:{port}"
        return _measured(python, "uma", [url, str(singles)], events, {}, core=LOAD_CORE)


def _name_and_host(database: Database) -> tuple[str, str]:
    """Return name and socket folder of a PostgreSQL database."""
    path, _, host = database.owner_url.rpartition("?host=")
    return path.rpartition("/")[2], host


def _measured(
    python: str,
    program: str,
    words: Sequence[str],
    events: Sequence[bytes],
    variables: Mapping[str, str],
    core: int = SERVER_CORE,
) -> Rates:
    with on_core(core):
        done = subprocess.run(
            [python, str(PEERS / f"{program}.py"), *words],
            input=b"\n".join(events),
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            check=True,
        )
    rates: Rates = json.loads(done.stdout)
    return rates


def message_db_package(folder: Path, npm: str | None) -> Path:
    """Return the folder of Message DB's package; fetch it on first use, with the pinned hash."""
    if (folder / "package").is_dir():
        return folder / "package"
    if npm is None:
        raise NotHere("Message DB was not measured: it comes from npm, which is not on PATH")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [npm, "pack", MESSAGE_DB, "--ignore-scripts", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode != 0 or packed is None:
        raise NotHere(f"Message DB was not measured: npm cannot fetch {MESSAGE_DB}")
    digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    if digest != MESSAGE_DB_SHA512:
        raise NotHere(
            f"Message DB was not measured: {MESSAGE_DB} has another hash than the pinned one"
        )
    # Not tarfile: Python 3.11.2 has no filters yet, and later versions warn without one.
    subprocess.run(["tar", "-xzf", str(packed), "-C", str(folder)], check=True)
    return folder / "package"
