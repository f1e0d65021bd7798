"""The `firsthand` command: its table of subcommands. A subcommand's module is imported when it
runs.

Exit status: 0 success, 1 findings or refusals, 2 usage or settings error, 3 a service is
unavailable or the output cannot be written, 130 interrupted by Ctrl-C.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Heading -> command -> (module, first line of help): `--help` and completion import nothing.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "up": ("services", "Run all services on this machine until Ctrl-C."),
        "demo": ("demo", "Run an example story over HTTP on a private ledger."),
        "intake": ("services", "Run intake, which accepts events over HTTP."),
        "worker": ("services", "Run the worker, which records events in the ledger."),
        "ledger": ("services", "Run the ledger's read API."),
    },
    "Post": {
        "token": ("post", "Print a bearer token for SUBJECT (such as person:ada)."),
        "post": (
            "post",
            "Post events from FILE (or -), as JSON or NDJSON; missing attributes are filled in.",
        ),
        "outbox": (
            "post",
            "List the outbox of this folder: events waiting to be sent, and events set aside.",
        ),
    },
    "Read": {
        "plan": (
            "read",
            "Show the plan of PERSON (such as person:ada), now or at an earlier point.",
        ),
        "history": ("read", "Show the history of PERSON in sentences, including refused events."),
        "diff": ("read", "Show what changed in the plan of PERSON between two points."),
        "origins": (
            "read",
            "Show which event the words of each line in the plan of PERSON come from.",
        ),
        "receipt": (
            "read",
            "Print the receipt of an event about PERSON: an inclusion proof for verify.py.",
        ),
    },
    "Check": {
        "doctor": ("doctor", "Check settings, keys, queue, store and services; change nothing."),
        "healthcheck": ("healthcheck", "Check whether a service on this machine is healthy."),
        "replay": ("replay", "Replay entries, and compare the result with the stored tables."),
        "audit": (
            "audit",
            (
                "Audit a whole ledger, entry by entry: the live one, or an EXPORT (folder or "
                ".tar.gz)."
            ),
        ),
    },
    "Keep": {
        "export": (
            "export",
            "Write every log to OUT, a new folder or .tar.gz, up to one published checkpoint each.",
        ),
        "restore": (
            "restore",
            "Append the entries of EXPORT to a ledger whose database is an older copy.",
        ),
        "rebuild": (
            "rebuild",
            "Rebuild the derived tables from entries and keys, then switch to the new rows.",
        ),
        "accept-queue": (
            "accept_queue",
            "Accept a queue that was emptied or replaced, if this database is the newest copy.",
        ),
    },
    "Keys": {
        "init": (
            "provision_keys",
            "Create missing keys, tables and logs; leave existing ones unchanged.",
        ),
        "provision-secrets": (
            "provision_keys",
            "Create keys and passwords, and copy to each container its own.",
        ),
        "rotate-log-key": (
            "provision_keys",
            "Add a new signing key to a log; then restart the worker and the ledger.",
        ),
        "rotate-transit-key": (
            "provision_keys",
            "Add a new transit key before the old one; workers and intakes reload it themselves.",
        ),
    },
}
COMMANDS = {name: row for section in SECTIONS.values() for name, row in section.items()}


def load_command(name: str) -> click.Command:
    """Import a subcommand; its function has the name of the subcommand."""
    module = import_module(f"services.cli.{COMMANDS[name][0]}")
    command: click.Command = getattr(module, name.replace("-", "_"))
    return command


class LazyGroup(click.Group):
    """List commands from the table, and import the module of the invoked command only.

    `commands` holds a placeholder per command, with the help text of the table.
    """

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Import and return a command; None if the name is unknown."""
        return load_command(name) if name in COMMANDS else None

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands of each section below its heading."""
        width = max(len(name) for name in COMMANDS)
        for heading, section in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (f"{name:<{width}}", self._help(name, formatter.width - 6 - width))
                        for name in section
                    ]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands, then the options, that start with the typed text."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - seldom needed

        commands = [
            CompletionItem(name, help=self._help(name))
            for name in COMMANDS
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def _help(self, name: str, limit: int = 45) -> str:
        return self.commands[name].get_short_help_str(limit)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn an expected error into one line and an exit status."""
        from services.cli.options import errors_reported  # noqa: PLC0415 - not for help

        with errors_reported():
            return super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    commands={name: click.Command(name, help=text) for name, (_, text) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Tab completion, in bash: eval "$(_FIRSTHAND_COMPLETE=bash_source firsthand)"',
)
@click.version_option(package_name="firsthand")
def main() -> None:
    """Keep a person's plan in that person's own hand."""
