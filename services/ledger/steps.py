"""A person's entries one by one: what each said, its verdict, and what it changed in the plan."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from services.ledger.against import Against
from services.ledger.difference import Difference
from services.ledger.history import Reader
from services.ledger.plan.model import Plan
from services.ledger.sentences import Names, spoken
from services.ledger.store import reads
from services.ledger.telling import Telling
from services.ledger.walk import Passed, Walk
from shared.event import Json, timestamp
from shared.fields import parse_time

PAGE = 500  # entries that are read in one transaction
Step = tuple[Json, list[str]]


def steps(reading: Callable[[], AbstractContextManager[Reader]], names: Names) -> Iterator[Step]:
    """Each entry as the history tells it, with `changes` if it changed the plan; and as text.

    `reading` opens a transaction for a page of entries, so that none is open while somebody reads.
    """
    walk, after = None, -1
    while True:
        with reading() as reader:
            against = Against(reader.now())
            telling = Telling(reader.vault, names, reader.subject)
            walk = walk or Walk(reader.vault, Plan(reader.subject))
            found = reads.entries_of(
                reader.connection, reader.log, reader.subject, after=after, limit=PAGE
            )
            passed = [walk.past(row["index"], row["leaf"]) for row in found]
        yield from (_step(each, telling, against) for each in passed)
        if len(passed) < PAGE:
            return
        after = passed[-1].index


def _step(passed: Passed, telling: Telling, against: Against) -> Step:
    told = telling.told(passed.entry, passed.index, against, passed.event)
    difference = Difference(telling, against)
    difference.take([passed])
    changes = difference.changes()
    text = [*_head(told, passed.version), *difference.spoken()]
    return {**told, **({"changes": changes} if changes else {})}, text


def _head(told: Json, version: int) -> Iterator[str]:
    words = f" “{spoken(told['words'])}”" if "words" in told else ""
    yield f"{told['sentence']}{words}"
    yield from told.get("notes", ())
    moment = _plain(told["recorded"])
    happened = f", for {_plain(told['time'])}" if "time" in told else ""
    verdict = f"refused ({told['refusal']})" if "refusal" in told else told["verdict"]
    yield f"Entry {told['index']}, {moment}{happened}: {verdict}. The plan has version {version}."


def _plain(moment: str) -> str:
    """A moment in UTC to the second; as it was told where UTC has no such year."""
    try:
        return timestamp(parse_time(moment))[:19].replace("T", " ")
    except OverflowError:
        return moment
