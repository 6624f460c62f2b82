"""Spectra that are products of rational numbers: piecewise linear activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Domain
from ntkspec.kernels import closed_form as kernels
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.by_rows import row_route
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Scaled, normalized

__all__ = ["ROUTE", "ClosedForm"]


class ClosedForm:
    """Spectrum of dual F(t) + tangent q t D(t) of a piecewise linear activation.

    The kernel is q ((1-a)^2 times relu's + a linear one), so the slope a and the variance q only
    scale the even degrees, and degree 1 is q (1+a)^2 / (4d) for either part of the kernel.
    """

    #: Bound on the relative error: a dozen roundings after products in double-double.
    relative_error = 16 * 2.0**-53
    walks = True
    degrees_alone = True

    def __init__(self, slope: float, variance: float, dual: float, tangent: float) -> None:
        self._kink = variance * (1.0 - slope) ** 2
        self._linear = variance * (1.0 + slope) ** 2
        self._dual = dual
        self._tangent = tangent
        # Where the last constants were computed, by parity, and they themselves.
        self._constants = [kernels.first_constant(parity) for parity in (0, 1)]

    def isolated(self, parity: int) -> tuple[int, ...] | None:
        """Degrees of a parity with nonzero eigenvalues, or None if all may be nonzero."""
        return (1,) if parity == 1 else None

    def prepare(self, low: int, high: int, last: int, wanted: frozenset[int] | None = None) -> None:
        """Do nothing: rows and columns are computed separately."""

    def row(self, dim: int, degrees: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of increasing degrees of one parity."""
        if degrees[0] % 2 == 1:
            mantissa = np.where(degrees == 1, self._first(dim), 0.0)
            return normalized(mantissa, np.zeros(degrees.size, np.int64))
        size = int(degrees[-1]) // 2 + 1
        mantissa, exponent = np.empty(size), np.empty(size, np.int64)
        constant = self._constant(dim)
        kernels.relu_row(dim, *constant, self._dual, self._tangent, mantissa, exponent)
        return normalized(self._kink * mantissa[degrees // 2], exponent[degrees // 2])

    def column(self, degree: int, dims: NDArray[np.int64]) -> Scaled:
        """Scaled eigenvalues of one degree in increasing dimensions of one parity."""
        exponent = np.zeros(dims.size, np.int64)
        if degree == 1:
            return normalized(self._first(dims), exponent)
        mantissa = np.empty(dims.size)
        kernels.relu_column(degree, dims, self._dual, self._tangent, mantissa, exponent)
        return normalized(self._kink * mantissa, exponent)

    def _constant(self, dim: int) -> tuple[float, float]:
        """The Funk-Hecke constant, from that of the last dimension of its parity, if smaller."""
        known = self._constants[dim % 2]
        if known[0] > dim:
            known = kernels.first_constant(dim % 2)
        start, high, low = known
        high, low = kernels.raised_constant(start, high, low, dim)
        self._constants[dim % 2] = dim, high, low
        return high, low

    def _first(self, dim: Any) -> Any:
        return self._linear * (self._dual + self._tangent) / (4.0 * dim)


def _takes(source: Source, domain: Domain, kernel: Kernel) -> str | None:
    if not isinstance(source, Network) or source.weights != "gaussian":
        return None
    if not source.uniform:
        return None
    homogeneous = source.sigma.homogeneous
    piecewise_linear = homogeneous is not None and homogeneous[:2] == (1, 1.0)
    if source.depth == 1 and source.bias_variance == 0.0 and piecewise_linear:
        return "one piecewise linear layer without bias"
    return None


def _rows(network: Network, kernel: Kernel) -> ClosedForm:
    assert network.sigma.homogeneous is not None
    _, _, left = network.sigma.homogeneous
    return ClosedForm(0.0 - left, network.weight_variance, *network.mixture(kernel))


ROUTE = row_route("closed form", _takes, _rows, "one piecewise linear layer without bias")
