"""Widths, seeds, steps and time at which measured rates have a given accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.compare.kernels import components_at, functionals, infinite_kernel
from ntkspec.compare.predicted import late_rate
from ntkspec.compare.scatter.networks import exact_rates, own_rates
from ntkspec.compare.scatter.planning import Choice, choices
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network, as_network
from ntkspec.parameters import duration, number, whole_number
from ntkspec.results import Tabular
from ntkspec.trainer.front import PDE, KernelPower, Sobolev, as_problem
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.network import is_shallow
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import AnyLoss, LossRecipe, MemberKey
from ntkspec.trainer.runs.estimate import estimate_cost
from ntkspec.trainer.targets import SampledTarget, Target

__all__ = ["TrainingPlan", "plan"]

Array = NDArray[np.float64]

ACCURACY = 0.03
#: Largest rate of a degree of the target: the records of a faster one are too few for a fit.
FASTEST = 0.2
#: Part of a component that is left at the end: the window in which a rate is fitted ends there.
LEFT = 0.08
MOST_STEPS = 10**7
RECORDS = 201
#: Widths and numbers of the random networks whose own kernels give the bias, and the scatter where
#: it has no formula.
WIDTHS, NETWORKS = (256, 1024), 50
#: Largest width at which steps are timed.
TIMED = 1024


@dataclass(frozen=True, eq=False, repr=False)
class TrainingPlan(Tabular):
    """Widths and seeds that give an accuracy, and what they cost.

    Attributes
    ----------
    network : Network
    accuracy : float
        Two standard errors of the mean over the seeds and the bias, relative to the rate.
    degrees : (K,) tuple of int
        Of the target.
    rates : (K,) ndarray of float64
        At infinite width on the points; 0 for degrees that are not learned.
    relative_variances : (K,) ndarray of float64
        Of the rates, times the width; NaN for degrees that measure no rate.
    bias : (K,) ndarray of float64
        Relative bias of the rates, times the width.
    source : {"exact", "random networks"}
        Of the variances.
    step_size : float
    steps : int
        Until the slowest degree has fallen to 8 %.
    options : list of Choice
        Widths and seeds, the cheapest first.
    seconds : (C,) ndarray of float64
        Time of each, from steps and records measured on this machine.

    Examples
    --------
    >>> import ntkspec
    >>> found = plan("relu", ntkspec.circle(32), ntkspec.harmonics([2, 4], 0.05), accuracy=0.1)
    >>> found.source, found.steps, 100 < found.width < 3000
    ('exact', 89, True)
    """

    network: Network
    accuracy: float
    degrees: tuple[int, ...]
    rates: Array
    relative_variances: Array
    bias: Array
    source: Literal["exact", "random networks"]
    step_size: float
    steps: int
    options: list[Choice]
    seconds: Array

    @property
    def width(self) -> int:
        """Width of the cheapest choice."""
        return self.options[0].width

    @property
    def seeds(self) -> int:
        """Number of seeds of the cheapest choice."""
        return self.options[0].seeds

    def title(self) -> str:
        """Return one line on the plan."""
        has_rate = ~np.isnan(self.relative_variances)
        kept, without = (
            ", ".join(
                str(k) for k, one in zip(self.degrees, has_rate, strict=True) if one == chosen
            )
            for chosen in (True, False)
        )
        return (
            f"TrainingPlan({self.accuracy:.2g} for degrees {kept}: {self.steps} steps of size "
            f"{self.step_size:.4g}{f'; no rate of {without}' * bool(without)})"
        )

    def columns(self) -> dict[str, Sequence[Any] | NDArray[Any]]:
        """Return the columns: a row for each choice."""
        return {
            "width": [one.width for one in self.options],
            "seeds": [one.seeds for one in self.options],
            "steps": [self.steps] * len(self.options),
            "seconds": self.seconds,
        }

    def summary(self) -> dict[str, Sequence[Any] | NDArray[Any]]:
        """Return the columns that are shown, with times in readable units."""
        shown = dict(self.columns())
        seconds = shown.pop("seconds")
        return {**shown, "time": [duration(float(one)) for one in seconds]}

    def _notes(self) -> list[str]:
        """Return what the plan leaves out."""
        return [
            "without the movement of the kernels in training: make the target small, the smaller "
            "the slower its slowest degree"
        ]


def plan(
    network: Network | str,
    data: Points | ArrayLike,
    target: Target | ArrayLike | Callable[[Array], ArrayLike],
    *,
    accuracy: float = ACCURACY,
    loss: Sobolev | KernelPower | PDE | Literal["l2"] = "l2",
    step_size: float | None = None,
    steps: int | None = None,
    threads: int | None = None,
) -> TrainingPlan:
    """Plan a training whose measured rates are to have an accuracy.

    Parameters
    ----------
    network, data, target
        As for `ntkspec.train`.
    accuracy : float
        Two standard errors of the mean rate over the seeds, and its bias, relative to the rate.
    loss : Sobolev, KernelPower, PDE or "l2"
    step_size : float, optional
        By default half of the largest stable one at infinite width, or less, so that no degree of
        the target loses more than a fifth in a step, which its records could not show.
    steps : int, optional
        By default so many that the slowest degree of the target falls to 8 %.
    threads : int, optional
        Of the training.

    Returns
    -------
    TrainingPlan

    Raises
    ------
    NtkspecError
        If something is not allowed, the target has no known degrees, or none is learned.

    Notes
    -----
    With one hidden layer and no bias the scatter is exact at first order
    (`ntkspec.compare.scatter`); else it is that of 50 random networks' own kernels at two widths,
    of which the larger one is taken.  The bias is theirs in both cases.  Each of these kernels
    takes an eigendecomposition, whose time grows as the cube of the number of points: up to 1000
    points it is seconds, and with 3000 minutes.

    That kernels move in training is not included: it depends on the size of the target.  Make the
    target small, the smaller the slower its slowest degree; `compare` says when movement mattered.

    Examples
    --------
    >>> import ntkspec
    >>> found = plan("tanh", ntkspec.circle(32), ntkspec.harmonics([1, 3], 0.05), accuracy=0.1)
    >>> found.degrees, found.relative_variances.round(1)
    ((1, 3), array([1.8, 1.3]))
    """
    network = as_network(network)
    wanted = number(accuracy, "accuracy", 1e-6, 10.0)
    problem = as_problem(network, data, target, loss)
    points, chosen, recipe = problem.points, problem.target, problem.recipe.loss
    if step_size is not None:
        step_size = number(step_size, "step_size", 1e-100, 1e100)
    if steps is not None:
        steps = whole_number(steps, "steps", 1, MOST_STEPS)
    by_degree = recipe.weight != "kernel" and points.on_sphere
    single = len(recipe.exponents) == 1 and recipe.exponents[0] != "auto"
    if not single or not (by_degree or isinstance(chosen, Target)):
        raise NtkspecError(
            f"loss = {loss!r:.60} is not allowed in a plan of these points and this target; give "
            "'l2', ntkspec.Sobolev(s) or ntkspec.PDE(operator) on the sphere, or a sum of harmonics"
        )
    kernel = infinite_kernel(network, recipe, points)
    (s,) = recipe.exponents
    loss_at = recipe.at(points, None if s == "l2" else float(s), network)
    training = LinearTraining(kernel, loss_factor(loss_at.matrix()))
    observed = recipe.observed(chosen, points.dim)
    parts = components_at(observed, points)
    rows = functionals(parts, points, len(kernel))
    starts = dict(parts)
    if isinstance(chosen, Target):
        for k in parts:
            only = Target(term for term in chosen.terms if term.degree == k)
            starts[k] = recipe.observations(only, points)

    late = np.unique(np.r_[0.0, np.rint(np.geomspace(1.0, MOST_STEPS, 600))])

    def alone(size: float) -> Array:
        """Rate of each degree's component alone: others leak into it later.

        0 if it does not fall by a quarter in ten million steps.
        """
        curves = [
            training.amplitudes(size, late, starts[k], row[np.newaxis])[:, 0]
            for k, row in zip(parts, rows, strict=True)
        ]
        return np.array([late_rate(late, curve) for curve in curves])

    most = 2.0 / float(training.eigenvalues.max())
    if step_size is not None and step_size >= most:
        raise NtkspecError(
            f"step_size = {step_size:g} is not allowed; at infinite width it must be below "
            f"{most:.3g}, 2 over the largest eigenvalue of K P"
        )
    size = 0.5 * most if step_size is None else step_size
    rates = alone(size)
    if step_size is None and rates.max() > FASTEST:
        size *= FASTEST / float(rates.max())
        rates = alone(size)
    learned = rates[rates > 0.0]
    if not learned.size:
        raise NtkspecError("no degree of the target is learned by this network")
    count = steps or math.ceil(math.log(LEFT) / math.log1p(-min(learned.min(), 0.9)))
    if count > MOST_STEPS:
        raise NtkspecError(
            f"the slowest degree, of rate {learned.min():.2g}, takes {count:.2g} steps; leave it "
            "out, or give steps"
        )
    records = np.rint(np.geomspace(1.0, count, RECORDS)).astype(np.int64)
    records = np.unique(np.r_[np.arange(min(count, 20) + 1), records])
    variances, bias, source = _scatter(network, points, chosen, recipe, loss_at, size, records)
    if np.isnan(variances).all():
        raise NtkspecError(
            f"{count} steps of size {size:.3g} are too few to measure a rate; give more, or leave "
            "steps out"
        )
    options = choices(variances, wanted, antisymmetric=False, bias=bias)
    if is_shallow(network.program):  # half of the neurons are drawn independently
        options = [Choice(one.width + one.width % 2, one.seeds) for one in options]
    problem = replace(problem, recipe=replace(problem.recipe, steps=count, records=0))
    power = 1 if is_shallow(network.program) else 2
    seconds = []
    for one in options:
        width = min(one.width, TIMED)
        cost = estimate_cost(problem, MemberKey(s, width, 0), threads)
        seconds.append(one.seeds * cost.whole * (one.width / width) ** power)
    order = np.argsort(seconds, kind="stable")
    return TrainingPlan(
        network, wanted, tuple(parts), rates, variances, bias, source, size, count,
        [options[i] for i in order], np.array(seconds)[order],
    )  # fmt: skip


def _scatter(
    network: Network,
    points: Points,
    target: Target | SampledTarget,
    recipe: LossRecipe,
    loss: AnyLoss,
    size: float,
    records: NDArray[np.int64],
) -> tuple[Array, Array, Literal["exact", "random networks"]]:
    """Relative variances and biases of the measured rates, both times the width."""
    exact = None if recipe.operator else exact_rates(network, target, points, loss, size, records)
    if exact is not None and len(exact.degrees) != len(target.degrees):
        exact = None
    found = {
        width: own_rates(
            network, points, target, width, size, records,
            loss=loss, recipe=recipe, networks=NETWORKS,
        ) for width in (WIDTHS if exact is None else WIDTHS[-1:])
    }  # fmt: skip
    bias = np.nan_to_num(found[WIDTHS[-1]].bias) * WIDTHS[-1]
    if exact is not None:
        return 2.0 * exact.relative_variances, bias, "exact"
    variances = [one.deviations**2 * width for width, one in found.items()]
    return np.fmax(*variances), bias, "random networks"
