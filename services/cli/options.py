"""What every command shares: options, who speaks, and how a failure ends."""

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
UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # a closed pipe is none of them
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of keys and data (default: FIRSTHAND_DATA or ./.firsthand).",
    expose_value=False,
    callback=lambda _, __, given: given and os.environ.update(FIRSTHAND_DATA=str(given)),
    is_eager=True,
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
KEPT = click.option(
    "--checkpoint",
    "kept",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="One that somebody kept: a checkpoint, .tlog-proof or receipt (repeatable).",
)


class _Id(click.ParamType[str]):
    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(ID_PATTERN, value):
            told = "a role, a colon, and 1 to 64 of A-Z a-z 0-9 . _ -, as person:ada"
            self.fail(f"{value!r} is no id: it is {told}.", param, ctx)
        return value


class _Bearer(click.ParamType[str]):
    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        told = value.strip()
        if not re.fullmatch("[!-~]*", told):
            self.fail("a token is letters, digits and points, in one line.", param, ctx)
        return told


ID, BEARER = _Id(), _Bearer()
PERSON = click.argument("person", type=ID)
AS = click.option(
    "--as",
    "author",
    type=ID,
    metavar="SUBJECT",
    help="Speak as SUBJECT, with a token of the local key.",
)
TOKEN = click.option(
    "--token",
    type=BEARER,
    envvar="FIRSTHAND_TOKEN",
    help="Bearer token to send (default: FIRSTHAND_TOKEN).",
)


@contextmanager
def errors_reported() -> Iterator[None]:
    """End with one line and an exit status, not a stack trace, on what we raise on purpose."""
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
        fail(f"it cannot be written: {fault.strerror}", UNAVAILABLE)


def _forget_output() -> None:
    """Throw away what is still to be printed: at the end Python would try once more."""
    with suppress(OSError, ValueError, AttributeError):  # a stand-in, or none
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str, **options: Any) -> None:
    """Print text that may quote what others wrote, without what steers a terminal.

    JSON that is not ASCII is printed by `click.echo`: programs read it as it is.
    """
    click.echo(plain(text), **options)


def show(json: Iterable[str], text: Iterable[str], *, as_json: bool) -> None:
    """Print what a command found: JSON as it is, or text as `say` does."""
    if as_json:
        for line in json:
            click.echo(line)
    else:
        for line in text:
            say(line)


def fail(why: str, status: int) -> None:
    """Say why on standard error and end with `status`."""
    say(f"firsthand: {why}", err=True)
    sys.exit(status)


def local_bearer(subject: str, **options: Any) -> str:
    """A token of the local key for `subject`; options as `shared.auth.tokens.local_token`."""
    from shared.auth.issuers import ROLES  # noqa: PLC0415 - slow; not needed where --token is given
    from shared.auth.tokens import local_token  # noqa: PLC0415 - the same

    if subject.partition(":")[0] not in ROLES:
        raise click.UsageError(f"{subject} never speaks; a role that does is {', '.join(ROLES)}.")
    settings = Settings.load()
    return local_token(settings.key_folder, subject, audience=settings.audience, **options)


def speaker(author: str | None, token: str | None, default: str | None = None) -> str:
    """The token to send: the one given, or one of the local key."""
    if token:
        return token
    if author or default:
        return local_bearer(str(author or default))
    raise click.UsageError("Say who speaks: --as person:ada, or --token (FIRSTHAND_TOKEN).")
