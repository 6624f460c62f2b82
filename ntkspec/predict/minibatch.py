"""Energies of minibatch descent: the mean residual, and what sampling adds to it.

Each step takes B of n points without replacement.  The components' mean falls as in full descent;
their energies follow a linear recursion over degrees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Domain, Sphere, one_given, refuse_density
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.parameters import number, shown, whole_number
from ntkspec.predict.by_degree import Array, ByDegree, Variables, along
from ntkspec.predict.curves import placed
from ntkspec.predict.descent import check_optimizer
from ntkspec.predict.frequencies import torus_of
from ntkspec.predict.modes import Modes, Source, modes
from ntkspec.predict.residuals import PinnTimes
from ntkspec.predict.targets import TargetPower
from ntkspec.ranges import whole_numbers

__all__ = ["MinibatchCurve", "minibatch_curve"]

MOST_STEPS, MOST_SAMPLES = 10**6, 10**12
#: Largest part of the noise in the last two degrees of a residual, whose other degrees are unknown.
MOST_LAST = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class MinibatchCurve(ByDegree):
    """Expected energies of the residual in minibatch descent, by `minibatch_curve`.

    Attributes
    ----------
    domain, degrees, radial
        As for `ntkspec.predict.Modes`.
    steps : (T,) int64 array
    power : (K,) float64 array
        Energy of each degree at the start.
    energy : (T, K) float64 array
        Expected mean square of the residual's component of each degree.
    mean_energy : (T, K) float64 array
        The part of its mean: (1 - eta lambda_k)^(2 t) of the start, as in full descent.
    loss : (T,) float64 array
        Expected mean square of the residual: the sum of the energies, and what is in none of them.
    step_size, batch, samples
        As given.
    most_step_size : float
        From here on the energies grow.

    Examples
    --------
    >>> found = minibatch_curve(
    ...     "relu", 3, 1.0, samples=256, batch=16, power={1: 1.0}, steps=[0, 10, 100]
    ... )
    >>> found.loss.round(4), round(found.most_step_size, 2)
    (array([1.    , 0.1786, 0.    ]), 20.47)
    """

    main: ClassVar[str] = "energy"

    steps: NDArray[np.int64]
    power: Array
    energy: Array
    mean_energy: Array
    loss: Array
    step_size: float
    batch: int
    samples: int
    most_step_size: float

    def axes(self) -> dict[str, NDArray[Any]]:
        """Steps and degrees."""
        return {"step": self.steps, "degree": self.degrees}

    def variables(self) -> Variables:
        """Energies by step and degree, and their sum by step."""
        return {
            **along("step", "degree", energy=self.energy, mean_energy=self.mean_energy),
            **along("step", loss=self.loss),
            **along("degree", power=self.power),
            **self.ranks(),
        }

    def heading(self) -> dict[str, Any]:
        """The domain, the descent, and the largest step size."""
        return {
            **super().heading(), "step_size": self.step_size, "batch": self.batch,
            "samples": self.samples, "most_step_size": self.most_step_size,
        }  # fmt: skip


def minibatch_curve(
    source: Source | PinnTimes,
    domain: Domain | int | None = None,
    step_size: float = 1.0,
    *,
    samples: int,
    batch: int,
    power: TargetPower | Mapping[Any, float] | ArrayLike = (0.0, 1.0),
    steps: ArrayLike | str = (0, 1, 10, 100),
    dim: int | None = None,
    optimizer: str = "gd",
    kernel: Kernel = "ntk",
    max_degree: int | None = None,
) -> MinibatchCurve:
    """Expected energies by degree in minibatch descent on an L2 loss over uniform points.

    Parameters
    ----------
    source : Source or PinnTimes
        As for `ntkspec.predict.modes`, or what `pinn` returned for the loss L2 of the residual
        alone, on the sphere, with all degrees from 0 to one beyond which little of the noise is.
    domain, dim, kernel, max_degree
        As for `ntkspec.predict.modes`, without the torus.
    step_size : float
        eta, of the mean loss over a batch.
    samples, batch : int
        n and B <= n: each step draws B of the n points without replacement.
    power : TargetPower, mapping or array_like
        Energy of the residual at the start by degree, as for `learning_curve`; what is beyond the
        last degree and rank stays as it is.
    steps : array_like or str
        Whole numbers to 10**6.
    optimizer : {"gd"}
        As for `learning_times`.

    Returns
    -------
    MinibatchCurve

    Raises
    ------
    NtkspecError
        For what is not allowed.

    Notes
    -----
    With om = (n - B) / (B (n - 1)) and x_k = eta lambda_k the energies follow

        E_k' = (1 - x_k)^2 E_k + om x_k^2 (N_k sum_j E_j - E_k),

    which falls if and only if sum_k om N_k x_k / (2 - x_k (1 - om)) < 1 and x_k (1 - om) < 2 for
    all k.  It holds where the points integrate products of four harmonics as the sphere does.  The
    degrees beyond `max_degree` count in the threshold.

    Examples
    --------
    >>> found = minibatch_curve("tanh", 2, 0.5, samples=64, batch=8, power={1: 1.0, 3: 1.0})
    >>> found.energy[:, [1, 3]].round(3)
    array([[1.   , 1.   ],
           [0.798, 0.987],
           [0.112, 0.876],
           [0.004, 0.265]])
    """
    check_optimizer(optimizer)
    eta = number(step_size, "step_size", 1e-100, 1e100)
    n = whole_number(samples, "samples", 2, MOST_SAMPLES)
    size = whole_number(batch, "batch", 1, n)
    times = whole_numbers(steps, "steps", 0, MOST_STEPS, "steps")  # type: ignore[arg-type]
    known, target, beyond = placed(
        power, source, one_given(domain, dim), kernel,
        lambda where, _: _of(source, where, kernel, max_degree),
    )  # fmt: skip
    logs, counts = known.log_eigenvalues, known.log_multiplicities
    rest = 0.5 * (known.rest[0] + known.rest[1])
    energies, still = target.powers, beyond + float(target.left.sum())
    omega = (n - size) / (size * (n - 1.0))
    x = np.exp(np.minimum(logs + math.log(eta), 300.0))
    with np.errstate(over="ignore"):
        gains = omega * np.exp(counts + 2.0 * (logs + math.log(eta)))
    if not np.all(np.isfinite(gains)):
        raise NtkspecError(f"step_size = {eta:g} is not allowed; steps are beyond doubles")
    kept = (1.0 - x) ** 2 - omega * x**2
    order = np.argsort(times, kind="stable")
    energy = np.empty((times.size, energies.size))
    now, done = energies, 0
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for place in order.tolist():
            for _ in range(int(times[place]) - done):
                now = kept * now + gains * (now.sum() + still)
                if not np.isfinite(now).all():  # degrees that no gradient moves keep their energy
                    now = np.where(gains > 0.0, np.inf, energies)
                    break
            done = int(times[place])
            energy[place] = now
        mean = np.abs(1.0 - x) ** (2.0 * times[:, np.newaxis]) * energies
        loss = energy.sum(axis=1) + still
    return MinibatchCurve(
        known.domain, known.degrees, known.radial, times, energies, energy, mean, loss, eta, size,
        n, _most_step_size(logs, counts, rest, omega),
    )  # fmt: skip


def _of(
    source: Source | PinnTimes, domain: Domain | int | None, kernel: Kernel, max_degree: int | None
) -> Modes:
    """Modes of a kernel, or the rates of a residual as modes, with all degrees."""
    if not isinstance(source, PinnTimes):
        refuse_density("minibatch_curve", source, domain)
        torus = torus_of(source, domain)
        if torus is not None:
            raise NtkspecError(
                f"domain = {shown(torus)} is not allowed; minibatch_curve goes by degree, and a "
                "torus has frequencies"
            )
        return modes(source, domain, kernel=kernel, max_degree=max_degree)
    if domain is not None or max_degree is not None:
        raise NtkspecError(
            "domain, dim and max_degree are those of the PinnTimes that is given; leave them out"
        )
    plain = not source.s and source.weight != "inverse" and not source.data_weight
    if not plain or source.points is not None or not isinstance(source.domain, Sphere):
        raise NtkspecError(
            f"source = {shown(source)} is not allowed; energies are predicted for the loss L2 of "
            "the residual alone: on the sphere, without s, data_weight and points"
        )
    sums = np.exp(source.log_rates + source.log_multiplicities)
    if not np.array_equal(source.degrees, np.arange(source.degrees.size)):
        raise NtkspecError(
            f"degrees = {shown(source.degrees.tolist())} of the PinnTimes are not allowed: every "
            f"degree takes part in the noise; give pinn degrees=range({source.degrees.max() + 1})"
        )
    if sums[-2:].sum() > MOST_LAST * sums.sum():
        raise NtkspecError(
            f"degrees to {source.degrees[-1]} of the PinnTimes are too few: the last two have "
            f"{sums[-2:].sum() / sums.sum():.2g} of the noise; give pinn more, such as "
            f"degrees=range({2 * source.degrees.size})"
        )
    return Modes(
        source.domain, source.degrees, source.radial, source.log_rates, source.log_multiplicities,
        float(sums.sum()), (0.0, 0.0), 0.0, np.full((1, 2), -math.inf), -math.inf,
        np.zeros(source.degrees.size),
    )  # fmt: skip


def _most_step_size(logs: Array, counts: Array, rest: float, omega: float) -> float:
    """The step size at which sum om N x / (2 - x (1 - om)) is 1, by bisection; inf if none."""
    rates = np.exp(logs)
    top = float(rates.max())
    if not top > 0.0:
        return math.inf
    if omega == 0.0:
        return 2.0 / top
    # om = 1 has no pole; its sum is linear.
    sizes = omega * np.exp(counts + logs)
    low, high = 0.0, 2.0 / (0.5 * float(sizes.sum() + omega * rest)) / 2.0
    if omega < 1.0:
        high = min(high, 2.0 / (top * (1.0 - omega)))
    while True:
        middle = 0.5 * (low + high)
        if not low < middle < high:
            return high
        below = 2.0 - middle * rates * (1.0 - omega)
        total = float((sizes * middle / np.where(below > 0.0, below, np.nan)).sum())
        total += 0.5 * omega * middle * rest
        low, high = (middle, high) if total < 1.0 else (low, middle)
