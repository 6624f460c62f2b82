"""What a run tells while it trains."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ntkspec.files.text import printable

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

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> text = '''
    ... steps = 20
    ... network = {activation = "relu", width = 64, seeds = 1}
    ... data = {kind = "circle", points = 16}
    ... target = {kind = "sine", degrees = [1, 2]}
    ... loss = {s = [0, 1]}
    ... '''
    >>> _ = (folder / "run.toml").write_text(text)
    >>> from ntkspec.trainer.runs import Observer, train_run
    >>> class Mine(Observer):
    ...     def progress(self, state):
    ...         self.last = state
    >>> mine = Mine()
    >>> _ = train_run(folder / "run.toml", folder / "run.h5", observer=mine)
    >>> type(mine.last).__name__
    'TrainingProgress'
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
    """Hears how a run goes.  This one prints what a person should know, and no progress.

    Examples
    --------
    >>> class Mine(Observer):
    ...     def note(self, event, message, **facts):
    ...         print(event)
    >>> Mine().note("begin", "a run begins")
    begin
    """

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
        print(printable(message), file=sys.stderr)
