"""A bar that grows while a command works."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[float], None]]:
    """A bar with its rate on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
    from rich.progress import Progress, TextColumn  # noqa: PLC0415 - the same

    together = sys.stdout.isatty()  # lines go above the bar; and to a file if they go to a file
    columns = *Progress.get_default_columns(), TextColumn("{task.fields[rate]}")
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=together) as shown:
        task = shown.add_task(what, total=total, rate="")

        def tick(count: float) -> None:
            speed = shown.tasks[task].speed
            shown.update(task, advance=count, rate=f"{speed:,.0f}/s" if speed else "")

        yield tick
