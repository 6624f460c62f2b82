"""Kernels of a user's activation in doubles: the Gaussian expectation by quadrature in the plane.

Polar coordinates u = sqrt(q) r cos(a), v = sqrt(q) r cos(a - theta), Gauss-Legendre in r and in
the four sectors between the rays on which u or v is 0, so that a kink at 0 costs nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.duals.sampled import check_square_integrable
from ntkspec.errors import NtkspecError

__all__ = ["plain_kernel"]

Array = NDArray[np.float64]

#: Nodes of the fine rule in a sector and in the radius; the coarse rule tells its error.
FINE, COARSE = (48, 96), (36, 72)
REACH = 12.5
#: Chebyshev points in theta when the dual is differentiated.
SERIES = 96


def plain_kernel(network: Any, angles: Array, kernel: str) -> tuple[Array, Array]:
    """K(cos theta) of a network and a bound on its error, in doubles.

    Parameters
    ----------
    network : Network
        With a user's activation.
    angles : float64 array
    kernel : {"ntk", "nngp"}

    Raises
    ------
    NtkspecError
        When the activation returns another shape, NaN or an infinity, or is not square integrable.
    """
    with np.errstate(all="ignore"):
        fine = _compose(network, angles, kernel, FINE)
        coarse = _compose(network, angles, kernel, COARSE)
    top = float(np.max(np.abs(fine), initial=0.0))
    return fine, np.abs(fine - coarse) + 2e-15 * network.depth * top


def _compose(network: Any, angles: Array, kernel: str, rule: tuple[int, int]) -> Array:
    weight, bias = network.weight_variance, network.bias_variance
    variance = weight + bias
    covariance = weight * np.cos(angles) + bias
    theta = angles if bias == 0.0 else np.arccos(np.clip(covariance / variance, -1.0, 1.0))
    tangent = covariance
    for layer in range(network.depth):
        dual = _PlainDual(network.sigma, variance, rule)
        value = dual.value(theta)
        if layer == network.depth - 1:
            break
        if kernel == "ntk":
            tangent = weight * value + bias + weight * tangent * dual.slope(theta)
        covariance = weight * value + bias
        variance = weight * float(dual.value(np.zeros(1))[0]) + bias
        theta = np.arccos(np.clip(covariance / variance, -1.0, 1.0))
    if kernel == "nngp":
        return value
    product: Array = tangent * dual.slope(theta)
    return product + value if network.trained == "all" else product


class _PlainDual:
    """Duals of one layer."""

    def __init__(self, sigma: Any, variance: float, rule: tuple[int, int]) -> None:
        self.sigma, self.variance = sigma, variance
        self.root = math.sqrt(variance)
        self.x, self.w = np.polynomial.legendre.leggauss(rule[0])
        x, w = np.polynomial.legendre.leggauss(rule[1])
        self.r = 0.5 * REACH * (x + 1.0)
        self.density = 0.5 * REACH * w * self.r * np.exp(-0.5 * self.r**2) / (2.0 * math.pi)
        check_square_integrable(self._log_size, variance, sigma.name)

    def _log_size(self, x: float) -> float:
        size = abs(float(self._call(self.sigma.value, np.array([x]))[0]))
        return math.log(size) if size > 0.0 else -math.inf

    def _call(self, function: Any, x: Array) -> Array:
        try:
            result = np.asarray(function(x), dtype=np.float64)
        except NtkspecError:
            raise
        except Exception as error:
            raise NtkspecError(
                f"{self.sigma.name} failed on an array: {type(error).__name__}: {error}"
            ) from error
        if result.shape != x.shape:
            raise NtkspecError(
                f"{self.sigma.name} returned shape {result.shape} for arguments of shape {x.shape}"
            )
        bad = ~np.isfinite(result)
        if bad.any() and np.abs(x[bad]).min() <= REACH * self.root:
            raise NtkspecError(
                f"{self.sigma.name} returned a value that is not finite at {float(x[bad][0])!r}"
            )
        return np.where(bad, np.inf, result)

    def value(self, theta: Array) -> Array:
        """E[sigma(u) sigma(v)]."""
        return self._expectation(self.sigma.value, theta)

    def slope(self, theta: Array) -> Array:
        """E[sigma'(u) sigma'(v)]; from the dual itself where sigma' is not given."""
        if self.sigma.ball_derivative is not None:
            return self._expectation(self.sigma.derivative, theta)
        nodes = np.cos(np.pi * (np.arange(SERIES) + 0.5) / SERIES)
        values = self._expectation(self.sigma.value, 0.5 * np.pi * (1.0 + nodes))
        fit = np.polynomial.Chebyshev.fit(nodes, values, SERIES - 1, domain=[-1, 1])
        edge = np.clip(theta, 1e-4, math.pi - 1e-4)
        rate = fit.deriv()(2.0 * edge / math.pi - 1.0) * 2.0 / math.pi
        return np.asarray(-rate / (self.variance * np.sin(edge)))

    def _expectation(self, function: Any, theta: Array) -> Array:
        return np.array([self._at(function, float(angle)) for angle in theta])

    def _at(self, function: Any, theta: float) -> float:
        edges = np.array([-0.5, theta / np.pi - 0.5, 0.5, theta / np.pi + 0.5, 1.5]) * np.pi
        half = 0.5 * np.diff(edges)
        a = (edges[:-1] + half)[:, np.newaxis] + np.outer(half, self.x)
        weights = np.outer(half, self.w).ravel()
        scaled = self.root * self.r[:, np.newaxis]
        first = self._call(function, scaled * np.cos(a.ravel()))
        second = self._call(function, scaled * np.cos(a.ravel() - theta))
        return float(self.density @ (first * second) @ weights)
