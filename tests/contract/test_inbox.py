"""The inbox's contract, on fakeredis, Valkey and Redis: the same keys, the same promises."""

import threading

import pytest
from redis import Redis

from shared.crypto.transit import Transit
from shared.errors import DecryptionError, Unavailable
from shared.events.event import Event
from shared.inbox import doorbell
from shared.inbox.inbox import Inbox, Reply
from shared.inbox.servers import MAX_CONNECTIONS, connect
from tests.contract.conftest import REAL
from tests.contract.ledgers import Together
from tests.given import ada, sam
from tests.process import wait_until
from tests.servers import RedisLikeServer

INCOMPLETE = "the queue's append-only file is not complete yet"
SLOWLY = 500_000  # microseconds that a server takes to write a key into a new file
on_real_servers = pytest.mark.parametrize("queue", REAL, indirect=True)


@pytest.fixture
def rung() -> list[int]:
    """The partitions whose bells rang."""
    return []


@pytest.fixture
def inbox(queue: "Redis", transit: Transit, rung: list[int]) -> Inbox:
    """An inbox whose bell writes down that it rang."""
    return Inbox(queue, transit, ring=rung.append)


def opened(inbox: Inbox, partition: int = 0) -> list[Event]:
    """The events that wait, in order."""
    messages = inbox.peek(partition, 1000).messages
    unseal = inbox.transit.decrypt
    return [Event.from_message(unseal(partition, sealed, "event")) for _, sealed in messages]


def test_events_wait_in_the_order_they_came(inbox: Inbox) -> None:
    told = [ada.states(f"Walk {number} miles.") for number in range(20)]
    inbox.publish(0, told[:1])
    inbox.publish(0, told[1:15])
    for each in told[15:]:
        inbox.publish(0, [each])
    assert opened(inbox) == told
    assert inbox.length(0) == 20


def test_the_head_of_the_stream_is_read_again_and_again(inbox: Inbox) -> None:
    inbox.publish(0, [ada.starts(), ada.states(), ada.writes("Food", "Fish")])
    assert inbox.peek(0, 2).messages == inbox.peek(0, 2).messages
    assert len(inbox.peek(0, 2)[0]) == 2


def test_threads_that_publish_together_each_keep_their_order(inbox: Inbox) -> None:
    told = {name: [ada.states(f"{name} {number}") for number in range(25)] for name in "abcd"}

    def publish(events: list[Event]) -> None:
        for each in events:
            inbox.publish(0, [each])

    with Together(*(lambda events=events: publish(events) for events in told.values())):
        pass
    found = opened(inbox)
    assert len(found) == 100
    for name, events in told.items():
        assert [each for each in found if each.data["words"].startswith(name)] == events


def test_the_bell_rings_once_until_a_drain_clears_the_flag(
    inbox: Inbox, queue: "Redis", rung: list[int]
) -> None:
    for _ in range(3):
        inbox.publish(0, [ada.starts()])
    assert rung == [0]
    inbox.clear_wake(0)
    inbox.publish(0, [ada.starts()])
    inbox.publish(1, [ada.starts()])
    assert rung == [0, 0, 1]
    assert 25 < queue.ttl("firsthand:{p0}:wake") <= 30


def test_a_flag_whose_bell_was_lost_expires(inbox: Inbox, queue: "Redis", rung: list[int]) -> None:
    inbox.publish(0, [ada.starts()])
    queue.pexpire("firsthand:{p0}:wake", 1)
    while queue.exists("firsthand:{p0}:wake"):
        pass
    inbox.publish(0, [ada.starts()])
    assert rung == [0, 0]


def test_each_bell_is_a_job_with_an_id_of_its_own(inbox: Inbox, queue: "Redis") -> None:
    bell = doorbell.bell(queue)
    ringing = Inbox(queue, inbox.transit, ring=lambda partition: doorbell.ring(bell, partition))
    for _ in range(5):
        ringing.publish(0, [ada.starts()])
        ringing.clear_wake(0)
    assert len(set(bell.job_ids)) == 5
    assert {(job.func_name, tuple(job.args)) for job in bell.jobs} == {(doorbell.DRAIN, (0,))}


def test_scripts_that_were_forgotten_are_sent_again(inbox: Inbox, queue: "Redis") -> None:
    inbox.publish(0, [ada.starts()])
    queue.script_flush()
    inbox.publish(0, [ada.states()])
    assert [each.type for each in opened(inbox)] == ["plan.started", "aspiration.stated"]


@on_real_servers
@pytest.mark.parametrize(
    ("setting", "value", "level"),
    [
        ("appendfsync", "always", "fsync"),
        ("appendfsync", "everysec", None),
        ("appendfsync", "no", None),
        ("appendonly", "no", None),
    ],
)
def test_durable_is_what_is_synced_before_it_is_answered(
    inbox: Inbox, queue: "Redis", setting: str, value: str, level: str | None
) -> None:
    queue.config_set(setting, value)
    told = inbox.publish(0, [ada.starts()])
    assert (told.level, bool(told.why)) == (level, level is None)
    assert inbox.durability() == told
    assert inbox.length(0) == 1, "not durable says nothing about the event's fate"


@on_real_servers
@pytest.mark.parametrize("known", [False, True], ids=["a-new-intake", "the-same-intake"])
def test_an_append_only_file_that_is_not_complete_yet_is_not_durable(
    inbox: Inbox, queue: "Redis", transit: Transit, known: bool
) -> None:
    """Switched on, a server says so at once, and loses what it answers until the file is whole."""
    for number in range(10):
        inbox.publish(0, [ada.states(f"Walk {number} miles.")])
    queue.config_set("appendonly", "no")
    if known:
        assert inbox.publish(0, [ada.starts()]).level is None
    queue.config_set("rdb-key-save-delay", SLOWLY)
    queue.config_set("appendonly", "yes")
    asked = inbox if known else Inbox(queue, transit)
    try:
        for found in (asked.publish(0, [ada.starts()]), asked.durability()):
            assert (found.level, found.why) == (None, INCOMPLETE)
    finally:
        queue.config_set("rdb-key-save-delay", 0)
    wait_until(lambda: asked.publish(0, [ada.starts()]).level == "fsync", "the file to be whole")


@pytest.mark.parametrize("known", [False, True], ids=["a-new-intake", "the-same-intake"])
def test_what_is_durable_when_appending_was_switched_on_again_outlives_a_kill(
    inbox_server: RedisLikeServer, transit: Transit, known: bool
) -> None:
    with connect(inbox_server.url) as queue:
        inbox = Inbox(queue, transit)
        for number in range(200):
            inbox.publish(0, [ada.states(f"Walk {number} miles.")])
        queue.config_set("appendonly", "no")
        if known:
            assert inbox.publish(0, [ada.starts()]).level is None
        queue.config_set("appendonly", "yes")
        asked, safe = inbox if known else Inbox(queue, transit), list[Event]()
        for number in range(20):
            said = ada.states(f"Swim {number} miles.")
            if asked.publish(0, [said]).level:
                safe.append(said)
    inbox_server.kill()
    inbox_server.start()
    with connect(inbox_server.url) as queue:
        kept = opened(Inbox(queue, transit))
        assert [each for each in safe if each not in kept] == []


@on_real_servers
def test_a_file_that_is_rewritten_while_it_is_complete_is_durable(
    inbox: Inbox, queue: "Redis"
) -> None:
    assert inbox.publish(0, [ada.starts()]).level == "fsync"
    queue.config_set("rdb-key-save-delay", SLOWLY)
    queue.bgrewriteaof()
    try:
        assert queue.info("persistence")["aof_rewrite_in_progress"] == 1
        assert inbox.publish(0, [ada.starts()]).level == "fsync"
        assert inbox.durability().level == "fsync"
    finally:
        queue.config_set("rdb-key-save-delay", 0)


@on_real_servers
def test_replicas_that_are_not_there_are_missed(
    queue: "Redis", transit: Transit, rung: list[int]
) -> None:
    inbox = Inbox(queue, transit, replicas=1, ring=rung.append)
    told = inbox.publish(0, [ada.starts()])
    assert (told.level, told.why) == (None, "0 of 1 replicas have the event")
    assert inbox.durability().why == told.why
    assert rung == [0], "the bell rings whatever the durability says"


def test_settling_deletes_exactly_what_was_recorded(inbox: Inbox, queue: "Redis") -> None:
    inbox.publish(0, [ada.starts(), ada.states(), ada.writes("Food", "Fish")])
    inbox.set_blocked_reason(0, "a fault that is over")
    (first, _), _, (third, _) = inbox.peek(0, 10)[0]
    inbox.publish(0, [ada.lets_go()])
    inbox.acknowledge(0, [first, third], [], b"checkpoint")
    assert [each.type for each in opened(inbox)] == ["aspiration.stated", "aspiration.let-go"]
    assert inbox.peek(0, 1)[1] == b"checkpoint"
    assert not queue.exists("firsthand:{p0}:waiting")
    inbox.acknowledge(0, [], [], None)
    assert inbox.peek(0, 1)[1] == b"checkpoint"
    assert inbox.length(0) == 2


@on_real_servers
def test_two_who_wait_for_one_receipt_both_get_it(inbox: Inbox, queue: "Redis") -> None:
    answers: list[bytes | None] = []

    def wait() -> None:
        answers.append(inbox.receipt(0, "w1", 2))

    def settle() -> None:
        inbox.acknowledge(0, [], [Reply("w1", b"201\n{}")], None)

    with Together(wait, wait):
        threading.Timer(0.1, settle).start()
    assert answers == [b"201\n{}"] * 2
    assert inbox.receipt(0, "w1", 1) == b"201\n{}", "it stays for who comes later"
    assert 50 < queue.ttl("firsthand:{p0}:done:w1") <= 60


def test_a_receipt_that_never_comes_is_none(inbox: Inbox) -> None:
    assert inbox.receipt(0, "nobody", 1) is None


def test_a_receipt_is_for_its_partition_and_no_event(inbox: Inbox, queue: "Redis") -> None:
    inbox.acknowledge(0, [], [Reply("w1", b"201\n{}")], None)
    queue.copy("firsthand:{p0}:done:w1", "firsthand:{p1}:done:w1")
    assert inbox.receipt(1, "w1", 1) is None
    sealed = inbox.transit.encrypt(0, b"201\n{}", "receipt")
    with pytest.raises(DecryptionError, match="encrypted for another partition, use or waiter"):
        inbox.transit.decrypt(0, sealed, "event")


def test_a_receipt_is_for_its_waiter(inbox: Inbox, queue: "Redis") -> None:
    """Who writes to the queue cannot hand one person's receipt to another."""
    inbox.acknowledge(0, [], [Reply("w1", b"201\n{}")], None)
    queue.copy("firsthand:{p0}:done:w1", "firsthand:{p0}:done:w2")
    assert inbox.receipt(0, "w2", 1) is None


def test_a_message_does_not_open_in_another_partition(inbox: Inbox) -> None:
    inbox.publish(0, [sam.states()])
    ((_, sealed),) = inbox.peek(0, 1).messages
    with pytest.raises(DecryptionError, match="encrypted for another partition, use or waiter"):
        inbox.transit.decrypt(1, sealed, "event")


def test_a_stranger_in_the_stream_is_read_whole(inbox: Inbox, queue: "Redis") -> None:
    """Nothing is thrown away, least of all what nobody can explain."""
    queue.xadd("firsthand:{p0}:inbox", {"note": "left by a stranger", "more": b"\xff\x00"})
    ((_, read),) = inbox.peek(0, 10).messages
    for part in (b"note", b"left by a stranger", b"more", b"\\xff\\x00"):
        assert part in read
    with pytest.raises(DecryptionError):
        inbox.transit.decrypt(0, read, "event")


def test_the_age_of_the_oldest_is_the_queues_own_clock(inbox: Inbox, queue: "Redis") -> None:
    assert inbox.summarize(0).oldest is None
    inbox.publish(0, [ada.starts()])
    age = inbox.summarize(0).oldest
    assert age is not None
    assert -0.1 < age < 5
    seconds, _ = queue.time()
    queue.delete("firsthand:{p0}:inbox")
    queue.xadd("firsthand:{p0}:inbox", {"e": "x"}, id=f"{(seconds - 100) * 1000}-0")
    assert 99 < (inbox.summarize(0).oldest or 0) < 105


def test_why_a_partition_waits_is_forgotten_in_a_minute(inbox: Inbox, queue: "Redis") -> None:
    inbox.set_blocked_reason(3, "the database is away")
    assert queue.get("firsthand:{p3}:waiting") == b"the database is away"
    assert 50 < queue.ttl("firsthand:{p3}:waiting") <= 60


@on_real_servers
def test_connections_that_break_are_made_again_however_many(inbox: Inbox, queue: "Redis") -> None:
    broken = 2 * MAX_CONNECTIONS
    for number in range(broken):
        queue.client_kill_filter(_type="normal", skipme=True)
        try:
            inbox.publish(0, [ada.states(f"Walk {number} miles.")])
        except Unavailable:
            continue
    assert inbox.publish(0, [ada.states("Walk home.")]).level == "fsync"


def test_nobody_there_is_unavailable(transit: Transit) -> None:
    with connect("redis://127.0.0.1:1/0") as nobody:
        inbox = Inbox(nobody, transit)
        with pytest.raises(Unavailable, match="The queue did not answer"):
            inbox.publish(0, [ada.starts()])
        assert inbox.durability().level is None
