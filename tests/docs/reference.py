"""Generate docs/reference from the code: `python -m tests.docs.reference`.

The pages are made from the catalogue, the settings, the problems, the commands and the docstrings
that specify the formats. A test compares the committed pages with the output.
"""

import importlib
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from services.cli import COMMANDS, load_command, main
from services.client import http
from services.intake.app import IntakeSettings
from services.ledger.config import LedgerSettings
from services.ledger.plan.bounds import BOUNDS, MIB, PROTECTIVE
from shared.crashpoints import COMMAND_POINTS, POINTS
from shared.errors import FaultCode
from shared.events.catalogue import CATALOGUE
from shared.events.refusals import REASONS, Code
from shared.http.problems import PROBLEMS
from shared.settings import variables
from tests.docs.reference_events import events, table

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
NOTE = "<!-- Written from the code by tests/docs/reference.py: change the code, then run it. -->"
GENERAL = (
    *(code for code in Code if not code.standing),
    *(Code.ID_REUSED, Code.VERSION_CONFLICT, Code.PLAN_FULL),
)
FORMATS = {  # a page for each: title, and the modules whose docstrings specify it
    "formats": (
        "Formats",
        "The docstrings that specify each format. Their examples run as tests.",
        (
            "shared.events.event",
            "services.intake.http_binding",
            "shared.tracing",
            "services.intake.strict_json",
            "shared.crypto.jwe",
            "services.ledger.log.entry",
            "services.ledger.log.merkle",
            "services.ledger.log.signed_note",
            "services.ledger.log.tiles",
            "services.ledger.log.proofs",
            "services.ledger.checkpoints.witnesses",
            "services.ledger.receipts",
            "services.ledger.plan.model",
            "services.ledger.vault",
            "services.ledger.store.tables",
            "services.client.outbox",
        ),
    ),
    "inbox": (
        "The inbox",
        "The contract between the two services. They share nothing else at run time.",
        (
            "shared.inbox",
            "shared.inbox.partition_layout",
            "shared.inbox.publish_script",
            "shared.crypto.transit",
            "shared.crypto.transit_keys",
            "shared.inbox.doorbell",
        ),
    ),
    "tokens": ("Tokens and issuers", "", ("shared.auth.tokens", "shared.auth.issuers")),
    "verify": ("An export, a receipt, and verify.py", "", ("services.verify",)),
    "audit": (
        "Audit and replay: their findings",
        (
            "See [how to audit a ledger](../how-to/audit-a-ledger.md), and "
            "[what tampering an audit detects](../explanation/tampering.md)."
        ),
        ("services.ledger.audit.findings", "services.ledger.audit.replay"),
    ),
}


def refusals() -> Iterator[str]:
    """The page of all refusals."""
    yield "# Refusals\n"
    yield (
        "A refusal is a verdict: the attempt is recorded permanently, and changed nothing. The "
        "rules check in this order, and the first that applies is returned. If the author has no "
        "standing, their words are not stored. Everybody but the person then gets `no-grant`, "
        "whether the person has a plan or not.\n"
    )
    rows = [
        (f"`{code}`", str(code.http_status), REASONS[code] + ".", by_what(code)) for code in Code
    ]
    yield table(("code", "status", "it was refused:", "possible for"), rows) + "\n"
    yield "The status is that of a response to `Prefer: wait`. See [events](events.md).\n"
    yield "## The bounds of a plan\n"
    yield (
        "`too-many` and `plan-full` mean that a plan has reached a bound. Changing or ending an "
        "existing line never counts as too many. Bytes are those of accepted events, as canonical "
        "JSON. Events that protect the person have 1 MiB more: "
        f"{', '.join(f'`{name}`' for name in sorted(PROTECTIVE))}.\n"
    )
    yield table(("bound", "of", "refused as"), bounds()) + "\n"


def bounds() -> Iterator[tuple[str, str, str]]:
    """Each bound of a plan, in words."""
    many, full = f"`{Code.TOO_MANY}`", f"`{Code.PLAN_FULL}`"
    yield f"{BOUNDS.open_lines:,}", "open lines of the plan, ratings not counted", many
    yield (
        f"{BOUNDS.in_force:,}",
        "grants and namings of representatives that have not expired",
        many,
    )
    yield f"{BOUNDS.wordings:,}", "preferred wordings", many
    yield f"{BOUNDS.barred:,}", "services barred at once", many
    yield (
        f"1, {BOUNDS.disagreements}",
        "disagreements of one author with one entry: open, in all",
        many,
    )
    yield f"{BOUNDS.others_bytes // MIB} MiB", "events that others wrote", full
    yield f"{BOUNDS.own_bytes // MIB} MiB", "events that the person or a representative wrote", full
    protective = BOUNDS.protective_bytes // MIB
    yield f"{protective} MiB", "the same, including events that protect the person", full


def by_what(code: Code) -> str:
    """Which types a refusal can meet."""
    if code in GENERAL:
        return "any type" if code.standing else "any type: no standing"
    if code is Code.OUR_FAULT:
        return "a fault of Firsthand; it raises an alarm and is counted"
    return ", ".join(row.name for row in CATALOGUE.values() if code in row.refusals)


def problems() -> Iterator[str]:
    """The page of all problems."""
    yield "# Problems\n"
    yield (
        "Every error response of both services is `application/problem+json` (RFC 9457). `type` is "
        "`/problems/<slug>`, and both serve that page. A fault in a body has `errors: [{pointer, "
        "code, detail}]`, with RFC 6901 pointers. Only `refused` means that something was "
        "recorded.\n"
    )
    for slug, kind in PROBLEMS.items():
        status = "403 or 409" if slug == "refused" else str(kind.status)
        yield f"## {slug}\n"
        meaning = re.sub(r" \(\d+\)", "", docstring(kind.__doc__))
        yield f"{status}: {kind.title}. {meaning}\n"
        yield f"What to do: {kind.remedy}\n"
    yield "## Codes in errors\n"
    yield table(("code", "meaning"), [(f"`{code}`", code.meaning) for code in FaultCode])


def settings() -> Iterator[str]:
    """The page of all settings."""
    yield "# Settings\n"
    yield (
        "Settings are environment variables. Each can be read from a file instead: "
        "`FIRSTHAND_REDIS_URL_FILE` names a file that holds the value of `FIRSTHAND_REDIS_URL`. "
        "A process with invalid values does not start: it names all of them and exits with status "
        "2. Intake reads no database address.\n"
    )
    readers = {"IntakeSettings": "intake", "LedgerSettings": "ledger, worker, commands on a store"}
    rows = [
        (f"`{name}`", meaning, f"`{default}`" if default else "", who(read, readers))
        for name, default, meaning, read in variables(IntakeSettings, LedgerSettings)
    ]
    yield table(("variable", "meaning", "default", "read by"), rows) + "\n"
    yield "The commands that call a running service read three more:\n"
    client_rows = [(f"`{name}`", meaning) for name, meaning in http.VARIABLES.items()]
    yield table(("variable", "meaning"), client_rows) + "\n"


def crashpoints() -> Iterator[str]:
    """Yield the page of the lines at which a process can be killed."""
    yield "# Crash points\n"
    yield docstring(importlib.import_module("shared.crashpoints").__doc__) + "\n"
    yield table(
        ("crash point", "when a process reaches it"),
        [(f"`{a}`", b) for a, b in (POINTS | COMMAND_POINTS).items()],
    )


def who(read: str, readers: Mapping[str, str]) -> str:
    """Who reads a setting; all is everybody."""
    told = [readers[each] for each in read.split(", ")]
    return "all" if len(told) == len(readers) else told[0]


def commands() -> Iterator[str]:
    """The page of all commands."""
    yield "# Commands\n"
    yield f"{docstring(importlib.import_module('services.cli').__doc__, skip=1)}\n"
    yield (
        "Tab completion: add one of these to the start-up file of your shell.\n\n"
        '```sh\neval "$(_FIRSTHAND_COMPLETE=bash_source firsthand)"   # ~/.bashrc\n'
        'eval "$(_FIRSTHAND_COMPLETE=zsh_source firsthand)"    # ~/.zshrc\n'
        "_FIRSTHAND_COMPLETE=fish_source firsthand | source    # fish\n```\n"
    )
    above = click.Context(main, info_name="firsthand", **main.context_settings)
    for name in sorted(COMMANDS):
        command = load_command(name)
        context = click.Context(command, info_name=name, parent=above, terminal_width=80)
        yield f"## firsthand {name}\n"
        yield f"```text\n{command.get_help(context)}\n```\n"


def docstring(text: str | None, *, skip: int = 0) -> str:
    """A docstring's paragraphs, each on lines as they are; doctests in fences of their own."""
    first, _, rest = (text or "").partition("\n")
    whole = (first.strip() + "\n" + textwrap.dedent(rest)).strip()
    paragraphs = [
        f"```text\n{each}\n```" if each.startswith(">>>") else each
        for each in whole.split("\n\n")[skip:]
    ]
    return "\n\n".join(paragraphs)


def formats(name: str) -> Iterator[str]:
    """A page of docstrings."""
    title, told, modules = FORMATS[name]
    yield f"# {title}\n"
    if told:
        yield f"{told}\n"
    for module in modules:
        if len(modules) > 1:
            yield f"## {module}\n"
        yield docstring(importlib.import_module(module).__doc__) + "\n"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "events": events,
    "refusals": refusals,
    "problems": problems,
    "settings": settings,
    "commands": commands,
    "crashpoints": crashpoints,
    **{name: lambda name=name: formats(name) for name in FORMATS},  # type: ignore[misc]  # bound now
}


def page(name: str) -> str:
    """The whole text of a page."""
    return NOTE + "\n\n" + "\n".join(PAGES[name]()).rstrip() + "\n"


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(page(name))


if __name__ == "__main__":
    write()
