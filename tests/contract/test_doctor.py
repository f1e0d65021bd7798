"""For every check of `firsthand doctor`: that very thing is broken, and named with a remedy."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli import main
from services.operations.doctor import queue_checks
from services.operations.doctor.checks import CHECKS
from shared.inbox import doorbell
from shared.inbox.redis_keys import inbox_key
from tests.contract.examined import POSTGRESQL, SQLITE, examined, named
from tests.contract.ledgers import Ledger
from tests.given import ada
from tests.servers import RedisLikeServer


@pytest.fixture
def keys(on_valkey: Ledger) -> Path:
    """The ledger's key files."""
    return on_valkey.settings.key_folder


def test_where_all_is_well_nothing_is_wrong(ledger: Ledger) -> None:
    ledger.post(ada.starts(), ada.states())
    ledger.drain()
    found = examined(ledger)
    assert found.keys() == CHECKS.keys()
    assert {each.check: each.detail for each in found.values() if each.state == "error"} == {}
    assert {each.check for each in found.values() if each.state == "skipped"} == {
        "intake",
        "read API",
    }
    assert found["bells"].state == "warning"  # this test is its own worker
    assert not any(each.down for each in found.values())


def test_it_changes_nothing(on_valkey: Ledger) -> None:
    on_valkey.post(ada.starts())
    on_valkey.drain()
    on_valkey.post(ada.states())
    redis = on_valkey.inbox().redis

    def all_there_is() -> tuple[object, ...]:
        files = {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in on_valkey.settings.data.rglob("*")
            if path.is_file()
        }
        dumped = {key: redis.dump(key) for key in redis.scan_iter()}
        tables = [on_valkey.table(each) for each in ("entries", "heads", "people", "plans", "keys")]
        return files, dumped, tables

    before = all_there_is()
    examined(on_valkey)
    assert all_there_is() == before


# key files


def test_no_key_folder(on_valkey: Ledger, keys: Path) -> None:
    keys.rename(keys.with_name("elsewhere"))
    named(on_valkey, "key files", "error", "does not exist", "run 'firsthand init'")


@pytest.mark.parametrize(
    "name",
    [
        *("", "kek", "log-0.key", "transit.jwks", "tokens.key"),
        *("tokens.old.key", "owner.password", "owner.url", "users.acl"),
    ],
)
def test_a_secret_that_others_can_read(on_valkey: Ledger, keys: Path, name: str) -> None:
    if not (keys / name).exists():  # `provision-secrets` or whoever rotates a key makes it
        (keys / name).touch()
    (keys / name).chmod(0o755 if not name else 0o644)
    named(on_valkey, "key files", "error", "other accounts can use it", "run 'chmod 0")


@SQLITE
def test_a_ledger_that_others_can_read(on_valkey: Ledger) -> None:
    folder = on_valkey.settings.data
    file = Path(on_valkey.settings.store_url.partition("///")[2])
    file.chmod(0o644)
    file.parent.chmod(0o700)
    assert examined(on_valkey)["ledger's file"].state == "ok"
    file.parent.chmod(0o755)
    named(
        on_valkey,
        "ledger's file",
        "error",
        "mode 0644, other accounts can use it",
        "run 'chmod 0600",
    )
    assert folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_account(on_valkey: Ledger, keys: Path) -> None:
    os.chown(keys / "kek", 65534, 65534)
    named(on_valkey, "key files", "error", "another account (65534)", "chown")


@pytest.mark.parametrize(
    ("check", "name"),
    [
        ("transit keys", "transit.jwks"),
        ("issuers", "issuers.json"),
        ("issuers", "tokens.jwks"),
        ("key-encryption key", "kek"),
        ("log keys", "log-0.key"),
    ],
)
def test_a_key_file_that_cannot_be_read(
    on_valkey: Ledger, keys: Path, check: str, name: str
) -> None:
    (keys / name).write_text("{}")
    named(on_valkey, check, "error", str(keys), "run 'firsthand init'")


def test_a_transit_key_that_is_too_old(on_valkey: Ledger, keys: Path) -> None:
    old = time.time() - 31 * 86_400
    os.utime(keys / "transit.jwks", (old, old))
    named(on_valkey, "transit keys", "warning", "31 days old", "run 'firsthand rotate-transit-key'")


@POSTGRESQL
def test_what_this_host_does_not_need_is_unknown_and_no_finding(
    on_valkey: Ledger, keys: Path
) -> None:
    """As intake's host in compose: its two key files, and no database address."""
    for name in ("kek", "log-0.key"):
        (keys / name).unlink()
    on_valkey.settings = replace(on_valkey.settings, database_url="", database_owner_url="")
    found = examined(on_valkey)
    assert [each for each in found.values() if each.state == "error" or each.down] == []
    assert "is not on this host" in found["log keys"].detail
    assert "no database address on this host" in found["database"].detail
    assert {found[each].state for each in ("queue", "lag", "issuers", "transit keys")} == {"ok"}


# the disk


def test_a_disk_that_is_full(on_valkey: Ledger) -> None:
    named(on_valkey, "disk", "error", "are free in", "free space", least_free=2**60)


@SQLITE
def test_sqlite_on_a_networks_file_system(on_valkey: Ledger, tmp_path: Path) -> None:
    folder = on_valkey.settings.data.parent.resolve()
    mounts = tmp_path / "mountinfo"
    lines = [
        "1 0 8:1 / / rw - ext4 /dev/sda rw",
        f"2 1 0:5 / {folder} rw shared:1 - nfs4 host:/ rw",
    ]
    mounts.write_text("\n".join(lines))
    named(on_valkey, "file system", "error", "is on nfs4", "to a local disk", mounts=mounts)
    mounts.write_text("\n".join([lines[0], f"{lines[1]}x".replace(str(folder), "/elsewhere")]))
    assert examined(on_valkey, mounts=mounts)["file system"].detail.endswith("is on ext4")
    assert examined(on_valkey, mounts=tmp_path / "none")["file system"].state == "skipped"


# the queue


def test_a_queue_that_is_away(on_valkey: Ledger, valkey: RedisLikeServer) -> None:
    valkey.kill()
    found = examined(on_valkey)
    valkey.start()
    assert (found["queue"].state, found["queue"].down) == ("skipped", True)
    assert "does not answer" in found["queue"].detail
    assert "start it" in found["queue"].remedy
    assert found["lag"].detail == "unknown, for the same reason as 'queue'"
    assert found["heads"].state == "ok"


@SQLITE
def test_a_queue_that_is_too_old(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_checks, "OLDEST", (99, 0))
    named(ledger, "queue", "error", "its version is Redis", "use Redis 7.0 or newer")


@SQLITE
@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")],
)
def test_a_queue_that_is_not_safe(ledger: Ledger, setting: str, value: str) -> None:
    ledger.inbox().redis.config_set(setting, value)
    named(ledger, "queue durability", "error", "the queue ", "appendfsync always")


@SQLITE
def test_replicas_that_are_missing(ledger: Ledger) -> None:
    ledger.settings = replace(ledger.settings, replicas=1)
    named(ledger, "queue durability", "error", "0 of 1 replicas", "FIRSTHAND_REPLICAS")


@SQLITE
def test_a_queue_that_others_use_too(ledger: Ledger) -> None:
    ledger.inbox().redis.set("session:42", "cache")
    named(ledger, "queue's other keys", "warning", "such as session:42", "a separate queue")


@SQLITE
@pytest.mark.parametrize("off", [-60, 60])
def test_clocks_that_differ(ledger: Ledger, off: int) -> None:
    way = "60 s behind" if off > 0 else "60 s ahead of"
    clock = {"clock": lambda: datetime.now(UTC) + timedelta(seconds=off)}
    named(ledger, "queue's clock", "error", way, "one time server", **clock)


@SQLITE
def test_a_partition_that_waits_says_why(ledger: Ledger) -> None:
    ledger.post(ada.starts())
    ledger.inbox().set_blocked_reason(0, "the database is away")
    named(ledger, "lag", "error", "1 messages: the database is away", "continues by itself")


@SQLITE
def test_what_stands_in_the_queue_does_not_steer_the_terminal(ledger: Ledger) -> None:
    hostile, client = b"\x1b[2J\xe2\x80\xae\xe2\x81\xa6; \x1b]0;x", ledger.inbox().redis
    client.set("firsthand:{p0}:waiting", hostile)
    client.set("firsthand:layout", hostile)
    client.set(b"\x1b[2J", 1)
    found = examined(ledger)
    said = [each.detail + each.remedy for each in found.values()]
    assert all(each.isprintable() for each in said), said
    assert "?[2J" in found["lag"].detail
    assert "?[2J" in found["queue's other keys"].detail
    lines = CliRunner().invoke(main, ["doctor"], env=ledger.environment).stdout.splitlines()
    assert all(each.isprintable() for each in lines)


def test_messages_that_nobody_takes(ledger: Ledger) -> None:
    redis = ledger.inbox().redis
    seconds, _ = redis.time()
    redis.xadd(inbox_key(0), {"e": b"x"}, id=f"{(seconds - 90) * 1000}-0")
    named(ledger, "lag", "error", "doorbell not rung", "start a worker")


@SQLITE
def test_a_partition_that_is_full(ledger: Ledger) -> None:
    ledger.post(ada.starts(), ada.states())
    full = {"inbox_limit": 2}
    named(ledger, "lag", "error", "2 messages (full: intake answers 503)", "start a worker", **full)
    assert examined(ledger, inbox_limit=3)["lag"].state == "ok"
    assert examined(ledger, inbox_limit=0)["lag"].state == "ok"
    ledger.inbox().set_blocked_reason(0, "the database is away")
    named(ledger, "lag", "error", "(full: intake answers 503): the database is away", "", **full)


@SQLITE
def test_bells_that_failed(ledger: Ledger) -> None:
    redis = ledger.inbox().redis
    bell = doorbell.bell(redis)
    doorbell.ring(bell, 0)
    worker = doorbell.SimpleWorker(
        [bell],
        connection=redis,
        serializer=doorbell.JSONSerializer,
        job_class=doorbell.DrainJob,
    )
    worker.work(burst=True, logging_level="CRITICAL")  # this process has nothing to drain with
    named(ledger, "bells", "warning", "1 doorbell jobs failed", "the worker's log")
