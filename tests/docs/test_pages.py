"""What the README, the tutorial and the how-to pages show is what happens."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from services.ledger.config import LedgerSettings
from services.ledger.maintenance.init import init
from shared.auth.tokens import Callers
from tests.docs.blocks import BLOCK, ROOT, blocks, environment, is_shown, run
from tests.docs.reference_events import anchor
from tests.ports import free_port
from tests.postgres import PostgresServer
from tests.process import PATIENCE, SCRATCH

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
HEARD = (  # of the story: what was refused, what ran out, what stands with what
    "Sam (nurse) tried to change your words; it was refused: only you may say this.",
    "Bea (sister) tried to let go of what you want; it was refused: only you may say this.",
    "You tried to accept a suggestion; it was refused: its time had run out.",
    "Sam (nurse) tried to suggest a change; it was refused: you have not allowed it.",
    "Sam (nurse) is warned: the person asked to be spoken of in other words.",
    "and nothing changed.",
    "You disagreed: I stopped to talk to Mrs Hill.",
    "Sam (nurse) corrected this: It was nearer to two.",
    "The day has passed, and nothing has come.",
    "You said that this was kept:",
    "You said that this was not kept:",
    "0 findings",
)
LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")
FRAGMENT = re.compile(r"\]\(([^)#:]*)#([^)]+)\)")


@contextmanager
def up(folder: Path, told: dict[str, str]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """`firsthand up` in a folder: what stands for its usual ports, and what it printed."""
    ports = {"8081": str(free_port()), "8082": str(free_port())}
    options = ["--intake-port", ports["8081"], "--ledger-port", ports["8082"]]
    options.append("--metrics-port=0")
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "up", *options],
        cwd=folder,
        env=told,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    else:
        pytest.fail(f"up ended by itself ({process.wait()}): {said}")
    try:
        yield ports, said
    finally:
        process.terminate()
        process.stdout.close()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/tutorial.md",
        "docs/tutorial-check-a-ledger.md",
        "docs/how-to/run-on-one-machine.md",
        "docs/how-to/audit-a-ledger.md",
        "docs/how-to/check-a-receipt.md",
        "docs/how-to/see-the-plan-as-it-was.md",
        "docs/how-to/post-events-reliably.md",
        "docs/how-to/monitor-and-troubleshoot.md",
    ],
)
def test_the_commands_answer_as_shown(page: str, tmp_path: Path) -> None:
    told = environment(tmp_path)
    with up(tmp_path, told) as (ports, _):
        for block, answer in run(page, tmp_path, told, ports):
            assert block.shown is None or is_shown(block.shown, answer), answer


def test_the_page_on_postgresql_is_true(
    postgres_server: PostgresServer, in_matrix: Callable[..., None], tmp_path: Path
) -> None:
    in_matrix(store="postgresql", version=postgres_server.version)
    page, told = "docs/how-to/run-with-postgresql.md", environment(tmp_path)
    first, *_ = blocks(page)
    owner, services, reader = re.findall(r"=(postgresql\S+)", first.command)
    with postgres_server.database() as database:
        instead = {owner: f"'{database.owner_url}'", services: f"'{database.app_url}'"}
        for_reading = database.app_url.replace(
            f"{database.app_role}", f"{database.app_role}_reader"
        )
        instead[reader] = f"'{for_reading}'"
        for block, answer in run(page, tmp_path, told, instead):
            assert block.shown is None or is_shown(block.shown, answer), answer
        addresses = {
            "FIRSTHAND_DATABASE_URL": database.app_url,
            "FIRSTHAND_DATABASE_READER_URL": for_reading,
        }
        with up(tmp_path, told | addresses):
            with psycopg.connect(
                database.owner_url.replace("postgresql+psycopg", "postgresql")
            ) as connection:
                found = connection.execute("SELECT usename FROM pg_stat_activity").fetchall()
            assert {f"{database.app_role}", f"{database.app_role}_reader"} <= {n for (n,) in found}


def test_the_three_lines_of_up_tell_a_story_from_any_folder(tmp_path: Path) -> None:
    with up(tmp_path, environment(tmp_path)) as (_, said):
        end = len(said) - said[::-1].index("", 1) - 1
        lines = said[end - 3 : end]
        told = subprocess.run(
            ["sh"],
            input="\n".join(lines),
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert [line.split()[0] for line in told.splitlines()[:3]] == [
        "accepted",
        "accepted",
        "refused",
    ]
    assert "- Walk to the sea again." in told
    assert "Sam tried to change your words; it was refused: only you may say this." in told
    assert "Lose weight" not in told


def test_up_lines_its_tokens_up(tmp_path: Path) -> None:
    with up(tmp_path, environment(tmp_path)) as (_, said):
        tokens = [re.match(r"  \w+:\w+ +(?=eyJ)", line) for line in said]
    assert len({found.end() for found in tokens if found}) == 1
    assert sum(1 for found in tokens if found) == 5


def test_another_issuer_is_taken_as_the_page_says(tmp_path: Path) -> None:
    text = (ROOT / "docs/how-to/accept-tokens-from-another-issuer.md").read_text()
    (shown,) = [json.loads(body) for language, body in BLOCK.findall(text) if language == "json"]
    init(LedgerSettings.load(data=tmp_path))
    key = ECKey.generate_key("P-256", parameters={"alg": "ES256", "kid": "1"})
    public = {"keys": [key.as_dict(private=False)]}
    (tmp_path / "keys" / shown["jwks"]).write_text(json.dumps(public))
    (tmp_path / "keys" / "issuers.json").write_text(json.dumps([shown]))
    now = int(time.time())
    claims = {
        "iss": shown["iss"],
        "aud": "firsthand",
        "sub": "partner:clinic-7",
        "iat": now,
        "exp": now + 600,
        "jti": "1",
        "client_id": "service:portal",
        "scope": "read write",
        "roles": ["partner"],
    }
    token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "1"}, claims, key, ["ES256"])
    caller = Callers.from_folder(tmp_path / "keys", "firsthand").of(f"Bearer {token}")
    assert (caller.subject, caller.issuer) == ("partner:clinic-7", "clinic")


def test_the_demo_tells_its_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as short:
        told = environment(tmp_path) | {"TMPDIR": short, "FIRSTHAND_DATABASE_URL": "not ours"}
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "demo"],
            cwd=ROOT,
            env=told,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not list(Path(short).iterdir())
    assert (done.returncode, done.stderr) == (0, "")
    heard = " ".join(done.stdout.split())
    assert heard.count("Lose weight") == 1, "only the telling holds the refused words"
    assert [each for each in HEARD if each not in heard] == []
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_every_link_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    broken = [
        target
        for target, _ in LINK.findall((ROOT / page).read_text())
        if not (folder / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_every_fragment_is_a_heading(page: str) -> None:
    for target, fragment in FRAGMENT.findall((ROOT / page).read_text()):
        text = ((ROOT / page).parent / target if target else ROOT / page).read_text()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert fragment in map(anchor, headings), f"{target}#{fragment}"


def test_every_page_is_found_from_the_index() -> None:
    index = {
        (ROOT / "docs" / target).resolve()
        for target, _ in LINK.findall((ROOT / "docs/README.md").read_text())
    }
    here = {ROOT / page for page in PAGES} - {ROOT / "docs/README.md"}
    assert here <= index


def test_the_commands_of_the_readme_are_targets_of_make() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text())) - {"and"}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "up"} <= named <= targets
