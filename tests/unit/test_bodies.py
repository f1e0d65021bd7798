"""Bodies that come slowly, break off, are too long or too many: what is read, and who gives way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from shared.errors import MalformedBody, TooLarge, Unavailable
from shared.http.request_bodies import MAX_DRAINED_BYTES, Bodies

LONGEST = 100


async def sent(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body that comes in these chunks."""
    for each in chunks:
        await asyncio.sleep(0)
        yield each


async def stalled(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body whose sender stops after these chunks."""
    for each in chunks:
        yield each
    await asyncio.Event().wait()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on an event loop; one that waits for ever fails."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


async def begun(*readings: Any) -> list["asyncio.Task[bytes]"]:
    """Readings as tasks, each as far as it gets now."""
    tasks = [asyncio.ensure_future(each) for each in readings]
    await asyncio.sleep(0.05)
    return tasks


async def ended(tasks: list["asyncio.Task[bytes]"]) -> list["asyncio.Task[bytes]"]:
    """Those of the tasks that were refused; the others are given up."""
    refused = [each for each in tasks if each.done()]
    for each in tasks:
        each.cancel()
    for outcome in await asyncio.gather(*refused, return_exceptions=True):
        assert isinstance(outcome, Unavailable)
    return refused


@pytest.mark.parametrize(
    ("chunks", "length"),
    [((b"here",), 4), ((b"he", b"re"), 4), ((b"he", b"re"), None), ((), 0), ((), None)],
)
def test_a_body_is_read_whole(chunks: tuple[bytes, ...], length: int | None) -> None:
    async def test() -> None:
        body = await Bodies().read(sent(*chunks), "ada", LONGEST, length)
        assert body == b"".join(chunks)

    run(test)


def test_a_body_of_a_known_length_is_not_waited_for_any_longer() -> None:
    async def test() -> None:
        assert await Bodies().read(stalled(b"here"), "ada", LONGEST, 4) == b"here"

    run(test)


@pytest.mark.parametrize("length", [LONGEST + 1, None])
def test_a_body_that_is_too_long_is_read_to_its_end_and_refused(length: int | None) -> None:
    async def test() -> None:
        body = sent(b"x" * LONGEST, b"x")
        with pytest.raises(TooLarge):
            await Bodies().read(body, "ada", LONGEST, length)
        assert [each async for each in body] == []

    run(test)


def test_a_body_that_is_much_too_long_is_not_read_to_its_end() -> None:
    async def test() -> None:
        with pytest.raises(TooLarge):
            await Bodies().read(stalled(), "ada", LONGEST, LONGEST + MAX_DRAINED_BYTES + 1)
        with pytest.raises(TooLarge):
            await Bodies().read(stalled(b"x" * 2 * MAX_DRAINED_BYTES), "ada", LONGEST, None)

    run(test)


def test_a_body_that_breaks_off_is_no_body() -> None:
    async def test() -> None:
        with pytest.raises(MalformedBody):
            await Bodies().read(sent(b"her"), "ada", LONGEST, 4)

    run(test)


def test_a_stalled_body_is_given_up() -> None:
    async def test() -> None:
        with pytest.raises(Unavailable, match=r"within 0\.05 s"):
            await Bodies(seconds=0.05).read(stalled(b"h"), "ada", LONGEST, 4)

    run(test)


def test_a_caller_has_so_many_places_and_gets_them_back() -> None:
    async def test() -> None:
        bodies = Bodies(max_per_caller=2)
        tasks = await begun(*(bodies.read(stalled(), "eve", LONGEST, 4) for _ in range(2)))
        with pytest.raises(Unavailable, match="This caller"):
            await bodies.read(sent(b"here"), "eve", LONGEST, 4)
        assert await bodies.read(sent(b"here"), "ada", LONGEST, 4) == b"here"
        assert await ended(tasks) == []
        await asyncio.sleep(0)
        assert await bodies.read(sent(b"here"), "eve", LONGEST, 4) == b"here"

    run(test)


def test_where_too_many_bodies_come_the_caller_with_the_most_gives_way() -> None:
    async def test() -> None:
        bodies = Bodies(max_bodies=4)
        many = await begun(*(bodies.read(stalled(), "eve", LONGEST, 4) for _ in range(4)))
        few = await begun(*(bodies.read(stalled(), each, LONGEST, 4) for each in ("ada", "bob")))
        assert len(await ended(many)) == 2
        assert await ended(few) == []

    run(test)


def test_where_too_many_bytes_come_the_caller_with_the_most_gives_way() -> None:
    async def test() -> None:
        bodies = Bodies(max_bytes=200)
        large = b"x" * 60
        many = await begun(*(bodies.read(stalled(large), "eve", LONGEST, 99) for _ in range(3)))
        assert [each.done() for each in many] == [False] * 3
        few = await begun(bodies.read(stalled(large[:30]), "ada", LONGEST, 99))
        assert len(await ended(many)) == 1
        assert await ended(few) == []
        body = sent(large, large[:40])
        assert len(await bodies.read(body, "bob", LONGEST, None)) == 100

    run(test)
