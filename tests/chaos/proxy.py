"""A proxy between a service and its queue or store that cuts a connection on request.

with Proxy(target, folder / "queue.sock") as proxy:
    proxy.cut(b"XADD", reply=True)      # deliver the next request with this text, not its reply
    proxy.cut(b"XDEL", reply=False)     # deliver the next one up to this text only
    proxy.cuts                          # the number of cuts so far
"""

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Self

CHUNK = 1 << 16


class Proxy:
    """Listens on one unix socket and forwards to another, in its own thread."""

    def __init__(self, target: Path, path: Path) -> None:
        self.target, self.path, self.cuts = target, path, 0
        self._when: tuple[bytes, bool, int] | tuple[()] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        opening = asyncio.start_unix_server(self._serve, str(self.path), limit=CHUNK)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)
        self.path.chmod(0o777)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self, text: bytes, *, reply: bool, after: int = 0) -> None:
        """Cut once, at a request that contains `text`, after `after` other such requests."""
        self._when = text, reply, after

    async def _close(self) -> None:
        self._server.close()
        current = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not current:
                task.cancel()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side closes it or it is cut."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            answers, requests = await asyncio.open_unix_connection(str(self.target), limit=CHUNK)
            back = asyncio.create_task(_forward(answers, writer))
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(CHUNK):
                    arrives = self._arrives(chunk)
                    if arrives < len(chunk) or self._when == ():
                        self._when = None
                        back.cancel()
                        requests.write(chunk[:arrives])
                        await requests.drain()
                        await asyncio.sleep(0.2)  # time for the server to run the request
                        self.cuts += 1
                        break
                    requests.write(chunk)
                    await requests.drain()
            back.cancel()
            requests.close()
        writer.close()

    def _arrives(self, chunk: bytes) -> int:
        """Return how much of a request to deliver; empty `_when` for the one to cut."""
        if not self._when or self._when[0] not in chunk:
            return len(chunk)
        text, reply, after = self._when
        self._when = (text, reply, after - 1) if after else ()
        return len(chunk) if after or reply else chunk.index(text) + len(text) // 2


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
