"""What a person, or a program, sees of a running sweep."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ntkspec.cli.streams import say
from ntkspec.cli.terminal import SECONDS_BETWEEN_LINES, Meter
from ntkspec.sweeps.progress import Observer, Progress

__all__ = ["JsonLog", "watching"]


class JsonLog:
    """Events on the standard error stream, an object a line."""

    def write(self, event: str, **facts: Any) -> None:
        """Write what happened, and when."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        say(json.dumps({"time": now, "event": event, **facts}), err=True)


@contextmanager
def watching(unit: str, *, as_json: bool) -> Iterator[Observer]:
    """Give an observer that shows a bar or plain lines, or writes lines of JSON."""
    if as_json:
        yield _JsonLines()
        return
    with Meter(unit) as meter:
        yield _Person(meter)


class _Person(Observer):
    """A bar or plain lines, and sentences."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def progress(self, state: Progress) -> None:
        """Move the bar."""
        self._meter(state.done, state.total, state.eigenvalues, state.retried)

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Print the sentence above the bar."""
        self._meter.say(message)


class _JsonLines(Observer):
    """An object a line on the standard error stream."""

    def __init__(self) -> None:
        self._log = JsonLog()
        self._start = time.monotonic()
        self._last = -SECONDS_BETWEEN_LINES
        self._first: int | None = None

    def progress(self, state: Progress) -> None:
        """Write how far it is, every few seconds and at the end."""
        if self._first is None:
            self._first = state.done
        spent = time.monotonic() - self._start
        if state.done < state.total and spent - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = spent
        done = state.done - self._first
        self._log.write(
            "progress",
            done=state.done,
            total=state.total,
            eigenvalues=state.eigenvalues,
            eigenvalues_per_second=state.eigenvalues / spent if spent else 0.0,
            seconds_left=spent * (state.total - state.done) / done if done else None,
            retried=state.retried,
        )

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Write what happened."""
        self._log.write(event, message=message, **facts)
