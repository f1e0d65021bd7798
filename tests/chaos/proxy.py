"""A proxy between a service and its queue or store that cuts a connection where it is told to.

with Proxy(target, folder / "queue.sock") as proxy:
    proxy.cut(b"XADD", reply=True)      # the next request with this text arrives, not its reply
    proxy.cut(b"XDEL", reply=False)     # the next one arrives up to there, and no further
    proxy.cuts                          # how often it has cut
"""

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Self

CHUNK = 1 << 16


class Proxy:
    """Listens on one unix socket and hands on to another, in a thread of its own."""

    def __init__(self, target: Path, place: Path) -> None:
        self.target, self.place, self.cuts = target, place, 0
        self._when: tuple[bytes, bool, int] | tuple[()] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        opening = asyncio.start_unix_server(self._serve, str(self.place), limit=CHUNK)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)
        self.place.chmod(0o777)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self, text: bytes, *, reply: bool, after: int = 0) -> None:
        """Cut once, at the next request that holds `text`, after so many that do."""
        self._when = text, reply, after

    async def _close(self) -> None:
        self._server.close()
        mine = asyncio.current_task()
        for each in asyncio.all_tasks():
            if each is not mine:
                each.cancel()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it or it is cut."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            answers, requests = await asyncio.open_unix_connection(str(self.target), limit=CHUNK)
            back = asyncio.create_task(_hand_on(answers, writer))
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(CHUNK):
                    arrives = self._arrives(chunk)
                    if arrives < len(chunk) or self._when == ():
                        self._when = None
                        back.cancel()
                        requests.write(chunk[:arrives])
                        await requests.drain()
                        await asyncio.sleep(0.2)  # for the server to do what it was sent
                        self.cuts += 1
                        break
                    requests.write(chunk)
                    await requests.drain()
            back.cancel()
            requests.close()
        writer.close()

    def _arrives(self, chunk: bytes) -> int:
        """How much of a request arrives; when this is the one to cut, `_when` is left empty."""
        if not self._when or self._when[0] not in chunk:
            return len(chunk)
        text, reply, after = self._when
        self._when = (text, reply, after - 1) if after else ()
        return len(chunk) if after or reply else chunk.index(text) + len(text) // 2


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
