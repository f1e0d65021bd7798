"""Which room of the house may use what."""

import ast
from collections.abc import Iterator

from tests.house.files import Finding, Source

PURE = ("services/ledger/plan/", "services/ledger/log/")
STORE = "services/ledger/store/"

# A library, the places that may import it, and what everybody else does instead.
LIBRARIES = {
    "rq": (("shared/doorbell.py", "services/ledger/worker.py"), "ring through shared/doorbell.py"),
    "redis": (
        (
            "shared/inbox.py",
            "shared/together.py",
            "shared/published.py",
            "shared/doorbell.py",
            "shared/durability.py",
            "shared/lag.py",
            "shared/layout.py",
            "shared/status.py",
            "services/doctor/",
            "services/ledger/worker.py",
        ),
        "speak to the queue through shared/inbox.py",
    ),
    "flask": (
        (
            *("services/intake/", "services/ledger/app.py", "services/ledger/api.py"),
            *("services/ledger/logs_api.py", "shared/web.py"),
        ),
        "hand plain values to a route, and let the route speak HTTP",
    ),
    "sqlalchemy": (
        (STORE, "services/ledger/vault.py", "services/ledger/history.py"),
        f"ask a function of {STORE}",
    ),
    "alembic": ((STORE,), f"ask a function of {STORE}"),
    "psycopg": ((STORE,), f"ask a function of {STORE}"),
}
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


def libraries_stay_in_their_rooms(source: Source) -> Iterator[Finding]:
    """A reader finds RQ in two files, Flask at the doors, and SQL in the store."""
    for node, module in imports(source) if source.is_ours_to_run else ():
        rooms, remedy = LIBRARIES.get(module.split(".")[0], ((source.path,), ""))
        if not source.path.startswith(rooms):
            library = module.split(".")[0]
            yield source.find(node, f"{library} belongs in {', '.join(rooms)}; {remedy}")


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
    """The queue's contract stands in one file, every key with it."""
    if not source.is_ours_to_run or source.path == "shared/inbox.py":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and "firsthand:{" in str(node.value):
            yield source.find(node, "a key of the queue; name it in shared/inbox.py and call that")
