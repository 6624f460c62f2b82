"""Progress of a command on the standard error stream: a bar, plain lines, or lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from ntkspec.cli.streams import say
from ntkspec.files.text import printable
from ntkspec.jobs.progress import Observer, Progress

__all__ = ["Watcher", "watching"]

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def watching(unit: str, *, as_json: bool = False) -> Iterator[Watcher]:
    """Yield an observer that shows progress in units (a name in the plural), as text or JSON."""
    if as_json:
        yield _JsonLines(unit)
    elif sys.stderr.isatty():
        with Live(console=Console(stderr=True)) as live:
            yield _Bar(unit, live)
    else:
        yield _Lines(unit)


class Watcher(Observer):
    """Common base: when to write, and the time left."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._start = self._last = time.monotonic()
        self._first: int | None = None
        self._written: Progress | None = None

    def count(self, done: int, total: int) -> None:
        """Show plain counts."""
        self.progress(Progress(done, total))

    def progress(self, state: Progress) -> None:
        """Write the state if due: every few seconds and at milestones."""
        now = time.monotonic()
        if self._first is None:
            self._first = state.done  # the work of earlier runs does not count for the speed
        is_new_milestone = state.is_milestone and state != self._written
        if is_new_milestone or now - self._last >= SECONDS_BETWEEN_LINES:
            self._last, self._written = now, state
            self.write(state, max(now - self._start, 1e-9))

    def write(self, state: Progress, seconds: float) -> None:
        """Write the state after some seconds of work."""
        raise NotImplementedError

    def seconds_left(self, state: Progress, seconds: float) -> float | None:
        """Estimate of the time left; None before anything is done."""
        done = state.done - (self._first or 0)
        return seconds * (state.total - state.done) / done if done > 0 else None


class _Lines(Watcher):
    """A line of text every few seconds, if it is not the last one again."""

    _said = ""

    def write(self, state: Progress, seconds: float) -> None:
        left = self.seconds_left(state, seconds)
        minutes, rest = divmod(round(left or 0), 60)
        parts = (
            state.label or f"{state.done}/{state.total} {self.unit}",
            state.details(seconds),
            f"{minutes}:{rest:02d} left" if left else "",
        )
        line = ", ".join(filter(None, parts))
        if line != self._said:
            say(line, err=True)
        self._said = line

    def note(self, event: str, message: str, **facts: Any) -> None:
        say(message, err=True)


class _JsonLines(Watcher):
    """One JSON object per line."""

    def write(self, state: Progress, seconds: float) -> None:
        left = self.seconds_left(state, seconds)
        self._write("progress", **state.facts(seconds), seconds_left=left)

    def note(self, event: str, message: str, **facts: Any) -> None:
        self._write(event, message=message, **facts)

    def _write(self, event: str, **facts: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        say(json.dumps({"time": now, "event": event, **facts}), err=True)


class _Bar(Watcher):
    """A bar on a terminal, details below it and messages above."""

    def __init__(self, unit: str, live: Live) -> None:
        super().__init__(unit)
        self._live = live
        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn("left"), console=live.console, expand=True,
        )  # fmt: skip
        self._task = self._bar.add_task(unit, total=None)

    def progress(self, state: Progress) -> None:
        label = state.label or self.unit
        self._bar.update(self._task, completed=state.done, total=state.total, description=label)
        details = state.details(max(time.monotonic() - self._start, 1e-9))
        self._live.update(Group(self._bar, Text(details)) if details else self._bar)

    def note(self, event: str, message: str, **facts: Any) -> None:
        self._live.console.print(printable(message), highlight=False, markup=False)
