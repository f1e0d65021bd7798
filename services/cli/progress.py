"""Progress bar on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[float], None]]:
    """Show a progress bar with its rate on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import; only for a terminal
    from rich.progress import Progress, TextColumn  # noqa: PLC0415 - the same

    shared_terminal = sys.stdout.isatty()  # print lines above the bar, unless stdout is a file
    columns = *Progress.get_default_columns(), TextColumn("{task.fields[rate]}")
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=shared_terminal
    ) as progress:
        task = progress.add_task(what, total=total, rate="")

        def tick(count: float) -> None:
            speed = progress.tasks[task].speed
            progress.update(task, advance=count, rate=f"{speed:,.0f}/s" if speed else "")

        yield tick
