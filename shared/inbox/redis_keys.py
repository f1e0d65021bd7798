"""The names of the keys in the queue; shared/inbox/__init__.py says what each holds."""

LAYOUT_KEY = "firsthand:layout"


def inbox_key(partition: int) -> str:
    """The stream of a partition."""
    return f"firsthand:{{p{partition}}}:inbox"


def wake_key(partition: int) -> str:
    """The flag that says a bell was rung."""
    return f"firsthand:{{p{partition}}}:wake"


def done_key(partition: int, waiter: str) -> str:
    """Where the receipt goes that `waiter` waits for."""
    return f"firsthand:{{p{partition}}}:done:{waiter}"


def published_key(partition: int) -> str:
    """The last published checkpoint."""
    return f"firsthand:{{p{partition}}}:published"


def waiting_key(partition: int) -> str:
    """Why the partition waits."""
    return f"firsthand:{{p{partition}}}:waiting"


def moved_key(partition: int) -> str:
    """How many messages were moved to other partitions."""
    return f"firsthand:{{p{partition}}}:moved"


def added_key(partition: int) -> str:
    """How many messages had been added to a stream that is another one now."""
    return f"firsthand:{{p{partition}}}:added"


def trying_key(partition: int) -> str:
    """The batch that is being judged."""
    return f"firsthand:{{p{partition}}}:trying"


def held_key(partition: int) -> str:
    """The people of whom as many messages are held back as may be."""
    return f"firsthand:{{p{partition}}}:held-full"


def probe_key(partition: int) -> str:
    """What is written to see whether an event would be safe."""
    return f"firsthand:{{p{partition}}}:probe"


def pace_key(partition: int, caller: str) -> str:
    """How fast a caller posts."""
    return f"firsthand:{{p{partition}}}:pace:{caller}"


def is_ours(key: bytes) -> bool:
    """True for a key of the inbox or the doorbell."""
    ours = key.startswith((b"firsthand:{p", b"{firsthand}:rq"))
    return ours or key == LAYOUT_KEY.encode()
