"""Losses 1/2 r' P r of a residual r at weighted points: L2 and Sobolev losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, linalg

from ntkspec.errors import NtkspecError
from ntkspec.kernels.factors import factor_product
from ntkspec.parameters import as_number, one_of, shown, whole_number
from ntkspec.trainer.checks import checked_values
from ntkspec.trainer.harmonics import largest_degree
from ntkspec.trainer.points import Points

__all__ = [
    "Factored",
    "Fourier",
    "L2Loss",
    "SobolevLoss",
    "SumLoss",
    "Weight",
    "resolved_degree",
]

Array = NDArray[np.float64]
Weight = Literal["power", "laplacian"]

#: Largest mu_k, so that products with residuals do not overflow.
MOST_WEIGHT = 1e150
#: Most bytes that the factor of P may take.
MOST_BYTES = 2**31


class Quadratic:
    """1/2 r' P r for n numbers at places such as points, where `operator` is P."""

    n: int
    places = "points"
    operator: Fourier | Factored
    s: float | None = None
    max_degree: int | None = None

    #: Whether it is a sum over the points, of which a part may be drawn.
    by_points = False

    def apply(self, r: ArrayLike) -> Array:
        """P r: (n,) -> (n,)."""
        return self.operator.apply(checked_values(r, self.n, "r", self.places))

    def value(self, r: ArrayLike) -> float:
        """1/2 r' P r."""
        return 0.5 * float(np.sum(np.asarray(r, dtype=np.float64) * self.apply(r)))

    def matrix(self) -> Array:
        """P, (n, n), symmetric."""
        return self.operator.matrix()


class L2Loss(Quadratic):
    """1/2 sum_i c_i r_i^2.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> L2Loss(circle(4)).value([2.0, 0.0, 0.0, 0.0])
    0.5
    """

    by_points = True

    def __init__(self, points: Points) -> None:
        self.points, self.n = points, points.n

    def apply(self, r: ArrayLike) -> Array:
        """P r: (n,) -> (n,)."""
        return self.points.weights * checked_values(r, self.n, "r")

    def matrix(self) -> Array:
        """P, (n, n)."""
        return np.diag(self.points.weights)

    def multiplier(self, degrees: ArrayLike) -> Array:
        """mu_k = 1."""
        return np.ones(np.shape(np.asarray(degrees)))


class SobolevLoss(Quadratic):
    """1/2 r' P r, which weights the component of r of each degree k by mu_k.

    Parameters
    ----------
    points : Points
    s : float
        Exponent: s > 0 gives high degrees more weight, s < 0 less.
    weight : {"power", "laplacian"}
        mu_k = (1+k)^(2s), or (1 + k(k+d-2))^s, the eigenvalues of (1 - Laplacian)^s.
    max_degree : int, optional
        Higher degrees have weight 0.  By default n/2 on the points of `circle`, and
        `resolved_degree` otherwise.

    Attributes
    ----------
    points, s, weight, max_degree
        As given, or the default.
    operator : Fourier or Factored
        How P is applied.

    Raises
    ------
    NtkspecError
        If s is not finite or its weights overflow, or if the points do not resolve max_degree.

    Notes
    -----
    P_ij = sum_k mu_k N(d,k) c_i c_j P_k(<x_i,x_j>) = B' B with B_mi = sqrt(mu_k) c_i Y_km(x_i), by
    the addition theorem.  Where the rule is exact to twice max_degree, P Y_k = mu_k diag(c) Y_k.
    On equispaced points of the circle P = F* diag(mu) F / n with the unitary DFT F: the same
    matrix, except that the alternating function (degree n/2 for even n) has its own mu.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> loss = SobolevLoss(circle(8), s=1.0)
    >>> loss.max_degree, loss.multiplier([0, 1, 2, 5])
    (4, array([1., 4., 9., 0.]))
    >>> loss.apply(loss.points.x[:, 0]).round(12)[:2] * 8
    array([4.        , 2.82842712])
    """

    def __init__(
        self, points: Points, s: float, weight: Weight = "power", max_degree: int | None = None
    ) -> None:
        points.check_on_sphere("a Sobolev loss is")
        self.points, self.n = points, points.n
        self.s: float = as_number(s)
        if not math.isfinite(self.s):
            raise NtkspecError(f"s = {shown(s)} is not allowed; it must be a finite number")
        self.weight: Weight = one_of(weight, "weight", get_args(Weight))
        self.max_degree: int = _checked_max_degree(points, max_degree)
        mu = self.multiplier(np.arange(points.longest(self.max_degree) + 1))
        self.operator = Fourier(self.n, mu) if points.equispaced else _projections(points, mu)

    def multiplier(self, degrees: ArrayLike) -> Array:
        """mu_k for degrees of any shape; 0 above max_degree."""
        k = np.asarray(degrees, dtype=np.float64)
        length = self.points.lengths(k)
        base = 1.0 + (length if self.weight == "power" else self.points.laplacian(k))
        exponent = 2.0 * self.s if self.weight == "power" else self.s
        weighed = length <= self.max_degree
        top = np.max(base, where=weighed, initial=1.0)
        if exponent * math.log(top) > math.log(MOST_WEIGHT):
            raise NtkspecError(
                f"s = {self.s:g} is not allowed: at degree {self.max_degree} its weight exceeds "
                f"{MOST_WEIGHT:g}; lower s or max_degree"
            )
        return np.where(weighed, np.minimum(base, top) ** exponent, 0.0)


class SumLoss(Quadratic):
    """Sum of losses of the parts of r, one after another, each times a factor.

    Parameters
    ----------
    parts : sequence of (float, L2Loss or SobolevLoss)
        Factors and losses.

    Attributes
    ----------
    s : float or None
        Of the first.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> loss = SumLoss([(1.0, SobolevLoss(circle(4), s=1.0)), (3.0, L2Loss(circle(1)))])
    >>> loss.value([1.0, 1.0, 1.0, 1.0, 2.0]), loss.multiplier([1])
    (6.5, array([4.]))
    """

    def __init__(self, parts: Sequence[tuple[float, L2Loss | SobolevLoss]]) -> None:
        self._parts = parts
        *self._ends, self.n = np.cumsum([loss.n for _, loss in parts]).tolist()
        self.s = parts[0][1].s
        self.by_points = all(loss.by_points for _, loss in parts)

    def apply(self, r: ArrayLike) -> Array:
        """P r: (n,) -> (n,)."""
        parts = np.split(checked_values(r, self.n, "r"), self._ends)
        pairs = zip(self._parts, parts, strict=True)
        return np.concatenate([factor * loss.apply(part) for (factor, loss), part in pairs])

    def matrix(self) -> Array:
        """P, (n, n), symmetric."""
        return np.asarray(linalg.block_diag(*(f * loss.matrix() for f, loss in self._parts)))

    def multiplier(self, degrees: ArrayLike) -> Array:
        """mu_k of the first, times its factor."""
        factor, loss = self._parts[0]
        return factor * loss.multiplier(degrees)


class Fourier:
    """F* diag(mu) F / n on n equispaced points of the circle; `factor` is mu_k / n, k <= n/2.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> type(SobolevLoss(circle(8), s=1.0).operator).__name__
    'Fourier'
    """

    def __init__(self, n: int, mu: Array) -> None:
        self.n = n
        self.factor = np.zeros(n // 2 + 1)
        self.factor[: mu.size] = mu / n

    def apply(self, r: Array) -> Array:
        """P r: (n,) -> (n,)."""
        spectrum = fft.rfft(r)
        spectrum *= self.factor
        return np.asarray(fft.irfft(spectrum, self.n, overwrite_x=True))

    def matrix(self) -> Array:
        """P, (n, n)."""
        return np.asarray(linalg.toeplitz(fft.irfft(self.factor, self.n)))


class Factored:
    """B' B for a `factor` B, (number of harmonics, n).

    Examples
    --------
    >>> from ntkspec.trainer.points import random_points
    >>> loss = SobolevLoss(random_points(40, 3, seed=1), s=1.0, max_degree=2)
    >>> type(loss.operator).__name__
    'Factored'
    """

    def __init__(self, factor: Array) -> None:
        self.factor = np.ascontiguousarray(factor)

    def apply(self, r: Array) -> Array:
        """P r: (n,) -> (n,)."""
        out = np.empty(self.factor.shape[1])
        factor_product(self.factor, r, out)
        return out

    def matrix(self) -> Array:
        """P, (n, n)."""
        return np.asarray(self.factor.T @ self.factor)


def _projections(points: Points, mu: Array) -> Factored:
    """sum_k mu_k N(d,k) c_i c_j P_k(<x_i,x_j>), by the addition theorem.

    The factor has at most as many rows as there are points, so it is never larger than P.
    """
    degree = mu.size - 1
    needed = 8 * points.n * points.count(degree)
    if needed > MOST_BYTES:
        raise NtkspecError(
            f"max_degree = {degree} at {points.n} points is not allowed: P takes "
            f"{needed:.3g} bytes, and the most is {MOST_BYTES:.3g}"
        )
    root = np.repeat(np.sqrt(mu), [points.multiplicity(k) for k in range(degree + 1)])
    return Factored(points.basis(degree).matrix().T * root[:, np.newaxis] * points.weights)


def resolved_degree(points: Points) -> int:
    """Largest degree that points resolve.

    Returns
    -------
    int
        n/2 on the points of `circle`; otherwise half of the rule's exact degree, so that products
        of two harmonics are integrated exactly; where that is 0, the largest degree up to which
        there are at most half as many harmonics as points.  On a torus it is the length of a
        frequency vector.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle, product_rule, random_points
    >>> resolved_degree(circle(64)), resolved_degree(product_rule(8, 3))
    (32, 4)
    >>> resolved_degree(random_points(200, 3, seed=0))
    9
    """
    if points.equispaced:
        return points.n // 2
    return points.exact_degree // 2 or _largest(points, points.n // 2)


def _largest(points: Points, harmonics: int) -> int:
    """Largest degree up to which there are at most so many harmonics; on a torus a length."""
    if points.features is None:
        return largest_degree(points.dim, harmonics)
    return int(points.lengths(max(harmonics - 1, 0) // 2))


def _checked_max_degree(points: Points, max_degree: int | None) -> int:
    if max_degree is None:
        return resolved_degree(points)
    degree = whole_number(max_degree, "max_degree", least=0)
    most = points.n // 2 if points.equispaced else _largest(points, points.n)
    if degree > most:
        raise NtkspecError(
            f"max_degree = {degree} is not allowed; {points.n} points in dim = {points.dim} "
            f"resolve degrees up to {most}"
        )
    return degree
