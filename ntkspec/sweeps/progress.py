"""Progress of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
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
    checks, all_checks : int
        Checks done and planned; 0 until the blocks are done.
    check_seconds : float
        Predicted processor time of the checks that are left.

    Examples
    --------
    >>> from ntkspec.sweeps import Observer, run_shard
    >>> class Mine(Observer):
    ...     def progress(self, state):
    ...         self.last = state
    >>> mine = Mine()
    >>> _ = run_shard(recipe_path, folder / "t.h5", "1/1", observer=mine)
    >>> mine.last.done, mine.last.total, mine.last.eigenvalues, mine.last.checks
    (1, 1, 10, 0)
    """

    eigenvalues: int
    retried: int
    checks: int = 0
    all_checks: int = 0
    check_seconds: float = 0.0

    def details(self, seconds: float) -> str:
        """Eigenvalues a second, checks and their time, and repeated tasks."""
        speed = f"{self.eigenvalues / seconds:.3g} eigenvalues/s" if self.eigenvalues else ""
        checks = f"{self.checks} of {self.all_checks} checks" if self.all_checks else ""
        if self.check_seconds >= 1.0:
            checks += f" (about {self.check_seconds:.0f} s of processor time left)"
        retried = f"{self.retried} retried" if self.retried else ""
        return ", ".join(filter(None, (speed, checks, retried)))

    def facts(self, seconds: float) -> dict[str, Any]:
        """Return the fields for a JSON log."""
        return super().facts(seconds) | {
            "eigenvalues": self.eigenvalues,
            "eigenvalues_per_second": self.eigenvalues / seconds,
            "retried": self.retried,
            "checks": self.checks,
            "all_checks": self.all_checks,
            "check_seconds": self.check_seconds,
        }


class Tally:
    """Counts the tasks of a sweep and reports them to its observer."""

    def __init__(self, observer: Observer, total: int) -> None:
        self.observer = observer
        self._done, self._total, self._eigenvalues, self._retried = 0, total, 0, 0
        self._checks = 0
        self._check_times: list[float] = []
        self.report()

    def report(self) -> None:
        """Report the counts."""
        state = SweepProgress(
            self._done, self._total, self._eigenvalues, self._retried,
            self._checks, len(self._check_times), sum(self._check_times[self._checks :]),
        )  # fmt: skip
        self.observer.progress(state)

    def expect_checks(self, seconds: Sequence[float]) -> None:
        """Add checks with their predicted times."""
        self._total += len(seconds)
        self._check_times = list(seconds)
        self._checks = 0

    def checked(self) -> None:
        """Count a check as done."""
        self._checks += 1
        self.done()

    def done(self, eigenvalues: int = 0) -> None:
        """Count a task as done, with the eigenvalues that it computed."""
        self._done += 1
        self._eigenvalues += eigenvalues
        self.report()

    def retried(self, tasks: int) -> None:
        """Count tasks that are repeated."""
        self._retried += tasks
        self.report()
