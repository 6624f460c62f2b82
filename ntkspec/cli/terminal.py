"""Tables and progress, on a terminal and where there is none."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ntkspec.cli.streams import say
from ntkspec.files.text import printable

__all__ = ["SECONDS_BETWEEN_LINES", "Grid", "Meter", "console", "duration", "number", "time_left"]

#: Characters in a line of a table, where no terminal says otherwise.
WIDTH = 120
SECONDS_BETWEEN_LINES = 5.0


def console() -> Console:
    """Return the standard output; where it is no terminal, tables keep their full width."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH)


class Grid(Table):
    """A table of plain text: nothing in a cell is taken for rich's markup or a control sequence."""

    def add_row(self, *cells: str, **options: Any) -> None:  # type: ignore[override]
        """Add a row."""
        super().add_row(*(Text(printable(cell)) for cell in cells), **options)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1e3 * seconds:.2g} ms"


def number(value: float, form: str = ".4g") -> str:
    """A number for a table; empty where there is none."""
    return "" if math.isnan(value) else format(value, form)


class Meter:
    """Progress on the standard error stream: a bar, or plain lines where it is no terminal.

    Called as ``meter(done, total)`` or ``meter(done, total, eigenvalues, retried)``, where
    `eigenvalues` counts those computed so far, and `retried` the tasks given out again.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._start = self._last = time.monotonic()
        self._first: int | None = None
        self._shown = (-1, -1)
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn(unit), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.description}"), TimeRemainingColumn(), TextColumn("left"),
                console=Console(stderr=True),
            )  # fmt: skip
            self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        if self._bar:
            self._bar.console.print(printable(sentence), highlight=False, markup=False)
        else:
            say(sentence, err=True)

    def __call__(
        self, done: int, total: int, eigenvalues: int | None = None, retried: int = 0
    ) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if self._first is None:
            self._first = done  # what an earlier run had done says nothing of the speed
        speed = _speed(eigenvalues, now - self._start)
        again = f"{retried} retried" if retried else ""
        if self._bar:
            facts = " ".join(filter(None, (speed, again)))
            self._bar.update(self._task, completed=done, total=total, description=facts)
            return
        ended = done == total and self._shown != (done, total)
        if ended or now - self._last >= SECONDS_BETWEEN_LINES:
            self._last, self._shown = now, (done, total)
            left = time_left(done - self._first, total - done, now - self._start)
            parts = [f"{done}/{total} {self._unit}", speed, left, again]
            say(", ".join(part for part in parts if part), err=True)


def _speed(eigenvalues: int | None, seconds: float) -> str:
    if not eigenvalues or seconds <= 0.0:
        return ""
    return f"{eigenvalues / seconds:.3g} eigenvalues/s"


def time_left(done: int, left: int, seconds: float) -> str:
    """Return "3:07 left", from what was done in so many seconds; empty where that says nothing."""
    if done <= 0 or left <= 0:
        return ""
    minutes, rest = divmod(round(seconds * left / done), 60)
    return f"{minutes}:{rest:02d} left"
