"""Which room of the house may use what."""

import ast
from collections.abc import Iterator

from tests.house.files import Finding, Source

PURE = ("services/ledger/plan/", "services/ledger/log/")
IMPURE = {
    "io": "bytes come in as arguments",
    "os": "whatever the machine says comes in as an argument",
    "pathlib": "bytes come in as arguments",
    "random": "chance comes in as an argument",
    "secrets": "chance comes in as an argument",
    "socket": "bytes come in as arguments",
    "subprocess": "bytes come in as arguments",
    "time": "time is the entry's `received`",
}
IMPURE_CALLS = {
    "now": "time is the entry's `received`",
    "utcnow": "time is the entry's `received`",
    "today": "time is the entry's `received`",
    "uuid1": "ids come with the event",
    "uuid4": "ids come with the event",
    "urandom": "chance comes in as an argument",
    "open": "bytes come in as arguments",
    "print": "return it",
}


def imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Every module a file imports, with the statement that does it."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from services.ledger import store` means services.ledger.store
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def pure_rooms_stay_pure(source: Source) -> Iterator[Finding]:
    """No clock, chance or I/O decides about a plan or a tree: a replay must end the same."""
    if not source.path.startswith(PURE):
        return
    for node, module in imports(source):
        if (top := module.split(".")[0]) in IMPURE:
            yield source.find(node, f"{top} in a pure room; {IMPURE[top]}")
        if top == "services" and not module.startswith(
            ("services.ledger.plan", "services.ledger.log")
        ):
            yield source.find(
                node, f"{module} in a pure room; what it knows comes in as an argument"
            )
    for called in (node.func for node in ast.walk(source.tree) if isinstance(node, ast.Call)):
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in IMPURE_CALLS:
            yield source.find(called, f"{name}() in a pure room; {IMPURE_CALLS[name]}")


def keys_are_named_once(source: Source) -> Iterator[Finding]:
    """The keys of the queue are named in shared/inbox and nowhere else."""
    if not source.is_ours_to_run or source.path.startswith("shared/inbox/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and "firsthand:{" in str(node.value):
            yield source.find(
                node, "a key of the queue; name it in shared/inbox/redis_keys.py and call that"
            )
