"""Estimate of the time of a run, from single steps of its networks."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ntkspec.threads import checked_threads
from ntkspec.trainer.recipe import MemberKey
from ntkspec.trainer.runs.problem import Problem, start_network
from ntkspec.trainer.steps import steps_at

__all__ = ["TINY", "Cost", "estimate_cost"]

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
    recipe, points, zero = problem.recipe, problem.points, np.zeros(problem.observations.size)
    network = start_network(recipe, points.dim, key.width, key.seed)
    seen, batch = recipe.loss.of(network, points), recipe.optimizer.batch or points.n
    x = points.x[:batch].astype(network.dtype)
    steps = steps_at(
        seen, x, checked_threads(threads), recipe.optimizer.momentum, recipe.optimizer.adam
    )
    some = zero[: seen.observations(batch)]
    exponent = None if key.exponent == "l2" else 0.0  # all s cost the same
    loss = recipe.loss.at(points, exponent, network.network)

    def step() -> None:
        steps.step(some, TINY)
        loss.apply(zero)

    def record() -> None:
        problem.on_points.energy(zero[: points.n])
        problem.on_points.amplitude(zero[: points.n])
        residual = network.values(problem.grid.x, threads)
        problem.on_grid.energy(residual)
        problem.on_grid.amplitude(residual)

    a_step, a_record = _shortest(step), _shortest(record)
    return Cost(a_step, a_record, recipe.steps * a_step + recipe.records * a_record)


def _shortest(work: Callable[[], None]) -> float:
    """Shortest of a few measurements, in seconds."""
    work()  # may compile
    return min(timeit.repeat(work, number=1, repeat=TIMES))
