"""Rotating the transit key, in whatever order it reaches whom: no acknowledged event is lost."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli import main
from services.ledger.writer.worker import Drainer
from shared.crypto.jwe import Key
from shared.crypto.transit import Transit
from shared.crypto.transit_keys import FILE, TransitKeys
from shared.errors import DecryptionError, KeyUnavailable, SettingsError
from shared.inbox.redis_keys import inbox_key, waiting_key
from tests.contract.examined import SQLITE, examined, named
from tests.contract.ledgers import Ledger, waited_for
from tests.contract.standins import IDS, TOLD
from tests.given import ADA


@pytest.fixture
def folder(on_valkey: Ledger) -> Path:
    """The ledger's key folder."""
    return on_valkey.settings.key_folder


def rotate(folder: Path) -> str:
    """A new key before the old one; the new one's name."""
    return TransitKeys.read(folder).with_new_key(folder).keys[0].kid


def elsewhere(folder: Path, tmp_path: Path) -> Path:
    """The folder of another host, which has the same key."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    (there / FILE).write_bytes((folder / FILE).read_bytes())
    return there


def test_a_worker_that_began_before_knows_the_new_key_at_once(
    on_valkey: Ledger, folder: Path
) -> None:
    projector = on_valkey.projector()
    on_valkey.post(*TOLD[:2])
    rotate(folder)
    on_valkey.post(*TOLD[2:])
    assert Drainer(projector, lambda _: None).drain(0) == len(TOLD)
    assert (on_valkey.ids(ADA), on_valkey.table("unreadable")) == (IDS, [])


def test_a_key_that_has_not_come_is_waited_for_and_nothing_is_lost(
    on_valkey: Ledger, folder: Path, tmp_path: Path
) -> None:
    """The intake's host has the new key first, as nobody should do it."""
    there = elsewhere(folder, tmp_path)
    kid = rotate(there)
    on_valkey.post(TOLD[0])
    ahead = on_valkey.inbox()
    ahead.transit = Transit.from_folder(there)
    ahead.publish(0, TOLD[1:4])
    on_valkey.post(*TOLD[4:])
    drainer = Drainer(on_valkey.projector(), lambda _: None)
    assert drainer.drain(0) == drainer.drain(0) == 0
    assert not drainer.stopping.is_set()
    assert (on_valkey.ids(ADA), on_valkey.waiting()) == (IDS[:1], len(TOLD) - 1), "what came before"
    assert on_valkey.table("unreadable") == []
    assert kid.encode() in (ahead.redis.get(waiting_key(0)) or b"")
    named(on_valkey, "lag", "error", f"the transit key {kid}", "continues by itself")
    (folder / FILE).write_bytes((there / FILE).read_bytes())
    assert drainer.drain(0) == len(TOLD) - 1
    assert (on_valkey.ids(ADA), on_valkey.table("unreadable")) == (IDS, [])
    assert not on_valkey.replay().findings


def test_what_nobody_can_open_is_kept_aside_once_its_key_is_given_up(
    on_valkey: Ledger, folder: Path
) -> None:
    """A planted name blocks the partition, visibly, until somebody says that it is nobody's."""
    nobodys = Key.fresh()
    planted = Transit([nobodys]).encrypt(0, TOLD[1].message(), "event")
    on_valkey.post(TOLD[0])
    on_valkey.inbox().redis.xadd(inbox_key(0), {"e": planted})
    on_valkey.post(*TOLD[1:])
    drainer = Drainer(on_valkey.projector(), lambda _: None)
    assert drainer.drain(0) == 0
    TransitKeys.read(folder).with_lost_key(folder, nobodys.kid)
    assert drainer.drain(0) == len(TOLD), "one was recorded before"
    assert on_valkey.ids(ADA) == IDS
    ((row),) = on_valkey.table("unreadable")
    assert (row["message"], nobodys.kid in row["reason"]) == (planted, True)


def test_a_file_that_cannot_be_read_is_waited_for(on_valkey: Ledger, folder: Path) -> None:
    projector, good = on_valkey.projector(), (folder / FILE).read_bytes()
    rotate(folder)
    on_valkey.post(*TOLD)
    new = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(good[:20])
    drainer = Drainer(projector, lambda _: None)
    assert drainer.drain(0) == 0
    assert projector.inbox.length(0) == len(TOLD)
    assert on_valkey.table("unreadable") == []
    (folder / FILE).write_bytes(new)
    assert drainer.drain(0) == len(TOLD)


def test_a_receipt_under_a_key_that_intake_has_not_is_no_fault(
    on_valkey: Ledger, folder: Path, tmp_path: Path
) -> None:
    behind = on_valkey.inbox()
    behind.transit = Transit.from_folder(elsewhere(folder, tmp_path))
    behind.publish(0, [waited_for(TOLD[0], "w")])
    rotate(folder)
    on_valkey.drain()
    assert behind.receipt(0, "w", 1) is None
    assert on_valkey.inbox().receipt(0, "w", 1) is not None


# The keys themselves.


def test_a_sealer_follows_the_file_within_a_second(tmp_path: Path) -> None:
    now = [0.0]
    Transit.make(tmp_path)
    old = TransitKeys.read(tmp_path).keys
    transit = Transit(old, tmp_path, clock=lambda: now[0])
    new = rotate(tmp_path)
    for second, kid in ((0.9, old[0].kid), (1.0, new)):
        now[0] = second
        alone = Transit([TransitKeys.read(tmp_path).find(kid) or old[0]])
        assert alone.decrypt(0, transit.encrypt(0, b"words", "event"), "event") == b"words"
    (tmp_path / FILE).write_text("{}")
    now[0] = 9.0
    assert transit.decrypt(0, transit.encrypt(0, b"words", "event"), "event") == b"words"


def test_an_unknown_key_is_waited_for_only_where_the_message_is_for_here() -> None:
    transit, other = Transit([Key.fresh()]), Transit([Key.fresh()])
    with pytest.raises(KeyUnavailable):
        transit.decrypt(0, other.encrypt(0, b"words", "event"), "event")
    for partition, use in ((1, "event"), (0, "receipt")):
        with pytest.raises(DecryptionError):
            transit.decrypt(0, other.encrypt(partition, b"words", use), "event")


def test_keys_change_in_order_and_init_leaves_them(tmp_path: Path) -> None:
    Transit.make(tmp_path)
    with pytest.raises(SettingsError, match="there is only one key"):
        TransitKeys.read(tmp_path).newest_only(tmp_path)
    rotate(tmp_path)
    both = TransitKeys.read(tmp_path)
    with pytest.raises(SettingsError, match="there are already two keys"):
        both.with_new_key(tmp_path)
    with pytest.raises(SettingsError, match="so it is not lost"):
        both.with_lost_key(tmp_path, both.keys[1].kid)
    Transit.make(tmp_path)
    assert [each.kid for each in TransitKeys.read(tmp_path).keys] == [e.kid for e in both.keys]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    old = time.time() - 40 * 86_400
    os.utime(tmp_path / FILE, (old, old))
    assert both.newest_only(tmp_path).keys == both.keys[:1]
    assert (tmp_path / FILE).stat().st_mtime == pytest.approx(old)
    assert list(json.loads((tmp_path / FILE).read_text())) == ["keys"]


# The command.


def run(ledger: Ledger, *options: str) -> tuple[int, list[str]]:
    told = CliRunner().invoke(main, ["rotate-transit-key", *options], env=ledger.environment)
    return told.exit_code, told.output.splitlines()


@SQLITE
def test_the_command_prints_the_names_and_drops_no_key_that_is_waited_for(
    on_valkey: Ledger, folder: Path
) -> None:
    (old,) = TransitKeys.read(folder).keys
    on_valkey.post(TOLD[0])
    status, kids = run(on_valkey)
    assert (status, len(kids), kids[1]) == (0, 2, old.kid)
    assert run(on_valkey)[0] == 2
    status, (said,) = run(on_valkey, "--complete")
    assert status == 2
    assert "1 messages use the old key" in said
    assert "1 messages wait under the old key" in examined(on_valkey)["transit keys"].detail
    on_valkey.drain()
    assert run(on_valkey, "--complete") == (0, kids[:1])
    assert examined(on_valkey)["transit keys"].state == "ok"


@SQLITE
def test_the_command_asks_the_queue_unless_told_not_to(on_valkey: Ledger) -> None:
    assert run(on_valkey)[0] == 0
    away = on_valkey.environment | {"FIRSTHAND_REDIS_URL": "unix:///none"}
    for options, status in ((["--complete"], 3), (["--complete", "--skip-queue-check"], 0)):
        told = CliRunner().invoke(main, ["rotate-transit-key", *options], env=away)
        assert told.exit_code == status, told.output


@SQLITE
def test_the_command_gives_up_a_key_by_its_name(on_valkey: Ledger, folder: Path) -> None:
    kid = Key.fresh().kid
    assert run(on_valkey, "--mark-lost", kid)[0] == 0
    assert TransitKeys.read(folder).lost == {kid}
    assert run(on_valkey, "--mark-lost", "not a name")[0] == 2
    assert run(on_valkey, "--mark-lost", kid, "--complete")[0] == 2


def test_an_alias_is_the_same_for_processes_that_have_a_key_in_common(
    folder: Path, tmp_path: Path
) -> None:
    """A worker names persons for an intake that may have the new key already, or no old one."""
    there = elsewhere(folder, tmp_path)
    began_before = Transit.from_folder(there)
    rotate(folder)
    rotated = Transit.from_folder(folder)
    assert began_before.alias(ADA) == rotated.alias(ADA)
    TransitKeys.read(folder).newest_only(folder)
    finished = Transit.from_folder(folder)
    assert finished.alias(ADA) != rotated.alias(ADA)
    assert finished.alias(ADA) in rotated.aliases(ADA)


def test_an_alias_follows_the_file(folder: Path) -> None:
    now = [0.0]
    transit = Transit(TransitKeys.read(folder).keys, folder, lambda: now[0])
    before = transit.alias(ADA)
    rotate(folder)
    TransitKeys.read(folder).newest_only(folder)
    assert transit.alias(ADA) == before
    now[0] += 2.0
    assert transit.alias(ADA) == Transit.from_folder(folder).alias(ADA) != before
