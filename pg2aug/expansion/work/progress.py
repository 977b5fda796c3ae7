"""How far an expansion is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from pg2aug.expansion.work.pipeline import Progress

LINE_SECONDS = 30.0


@contextmanager
def progress_display(console: Console, name: str = '') -> Iterator[Callable[[Progress], None]]:
    """Show progress; gives the function to call with it.

    Args:
        console: Where to.
        name: Of the process, where there are several.
    """
    rate = _Rate()
    if not console.is_terminal:
        yield _lines(console, name, rate)
        return
    columns = BarColumn(), MofNCompleteColumn(), TextColumn('{task.description}')
    with Bar(*columns, console=console) as bar:
        task = bar.add_task('')

        def show(progress: Progress) -> None:
            text = rate.describe(progress)
            bar.update(task, total=progress.items, completed=progress.done, description=text)

        yield show


def _lines(console: Console, name: str, rate: '_Rate') -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        text = rate.describe(progress)
        if time.monotonic() - last >= LINE_SECONDS or progress.done == progress.items:
            last = time.monotonic()
            console.print(f'{name}{progress.done}/{progress.items} {text}', soft_wrap=True)

    return show


class _Rate:
    """Items a second since the first call, for what was there before has cost nothing."""

    def __init__(self) -> None:
        self._start: tuple[float, int] | None = None

    def describe(self, progress: Progress) -> str:
        now = time.monotonic()
        if self._start is None:
            self._start = now, progress.done
        rate = (progress.done - self._start[1]) / max(now - self._start[0], 1e-9)
        left = (progress.items - progress.done) / rate if rate else None
        eta = '-' if left is None else str(timedelta(seconds=round(left)))
        attempts = progress.accepted + progress.refused.total()
        accepted = f'{progress.accepted / attempts:.0%}' if attempts else '-'
        return f'{rate:.1f} images/s, {eta} left, {accepted} of {attempts} attempts accepted'
