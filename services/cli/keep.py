"""Commands that keep a ledger: out of it, beside it, and back into it."""

import signal
import sys
from pathlib import Path

import click

from services.cli.base import BEARER, DATA, FINDINGS, JSON, KEPT, show


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--from", "url", metavar="URL", help="Read a ledger over HTTP, not the store.")
@click.option(
    "--token",
    "tokens",
    type=BEARER,
    multiple=True,
    envvar="FIRSTHAND_TOKEN",
    help="Bearer token: with --from an auditor's; with --opened that person's (repeatable).",
)
@click.option(
    "--opened",
    "people",
    metavar="PERSON",
    multiple=True,
    help="Open PERSON's entries too; it takes their token with the scope 'leave' (repeatable).",
)
@JSON
@DATA
def export(
    out: Path, url: str | None, tokens: tuple[str, ...], people: tuple[str, ...], as_json: bool
) -> None:
    """Write every log into OUT, a new folder or .tar.gz, at one published checkpoint each.

    verify.py checks it.
    """
    if url and people:
        raise click.UsageError("Entries are opened where the keys are: leave out --from.")
    if url and len(tokens) != 1:
        raise click.UsageError("Say who asks: one --token (FIRSTHAND_TOKEN) of an auditor.")
    from services.ledger.leaving import export_store, export_url

    _end_well()
    result = export_url(out, url, tokens[0]) if url else export_store(out, tokens, people)
    show(result.as_json() if as_json else result.as_text(), as_json=as_json)


@click.command()
@click.option("--check", is_flag=True, help="Compare only; change nothing.")
@JSON
@DATA
def rebuild(check: bool, as_json: bool) -> None:
    """Fold derived tables again from entries and keys, beside the old, and switch.

    People, plans, snapshots and tiles; readers and writers go on meanwhile.
    """
    from services.ledger import mending

    _end_well()
    report = mending.rebuild(check=check)
    show((mending.as_json if as_json else mending.as_text)(report), as_json=as_json)
    left = [each for each in report.findings if not (report.switched and each.mends)]
    sys.exit(FINDINGS if left else 0)


@click.command()
@click.argument("path", metavar="EXPORT", type=click.Path(path_type=Path))
@KEPT
@JSON
@DATA
def restore(path: Path, kept: tuple[Path, ...], as_json: bool) -> None:
    """Bring a ledger whose database is an older copy forward to what EXPORT holds.

    It stops neither behind what was published nor beside it. Stop the worker first.
    """
    from services.ledger.returning import restore as run

    _end_well()
    result = run(path, list(kept))
    show(result.as_json() if as_json else result.as_text(), as_json=as_json)
    sys.exit(0 if result.clean else FINDINGS)


@click.command()
@KEPT
@JSON
@DATA
def accept_queue(kept: tuple[Path, ...], as_json: bool) -> None:
    """Go on with a queue that was emptied or replaced, once this database is the newest one.

    Publishes the heads of the database again, after it was held against all known checkpoints.
    """
    from services.ledger import accepting

    found = accepting.accept(list(kept))
    show((accepting.as_json if as_json else accepting.as_text)(found), as_json=as_json)


def _end_well() -> None:
    """SIGTERM ends a command as Ctrl-C does: nothing half-made stays."""
    from shared.processes import exit_on

    exit_on(signal.SIGTERM)
