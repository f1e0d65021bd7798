"""What was served of a log stays served, whatever somebody writes into the queue (S18)."""

from collections.abc import Callable

import pytest
import structlog

from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.config import signers
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.store.checkpoint_archive import archive_checkpoint
from services.ledger.store.database import connect, transaction
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import published_key
from tests.integration.together import ADA, STARTED, Together, problem

PLACE = published_key(0)


def size(house: Together) -> int:
    """The size of the checkpoint that is served."""
    answer = house.log("checkpoint")
    assert answer.status_code == 200, answer.text
    return read_checkpoint(answer.text, *signers(house.settings)[0].vkeys)[0]


def published(house: Together) -> str:
    """What stands in the queue."""
    return PublishedCheckpoints(house.door.inbox.redis).read(0)


@pytest.fixture
def grown(house: Together) -> Together:
    """A log of one entry; `first` copies its checkpoint, and lets it grow to four."""
    house.post(ADA, "plan.started", STARTED)
    return house


@pytest.fixture
def first(grown: Together) -> str:
    note = published(grown)
    for number in range(3):
        grown.post(ADA, "aspiration.stated", {"words": f"Wish {number}."})
    assert size(grown) == 4
    return note


def keep(house: Together, size: int, note: str) -> None:
    """Keep a checkpoint as the keeper does."""
    engine = connect(house.settings.store_url, write=True)
    with transaction(engine) as connection:
        archive_checkpoint(connection, 0, size, 0, note, "2126-03-02T12:00:00.000Z")
    engine.dispose()


def test_an_earlier_checkpoint_takes_nothing_away(grown: Together, first: str) -> None:
    last = grown.post(ADA, "aspiration.stated", {"words": "Swim."})
    assert grown.get(ADA, f"events/{last['id']}/receipt").status_code == 200
    with structlog.testing.capture_logs() as logged:
        grown.publish(first)
        for _ in range(3):
            assert size(grown) == 5
            assert grown.get(ADA, f"events/{last['id']}/receipt").status_code == 200
    said = [each for each in logged if each["event"] == "published"]
    assert [each["why"] for each in said] == ["the queue has size 1, but 5 was published"]


def test_what_was_kept_counts_also_for_a_service_that_has_just_started(
    grown: Together, first: str
) -> None:
    keep(grown, 4, published(grown))
    grown.publish(first)
    fresh = PublishedView(
        grown.reader,
        PublishedCheckpoints(grown.door.inbox.redis),
        [each.vkeys for each in signers(grown.settings)],
    )
    with fresh.reading(0) as (_, found):
        assert found.size == 4


def plant_text(house: Together) -> None:
    house.publish("garbage\n\n")


def plant_bytes(house: Together) -> None:
    house.door.inbox.redis.set(PLACE, b"\xff\x00")


def plant_type(house: Together) -> None:
    house.door.inbox.redis.delete(PLACE)
    house.door.inbox.redis.lpush(PLACE, "1")


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("plant", [plant_text, plant_bytes, plant_type])
def test_what_is_no_checkpoint_counts_as_missing_and_is_logged(
    grown: Together, plant: Callable[[Together], None]
) -> None:
    with structlog.testing.capture_logs() as logged:
        plant(grown)
        assert size(grown) == size(grown) == 4
    said = [each for each in logged if each["event"] == "published"]
    assert len(said) == 1
    assert said[0]["log_level"] == "warning"
    assert "an invalid checkpoint of this log" in said[0]["why"]


@pytest.mark.usefixtures("first")
def test_a_kept_checkpoint_that_nobody_signed_is_not_served(grown: Together) -> None:
    keep(grown, 9, "firsthand-x/0\n9\nAAAA\n\n")
    assert size(grown) == 4


@pytest.mark.usefixtures("first")
def test_a_database_older_than_what_was_published_is_not_served(grown: Together) -> None:
    (signer,), last = signers(grown.settings), published(grown)
    grown.publish(signer.checkpoint(9, bytes(32)))
    problem(grown.log("checkpoint"), 503, "unavailable")
    grown.publish(last)
    problem(grown.log("checkpoint"), 503, "unavailable")
