"""Spectra in plain doubles, each eigenvalue with an error bound.

For functions that are given in doubles only: the integral of K P_k by Gauss-Legendre in theta
(a user's network) or by Gauss-Gegenbauer in t (a user's kernel).  The absolute error is a few
roundings of K(1), so small eigenvalues have few correct digits or none, as the bound shows.  A
user's kernel in high precision is computed in balls, and compared with doubles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ntkspec.domains import Domain, Sphere
from ntkspec.errors import NtkspecError
from ntkspec.kernels import closed_form
from ntkspec.kernels import legendre as legendre_kernels
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import parity as parity_of
from ntkspec.spectra.quadrature import (
    MOST_NODES,
    ROUNDING,
    chebyshev_coefficients,
    funk_hecke,
    gauss_gegenbauer,
    truncation,
)
from ntkspec.spectra.route import Eigenvalues, Route, Source, better_than_doubles, double_only
from ntkspec.spectra.rows import Scaled, both_parities, normalized
from ntkspec.spectra.seeds import BallSeeds
from ntkspec.zonal import ZonalKernel

__all__ = ["ROUTE", "ZONAL", "direct_eigenvalues", "resolved_eigenvalues"]

Array = NDArray[np.float64]

#: Nodes for a user's kernel; also the largest number for the rule in theta.
LEAST_NODES, MOST_ANGLES = 2000, 3000
#: Relative error below which the other rule is not tried.
GOOD = 1e-13
#: Accuracy to which doubles must resolve a kernel that is assumed analytic in high precision.
RESOLVED = 1e-9
#: Points between the nodes at which the kernel is evaluated.
PROBES = 8192


def direct_eigenvalues(
    source: Network | ZonalKernel, dim: int, degrees: NDArray[np.int64], kernel: Kernel
) -> tuple[Array, Array]:
    """Eigenvalues of increasing degrees and bounds on their absolute errors."""
    if isinstance(source, ZonalKernel):
        return _of_kernel(source, dim, degrees)
    last = int(degrees[-1])
    nodes = max(96 + int(0.6 * (last + dim)), (_band(dim, last) + 130) // 2)
    if nodes > 2 * MOST_ANGLES:
        raise NtkspecError(
            f"degree = {last} at dim = {dim} needs a rule of {nodes} nodes for a function of "
            f"doubles, and at most {2 * MOST_ANGLES} are computed; lower the degree or the "
            f"dimension, or {better_than_doubles(source)}"
        )
    return _by_angles(source, dim, degrees, kernel, nodes)


def _of_kernel(source: ZonalKernel, dim: int, degrees: NDArray[np.int64]) -> tuple[Array, Array]:
    """By the rule in t or in theta, whichever has the smaller bound."""
    if degrees[-1] >= 2 * MOST_NODES:
        raise NtkspecError(
            f"degree = {degrees[-1]} is beyond the rules of {MOST_NODES} nodes for a function of "
            f"doubles; give degrees below {2 * MOST_NODES}, or give the function for flint or "
            "mpmath numbers"
        )
    nodes = int(min(max(LEAST_NODES, int(degrees[-1]) + 500), MOST_NODES))
    result = funk_hecke(source.in_doubles, dim, degrees, nodes)
    value, bound = result.eigenvalues, result.absolute_error
    if int(degrees[-1]) > MOST_ANGLES or np.all(bound <= GOOD * np.abs(value)):
        return value, bound
    total, error, _ = _of_angles(source.in_doubles, dim, degrees, 400)
    better = error < bound
    return np.where(better, total, value), np.where(better, error, bound)


def resolved_eigenvalues(
    function: Callable[[Array], Array], name: str, dim: int, degrees: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Eigenvalues and bounds on their absolute errors for a kernel that is analytic in theta.

    Raises
    ------
    NtkspecError
        When its series in theta does not fall: it jumps, has a kink or varies too fast.
    """
    for extra in (400, 4000):
        value, error, size = _of_angles(function, dim, degrees, extra)
        if np.all(error <= RESOLVED * size) and _predicted(function, extra, RESOLVED * size):
            return value, error
    raise NtkspecError(
        f"{name} is not smooth: its series in theta, t = cos(theta), does not fall; a kernel of "
        "flint or mpmath numbers must have no jump, no kink and no feature narrower than 0.001 "
        "between -1 and 1; give it for doubles with a larger tolerance"
    )


def _predicted(function: Callable[[Array], Array], count: int, allowed: float) -> bool:
    """Whether a Chebyshev series in theta predicts the kernel between its nodes."""

    def of_angle(x: Array) -> Array:
        return function(np.cos(0.5 * np.pi * (1.0 + x)))

    series = chebyshev_coefficients(of_angle, 2 * count + 37)
    series[0] *= 0.5
    jitter = np.random.default_rng(count).random(PROBES)
    x = 2.0 * (np.arange(PROBES) + jitter) / PROBES - 1.0
    predicted = np.polynomial.chebyshev.chebval(x, np.trim_zeros(series, "b"))
    return bool(np.all(np.abs(of_angle(x) - predicted) <= allowed))


def _of_angles(
    function: Callable[[Array], Any], dim: int, degrees: NDArray[np.int64], extra: int
) -> tuple[Array, Array, float]:
    """By Gauss-Legendre in theta: values, bounds, and the largest value of the kernel."""
    count = (_band(dim, int(degrees[-1])) + extra) // 2

    def of_angle(x: Array) -> Array:
        return np.asarray(function(np.cos(0.5 * np.pi * (1.0 + x))), dtype=np.float64)

    x, half = gauss_gegenbauer(count, 3)
    w = 2.0 * half
    values, t = of_angle(x), np.cos(0.5 * np.pi * (1.0 + x))
    total, size = _sums(x, w, values, dim, degrees)
    _, spread = _sums(x, w, t * np.gradient(values, t), dim, np.zeros(1, np.int64))
    error = ROUNDING * ((64.0 + 4.0 * degrees) * size + spread[0])
    exact = 2 * count - 1 - np.array([_band(dim, int(k)) for k in degrees])
    error += truncation(of_angle, exact, count)
    return total, error, float(np.abs(values).max())


def _band(dim: int, degree: int) -> int:
    """Degree in theta of P_k(cos theta) sin(theta)^(d-2) on [0, pi], to rounding."""
    return int(0.5 * np.pi * (degree + min(dim - 2.0, 8.0 * np.sqrt(dim)))) + 30


def _sums(
    x: Array, w: Array, values: Array, dim: int, degrees: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Sums over a Gauss-Legendre rule in x = 2 theta / pi - 1, and of the moduli of their terms."""
    theta = 0.5 * np.pi * (1.0 + x)
    constant = closed_form.funk_hecke_constant(dim)[0]
    weights = 0.5 * np.pi * constant * w * np.sin(theta) ** (dim - 2)
    total, size = np.empty(degrees.size), np.empty(degrees.size)
    legendre_kernels.funk_hecke_sums(degrees, dim, np.cos(theta), weights * values, total, size)
    return total, size


def _half_angles(x: Array) -> tuple[Array, Array]:
    """sin and cos of theta / 2 at x = 2 theta / pi - 1."""
    return np.sin(0.25 * np.pi * (1.0 + x)), np.sin(0.25 * np.pi * (1.0 - x))


def _by_angles(
    network: Network, dim: int, degrees: NDArray[np.int64], kernel: Kernel, n: int
) -> tuple[Array, Array]:
    """A network's eigenvalues; the fall of K's Legendre coefficients in theta supports the rule."""
    from ntkspec.duals.plain import PlainKernel

    plain = PlainKernel(network, kernel)
    x, w = np.polynomial.legendre.leggauss(n)
    values, error = plain(*_half_angles(x))
    total, size = _sums(x, w, values, dim, degrees)
    _, brought = _sums(x, w, error, dim, np.zeros(1, np.int64))
    # K in Chebyshev polynomials of theta, from nodes of another kind: the series must have fallen,
    # and must predict K at the nodes of the rule.
    count = scipy.fft.next_fast_len(int(0.9 * n) | 1)
    known, doubt = plain(*_half_angles(np.cos(np.pi * (np.arange(count) + 0.5) / count)))
    series = scipy.fft.dct(known) / count
    series[0] *= 0.5
    tail = float(np.max(np.abs(series[int(0.75 * count) :])))
    misfit = np.abs(np.polynomial.chebyshev.chebval(x, series) - values) - error - np.max(doubt)
    missed = 8.0 * tail + 2.0 * max(float(misfit.max()), 0.0)
    rounding = ROUNDING * (64.0 + 4.0 * degrees) * size
    return total, float(brought[0]) + rounding + missed


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not double_only(source) or (isinstance(source, Network) and source.weights == "sphere"):
        return None
    return "a function of doubles"


def _eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    zeros = parity_of(source, kernel)
    value, bound = direct_eigenvalues(source, domain.dim, degrees, kernel)
    exact = np.array([zeros.vanishes(int(k)) for k in degrees])
    value[exact], bound[exact] = 0.0, 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(exact, 0.0, bound / np.abs(value))
    return *normalized(value, np.int64(0)), error


ROUTE = Route(
    "quadrature in doubles", _takes, _eigenvalues, serves="functions of a user in doubles"
)


# --- a user's kernel in high precision, compared with doubles -----------------------------------


def _takes_zonal(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if isinstance(source, ZonalKernel) and source.formula is None:
        return "a user's kernel in high precision"
    return None


def _zonal_eigenvalues(
    source: Source, domain: Domain, degrees: NDArray[np.int64], kernel: Kernel
) -> Eigenvalues:
    """By seeds in balls, compared with doubles.

    Two runs of the seeds could agree by accident if no node of either meets a feature.
    """
    assert isinstance(source, ZonalKernel)
    with np.errstate(all="ignore"):
        known, bound = resolved_eigenvalues(source.in_doubles, source.name, domain.dim, degrees)
    rows = _seeds(source)
    mantissa, exponent = both_parities(rows, domain.dim, degrees)
    off = np.abs(np.ldexp(mantissa, exponent) - known) > bound
    if off.any():
        at = np.flatnonzero(off)[0]
        raise NtkspecError(
            f"degree = {degrees[at]}: {source.name} gives this eigenvalue as {known[at]:.6g} in "
            f"doubles (to {bound[at]:.2g}), but its rules in high precision do not: it has too "
            "narrow a feature for them; give it for doubles"
        )
    return mantissa, exponent, np.full(degrees.size, rows.relative_error)


def _seeds(source: ZonalKernel) -> BallSeeds:
    """Analytic in theta, like the kernel of an activation with a kink."""
    function = source.in_balls(2)
    return BallSeeds(
        lambda: lambda angle: function(angle.cos()), parity_of(source, "ntk"), "kink", proved=False
    )


class ZonalRows:
    """Rows and columns of a user's kernel in high precision, each computed apart."""

    relative_error = BallSeeds.relative_error
    walks = False
    degrees_alone = False

    def __init__(self, source: ZonalKernel, kernel: Kernel) -> None:
        self._source, self._kernel = source, kernel

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return parity_of(self._source, self._kernel).isolated(parity)

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Do nothing: rows are computed separately."""

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        return _zonal_eigenvalues(self._source, Sphere(dim), degrees, self._kernel)[:2]

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions."""
        found = [self.row(int(dim), np.array([degree])) for dim in dims]
        return np.concatenate([m for m, _ in found]), np.concatenate([e for _, e in found])


ZONAL = Route(
    "ball arithmetic",
    _takes_zonal,
    _zonal_eigenvalues,
    ZonalRows,
    serves="kernels of a user in high precision",
)
