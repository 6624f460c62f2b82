"""What a sweep tells while it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from ntkspec.files.text import printable

__all__ = ["Observer", "Progress", "Tally"]


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes
    ----------
    done, total : int
        Blocks and checks.
    eigenvalues : int
        Computed by this run.
    retried : int
        Tasks that failed, or whose worker did, and were given out again.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... dims = [2, 3]
    ... degrees = "0:5"
    ... checks = {samples = 0}
    ... networks = [{activation = "relu"}]
    ... '''
    >>> _ = (folder / "r.toml").write_text(text)
    >>> from ntkspec.sweeps import Observer, run_shard
    >>> class Mine(Observer):
    ...     def progress(self, state):
    ...         self.last = state
    >>> mine = Mine()
    >>> _ = run_shard(folder / "r.toml", folder / "t.h5", "1/1", observer=mine)
    >>> mine.last.done, mine.last.total
    (1, 1)
    """

    done: int
    total: int
    eigenvalues: int
    retried: int


class Observer:
    """Hears how a sweep goes.  This one prints what a person should know, and no progress.

    Examples
    --------
    >>> class Mine(Observer):
    ...     def note(self, event, message, **facts):
    ...         print(event)
    >>> Mine().note("begin", "a sweep begins")
    begin
    """

    def progress(self, state: Progress) -> None:
        """After each task, and every few seconds."""

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Something happened: "cluster", "damaged", "lost", "retry", "waiting", ....

        Parameters
        ----------
        event : str
        message : str
            The same in a sentence.
        **facts
            What it was, for machines.
        """
        if event != "cluster":
            print(printable(message), file=sys.stderr)


class Tally:
    """Counts for an observer."""

    def __init__(self, observer: Observer, total: int) -> None:
        self.observer = observer
        self._done, self._total, self._eigenvalues, self._retried = 0, total, 0, 0
        self.show()

    def show(self) -> None:
        """Tell how far it is."""
        state = Progress(self._done, self._total, self._eigenvalues, self._retried)
        self.observer.progress(state)

    def more(self, tasks: int) -> None:
        """Tasks found on the way."""
        self._total += tasks

    def done(self, eigenvalues: int = 0) -> None:
        """One task is done, and computed so many eigenvalues."""
        self._done += 1
        self._eigenvalues += eigenvalues
        self.show()

    def retried(self, tasks: int) -> None:
        """Some tasks are given out again."""
        self._retried += tasks
        self.show()
