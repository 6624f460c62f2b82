"""Progress of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ntkspec.jobs.progress import Observer, Progress

__all__ = ["SweepProgress", "Tally"]


@dataclass(frozen=True)
class SweepProgress(Progress):
    """How much of a sweep is done.

    Attributes
    ----------
    done, total : int
        Blocks and checks.
    eigenvalues : int
        Computed by this process and its workers.
    retried : int
        Tasks repeated because they or their worker failed.

    Examples
    --------
    >>> from ntkspec.sweeps import Observer, run_shard
    >>> class Mine(Observer):
    ...     def progress(self, state):
    ...         self.last = state
    >>> mine = Mine()
    >>> _ = run_shard(recipe_path, folder / "t.h5", "1/1", observer=mine)
    >>> mine.last
    SweepProgress(done=1, total=1, eigenvalues=10, retried=0)
    """

    eigenvalues: int
    retried: int

    def details(self, seconds: float) -> str:
        """Eigenvalues a second, and repeated tasks."""
        speed = f"{self.eigenvalues / seconds:.3g} eigenvalues/s" if self.eigenvalues else ""
        return ", ".join(filter(None, (speed, f"{self.retried} retried" if self.retried else "")))

    def facts(self, seconds: float) -> dict[str, Any]:
        """Return the fields for a JSON log."""
        return super().facts(seconds) | {
            "eigenvalues": self.eigenvalues,
            "eigenvalues_per_second": self.eigenvalues / seconds,
            "retried": self.retried,
        }


class Tally:
    """Counts the tasks of a sweep and reports them to its observer."""

    def __init__(self, observer: Observer, total: int) -> None:
        self.observer = observer
        self._done, self._total, self._eigenvalues, self._retried = 0, total, 0, 0
        self.report()

    def report(self) -> None:
        """Report the counts."""
        state = SweepProgress(self._done, self._total, self._eigenvalues, self._retried)
        self.observer.progress(state)

    def more(self, tasks: int) -> None:
        """Add tasks that were found during the sweep."""
        self._total += tasks

    def done(self, eigenvalues: int = 0) -> None:
        """Count a task as done, with the eigenvalues that it computed."""
        self._done += 1
        self._eigenvalues += eigenvalues
        self.report()

    def retried(self, tasks: int) -> None:
        """Count tasks that are repeated."""
        self._retried += tasks
        self.report()
