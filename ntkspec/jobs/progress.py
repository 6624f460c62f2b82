"""Progress of a job, and the observer that receives it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from ntkspec.files.text import printable

__all__ = ["Observer", "Progress"]

logger = logging.getLogger("ntkspec.jobs")


@dataclass(frozen=True)
class Progress:
    """How much of a job is done, in units of work.

    Examples
    --------
    >>> Progress(3, 12).is_milestone
    False
    """

    done: int
    total: int

    @property
    def is_milestone(self) -> bool:
        """Whether to report this state even if the last report was a moment ago."""
        return self.done == self.total

    @property
    def label(self) -> str:
        """The current item of work; empty if the counts suffice."""
        return ""

    def details(self, seconds: float) -> str:
        """Further details for people, after some seconds of work."""
        return ""

    def facts(self, seconds: float) -> dict[str, Any]:
        """Return the fields for a JSON log."""
        return {"done": self.done, "total": self.total}


class Observer:
    """Receives the progress and the events of a sweep or a training.

    This one sends events to the logger "ntkspec.jobs" and ignores progress.  Subclasses override
    either method.

    Examples
    --------
    >>> class Mine(Observer):
    ...     def note(self, event, message, **facts):
    ...         print(event)
    >>> Mine().note("damaged", "a block is damaged")
    damaged
    """

    def progress(self, state: Any) -> None:
        """Receive a `Progress`: after each task of a sweep, several times a second in training."""

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Receive an event.

        Parameters
        ----------
        event : str
            "cluster", "damaged", "diverged", "lost", "resumed", "retry", "waiting", ....
        message : str
            Message for people.
        **facts
            The same information for programs.
        """
        level = logging.INFO if event in ("cluster", "resumed") else logging.WARNING
        logger.log(level, "%s", printable(message))
