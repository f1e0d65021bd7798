"""The `firsthand` command: its table of commands. A command's module is imported when it runs.

Exit status: 0 clean, 1 findings or refusals, 2 usage or settings, 3 a service is unavailable or the
output cannot be written, 130 stopped by Ctrl-C.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Heading -> command -> (module, first line of its help): `--help` and completion import no more.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "up": ("services", "Run everything on this machine until Ctrl-C."),
        "demo": ("demo", "Tell a true-to-life story over HTTP, on a private ledger."),
        "intake": ("services", "Run intake: takes events over HTTP."),
        "worker": ("services", "Run the worker: records events in the ledger."),
        "ledger": ("services", "Run the ledger's read API."),
    },
    "Post": {
        "token": ("post", "Print a token for SUBJECT (as person:ada), and nothing else."),
        "post": (
            "post",
            "Post events from FILE (or -): JSON or NDJSON. What is missing is filled in.",
        ),
        "outbox": (
            "post",
            "Show what rests in the outbox of this folder: what waits, and what was set aside.",
        ),
    },
    "Read": {
        "plan": ("read", "Show the plan of PERSON (as person:ada), now or as it was."),
        "history": ("read", "Tell the history of PERSON in sentences, attempts too."),
        "diff": ("read", "Tell what changed in the plan of PERSON between two points."),
        "origins": ("read", "Tell where the words of each line in the plan of PERSON come from."),
        "receipt": (
            "read",
            (
                "Print the receipt of an event about PERSON: proof, for verify.py, that it is on "
                "record."
            ),
        ),
    },
    "Check": {
        "doctor": ("doctor", "Say whether everything is set as it must be; change nothing."),
        "healthcheck": ("healthcheck", "Ask a service on this machine whether it is well."),
        "replay": ("replay", "Fold entries again, and compare with what is stored."),
        "audit": (
            "audit",
            (
                "Check a whole ledger, entry by entry: the live one, or an EXPORT (folder or "
                ".tar.gz)."
            ),
        ),
    },
    "Keep": {
        "export": (
            "export",
            "Write every log into OUT, a new folder or .tar.gz, at one published checkpoint each.",
        ),
        "restore": (
            "restore",
            "Bring a ledger whose database is an older copy forward to what EXPORT holds.",
        ),
        "rebuild": (
            "rebuild",
            "Fold derived tables again from entries and keys, beside the old, and switch.",
        ),
        "accept-queue": (
            "accept_queue",
            (
                "Go on with a queue that was emptied or replaced, once this database is the newest "
                "one."
            ),
        ),
    },
    "Keys": {
        "init": ("provision_keys", "Make keys, tables and logs; change nothing that is there."),
        "provision-secrets": (
            "provision_keys",
            "Make keys and passwords; give each container its own.",
        ),
        "rotate-log-key": (
            "provision_keys",
            "Give a log a new signing key beside the old one; then restart worker and ledger.",
        ),
        "rotate-transit-key": (
            "provision_keys",
            "Put a new transit key before the old one; workers and intakes see it by themselves.",
        ),
    },
}
COMMANDS = {name: row for section in SECTIONS.values() for name, row in section.items()}


def load_command(name: str) -> click.Command:
    """Import a command of the table; its function is named as the command is."""
    module = import_module(f"services.cli.{COMMANDS[name][0]}")
    command: click.Command = getattr(module, name.replace("-", "_"))
    return command


class LazyGroup(click.Group):
    """Lists commands by the table, and imports the module of the one that is invoked.

    `commands` holds a stand-in for each, with the help of the table.
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
        """Return the commands, then the options, that begin with what was typed."""
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
        """Run the command; an error that is raised on purpose becomes a line and an exit status."""
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
