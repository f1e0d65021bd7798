"""The `firsthand` command: thin, one function a command.

Exit status: 0 clean, 1 findings or refusals, 2 usage or settings, 3 a service is unavailable or the
output cannot be written, 130 stopped by Ctrl-C.
"""

import click

from services.cli import check, keep, look, run, say
from services.cli.base import Command


@click.group(
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Tab completion, in bash: eval "$(_FIRSTHAND_COMPLETE=bash_source firsthand)"',
)
@click.version_option(package_name="firsthand")
def main() -> None:
    """Keep a person's plan in that person's own hand."""


for room in (run, say, look, check, keep):
    for each in vars(room).values():
        if isinstance(each, click.Command):
            main.add_command(each)
