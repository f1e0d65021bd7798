"""Builds of Firsthand that are broken on purpose, one for each invariant: who checks the checks.

Each is a copy of `shared` and `services` in which a text, found exactly once, was replaced. The
harness runs on it as on ours, and must name that invariant and none of the others.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECTOR, INBOX = "services/ledger/projector.py", "shared/inbox.py"
ROUTES = "services/intake/routes.py"
BATCH, GUARDS = "services/ledger/batch.py", "services/ledger/store/guards.py"
TABLES = "services/ledger/store/migrations/versions/0001_first.py"
READS = "                reading = self.inbox.read(log, LARGE)\n"
EXECUTES = "        head, stream, clock, *others = pipe.execute(raise_on_error=False)\n"
BEGINS = "            with transaction(self._engine) as connection:\n"
TAKE = """pipe.eval("local found = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1]) \\
for _, each in ipairs(found) do redis.call('XDEL', KEYS[1], each[1]) end return found", \\
1, inbox_key(partition), count)"""


@dataclass(frozen=True)
class Broken:
    """What breaks which invariant: (file, text, text in its place)."""

    invariant: str
    says: str
    changes: Sequence[tuple[str, str, str]]

    def build(self, folder: Path) -> Path:
        """The broken build, in a new folder; ValueError if a text is not there once."""
        for room in ("shared", "services"):
            shutil.copytree(
                ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name, ours, theirs in self.changes:
            text = (folder / name).read_text()
            if text.count(ours) != 1:
                raise ValueError(f"{self.says}: {name} has {text.count(ours)} times {ours!r}")
            (folder / name).write_text(text.replace(ours, theirs))
        return folder


SORTED = "for place, each in sorted(part, key=lambda both: both[1].id):\n"
STORED_ROOT = "head.root if size == head.size else root_at(connection, log, size)"
DELETES = "self.inbox.settle(log, [place for place, _ in reading.messages], [], None)"
BUILDS = [
    Broken(
        "I1",
        "messages are deleted before COMMIT",
        [(PROJECTOR, READS, f"{READS}                {DELETES}\n")],
    ),
    Broken(
        "I2",
        "a repeat is not recognised, and SQL does not mind",
        [
            (BATCH, "self._repeat(event, prior) if prior else None", "None"),
            (TABLES, '"log", "id", "author", "digest", name=', '"log", "index", name='),
            (GUARDS, "AND author = NEW.author AND digest = NEW.digest", "AND author = ''"),
        ],
    ),
    Broken(
        "I3",
        "whoever sends again is told of another entry",
        [
            (
                BATCH,
                "(event.waiter, index, repeat)",
                "(event.waiter, max(index - repeat, 0), repeat)",
            ),
            (ROUTES, "if about != (event.id, event.author, event.subject):", "if not about:"),
        ],
    ),
    Broken(
        "I4",
        "a batch takes its messages in the order of their ids",
        [(BATCH, "for place, each in part:\n", SORTED)],
    ),
    Broken(
        "I5",
        "a batch of repeats signs another root of the same size",
        [
            (
                PROJECTOR,
                "return self._signed(replace(grown, ",
                (
                    "if not leaves:\n"
                    "            other = replace(grown, root=leaf_hash(grown.root))\n"
                    "            return replace(self._signed(other), root=grown.root)\n"
                    "        return self._signed(replace(grown, "
                ),
            ),
            # or it would stop the next batch
            (PROJECTOR, f"if root != ({STORED_ROOT}):", "if root is None:"),
        ],
    ),
]
TAKES_FIRST = Broken(
    "I4",
    "a drain takes what it reads off the stream, before it has the head's lock",
    [
        (
            PROJECTOR,
            BEGINS,
            f'{READS[4:]}            crashpoint("batch-read")\n{BEGINS}',
        ),
        (PROJECTOR, f'{READS}                crashpoint("batch-read")\n', ""),
        (INBOX, "pipe.xrange(inbox_key(partition), count=count)", TAKE),
        (
            INBOX,
            EXECUTES,
            f"{EXECUTES}        head = [(each, dict([told])) for each, told in head]\n",
        ),
    ],
)
