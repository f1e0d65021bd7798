"""Bursts of readers at the real server, with pauses between them (S1).

The server once crashed in half of such bursts, with SIGSEGV: it ended idle threads to which
connections were bound. The long form, of minutes, is part of the attack suite.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from shared.auth.tokens import local_token
from tests.contract.ledgers import Ledger
from tests.contract.standins import TOLD
from tests.e2e.test_stopping import Web
from tests.postgres import sqlite_database
from tests.servers import RedisLikeServer

READERS, ROUNDS, BURSTS, PAUSE = 24, 10, 6, 0.5


@pytest.mark.timeout(300)
def test_bursts_of_readers_neither_crash_the_service_nor_fail(
    tmp_path: Path, valkey: RedisLikeServer, in_matrix: Callable[..., None]
) -> None:
    with sqlite_database(tmp_path) as database:
        in_matrix(store="sqlite", version=database.version)
        ledger = Ledger(tmp_path, database, valkey.url)
        ledger.post(*TOLD)
        ledger.drain()
        answers = Counter[int]()
        keys = ledger.settings.key_folder
        tokens = {who: local_token(keys, who) for who in map("person:{}".format, range(READERS))}
        with Web("ledger", ledger.environment) as reading:
            first = reading.pid
            for _ in range(BURSTS):
                begin = threading.Barrier(READERS)
                readers = [
                    threading.Thread(target=read, args=(reading.port, caller, begin, answers))
                    for caller in tokens.items()
                ]
                for reader in readers:
                    reader.start()
                for reader in readers:
                    reader.join()
                time.sleep(PAUSE)
            assert reading.answers()
            assert reading.pid == first
        ledger.close()
    assert answers == {404: BURSTS * READERS * ROUNDS * 2}


def read(
    port: int, caller: tuple[str, str], begin: threading.Barrier, answers: Counter[int]
) -> None:
    """Request a plan and an event that do not exist: both need the store."""
    headers = {"Authorization": f"Bearer {caller[1]}"}
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    begin.wait(60)
    for path in ("plan", "events/x") * ROUNDS:
        try:
            connection.request("GET", f"/people/{caller[0]}/{path}", headers=headers)
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
        except (OSError, HTTPException):
            answers[0] += 1
            connection.close()
    connection.close()
