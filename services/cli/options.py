"""Options, credentials and error handling that all commands share."""

import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from shared import log_setup
from shared.errors import FirsthandError, SettingsError
from shared.events.schema_fields import ID_PATTERN
from shared.settings import Settings
from shared.terminal import plain

FINDINGS, USAGE, UNAVAILABLE, STOPPED = 1, 2, 3, 130
UNWRITTEN = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
}  # a closed pipe is handled elsewhere
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of keys and data (default: FIRSTHAND_DATA or ./.firsthand).",
    expose_value=False,
    callback=lambda _, __, folder: folder and os.environ.update(FIRSTHAND_DATA=str(folder)),
    is_eager=True,
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON output.")
CHECKPOINTS = click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Saved checkpoint, .tlog-proof or receipt (repeatable).",
)


class _Id(click.ParamType[str]):
    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(ID_PATTERN, value):
            form = "<role>:<1 to 64 of A-Z a-z 0-9 . _ ->, such as person:ada"
            self.fail(f"{value!r} is not an id of the form {form}.", param, ctx)
        return value


class _Bearer(click.ParamType[str]):
    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        bearer = value.strip()
        if not re.fullmatch("[!-~]*", bearer):
            self.fail("a token is one line of letters, digits and dots.", param, ctx)
        return bearer


ID, BEARER = _Id(), _Bearer()
PERSON = click.argument("person", type=ID)
AS = click.option(
    "--as",
    "author",
    type=ID,
    metavar="SUBJECT",
    help="Author, for whom a token is signed with the local key.",
)
TOKEN = click.option(
    "--token",
    type=BEARER,
    envvar="FIRSTHAND_TOKEN",
    help="Bearer token to send (default: FIRSTHAND_TOKEN).",
)


@contextmanager
def errors_reported() -> Iterator[None]:
    """Turn an expected error into one line on standard error and an exit status."""
    log_setup.configure("warning")  # on standard error; a service sets its own level
    try:
        yield
    except SettingsError as fault:
        fail(str(fault), USAGE)
    except FirsthandError as fault:
        fail(str(fault), UNAVAILABLE)
    except (KeyboardInterrupt, click.Abort):
        fail("stopped", STOPPED)
    except OSError as fault:
        if fault.errno not in UNWRITTEN:
            raise
        _forget_output()
        fail(f"cannot write the output: {fault.strerror}", UNAVAILABLE)


def _forget_output() -> None:
    """Discard unwritten output, which Python would try to write again at exit."""
    with suppress(OSError, ValueError, AttributeError):  # stdout is replaced or closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str, **options: Any) -> None:
    """Print text that may quote users, without terminal control characters.

    Print JSON with `click.echo` instead: programs need it unchanged.
    """
    click.echo(plain(text), **options)


def show(json: Iterable[str], text: Iterable[str], *, as_json: bool) -> None:
    """Print a command's result: JSON unchanged, or text through `say`."""
    if as_json:
        for line in json:
            click.echo(line)
    else:
        for line in text:
            say(line)


def fail(why: str, status: int) -> None:
    """Print the reason on standard error and exit with `status`."""
    say(f"firsthand: {why}", err=True)
    sys.exit(status)


def local_bearer(subject: str, **options: Any) -> str:
    """Sign a token for `subject` with the local key; see `shared.auth.tokens.local_token`."""
    from shared.auth.issuers import ROLES  # noqa: PLC0415 - slow; not needed where --token is given
    from shared.auth.tokens import local_token  # noqa: PLC0415 - the same

    if subject.partition(":")[0] not in ROLES:
        raise click.UsageError(
            f"{subject} cannot have a token; the roles with tokens are {', '.join(ROLES)}."
        )
    settings = Settings.load()
    return local_token(settings.key_folder, subject, audience=settings.audience, **options)


def speaker(author: str | None, token: str | None, default: str | None = None) -> str:
    """Return the bearer token to send: the one passed, or one signed with the local key."""
    if token:
        return token
    if author or default:
        return local_bearer(str(author or default))
    raise click.UsageError("Name the author: --as person:ada, or --token (FIRSTHAND_TOKEN).")
