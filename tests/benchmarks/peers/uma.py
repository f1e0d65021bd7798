"""The peer: UmaDB, an event store in Rust; this is its client; the server runs separately.

    python uma.py URL SINGLES  < a JSON line for each event; the first SINGLES one by one

Nothing is decided, encrypted or proven; it syncs before it answers, as ours does. Prints one JSON
object: events a second appended singly, appended in batches, and read.
"""

import json
import sys
import time
import uuid

from umadb import Client, Event

BATCH = 500


def to_event(line: bytes) -> Event:
    """Return one event, with its person as tag."""
    data = json.loads(line)
    return Event(data["type"], line, [data["subject"]], uuid.UUID(data["id"]))


def main() -> None:
    """Measure."""
    client, singles = Client(sys.argv[1], batch_size=BATCH), int(sys.argv[2])
    events = [to_event(line) for line in sys.stdin.buffer.read().splitlines()]
    began = time.perf_counter()
    for event in events[:singles]:
        client.append([event])
    rates = {"single": singles / (time.perf_counter() - began)}
    rest = events[singles:]
    began = time.perf_counter()
    for start in range(0, len(rest), BATCH):
        client.append(rest[start : start + BATCH])
    rates["batch"] = len(rest) / (time.perf_counter() - began)
    began = time.perf_counter()
    assert sum(1 for _ in client.read()) == len(events)
    rates["read"] = len(events) / (time.perf_counter() - began)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
