"""Measured rates of each training, and those predicted for it at three levels.

The continuum's rate is eta lambda_k mu_k with the operator's eigenvalue.  On the n training points
the rate comes from the kernel matrix of infinite width, which mixes degrees (on equispaced points
of the circle it adds the degrees that alias).  At finite width it comes from the network's own
kernel matrix at its start.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ntkspec.compare.results import Curves
from ntkspec.domains import legendre
from ntkspec.errors import NtkspecError, TableError
from ntkspec.networks import Network
from ntkspec.opening import open_table
from ntkspec.operators import Operator
from ntkspec.spectra import spectrum
from ntkspec.tables import Table
from ntkspec.trainer.eigenvectors import EigenvectorTarget
from ntkspec.trainer.linear import LinearTraining, heavy_ball, loss_factor
from ntkspec.trainer.rates import DecayRate, decay_rate
from ntkspec.trainer.recipe import AnyLoss

if TYPE_CHECKING:
    from ntkspec.trainer.runs import Member, Run

__all__ = ["ComparedMember", "NetworkAtStart", "Predictions", "late_rate", "residual_kernel"]

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
#: Degrees of a residual's kernel that are added at a time, at most, and the part that is left out.
TERMS, MOST_TERMS, SMALL = 256, 2**14, 1e-12


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
        target, x = run.observed, run.points.x
        self.run = run
        self._momentum = run.recipe.optimizer.momentum
        self._operator = run.recipe.operator
        found = {k: target.component(k, x) for k in target.degrees}
        components = [one for one in found.values() if one is not None]
        self.degrees = [k for k, one in found.items() if one is not None]
        if not self.degrees:
            raise NtkspecError(
                "the target has no known degrees, so there are no rates to compare; use a target "
                "made of harmonics, or samples"
            )
        self.eigenvalues, self.errors = _eigenvalues(run, self.degrees, table)
        self.unpredicted = NOT_ADAM if run.recipe.optimizer.adam else ""
        self.is_dense = run.points.n <= MOST_POINTS and not self.unpredicted
        self._columns = np.searchsorted(run.degrees, self.degrees)
        self._functionals = np.array(components) * run.points.weights
        self._factors: dict[float, Array] = {}
        self._infinite_width: dict[float, LinearTraining] = {}

    def compare_member(self, member: Member, start: NetworkAtStart | None) -> ComparedMember:
        """Measured and predicted rates of one training."""
        steps, step_size = member.steps, member.step_size
        if 0.0 < step_size < LEAST_STEP_SIZE:
            raise TableError(
                f"{self.run.path}: {member.name} has step_size = {step_size:g}, which is too small "
                f"to compare rates; the least is {LEAST_STEP_SIZE:g}"
            )
        decrement = step_size * self.eigenvalues * self._loss(member.s).multiplier(self.degrees)
        if self.unpredicted:
            decrement *= np.nan
        if self._operator is not None:
            decrement *= np.abs(self._operator.symbol(self.degrees, self.run.points.dim)) ** 2
        amplitude = member.amplitude[:, self._columns]
        grid = member.grid_amplitude[:, self._columns]
        with np.errstate(over="ignore"):
            times = steps[:, np.newaxis].astype(np.float64)
            continuum_curve = (1.0 - decrement) ** times
            continuum = decrement
            if self._momentum:
                continuum_curve = 1.0 - heavy_ball(decrement, times, self._momentum)
                continuum = _slow_rate(decrement, self._momentum)
        points_curve, points = self._predict(self._training_at_infinite_width(member.s), member)
        own = None
        if start is not None:
            own = LinearTraining(start.kernel, self._factor(member.s))
        finite_curve, finite = self._predict(own, member, start)
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

    def _loss(self, s: float) -> AnyLoss:
        """The loss with exponent s; NaN is plain L2."""
        recipe = self.run.recipe
        exponent = None if math.isnan(s) else s
        return recipe.loss.at(self.run.points, exponent, recipe.network.network)

    def _factor(self, s: float) -> Array:
        if s not in self._factors:
            self._factors[s] = loss_factor(self._loss(s).matrix())
        return self._factors[s]

    def _training_at_infinite_width(self, s: float) -> LinearTraining | None:
        if not self.is_dense:
            return None
        if s not in self._infinite_width:
            network, x = self.run.recipe.network.network, self.run.points.x
            if self._operator is None:
                kernel = network.ntk_matrix(x)
            else:
                kernel = residual_kernel(network, self._operator, x)
            self._infinite_width[s] = LinearTraining(kernel, self._factor(s))
        return self._infinite_width[s]

    def _predict(
        self, training: LinearTraining | None, member: Member, start: NetworkAtStart | None = None
    ) -> tuple[Array, Array]:
        """Amplitudes (R, K) divided by those of the start, and fitted rates (K,)."""
        steps = member.steps
        if training is None:
            unknown = np.full((steps.size, len(self.degrees)), np.nan)
            return unknown, unknown[0]
        residual = -self.run.observations
        if start is not None:
            residual = start.values + residual
        late_steps = np.unique(np.r_[0.0, np.rint(np.geomspace(1.0, MOST_STEPS, 600))])
        arguments = (residual, self._functionals)
        amplitude = training.amplitudes(member.step_size, steps, *arguments, self._momentum)
        late = training.amplitudes(member.step_size, late_steps, *arguments, self._momentum)
        rates = [
            rate.rate if rate.status == "measured" else late_rate(late_steps, late[:, j])
            for j, rate in enumerate(_rates(steps, amplitude))
        ]
        with np.errstate(invalid="ignore", divide="ignore"):
            return amplitude / amplitude[0], np.array(rates)


def residual_kernel(network: Network, operator: Operator, x: Array) -> Array:
    """The kernel of A f between points of the sphere, (n, n), from the spectrum.

    The sum over degrees of abs(a)^2 N lambda P_k ends where a degree adds 1e-12 of it, or at degree
    16,384, where kinked activations have 1e-4 of it left.

    Examples
    --------
    >>> residual_kernel(Network("tanh"), Operator("laplace"), np.eye(2)).round(4)
    array([[5.6735, 0.    ],
           [0.    , 5.6735]])
    """
    dim, out = x.shape[1], np.zeros((len(x), len(x)))
    t = np.clip(x @ x.T, -1.0, 1.0)
    for first in range(0, MOST_TERMS, TERMS):
        degrees = np.arange(first, first + TERMS)
        part = spectrum(network, dim, degrees)
        with np.errstate(over="ignore"):
            logs = part.log_eigenvalues + part.log_multiplicities
        weights = np.abs(operator.symbol(degrees, dim)) ** 2 * np.exp(logs)
        out += np.tensordot(weights, legendre(degrees, dim, t), 1)
        if first and weights.sum() <= SMALL * out[0, 0]:
            break
    return out


def _slow_rate(decrement: Array, momentum: float) -> Array:
    """Rates of a heavy ball: 1 - |z|, z the larger root, for step size times eigenvalue."""
    total = 1.0 - momentum + decrement
    square = total * total - 4.0 * decrement
    slow = 2.0 * decrement / (total + np.sqrt(np.maximum(square, 0.0)))
    fast = total - slow
    real = np.where(fast > 1.0, 1.0 - np.maximum(np.abs(1.0 - slow), fast - 1.0), slow)
    return np.where(square < 0.0, 1.0 - math.sqrt(momentum), real)


def late_rate(steps: Array, amplitude: Array) -> float:
    """Rate of a curve known at all steps: 0 if it never falls, else fitted, or of step 1.

    Examples
    --------
    >>> round(late_rate(np.arange(100.0), 0.9 ** np.arange(100.0)), 12)
    0.1
    """
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
        part = spectrum(network, dim, degrees)
        return part.eigenvalues, part.relative_error
    if not isinstance(table, Table):
        with open_table(table) as opened:
            return _eigenvalues(run, degrees, opened)
    row = table.select(network, dim, degrees)
    return row.eigenvalues[0], np.full(len(degrees), row.relative_error[0])
