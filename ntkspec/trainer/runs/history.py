"""How the residual of a run's trainings fell, as columns and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.results import Tabular, axes_to_draw, style_of
from ntkspec.trainer.waves import frequencies_to

if TYPE_CHECKING:
    from ntkspec.trainer.runs.file import Run
    from ntkspec.trainer.runs.problem import Problem

__all__ = ["History", "degree_name", "part_name", "plural"]


#: Most degrees that are drawn.
MOST_DRAWN = 10
#: Least energy, over that of the start, that is drawn.
LOWEST = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class History(Tabular):
    """Energy of the residual at each degree of the target, at the recorded steps.

    For a target along eigenvectors their ranks stand for the degrees.

    Attributes
    ----------
    run : Run

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> found = open_run(run_path).history
    >>> found.title()
    'History(2 trainings, 2 degrees)'
    >>> list(found.columns())
    ['loss', 'width', 'seed', 'step', 'value', 'degree', 'energy']
    """

    run: Run

    def title(self) -> str:
        """Return one line on what the history has."""
        count, parts = len(self.run.members), len(self.run.target.degrees)
        by = " by Adam, not predicted" * (self.run.recipe.optimizer.name == "adam")
        part = self.run.target.part if parts == 1 else plural(self.run.target.part)
        return f"History({count} training{'s' * (count != 1)}{by}, {parts} {part})"

    def columns(self) -> dict[str, Sequence[Any] | NDArray[Any]]:
        """Return the columns: a row for each training, recorded step and degree of the target.

        loss is its name, value the loss at the step, and energy the squared norm of the residual's
        component of the degree.
        """
        run = self.run
        degrees = np.array(run.target.degrees, dtype=np.int64)
        steps, at = [one.steps for one in run.members], np.searchsorted(run.degrees, degrees)
        counts = [degrees.size * one.size for one in steps]
        losses = np.array([one.name.partition(",")[0] for one in run.members])
        return {
            "loss": np.repeat(losses, counts).tolist(),
            "width": np.repeat([one.width for one in run.members], counts),
            "seed": np.repeat([one.seed for one in run.members], counts),
            "step": np.repeat(np.concatenate(steps), degrees.size),
            "value": np.repeat(np.concatenate([one.loss for one in run.members]), degrees.size),
            "degree": np.tile(degrees, sum(one.size for one in steps)),
            "energy": np.concatenate([one.energy[:, at].ravel() for one in run.members]),
        }

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the energies over those of the start against the steps, a line for each degree.

        Of the degrees those of the ten largest components are drawn.
        In the axes given or the current ones, by `matplotlib.axes.Axes.plot` with the style given;
        returns the axes.  Trainings of one degree have one color.
        """
        ax, run = axes_to_draw(ax), self.run
        sizes = np.argsort(-np.array(run.target.amplitudes), kind="stable")[:MOST_DRAWN]
        for number, place in enumerate(sorted(sizes.tolist())):
            degree = run.target.degrees[place]
            column = int(np.searchsorted(run.degrees, degree))
            for first, member in enumerate(run.members):
                with np.errstate(invalid="ignore", divide="ignore"):
                    left = member.energy[:, column] / member.energy[0, column]
                label = part_name(run, degree) if first == 0 else None
                line = {"linewidth": 1.2, "marker": "none", "label": label, **style}
                ax.plot(member.steps, left, **style_of(number, line))
        ax.set_yscale("log")
        ax.set_ylim(bottom=max(ax.get_ylim()[0], LOWEST))
        ax.set_xlabel("step")
        ax.set_ylabel("energy of the residual / at the start")
        if run.target.degrees and run.members:
            ax.legend()
        return ax


def plural(part: str) -> str:
    """Several of what a target's parts are.

    Examples
    --------
    >>> plural("degree"), plural("frequency")
    ('degrees', 'frequencies')
    """
    return "frequencies" if part == "frequency" else f"{part}s"


def degree_name(run: Problem, degree: int) -> str:
    """The degree, or on a torus of several dimensions the frequency vector of this number.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> degree_name(open_run(run_path), 3)
    '3'
    """
    features = run.points.features
    if features is None or features.dim == 1 or run.target.part != "frequency":
        return str(degree)
    return str(tuple(frequencies_to(features.dim, degree)[degree].tolist()))


def part_name(run: Problem, degree: int) -> str:
    """What a part of a run's target is, and which.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> part_name(open_run(run_path), 3)
    'degree 3'
    """
    return f"{run.target.part} {degree_name(run, degree)}"
