"""From POST to readable: one person after another states something and reads until it appears.

    python -m tests.benchmarks.probe INTAKE_PORT LEDGER_PORT EVERY  < a JSON line for each probe

Each line holds `person`, `token`, `body`, `words`. The probe posts with `Prefer: wait`, so that it
learns when the event is recorded without polling, and then reads the plan. It is a separate
process, so that the load does not disturb its clock. It prints one JSON list of seconds.
"""

import http.client
import json
import sys
import time
from typing import Any

PAUSE = 0.001  # seconds between two reads, if one is not enough
PATIENCE = 10.0  # seconds until a statement must be readable


class Probe:
    """One kept-alive connection to each service."""

    def __init__(self, intake_port: int, ledger_port: int) -> None:
        """Connect on first use."""
        self.intake = http.client.HTTPConnection("127.0.0.1", intake_port, timeout=PATIENCE)
        self.ledger = http.client.HTTPConnection("127.0.0.1", ledger_port, timeout=PATIENCE)

    def seconds(self, statement: dict[str, Any]) -> float:
        """Return how long after the start of the POST the person could read the statement."""
        bearer = {"Authorization": f"Bearer {statement['token']}"}
        how = {"Content-Type": "application/cloudevents+json", "Prefer": f"wait={PATIENCE:g}"}
        start = time.perf_counter()
        self.intake.request("POST", "/events", statement["body"].encode(), {**bearer, **how})
        answer = self.intake.getresponse()
        content = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status}: {content.decode()}")
        while statement["words"] not in self._plan(statement["person"], bearer):
            if time.perf_counter() - start > PATIENCE:
                raise RuntimeError(f"{statement['person']} cannot read it after {PATIENCE:g} s")
            time.sleep(PAUSE)
        return time.perf_counter() - start

    def _plan(self, person: str, bearer: dict[str, str]) -> str:
        self.ledger.request("GET", f"/people/{person}/plan", headers=bearer)
        answer = self.ledger.getresponse()
        return answer.read().decode()


def main() -> None:
    """Begin a probe every EVERY seconds, or as soon as the last one is complete."""
    intake_port, ledger_port, every = sys.argv[1:]
    probe = Probe(int(intake_port), int(ledger_port))
    taken = []
    due = time.perf_counter()
    for line in sys.stdin:
        time.sleep(max(0.0, due - time.perf_counter()))
        taken.append(probe.seconds(json.loads(line)))
        due += float(every)
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
