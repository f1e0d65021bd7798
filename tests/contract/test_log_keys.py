"""Changing a log's key: both sign for a while, then the new one alone; nothing stops verifying."""

import pytest
from click.testing import CliRunner

from services.cli import main
from services.ledger.bootstrap import open_store
from services.ledger.config import signers
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.maintenance.init import init
from services.ledger.maintenance.key_rotation import rotate_log_key
from shared.errors import SettingsError
from shared.inbox.published_checkpoint import PublishedCheckpoints
from tests.contract.ledgers import Ledger
from tests.contract.standins import TOLD


def test_while_both_keys_sign_either_verifies_and_then_the_new_one(on_valkey: Ledger) -> None:
    settings, queue = on_valkey.settings, on_valkey.inbox().redis
    (old,) = signers(settings)[0].vkeys
    on_valkey.post(*TOLD[:3])
    on_valkey.drain()
    before = PublishedCheckpoints(queue).read(0)

    new, also = rotate_log_key(settings, 0, finish=False).vkeys
    assert also == old
    assert on_valkey.projector().batch(0) == 0  # a worker's start signs the head with both
    for vkey in (old, new):
        assert read_checkpoint(PublishedCheckpoints(queue).read(0), vkey)[0] == 3
    on_valkey.post(*TOLD[3:6])
    on_valkey.drain()
    both = PublishedCheckpoints(queue).read(0)
    assert not on_valkey.replay().findings

    assert rotate_log_key(settings, 0, finish=True).vkeys == [new, old]
    assert on_valkey.projector().batch(0) == 0
    on_valkey.post(*TOLD[6:])
    on_valkey.drain()
    after = PublishedCheckpoints(queue).read(0)
    assert read_checkpoint(after, new)[0] == len(TOLD)
    with pytest.raises(ValueError, match="no signature"):
        read_checkpoint(after, old)
    for note in (before, both, after):
        read_checkpoint(note, *signers(settings)[0].vkeys)
    assert not on_valkey.replay().findings
    assert len({note.partition("\n")[0] for note in (before, both, after)}) == 1


def test_a_key_is_retired_without_a_worker_in_between(on_valkey: Ledger) -> None:
    on_valkey.post(*TOLD[:3])
    on_valkey.drain()
    rotate_log_key(on_valkey.settings, 0, finish=False)
    rotate_log_key(on_valkey.settings, 0, finish=True)
    opened, _ = open_store(on_valkey.settings, write=True)
    opened.dispose()
    on_valkey.post(*TOLD[3:])
    on_valkey.drain()
    assert not on_valkey.replay().findings


def test_keys_change_in_order_and_init_leaves_them(stored: Ledger) -> None:
    with pytest.raises(SettingsError, match=r"log-0\.key: one key signs"):
        rotate_log_key(stored.settings, 0, finish=True)
    rotate_log_key(stored.settings, 0, finish=False)
    with pytest.raises(SettingsError, match=r"log-0\.key: two keys sign already"):
        rotate_log_key(stored.settings, 0, finish=False)
    with pytest.raises(SettingsError, match=r"log-1\.key"):
        rotate_log_key(stored.settings, 1, finish=False)
    before = (stored.settings.key_folder / "log-0.key").read_bytes()
    assert init(stored.settings) == signers(stored.settings)[0].origin.rpartition("/")[0]
    assert (stored.settings.key_folder / "log-0.key").read_bytes() == before


def test_the_command_prints_the_keys_and_says_when_it_is_not_the_time(stored: Ledger) -> None:
    def run(*options: str) -> tuple[int, list[str]]:
        told = CliRunner().invoke(main, ["rotate-log-key", *options], env=stored.environment)
        return told.exit_code, told.output.splitlines()

    (old,) = signers(stored.settings)[0].vkeys
    status, keys = run()
    assert (status, len(keys), keys[1]) == (0, 2, old)
    assert run("--log", "0", "--complete") == (0, keys)
    status, said = run("--complete")
    assert (status, len(said)) == (2, 1)
    assert "add the new one first" in said[0]
    assert run("--log", "7")[0] == 2
