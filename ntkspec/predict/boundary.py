"""A residual with one point of data: roots of a secular equation between the residual's rates.

The loss alpha/2 (A u - g)^2 + beta/2 (u(x0) - y0)^2 makes the matrix diag(d) + beta w w', d_k =
alpha abs(a_k)^2 mu_k lambda_k and w of the square N_k lambda_k in degree k: one mode of each degree
moves up to a root of 1 + beta sum_k N_k lambda_k / (d_k - z) = 0, and the N_k - 1 others stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.operators import Operator, as_operator
from ntkspec.parameters import number, one_of
from ntkspec.predict.by_degree import Array, ByDegree, Variables, along
from ntkspec.predict.modes import Source
from ntkspec.predict.residuals import MOST_WEIGHT, Weight, residual_modes

__all__ = ["BoundaryRates", "boundary_rates", "secular_roots"]

#: Poles at least this large are above what doubles lose digits of.
LEAST_POLE = 1e-290


@dataclass(frozen=True, eq=False, repr=False)
class BoundaryRates(ByDegree):
    """Rates of a residual with one point of data, by `boundary_rates`.

    Attributes
    ----------
    domain, degrees, radial
        As for `ntkspec.predict.Modes`; without degrees whose eigenvalue is 0, which never move.
    operator : Operator
    poles : (K,) float64 array
        Rates without the point.
    rates : (K,) float64 array
        Rate of the mode of each degree that moves, above its pole and at most at the next larger.
    shifts : (K,) float64 array
        By how much it is above its pole, with its own relative accuracy.
    staying : (K,) float64 array
        Number of modes of each degree that stay at the pole: N - 1.
    residual_weight, boundary_weight, s, weight
        As given.

    Examples
    --------
    >>> boundary_rates("tanh", 3, "laplace", 1.0, degrees=[1, 3, 5]).rates.round(4)
    array([0.7771, 1.0634, 0.4239])
    """

    main: ClassVar[str] = "rate"

    operator: Operator
    poles: Array
    rates: Array
    shifts: Array
    staying: Array
    residual_weight: float
    boundary_weight: float
    s: float
    weight: Weight

    def variables(self) -> Variables:
        """Poles, rates, shifts, and numbers of modes that stay."""
        more = along(
            self.index, pole=self.poles, rate=self.rates, shift=self.shifts, staying=self.staying
        )
        return {**self.ranks(), **more}

    def heading(self) -> dict[str, Any]:
        """The domain, the operator and the loss."""
        about = {
            **super().heading(), "operator": str(self.operator),
            "residual_weight": self.residual_weight, "boundary_weight": self.boundary_weight,
            "s": self.s,
        }  # fmt: skip
        return about | ({"weight": self.weight} if self.s or self.weight == "inverse" else {})


def boundary_rates(
    source: Source,
    domain: Domain | int | None = None,
    operator: Operator | str = "laplace",
    boundary_weight: float = 1.0,
    *,
    dim: int | None = None,
    degrees: Iterable[int] | None = None,
    size: int | None = None,
    s: float = 0.0,
    weight: Weight = "power",
    residual_weight: float = 1.0,
    kernel: Kernel = "ntk",
) -> BoundaryRates:
    """Rates of the loss alpha/2 (A u - g)^2 + beta/2 (u(x0) - y0)^2, x0 one point.

    Parameters
    ----------
    source, domain, operator, dim, size, s, weight, residual_weight, kernel
        As for `ntkspec.predict.pinn`, on the sphere or the torus.
    boundary_weight : float
        beta, positive.
    degrees : iterable of int, optional
        By default 0 to 12.  Functions have these degrees only; with more, the roots converge.  On
        a torus of one dimension frequencies; of several, `size` is that of the box of frequencies.

    Returns
    -------
    BoundaryRates

    Raises
    ------
    NtkspecError
        For what is not allowed, and rates beyond the range of doubles.

    Notes
    -----
    The shifts add up to beta sum_k N_k lambda_k.  Without the point the constant is not learned by
    the Laplacian, whose symbol is 0 there; the point gives it a rate.  Where degrees have equal
    rates without the point, one mode of all of them moves; it is given with the last of them, and
    the shifts of the others are 0.

    Examples
    --------
    >>> import ntkspec
    >>> network = ntkspec.Network("gelu", bias_variance=0.1)
    >>> found = boundary_rates(network, 2, boundary_weight=10.0, degrees=range(4))
    >>> found.poles.round(3), found.rates.round(3)
    (array([0.   , 0.145, 0.751, 0.106]), array([0.039, 0.619, 5.28 , 0.107]))
    """
    beta = number(boundary_weight, "boundary_weight", 1e-100, MOST_WEIGHT)
    alpha = number(residual_weight, "residual_weight", 1e-100, MOST_WEIGHT)
    s, kind = number(s, "s", -1e3, 1e3), one_of(weight, "weight", get_args(Weight))
    if kind == "inverse" and s:
        raise NtkspecError("weight = 'inverse' has no exponent; leave s out")
    applied = as_operator(operator)
    known = residual_modes(source, domain, dim, applied, degrees, size, kernel)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = 2.0 * known.log_symbols + known.log_eigenvalues
        log_mu = -logs if kind == "inverse" else known.log_weights(s, kind)
        poles = np.where(np.isneginf(logs), 0.0, np.exp(logs + log_mu + math.log(alpha)))
        sizes = np.exp(known.log_multiplicities + known.log_eigenvalues)
    some = sizes > 0.0
    bad = np.isfinite(known.log_eigenvalues) & (
        ~(sizes > LEAST_POLE) | ~(poles < 1e290) | ((poles < LEAST_POLE) & np.isfinite(logs))
    )
    if bad.any():
        raise NtkspecError(
            f"degree = {known.index[bad][0]}: its eigenvalue is beyond the range of doubles; leave "
            "it out"
        )
    if len(np.unique(known.index, axis=0)) < len(known.index):
        raise NtkspecError("degrees: one is given twice; give each once")
    index, poles, sizes = known.index[some], poles[some], sizes[some]
    order = np.argsort(poles, kind="stable")
    shifts = np.empty(order.size)
    shifts[order] = secular_roots(poles[order], beta * sizes[order])
    return BoundaryRates(
        known.domain, index, np.zeros(len(index), np.int64), applied, poles, poles + shifts, shifts,
        np.expm1(known.log_multiplicities[some]).round(6), alpha, beta, s, kind,
    )  # fmt: skip


def secular_roots(poles: Array, sizes: Array) -> Array:
    """(K,) roots of 1 + sum_k c_k / (d_k - z) = 0 minus their poles, d rising, c positive.

    Equal poles have one root, at the last of them.  Each root is sought from the nearer of the
    poles around it, in the differences to all poles, so that its distance from that pole has full
    relative accuracy; by bisection over the doubles themselves, as the function rises.

    Examples
    --------
    >>> secular_roots(np.array([0.0, 1.0]), np.array([2.0, 0.5])).round(6)
    array([0.719224, 1.780776])
    """
    shifts = np.zeros(poles.size)
    if not poles.size:
        return shifts
    d, first = np.unique(poles, return_index=True)
    c = np.add.reduceat(sizes, first)
    last = np.append(first[1:], poles.size) - 1
    gaps = np.append(np.diff(d), c.sum())
    below = d[:, np.newaxis]
    middle = _secular(d - below, c, 0.5 * gaps)
    right = (middle < 0.0) & (np.arange(d.size) < d.size - 1)
    origin = np.where(right, np.append(d[1:], 0.0), d)
    away = d - origin[:, np.newaxis]
    sign = np.where(right, -1.0, 1.0)
    # The distance is in (0, gap / 2], at the largest pole in (0, sum c].
    low = np.zeros(d.size).view(np.int64)
    reach = np.where(np.arange(d.size) < d.size - 1, 0.5 * gaps, gaps)
    high = reach.copy().view(np.int64)
    while np.any(high - low > 1):
        half = low + (high - low) // 2
        value = sign * _secular(away, c, sign * half.view(np.float64))
        beyond = value >= 0.0
        high, low = np.where(beyond, half, high), np.where(beyond, low, half)
    distance = high.view(np.float64)
    shifts[last] = np.where(right, gaps - distance, distance)
    return shifts


def _secular(away: Array, sizes: Array, at: Array) -> NDArray[np.float64]:
    """1 + sum c / (d - z) from the differences of the poles and of z to an origin of each row."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1.0 + (sizes / (away - at[:, np.newaxis])).sum(axis=1))
