"""Estimate of the time of a run, from single steps of its networks."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ntkspec.threads import checked_threads
from ntkspec.trainer.network import FiniteNetwork
from ntkspec.trainer.points import Points
from ntkspec.trainer.recipe import AnyLoss, MemberKey, OptimizerRecipe
from ntkspec.trainer.runs.problem import Problem, start_network
from ntkspec.trainer.steps import steps_at

__all__ = ["Cost", "estimate_cost"]

#: Measurements of a step, after a first one that is ignored.
TIMES = 3
#: Step size that moves nothing; BLAS does not multiply by 0.
TINY = 1e-30


@dataclass(frozen=True)
class Cost:
    """Time of a member in seconds: of a step, of a record, and of all steps and records."""

    step: float
    record: float
    whole: float


def estimate_cost(problem: Problem, key: MemberKey, threads: int | None = None) -> Cost:
    """Estimate the time of a member by measuring a few steps on this machine.

    One-time costs are ignored: the largest stable step and the movement of the kernel.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run
    >>> run = open_run(run_path)
    >>> cost = estimate_cost(run, run.recipe.members[0])
    >>> 0.0 < cost.step < cost.whole < 1.0
    True
    """
    recipe, points, zero = problem.recipe, problem.points, np.zeros(problem.points.n)
    network = start_network(recipe, points.dim, key.width, key.seed)
    exponent = None if key.exponent == "l2" else 0.0  # all s cost the same
    loss = recipe.loss.at(points, exponent, network.network)

    def record() -> None:
        on_grid = network.values(problem.grid.x, threads)
        for measure, residual in ((problem.on_points, zero), (problem.on_grid, on_grid)):
            measure.energy(residual)
            measure.amplitude(residual)

    a_step = _step_seconds(recipe.loss.of(network, points), points, loss, threads, recipe.optimizer)
    a_record = _shortest(record)
    return Cost(a_step, a_record, recipe.steps * a_step + recipe.records * a_record)


def _step_seconds(
    network: FiniteNetwork,
    points: Points,
    loss: AnyLoss,
    threads: int | None,
    optimizer: OptimizerRecipe,
) -> float:
    """Measure the time of a step, with the loss at all points."""
    x = points.x[: optimizer.batch].astype(network.dtype)
    steps = steps_at(network, x, checked_threads(threads), optimizer.momentum, optimizer.adam)
    zero, some = np.zeros(network.observations(points.n)), np.zeros(network.observations(len(x)))

    def step() -> None:
        steps.step(some, TINY)
        loss.apply(zero)

    return _shortest(step)


def _shortest(work: Callable[[], None]) -> float:
    """Shortest of a few measurements, in seconds."""
    work()  # may compile
    return min(timeit.repeat(work, number=1, repeat=TIMES))
