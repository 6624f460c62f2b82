"""Spectra in plain doubles, each eigenvalue with the error that can be promised.

For what is known as a function of doubles only: the integral of K P_k by Gauss-Legendre in theta
(a user's network) or by Gauss-Gegenbauer in t (a user's kernel).  The absolute error is some
rounding of K(1), so small eigenvalues have few digits or none; the bound says how many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ntkspec.kernels import closed_form
from ntkspec.kernels import legendre as legendre_kernels
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.quadrature import ROUNDING, funk_hecke
from ntkspec.user import ZonalKernel

__all__ = ["direct_eigenvalues"]

Array = NDArray[np.float64]


def direct_eigenvalues(
    source: Network | ZonalKernel, dim: int, degrees: NDArray[np.int64], kernel: Kernel
) -> tuple[Array, Array]:
    """Eigenvalues of increasing degrees and bounds on their absolute errors."""
    if isinstance(source, ZonalKernel):
        result = funk_hecke(source.function, dim, degrees)
        return result.eigenvalues, result.absolute_error
    nodes = 96 + int(0.6 * (int(degrees[-1]) + dim))
    fine, error, size = _by_angles(source, dim, degrees, kernel, nodes)
    coarse, _, _ = _by_angles(source, dim, degrees, kernel, nodes * 4 // 5)
    rounding = ROUNDING * (64.0 + 4.0 * degrees) * size
    return fine, error + rounding + np.abs(fine - coarse)


def _by_angles(
    network: Network, dim: int, degrees: NDArray[np.int64], kernel: Kernel, n: int
) -> tuple[Array, float, Array]:
    """Sums, the error that K brings in, and the sums of the moduli of their terms."""
    from ntkspec.duals.plain import plain_kernel

    x, w = np.polynomial.legendre.leggauss(n)
    theta = 0.5 * np.pi * (1.0 + x)
    constant = closed_form.funk_hecke_constant(dim)[0]
    weights = 0.5 * np.pi * constant * w * np.sin(theta) ** (dim - 2)
    values, error = plain_kernel(network, theta, kernel)
    total, size = np.empty(degrees.size), np.empty(degrees.size)
    legendre_kernels.funk_hecke_sums(degrees, dim, np.cos(theta), weights * values, total, size)
    return total, float(weights @ error), size
