"""A queue whose memory is full: an honest 503, nothing half-done, and a ledger that catches up."""

import pytest

from shared.errors import Unavailable
from shared.inbox.publish_script import Limits
from shared.inbox.redis_keys import published_key
from tests.contract.ledgers import Ledger
from tests.contract.standins import IDS, TOLD
from tests.given import ADA


@pytest.mark.parametrize("limits", [Limits(), Limits(per_second=1000, burst=5000, messages=1000)])
def test_who_posts_hears_that_it_is_full_and_nothing_is_half_done(
    on_valkey: Ledger, limits: Limits
) -> None:
    inbox = on_valkey.inbox()
    inbox = type(inbox)(inbox.queues, inbox.transit, limits=limits)
    inbox.redis.config_set("maxmemory", 1)
    before = set(inbox.redis.keys())
    with pytest.raises(Unavailable, match="The queue's memory is full") as told:
        inbox.publish(0, TOLD)
    assert int(told.value.headers["Retry-After"]) > 0
    assert set(inbox.redis.keys()) == before
    inbox.redis.config_set("maxmemory", 0)
    inbox.publish(0, TOLD)
    on_valkey.drain()
    assert on_valkey.ids(ADA) == IDS


def test_what_waits_is_recorded_and_published_all_the_same(on_valkey: Ledger) -> None:
    inbox = on_valkey.inbox()
    inbox.publish(0, TOLD[:2])
    on_valkey.drain()
    inbox.publish(0, TOLD[2:])
    inbox.redis.config_set("maxmemory", 1)
    on_valkey.drain()
    note = inbox.redis.get(published_key(0))
    inbox.redis.config_set("maxmemory", 0)
    assert inbox.length(0) == 0
    assert isinstance(note, bytes)
    assert f"\n{len(TOLD)}\n" in note.decode()
    assert on_valkey.ids(ADA) == IDS
