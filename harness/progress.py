"""Progress and messages for a person, on stderr; stdout belongs to results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from harness.masking import masked

TOLD_EVERY = 10.0
"""Seconds between two lines of one piece of work, in a log file."""

console = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(message: str) -> None:
    """One line for a person."""
    console.print(masked(message), soft_wrap=True)


class Bar:
    """A line of progress: with a total it is a bar, without one a clock that shows that work goes on."""

    def __init__(self, progress: Progress, task: int, title: str) -> None:
        self._progress = progress
        self._task = task
        self._title = title
        self._told = time.monotonic()

    def update(self, done: int | None = None, total: int | None = None, note: str | None = None) -> None:
        fields: dict[str, object] = {} if note is None else {"note": masked(note)}
        self._progress.update(self._task, completed=done, total=total, **fields)  # type: ignore[arg-type]

    def tell(self, message: str) -> None:
        """Show where the work is; where stderr is no terminal, say it now and then."""
        self.update(note=message)
        if not console.is_terminal and time.monotonic() - self._told >= TOLD_EVERY:
            self._told = time.monotonic()
            say(f"{self._title}: {message}")


@contextmanager
def bar(title: str, total: int | None = None) -> Iterator[Bar]:
    """Show `title` while the block runs, with the time it takes; where stderr is no terminal, a line at its end."""
    counted = [MofNCompleteColumn()] if total is not None else []
    progress = Progress(
        SpinnerColumn(),
        TextColumn(
            "{task.description}", markup=False, table_column=Column(min_width=len(title), no_wrap=True)
        ),
        BarColumn(bar_width=24),
        *counted,
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
    )
    with progress:
        task = progress.add_task(title, total=total, note="")
        yield Bar(progress, task, title)


@contextmanager
def watching(look: Callable[[], None], every: float = 0.5) -> Iterator[None]:
    """Call `look` now and then, from a thread of its own, while the block waits for work that runs elsewhere."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
