"""The servers under the tests keep their word: they answer, keep data, leave nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import fakeredis
import psycopg
import pytest
import redis

from tests import postgres, process, servers

ROOT = Path(__file__).parents[2]


def test_the_queue_answers_on_a_private_socket(inbox_server: servers.RedisLikeServer) -> None:
    with inbox_server.client() as client:
        assert client.ping()
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
    assert inbox_server.socket.stat().st_mode & 0o777 == 0o700
    assert inbox_server.folder.stat().st_mode & 0o777 == 0o700


def test_the_queue_is_found_by_its_address(inbox_url: str) -> None:
    with redis.Redis.from_url(inbox_url) as client:
        assert client.dbsize() == 0


def test_the_queue_keeps_what_it_acknowledged(inbox_server: servers.RedisLikeServer) -> None:
    with inbox_server.client() as client:
        client.xadd("stream", {"said": "before the cut"})
    inbox_server.kill()
    assert inbox_server.pid is None
    inbox_server.start()
    with inbox_server.client() as client:
        assert client.xlen("stream") == 1


@pytest.mark.parametrize("dirt", ["key", "setting", "killed"])
def test_the_queue_is_clean_for_the_next_test(
    inbox_server: servers.RedisLikeServer, dirt: str
) -> None:
    with inbox_server.client() as client:
        client.set("left", "behind")
        client.config_set("appendfsync", "no" if dirt == "setting" else "always")
    if dirt == "killed":
        inbox_server.kill()
    inbox_server.reset()
    with inbox_server.client() as client:
        assert client.dbsize() == 0
        assert client.config_get("appendfsync") == {"appendfsync": "always"}


def test_a_pretended_queue_runs_scripts(fake_redis: fakeredis.FakeStrictRedis) -> None:
    assert fake_redis.eval("return redis.call('INCR', KEYS[1])", 1, "n") == 1


def test_a_database_is_fresh(database: postgres.Database, tmp_path: Path) -> None:
    if database.kind == "sqlite":
        assert database.owner_url == database.app_url == f"sqlite:///{tmp_path}/ledger.db"
        assert not (tmp_path / "ledger.db").exists()
    else:
        assert database.app_role is not None
        assert f"//{database.app_role}:app@/" in database.app_url
        with contextlib.closing(_connect(database)) as connection:
            tables = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
            assert tables.fetchone() is None


def test_a_database_and_its_role_go_when_the_test_ends(
    postgres_server: postgres.PostgresServer,
) -> None:
    with postgres_server.database() as database:
        with contextlib.closing(_connect(database)) as connection:
            connection.execute(f"CREATE ROLE {database.app_role} LOGIN PASSWORD 'app'")
            connection.execute("CREATE TABLE entry (n int)")
            connection.execute(f"GRANT INSERT, SELECT ON entry TO {database.app_role}")
        with contextlib.closing(_connect(database, database.app_url)) as connection:
            connection.execute("INSERT INTO entry VALUES (1)")
    with contextlib.closing(postgres_server.connect()) as superuser:
        roles = superuser.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")
        assert database.app_role not in {name for (name,) in roles}
        names = superuser.execute("SELECT datname FROM pg_database")
        assert database.owner_url not in {postgres_server.url(name) for (name,) in names}


def test_postgresql_keeps_what_it_committed(postgres_server: postgres.PostgresServer) -> None:
    with postgres_server.database() as database:
        with contextlib.closing(_connect(database)) as connection:
            connection.execute("CREATE TABLE entry AS SELECT 7 AS n")
        postgres_server.kill()
        assert postgres_server.pid is None
        postgres_server.start()
        with contextlib.closing(_connect(database)) as connection:
            assert connection.execute("SELECT n FROM entry").fetchone() == (7,)
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_programs_that_root_keeps_to_itself_are_copied(tmp_path: Path) -> None:
    programs = postgres.find_postgres()
    if os.geteuid() != 0 or programs is None:
        pytest.skip("only root has to hand PostgreSQL over to another user")
    tmp_path.chmod(0o700)
    package = tmp_path / programs.parents[1].name
    package.mkdir()
    (package / "install").symlink_to(programs.parent)
    libraries = programs.parents[1].with_name(f"{package.name}.libs")
    if libraries.is_dir():
        (tmp_path / libraries.name).symlink_to(libraries)
    with postgres.PostgresServer(package / "install" / "bin") as server:
        assert server.programs.is_relative_to(server.folder)
        assert server.version


@pytest.mark.parametrize("name", ["ValkeyServer", "RedisServer", "PostgresServer"])
def test_a_server_leaves_nothing_behind(name: str) -> None:
    kind = _kind(name)
    with kind() as server:
        pid = server.pid
        assert pid is not None
        pids = [pid, *process.children_of(pid)]
        assert server.folder.is_dir()
    assert not any(map(process.is_running, pids))
    assert not server.folder.exists()


@pytest.mark.parametrize("name", ["ValkeyServer", "RedisServer", "PostgresServer"])
def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = _kind(name)
    server = kind()
    program, *_ = server.command()
    monkeypatch.setattr(server, "command", lambda: [program, "--no-such-option", "1"])
    with pytest.raises(process.ServerError, match="no-such-option"), server:
        pass
    assert not server.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
@pytest.mark.parametrize("name", ["ValkeyServer", "RedisServer", "PostgresServer"])
def test_a_server_dies_with_the_tests_and_the_next_run_sweeps_up(name: str) -> None:
    kind = _kind(name)
    program = f"""
        import time
        from {kind.__module__} import {name}
        with {name}() as server:
            print(server.pid, server.folder, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, stdout=subprocess.PIPE
    ) as tests:
        assert tests.stdout is not None
        said_pid, folder = tests.stdout.readline().decode().split()
        pids = [int(said_pid), *process.children_of(int(said_pid))]
        tests.kill()
    process.wait_until(lambda: not any(map(process.is_running, pids)), f"{name} to die")
    process.sweep_abandoned_folders()
    process.wait_until(lambda: not Path(folder).exists(), "the folder to be swept")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tests_that_are_stopped_stop_their_servers(number: signal.Signals, tmp_path: Path) -> None:
    inner = tmp_path / "test_inner.py"
    inner.write_text(
        "import time\n"
        "def test_that_hangs(valkey, postgres_server):\n"
        "    for server in (valkey, postgres_server):\n"
        "        print(server.pid, server.folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    options = ["-s", "-q", "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", os.devnull]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, inner],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=process.as_in_a_terminal,  # noqa: PLW1509 - it calls nothing that a thread holds
    ) as tests:
        assert tests.stdout is not None
        lines = [tests.stdout.readline().decode().split() for _ in range(2)]
        tests.send_signal(number)
        tests.communicate(timeout=60)
    for pid, folder in lines:
        assert not process.is_running(int(pid))
        assert not Path(folder).exists()


def _kind(name: str) -> type[process.Server]:
    """The class, where this machine has the server."""
    found: dict[str, tuple[type[process.Server], object]] = {
        "ValkeyServer": (servers.ValkeyServer, servers.ValkeyServer.find()),
        "RedisServer": (servers.RedisServer, servers.RedisServer.find()),
        "PostgresServer": (postgres.PostgresServer, postgres.find_postgres()),
    }
    kind, programs = found[name]
    if programs is None:
        pytest.skip(f"{kind.name} is not on this machine")
    return kind


def _connect(database: postgres.Database, url: str | None = None) -> psycopg.Connection:
    """A plain connection to a PostgreSQL test database, as one of its roles."""
    return psycopg.connect(
        (url or database.owner_url).replace("postgresql+psycopg", "postgresql"), autocommit=True
    )
