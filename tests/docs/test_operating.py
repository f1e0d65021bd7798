"""The pages for operators: copies that can be restored, keys that change under running tokens."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import redis

from services.ledger.config import LedgerSettings
from services.ledger.maintenance.init import init
from services.operations.embedded_queue import queue_server
from shared.auth.tokens import Callers, local_token
from shared.errors import Unauthorized
from tests.docs.blocks import BLOCK, ROOT, Block, blocks, environment, is_shown
from tests.docs.test_pages import up
from tests.e2e.running import MEDIA_TYPE, event
from tests.ports import free_port
from tests.process import PATIENCE, wait_until

ADA = "person:ada"
BACK_UP, ROTATE = "docs/how-to/back-up-and-restore.md", "docs/how-to/rotate-a-token-key.md"
TRANSIT = "docs/how-to/rotate-the-transit-key.md"


def sh(command: str, folder: Path, told: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e"],
        input=command,
        cwd=folder,
        env=dict(told),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def post(port: str, folder: Path, told: Mapping[str, object], wait: int = 20) -> int:
    headers = {"Authorization": f"Bearer {local_token(folder / '.firsthand/keys', ADA)}"}
    headers |= {"Content-Type": MEDIA_TYPE, "Prefer": f"wait={wait}"}
    url = f"http://127.0.0.1:{port}/events"
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        return client.post(url, json=told, headers=headers).status_code


def unpublish(folder: Path) -> None:
    """What the page says last, with the queue of `up` started for that alone."""
    socket = folder / "q.sock"
    options = {"port": "0", "unixsocket": str(socket), "dir": str(folder), "appendonly": "yes"}
    words = (word for name, value in options.items() for word in (f"--{name}", value))
    with subprocess.Popen([queue_server().program, *words], stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(socket.exists, "the queue")
            with redis.Redis(unix_socket_path=str(socket)) as client:
                wait_until(lambda: _loaded(client), "the queue to have read its file")
                assert client.delete("firsthand:{p0}:published") == 1
        finally:
            server.terminate()


def _loaded(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def test_a_copy_is_restored_and_one_that_is_too_old_is_seen(tmp_path: Path) -> None:
    told = environment(tmp_path)
    take, export, restore, forward = blocks(BACK_UP)
    said = [event("plan.started", {"name_to_use": "Ada", "language": "en"}, ADA)]
    said += (
        event("about-me.written", {"section": "Food", "words": w}, ADA) for w in ("Fish", "Tea")
    )
    with up(tmp_path, told) as (ports, _):
        assert [post(ports["8081"], tmp_path, each) for each in said[:2]] == [201, 201]
        sh(take.command, tmp_path, told)
        assert post(ports["8081"], tmp_path, said[2]) == 201
        shows(export, tmp_path, told)
    shows(restore, tmp_path, told)
    refusal = next(
        text for _, text in BLOCK.findall((ROOT / BACK_UP).read_text()) if "older copy" in text
    )
    assert refusal.strip() in stopped(tmp_path, told)
    shows(forward, tmp_path, told)
    with up(tmp_path, told) as (ports, _):
        assert [post(ports["8081"], tmp_path, each) for each in said] == [200, 200, 200]
    shows(restore, tmp_path, told)
    unpublish(tmp_path / ".firsthand")
    with up(tmp_path, told) as (ports, _):
        assert [post(ports["8081"], tmp_path, each, wait=1) for each in said] == [202, 202, 202]
        assert "published again" in sh("firsthand accept-queue", tmp_path, told)
        assert [post(ports["8081"], tmp_path, each) for each in said] == [200, 200, 200]


def shows(block: Block, folder: Path, told: Mapping[str, str]) -> None:
    """Run a block, which answers as the page shows."""
    assert block.shown is not None
    answer = sh(block.command, folder, told)
    assert is_shown(block.shown, answer), answer


def stopped(folder: Path, told: Mapping[str, str]) -> str:
    """What `up` says when it ends by itself."""
    options = ["--intake-port", str(free_port()), "--ledger-port", str(free_port())]
    options.append("--metrics-port=0")
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "up", *options],
        cwd=folder,
        env=dict(told),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    return done.stderr


def test_tokens_of_both_keys_are_taken_while_a_key_is_rotated(tmp_path: Path) -> None:
    told = environment(tmp_path)
    settings = LedgerSettings.load(data=tmp_path / ".firsthand")
    init(settings)
    both, one = blocks(ROTATE)
    before = local_token(settings.key_folder, ADA)
    sh(both.command, tmp_path, told)
    after = local_token(settings.key_folder, ADA)
    callers = Callers.from_folder(settings.key_folder, "firsthand")
    assert [callers.of(f"Bearer {each}").subject for each in (before, after)] == [ADA, ADA]
    sh(one.command, tmp_path, told)
    callers = Callers.from_folder(settings.key_folder, "firsthand")
    assert callers.of(f"Bearer {after}").subject == ADA
    with pytest.raises(Unauthorized):
        callers.of(f"Bearer {before}")
    left = {path.name for path in settings.key_folder.iterdir()}
    assert {"tokens.key", "tokens.jwks"} <= left
    assert not [name for name in left if ".old." in name]


def test_the_transit_key_is_rotated_while_events_are_posted(tmp_path: Path) -> None:
    told = environment(tmp_path)
    new, finish = blocks(TRANSIT)
    assert finish.shown is not None
    said = [event("plan.started", {"name_to_use": "Ada", "language": "en"}, ADA)]
    said += (
        event("about-me.written", {"section": "Food", "words": w}, ADA) for w in ("Fish", "Tea")
    )
    with up(tmp_path, told) as (ports, _):
        assert post(ports["8081"], tmp_path, said[0]) == 201
        names = sh(new.command, tmp_path, told).split()
        assert post(ports["8081"], tmp_path, said[1]) == 201
        answer = sh(finish.command, tmp_path, told)
        assert is_shown(finish.shown, answer), answer
        assert answer.split()[-1] == names[0]
        assert post(ports["8081"], tmp_path, said[2]) == 201
        assert "0 messages" not in sh("firsthand doctor | grep 'transit keys'", tmp_path, told)
