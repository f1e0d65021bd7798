"""T4: from POST to readable in the plan, measured by a probe during a constant load."""

import json
import subprocess
import sys

import orjson

from tests.benchmarks import load, sample
from tests.benchmarks.ours import Ours
from tests.benchmarks.processes import ROOT

RATE, PROBES = 500, 20  # events a second in all, and of these the probe's
AUTHORS = 100  # people who post in the background


def measure(ledger: Ours, intake: load.Address, ledger_port: int, seconds: int) -> list[float]:
    """Return seconds from POST to readable, one for each probe. All people start a plan first."""
    people = [sample.person(number) for number in range(AUTHORS + seconds * PROBES)]
    tokens = ledger.tokens(people)
    maker = sample.Maker(seed=4)
    start = {"name_to_use": "Ada", "language": "en"}
    posts = [_post(tokens, who, maker.event("plan.started", who, start)) for who in people]
    load.run(intake, posts).only(202)
    statements = [maker.statement(who) for who in people[AUTHORS:]]
    lines = [
        {"person": who, "token": tokens[who], "body": json.dumps(event), "words": sample.WORDS}
        for who, event in zip(people[AUTHORS:], statements, strict=True)
    ]
    events = sample.statements(AUTHORS, seconds * (RATE - PROBES), seed=5)
    background = [load.request("/events", body, tokens[who]) for who, body in events]
    return _probed(intake, ledger_port, lines, background)


def _post(tokens: dict[str, str], author: str, event: sample.Json) -> bytes:
    return load.request("/events", orjson.dumps(event), tokens[author])


def _probed(
    intake: load.Address, ledger_port: int, lines: list[sample.Json], background: list[bytes]
) -> list[float]:
    """Run the probe during the load."""
    words = [str(intake[1]), str(ledger_port), str(1 / PROBES)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.probe", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as probe:
        assert probe.stdin is not None
        assert probe.stdout is not None
        try:
            probe.stdin.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            probe.stdin.close()
            load.run(intake, background, rate=RATE - PROBES).only(202)
            answer = probe.stdout.read()
        except BaseException:
            probe.kill()
            raise
    if probe.returncode != 0:
        raise load.LoadError(f"the probe failed with status {probe.returncode}")
    taken: list[float] = json.loads(answer)
    return taken
