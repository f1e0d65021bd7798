"""Redis key names; shared/inbox/__init__.py documents the value of each key."""

LAYOUT_KEY = "firsthand:layout"


def inbox_key(partition: int) -> str:
    """Return the key of the stream of a partition."""
    return f"firsthand:{{p{partition}}}:inbox"


def wake_key(partition: int) -> str:
    """Return the key of the flag that a bell was rung."""
    return f"firsthand:{{p{partition}}}:wake"


def done_key(partition: int, waiter: str) -> str:
    """Return the key of the list in which `waiter` gets its receipt."""
    return f"firsthand:{{p{partition}}}:done:{waiter}"


def published_key(partition: int) -> str:
    """Return the key of the last published checkpoint."""
    return f"firsthand:{{p{partition}}}:published"


def waiting_key(partition: int) -> str:
    """Return the key of the reason why the partition waits."""
    return f"firsthand:{{p{partition}}}:waiting"


def moved_key(partition: int) -> str:
    """Return the key of the number of messages moved to other partitions."""
    return f"firsthand:{{p{partition}}}:moved"


def added_key(partition: int) -> str:
    """Return the key of the number of messages added to a stream that was replaced."""
    return f"firsthand:{{p{partition}}}:added"


def trying_key(partition: int) -> str:
    """Return the key of the batch that a worker is processing."""
    return f"firsthand:{{p{partition}}}:trying"


def held_key(partition: int) -> str:
    """Return the key of the people for whom no more messages can be held back."""
    return f"firsthand:{{p{partition}}}:held-full"


def probe_key(partition: int) -> str:
    """Return the key that intake writes to measure durability."""
    return f"firsthand:{{p{partition}}}:probe"


def pace_key(partition: int, caller: str) -> str:
    """Return the key of the rate limit of a caller."""
    return f"firsthand:{{p{partition}}}:pace:{caller}"


def is_ours(key: bytes) -> bool:
    """Return True for a key of the inbox or the doorbell."""
    ours = key.startswith((b"firsthand:{p", b"{firsthand}:rq"))
    return ours or key == LAYOUT_KEY.encode()
