"""Progress of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ntkspec.jobs.progress import Progress

__all__ = ["TrainingProgress"]

#: Number of energies shown, of the lowest degrees of the target.
MOST_ENERGIES = 6


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """How much of a run is done.

    Attributes
    ----------
    done, total : int
        Steps of all members.
    member : str
        Name of the member in training.
    number, members : int
        Its number, from 1, and the number of members.
    step, steps : int
        Of this member.
    loss : float
    energy : mapping of int to float
        Energy of the residual at each degree of the target, as last recorded.

    Examples
    --------
    >>> from ntkspec.trainer.runs import Observer, train_run
    >>> class Mine(Observer):
    ...     def progress(self, state):
    ...         self.last = state
    >>> mine = Mine()
    >>> _ = train_run(run_recipe_path, folder / "run.h5", observer=mine)
    >>> mine.last.label, mine.last.step
    ('s=1,width=64,seed=0 (2/2)', 20)
    """

    member: str
    number: int
    members: int
    step: int
    steps: int
    loss: float
    energy: Mapping[int, float]

    @property
    def is_milestone(self) -> bool:
        """Whether the member is at its last step."""
        return self.step == self.steps

    @property
    def label(self) -> str:
        """The member and its number."""
        return f"{self.member} ({self.number}/{self.members})"

    def details(self, seconds: float) -> str:
        """Step, loss and the energy at each degree of the target."""
        shown = list(self.energy.items())[:MOST_ENERGIES]
        energies = "  ".join(f"{degree}: {value:.1e}" for degree, value in shown)
        more = " ..." if len(self.energy) > MOST_ENERGIES else ""
        return f"step {self.step}/{self.steps}, loss {self.loss:.3e}, energy {energies}{more}"

    def facts(self, seconds: float) -> dict[str, Any]:
        """Return the fields for a JSON log."""
        energy = {str(degree): value for degree, value in self.energy.items()}
        return super().facts(seconds) | {
            "member": self.member, "step": self.step, "steps": self.steps, "loss": self.loss,
            "energy": energy,
        }  # fmt: skip
