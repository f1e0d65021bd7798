"""The peer: UmaDB, an event store in Rust; its server runs beside, this is its client.

    python uma.py URL SINGLES  < a JSON line for each event; the first SINGLES one by one

Nothing is judged, sealed or proven; it syncs before it answers, as ours does. Prints one JSON
object: events a second appended singly, appended in batches, and read.
"""

import json
import sys
import time
import uuid

from umadb import Client, Event

BATCH = 500


def heard(line: bytes) -> Event:
    """One event, under its person's tag."""
    told = json.loads(line)
    return Event(told["type"], line, [told["subject"]], uuid.UUID(told["id"]))


def main() -> None:
    """Measure."""
    client, singles = Client(sys.argv[1], batch_size=BATCH), int(sys.argv[2])
    events = [heard(line) for line in sys.stdin.buffer.read().splitlines()]
    began = time.perf_counter()
    for each in events[:singles]:
        client.append([each])
    found = {"single": singles / (time.perf_counter() - began)}
    rest = events[singles:]
    began = time.perf_counter()
    for start in range(0, len(rest), BATCH):
        client.append(rest[start : start + BATCH])
    found["batch"] = len(rest) / (time.perf_counter() - began)
    began = time.perf_counter()
    assert sum(1 for _ in client.read()) == len(events)
    found["read"] = len(events) / (time.perf_counter() - began)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
