"""The watermark outside the database: what it stops, and what brings it up to date."""

import shutil
from pathlib import Path

import pytest

from services.ledger.config import signers
from services.ledger.log.signed_note import read_checkpoint
from shared.errors import PreconditionFailed
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import published_key
from tests.contract.ledgers import Ledger
from tests.contract.standins import TOLD
from tests.given import sam
from tests.logs import made_up_log

WATERMARK = published_key(0)


def watermark(ledger: Ledger) -> int | None:
    """The size that was published last."""
    note = PublishedCheckpoints(ledger.inbox().redis).read(0)
    return read_checkpoint(note, *signers(ledger.settings)[0].vkeys)[0] if note else None


@pytest.mark.parametrize("size", [1, 5, 9])
@pytest.mark.parametrize("waiting", [True, False], ids=["events wait", "nothing waits"])
def test_other_entries_than_were_published_stop_the_projector(
    on_valkey: Ledger, size: int, waiting: bool
) -> None:
    """A fork, whether the database has grown since or not; at start too."""
    on_valkey.post(*TOLD)
    on_valkey.drain()
    forked = signers(on_valkey.settings)[0].checkpoint(size, bytes(32))
    on_valkey.inbox().redis.set(WATERMARK, forked)
    on_valkey.post(*([sam.starts()] if waiting else []))
    with pytest.raises(
        PreconditionFailed, match=f"other entries than the {size} that were published"
    ):
        on_valkey.projector().batch(0)
    assert (len(on_valkey.rows()), on_valkey.waiting()) == (9, int(waiting))


def test_what_was_published_stops_also_the_projector_that_wrote_last(on_valkey: Ledger) -> None:
    """It looks no second time at what it left itself, and at anything else it does."""
    projector = on_valkey.projector()
    on_valkey.post(*TOLD)
    assert projector.batch(0) == 9
    assert projector.batch(0) == 0
    forked = signers(on_valkey.settings)[0].checkpoint(9, bytes(32))
    on_valkey.inbox().redis.set(WATERMARK, forked)
    on_valkey.post(sam.starts())
    with pytest.raises(PreconditionFailed, match="other entries than the 9 that were published"):
        projector.batch(0)
    assert (len(on_valkey.rows()), on_valkey.waiting()) == (9, 1)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_restored_copy_is_not_written(on_valkey: Ledger, tmp_path: Path) -> None:
    stored = Path(on_valkey.settings.store_url.partition("///")[2])
    on_valkey.post(*TOLD[:4])
    on_valkey.drain()
    on_valkey.close()
    copy = shutil.copy(stored, tmp_path / "copy")
    on_valkey.post(*TOLD[4:])
    on_valkey.drain()
    on_valkey.close()
    assert [each.name for each in stored.parent.glob("ledger.db*")] == ["ledger.db"]
    shutil.copy(copy, stored)
    on_valkey.post(sam.starts())
    with pytest.raises(PreconditionFailed, match="log 0 ends at 4, but 9 entries were published"):
        on_valkey.projector().batch(0)
    assert (len(on_valkey.rows()), on_valkey.waiting()) == (4, 1)


def test_a_log_that_grew_since_it_was_published_is_the_same_log(on_valkey: Ledger) -> None:
    log = made_up_log(700)
    on_valkey.inbox().redis.set(WATERMARK, on_valkey.grow(log, 300))
    on_valkey.grow(log, 700)
    on_valkey.post(sam.starts())
    assert on_valkey.drain() == 1
    assert watermark(on_valkey) == 701


def test_a_head_that_was_never_published_is_published_at_the_next_start(ledger: Ledger) -> None:
    """A new ledger's, and one whose queue was lost between the commit and the publishing."""
    assert watermark(ledger) is None
    assert ledger.projector().batch(0) == 0
    assert watermark(ledger) == 0
    ledger.post(*TOLD)
    ledger.drain()
    ledger.inbox().redis.delete(WATERMARK)
    assert ledger.projector().batch(0) == 0
    assert watermark(ledger) == len(TOLD)
    assert not ledger.replay().findings
