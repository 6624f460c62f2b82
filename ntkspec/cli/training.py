"""What a person, or a program, sees of a run that trains."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ntkspec.cli.streams import say
from ntkspec.cli.terminal import SECONDS_BETWEEN_LINES, time_left
from ntkspec.cli.watchers import JsonLog
from ntkspec.files.text import printable
from ntkspec.trainer.runs import Observer, TrainingProgress

__all__ = ["watching_training"]

#: Energies shown at once: of the lowest degrees of the target.
MOST_ENERGIES = 6


@contextmanager
def watching_training(*, as_json: bool) -> Iterator[Observer]:
    """Give an observer that shows a bar or plain lines, or writes lines of JSON."""
    if as_json:
        yield _JsonLines()
    elif sys.stderr.isatty():
        bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), TimeRemainingColumn(),
            TextColumn("left"), console=Console(stderr=True), expand=True,
        )  # fmt: skip
        with Live(console=bar.console) as live:
            yield _Bar(bar, live)
    else:
        yield _Lines()


class _Bar(Observer):
    """A bar on a terminal, step, loss and energies below it, and sentences above."""

    def __init__(self, bar: Progress, live: Live) -> None:
        self._bar, self._live = bar, live
        self._task = bar.add_task("", total=None)

    def progress(self, state: TrainingProgress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task, completed=state.done, total=state.total,
            description=f"{state.member} ({state.number}/{state.members})",
        )  # fmt: skip
        self._live.update(Group(self._bar, Text(_facts(state))))

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Print the sentence."""
        self._live.console.print(printable(message), highlight=False, markup=False)


class _Every:
    """Says every few seconds, and at the end of each member, that it is time for a line."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self._last = self.start
        self._first: int | None = None

    def is_time(self, state: TrainingProgress) -> bool:
        """Whether a line is due."""
        now = time.monotonic()
        if self._first is None:
            self._first = state.done  # what an earlier run had done says nothing of the speed
        if state.step < state.steps and now - self._last < SECONDS_BETWEEN_LINES:
            return False
        self._last = now
        return True

    def speed(self, state: TrainingProgress) -> tuple[int, float]:
        """Steps done by this run, and the seconds that they took."""
        return state.done - (self._first or 0), time.monotonic() - self.start


class _Lines(Observer):
    """A line every few seconds on the standard error stream."""

    def __init__(self) -> None:
        self._every = _Every()

    def progress(self, state: TrainingProgress) -> None:
        """Print how far it is."""
        if not self._every.is_time(state):
            return
        done, seconds = self._every.speed(state)
        left = time_left(done, state.total - state.done, seconds)
        where = f"{state.member} ({state.number}/{state.members})"
        say(", ".join(filter(None, (where, _facts(state), left))), err=True)


class _JsonLines(Observer):
    """An object a line on the standard error stream."""

    def __init__(self) -> None:
        self._log, self._every = JsonLog(), _Every()

    def progress(self, state: TrainingProgress) -> None:
        """Write how far it is."""
        if not self._every.is_time(state):
            return
        done, seconds = self._every.speed(state)
        self._log.write(
            "progress", member=state.member, step=state.step, steps=state.steps, loss=state.loss,
            energy={str(degree): value for degree, value in state.energy.items()},
            done=state.done, total=state.total,
            seconds_left=seconds * (state.total - state.done) / done if done else None,
        )  # fmt: skip

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Write what happened."""
        self._log.write(event, message=message, **facts)


def _facts(state: TrainingProgress) -> str:
    """Step, loss and the energy of each degree of the target."""
    shown = list(state.energy.items())[:MOST_ENERGIES]
    energies = "  ".join(f"{degree}: {value:.1e}" for degree, value in shown)
    more = " ..." if len(state.energy) > MOST_ENERGIES else ""
    return f"step {state.step}/{state.steps}, loss {state.loss:.3e}, energy {energies}{more}"
