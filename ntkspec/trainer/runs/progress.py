"""What a run tells while it trains."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Observer", "TrainingProgress"]


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run is.

    Attributes
    ----------
    member : str
        Name of the member that is trained.
    number, members : int
        Its place, from 1, among how many.
    step, steps : int
        Of this member.
    loss : float
    energy : mapping of int to float
        Energy of the residual at each degree of the target, as last recorded.
    done, total : int
        Steps of all members.
    """

    member: str
    number: int
    members: int
    step: int
    steps: int
    loss: float
    energy: Mapping[int, float]
    done: int
    total: int


class Observer:
    """Hears how a run goes.  This one prints what a person should know, and no progress."""

    def progress(self, state: TrainingProgress) -> None:
        """Several times a second."""

    def note(self, event: str, message: str, **facts: Any) -> None:
        """Something happened: "damaged", "diverged", "resumed", ....

        Parameters
        ----------
        event : str
        message : str
            The same in a sentence.
        **facts
            What it was, for machines.
        """
        print(message, file=sys.stderr)
