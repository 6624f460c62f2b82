"""Measured rates of each training, and those predicted for it at three levels.

The continuum's rate is eta lambda_k mu_k with the operator's eigenvalue.  On the n training points
the rate comes from the kernel matrix of infinite width, which mixes degrees (on equispaced points
of the circle it adds the degrees that alias).  At finite width it comes from the network's own
kernel matrix at its start.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.compare.boundary import boundary_training
from ntkspec.compare.kernels import (
    components_at,
    functionals,
    infinite_kernel,
    parts_of,
    symbols_of,
)
from ntkspec.compare.results import Curves
from ntkspec.compare.scatter.networks import exact_rates, own_rates
from ntkspec.errors import NtkspecError, TableError
from ntkspec.locks import cached_property
from ntkspec.opening import open_table
from ntkspec.tables import Table
from ntkspec.trainer.eigenvectors import EigenvectorTarget
from ntkspec.trainer.linear import LinearTraining, heavy_ball, loss_factor
from ntkspec.trainer.network import is_shallow
from ntkspec.trainer.rates import DecayRate, decay_rate
from ntkspec.trainer.recipe import AnyLoss

if TYPE_CHECKING:
    from ntkspec.trainer.runs import Member, Run

__all__ = ["ComparedMember", "NetworkAtStart", "Predictions", "Scatter", "late_rate"]

Array = NDArray[np.float64]

#: Smallest step size: the squares of rates must not underflow.
LEAST_STEP_SIZE = 1e-100
#: Why a rate is not predicted at any level.
NOT_ADAM = "Adam's rates are not predicted: it scales each coordinate of the gradient"
#: Most points for which kernel matrices are computed: their eigenvectors take n^3 operations.
MOST_POINTS = 8192
#: Steps up to which a rate is looked for that the run is too short to show.  A component that has
#: not fallen by a quarter by then counts as not decaying: later, rounding errors of zero
#: eigenvalues would show.
MOST_STEPS = 1e9
#: Width and number of the random networks that give the scatter where it has no formula, and most
#: points for which they do.
WIDTH, NETWORKS, FEW_POINTS = 256, 50, 512


@dataclass(frozen=True, eq=False)
class NetworkAtStart:
    """A finite network at its start: its own kernel matrix (n, n) and its values (n,).

    Examples
    --------
    >>> NetworkAtStart(np.eye(2), np.zeros(2)).kernel.shape
    (2, 2)
    """

    kernel: Array
    values: Array


@dataclass(frozen=True, eq=False)
class Scatter:
    """Relative variances (K,) of one network's rates times the width, and where they are from.

    NaN where they are not known.
    """

    variances: Array
    source: str

    def errors(self, width: int, seeds: int) -> Array:
        """(K,) relative standard errors of the mean over seeds."""
        return np.asarray(np.sqrt(self.variances / (width * seeds)))


@dataclass(frozen=True, eq=False)
class ComparedMember:
    """One training: its measured rates and those predicted for it, by degree of the target."""

    member: Member
    measured: list[DecayRate]
    grid: list[DecayRate]
    continuum: Array
    points: Array
    finite: Array
    curves: list[Curves]


class Predictions:
    """Predictions for the trainings of one run; trainings share decompositions.

    `degrees` are those of the target, `eigenvalues` and `errors`, (K,), the operator's eigenvalues
    of these degrees and bounds on their relative errors, from a table or computed.  `is_dense`
    tells whether the points are few enough for kernel matrices, `unpredicted` why nothing is
    predicted.
    """

    def __init__(self, run: Run, table: str | os.PathLike[str] | Table | None) -> None:
        self.run = run
        self._momentum = run.recipe.optimizer.momentum
        self._operator = run.recipe.operator
        parts = components_at(run.observed, run.points)
        self.degrees = list(parts)
        self.eigenvalues, self.errors = _eigenvalues(run, self.degrees, table)
        self.unpredicted = NOT_ADAM if run.recipe.optimizer.adam else ""
        self.is_dense = run.points.n <= MOST_POINTS and not self.unpredicted
        self._columns = np.searchsorted(run.degrees, self.degrees)
        self._functionals = functionals(parts, run.points, run.observations.size)
        self._losses: dict[float | None, tuple[AnyLoss, Array | None, LinearTraining | None]] = {}

    def compare_member(self, member: Member, start: NetworkAtStart | None) -> ComparedMember:
        """Measured and predicted rates of one training."""
        steps, step_size = member.steps, member.step_size
        if 0.0 < step_size < LEAST_STEP_SIZE:
            raise TableError(
                f"{self.run.path}: {member.name} has step_size = {step_size:g}, which is too small "
                f"to compare rates; the least is {LEAST_STEP_SIZE:g}"
            )
        amplitude = member.amplitude[:, self._columns]
        grid = member.grid_amplitude[:, self._columns]
        loss, factor, training = self._of_loss(member.s)
        continuum_curve, continuum = self._continuum(member, loss)
        ends = -self.run.observations, self._functionals
        points_curve, points = self._predict(member, training, *ends)
        own = None
        if start is not None and factor is not None:
            own = LinearTraining(start.kernel, factor)
            ends = start.values + ends[0], ends[1]
        finite_curve, finite = self._predict(member, own, *ends)
        with np.errstate(invalid="ignore", divide="ignore"):
            measured = amplitude / amplitude[0]
        curves = [
            Curves(
                [(steps, measured[:, j])], steps,
                continuum_curve[:, j], points_curve[:, j], finite_curve[:, j],
            )
            for j in range(len(self.degrees))
        ]  # fmt: skip
        return ComparedMember(
            member, _rates(steps, amplitude), _rates(steps, grid), continuum, points, finite, curves
        )

    def scatter(self, members: Sequence[Member], *, sampled: bool) -> Scatter:
        """Scatter of the rates of trainings with one loss, from random networks if need be.

        It is not known for residuals of differential equations, losses in the kernel's
        eigenvectors, weights on a sphere, momentum, batches and Adam.
        """
        run, optimizer = self.run, self.run.recipe.optimizer
        unknown = Scatter(np.full(len(self.degrees), np.nan), "")
        special = self._operator is not None or run.recipe.loss.weight == "kernel"
        special = special or run.recipe.network.network.weights == "sphere"
        if not members or special or self.unpredicted or optimizer.momentum or optimizer.batch:
            return unknown
        steps = max((one.steps for one in members), key=len)
        network, (loss, _, _) = run.recipe.network.network, self._of_loss(members[0].s)
        size = float(np.mean([one.step_size for one in members]))
        pairs = run.recipe.network.start == "zero" and is_shallow(network.program)
        if exact := exact_rates(network, run.observed, run.points, loss, size, steps):
            known = dict(zip(exact.degrees, exact.relative_variances, strict=True))
            found = np.array([known.get(k, np.nan) for k in self.degrees])
            return Scatter((2.0 if pairs else 1.0) * found, "exact")
        count = len(run.observed.degrees)
        if not sampled or run.points.n > FEW_POINTS or count != len(self.degrees):
            return unknown
        own = own_rates(
            network, run.points, run.observed, WIDTH, size, steps, loss=loss, networks=NETWORKS,
            antisymmetric=pairs,
        )  # fmt: skip
        return Scatter(own.deviations**2 * WIDTH, "random networks")

    def _continuum(self, member: Member, loss: AnyLoss) -> tuple[Array, Array]:
        """Amplitudes and rates from the operator's eigenvalues; with a boundary degrees mix."""
        recipe, operator = self.run.recipe.loss, self._operator
        if recipe.boundary:
            return self._predict(member, *boundary_training(self.run, self.degrees, loss))
        multipliers = loss.multiplier(self.degrees)
        if operator is not None:
            symbols = symbols_of(operator, self.run.points, self.degrees)
            multipliers = multipliers * np.abs(symbols) ** 2 + recipe.data_weight
        decrement = member.step_size * self.eigenvalues * multipliers
        if self.unpredicted:
            decrement = np.full(decrement.shape, np.nan)
        times = member.steps[:, np.newaxis].astype(np.float64)
        with np.errstate(over="ignore"):
            if self._momentum:
                left = 1.0 - heavy_ball(decrement, times, self._momentum)
                return left, _slow_rate(decrement, self._momentum)
            return (1.0 - decrement) ** times, decrement

    def _of_loss(self, s: float) -> tuple[AnyLoss, Array | None, LinearTraining | None]:
        """The loss with exponent s, NaN for L2, its factor, and training at infinite width."""
        exponent = None if math.isnan(s) else s
        if exponent not in self._losses:
            network = self.run.recipe.network.network
            loss = self.run.recipe.loss.at(self.run.points, exponent, network)
            factor = loss_factor(loss.matrix()) if self.is_dense else None
            # With weights on a sphere the kernel has no closed form; a residual's is a sum anyway.
            known = network.weights != "sphere" or self._operator is not None
            training = None
            if factor is not None and known:
                training = LinearTraining(self._kernel, factor)
            self._losses[exponent] = loss, factor, training
        return self._losses[exponent]

    @cached_property
    def _kernel(self) -> Array:
        recipe = self.run.recipe
        return infinite_kernel(recipe.network.network, recipe.loss, self.run.points)

    def _predict(
        self, member: Member, training: LinearTraining | None, residual: Array, functionals: Array
    ) -> tuple[Array, Array]:
        """Amplitudes (R, K) divided by those of the start, and fitted rates (K,)."""
        steps = member.steps
        if training is None:
            unknown = np.full((steps.size, len(self.degrees)), np.nan)
            return unknown, unknown[0]
        late_steps = np.unique(np.r_[0.0, np.rint(np.geomspace(1.0, MOST_STEPS, 600))])
        arguments = (residual, functionals)
        amplitude = training.amplitudes(member.step_size, steps, *arguments, self._momentum)
        late = training.amplitudes(member.step_size, late_steps, *arguments, self._momentum)
        rates = [
            rate.rate if rate.status == "measured" else late_rate(late_steps, late[:, j])
            for j, rate in enumerate(_rates(steps, amplitude))
        ]
        with np.errstate(invalid="ignore", divide="ignore"):
            return amplitude / amplitude[0], np.array(rates)


def _slow_rate(decrement: Array, momentum: float) -> Array:
    """Rates of a heavy ball: 1 - |z|, z the larger root, for step size times eigenvalue."""
    total = 1.0 - momentum + decrement
    square = total * total - 4.0 * decrement
    slow = 2.0 * decrement / (total + np.sqrt(np.maximum(square, 0.0)))
    fast = total - slow
    real = np.where(fast > 1.0, 1.0 - np.maximum(np.abs(1.0 - slow), fast - 1.0), slow)
    return np.where(square < 0.0, 1.0 - math.sqrt(momentum), real)


def late_rate(steps: Array, amplitude: Array) -> float:
    """Rate of a curve known at all steps: 0 if it never falls, else fitted, or of step 1."""
    found = decay_rate(steps, amplitude)
    if found.status in ("too short", "not decaying"):
        return 0.0
    if found.status in ("too coarse", "overshoots"):
        return float(1.0 - amplitude[1] / amplitude[0])
    return found.rate


def _rates(steps: NDArray[np.int64], amplitude: Array) -> list[DecayRate]:
    return [decay_rate(steps, column) for column in amplitude.T]


def _eigenvalues(
    run: Run, degrees: list[int], table: str | os.PathLike[str] | Table | None
) -> tuple[Array, Array]:
    """Eigenvalues of the target's degrees and bounds on their relative errors.

    NaN where the parts of the target are not degrees.
    """
    if isinstance(run.target, EigenvectorTarget):
        return np.full(len(degrees), np.nan), np.full(len(degrees), np.nan)
    network, dim = run.recipe.network.network, run.points.dim
    if table is None:
        return parts_of(network, run.points, degrees)[:2]
    if run.points.features is not None:
        raise NtkspecError("tables have degrees on spheres; leave the table out for a torus")
    if not isinstance(table, Table):
        with open_table(table) as opened:
            return _eigenvalues(run, degrees, opened)
    row = table.select(network, dim, degrees)
    return row.eigenvalues[0], np.full(len(degrees), row.relative_error[0])
