"""Redis key names; shared/inbox/__init__.py documents the value of each key."""

LAYOUT_KEY = "firsthand:layout"


def inbox_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:inbox"


def wake_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:wake"


def done_key(partition: int, waiter: str) -> str:
    return f"firsthand:{{p{partition}}}:done:{waiter}"


def published_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:published"


def waiting_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:waiting"


def moved_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:moved"


def added_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:added"


def trying_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:trying"


def held_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:held-full"


def probe_key(partition: int) -> str:
    return f"firsthand:{{p{partition}}}:probe"


def pace_key(partition: int, caller: str) -> str:
    return f"firsthand:{{p{partition}}}:pace:{caller}"


def is_ours(key: bytes) -> bool:
    """Return True for a key of the inbox or the doorbell."""
    ours = key.startswith((b"firsthand:{p", b"{firsthand}:rq"))
    return ours or key == LAYOUT_KEY.encode()
