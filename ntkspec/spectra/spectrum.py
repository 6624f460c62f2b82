"""One dimension's spectrum: `spectrum` and `eigenvalues`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.kernels import closed_form as kernels
from ntkspec.kernels import scaled
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.spectra.conventions import (
    Normalization,
    check_degrees,
    check_dim,
    check_normalization,
)
from ntkspec.spectra.routes import both_parities, route

__all__ = ["Spectrum", "eigenvalues", "multiplicity", "spectrum"]

ROUNDING = 2.0**-53


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of a network's kernel in one dimension.

    Attributes
    ----------
    network, dim, kernel, normalization
        What it is the spectrum of.
    degrees : (K,) int64 array
    mantissas : (K,) float64 array
        In [1, 2), or 0 for an exact zero.
    exponents : (K,) int64 array
        eigenvalue = mantissa * 2**exponent, whatever the range of doubles.
    relative_error : (K,) float64 array
        Bound on the relative error of each.
    """

    network: Network
    dim: int
    kernel: Kernel
    normalization: Normalization
    degrees: NDArray[np.int64]
    mantissas: NDArray[np.float64]
    exponents: NDArray[np.int64]
    relative_error: NDArray[np.float64]

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        """(K,) float64 array; 0 below the smallest normal double, where the logarithm holds."""
        return self._doubles()[0]

    @property
    def log_eigenvalues(self) -> NDArray[np.float64]:
        """(K,) natural logarithms; -inf for exact zeros."""
        return self._doubles()[1]

    @property
    def multiplicities(self) -> NDArray[np.float64]:
        """(K,) float64 array of N(d, k); inf beyond the range of doubles."""
        return multiplicity(self.dim, self.degrees)

    def _doubles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        value, log = np.empty(self.degrees.size), np.empty(self.degrees.size)
        scaled.to_doubles(self.mantissas, self.exponents, value, log)
        return value, log


def spectrum(
    network: Network | str,
    dim: int = 3,
    degrees: int | Iterable[int] = range(101),
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
) -> Spectrum:
    """Eigenvalues of a network's kernel, with their logarithms, multiplicities and error bounds.

    Parameters
    ----------
    network : Network or str
        A name stands for the poster's network with that activation.
    dim : int
        2 to 10**6; inputs are unit vectors in R^dim.
    degrees : int or iterable of int
        0 to 10**5, in any order.
    kernel : {"ntk", "nngp"}
    normalization : {"probability", "surface", "poster"}
        The operator's measure: uniform probability, the surface measure, or the poster's
        formula (1) as printed.

    Returns
    -------
    Spectrum

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed.

    Notes
    -----
    lambda_k = c_d int K(t) P_k(t) (1-t^2)^((d-3)/2) dt by closed forms or by sums of positive
    terms only (docs/mathematics.rst), so that every eigenvalue keeps its digits.

    Examples
    --------
    >>> s = spectrum("relu", dim=3, degrees=[0, 1, 2, 3])
    >>> s.eigenvalues
    array([0.0625    , 0.08333333, 0.02734375, 0.        ])
    >>> float(s.multiplicities @ s.eigenvalues)  # tends to K(1) = 1/2
    0.44921875
    """
    network = as_network(network)
    dim, wanted = check_dim(dim), check_degrees(degrees)
    normalization = check_normalization(normalization)
    source = route(network, kernel)
    unique, inverse = np.unique(wanted, return_inverse=True)
    mantissa, exponent = both_parities(source, dim, unique)
    error = source.relative_error
    if normalization != "probability":
        mantissa, exponent = _renormalized(mantissa, exponent, dim, normalization)
        error += 4 * ROUNDING
    return Spectrum(
        network, dim, kernel, normalization, wanted,
        mantissa[inverse], exponent[inverse], np.full(wanted.size, error),
    )  # fmt: skip


def eigenvalues(
    network: Network | str,
    dim: int = 3,
    degrees: int | Iterable[int] = range(101),
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    log: bool = False,
) -> NDArray[np.float64]:
    """Eigenvalues (or their natural logarithms) as an array; parameters as for `spectrum`.

    Returns
    -------
    (K,) float64 array
        An eigenvalue below the smallest normal double is 0; its logarithm is still right.

    Examples
    --------
    >>> eigenvalues("tanh", dim=3, degrees=[1, 2, 2001], log=True)
    array([  -1.96985396,          -inf, -506.83761159])
    """
    result = spectrum(network, dim, degrees, kernel, normalization)
    return result.log_eigenvalues if log else result.eigenvalues


def multiplicity(dim: int, degrees: int | Iterable[int]) -> NDArray[np.float64]:
    """N(d, k) = (2k+d-2)/k binom(k+d-3, k-1), the dimension of the harmonics of degree k.

    Parameters
    ----------
    dim : int
    degrees : int or iterable of int

    Returns
    -------
    (K,) float64 array
        Exact to 2**53, then rounded; inf beyond the range of doubles.

    Examples
    --------
    >>> multiplicity(3, range(4))
    array([1., 3., 5., 7.])
    """
    wanted, dim = check_degrees(degrees), check_dim(dim)
    size = int(wanted.max()) + 1
    mantissa, exponent = np.empty(size), np.empty(size, np.int64)
    kernels.multiplicities(dim, mantissa, exponent)
    with np.errstate(over="ignore"):
        values = np.ldexp(mantissa[wanted], np.minimum(exponent[wanted], 2000))
    return np.where(values < 2.0**53, np.rint(values), values)


def _renormalized(
    mantissa: NDArray[np.float64],
    exponent: NDArray[np.int64],
    dim: int,
    normalization: Normalization,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times Vol(S^(d-1)), and for the poster's formula over c_d."""
    factor, shift = kernels.sphere_volume(dim)
    if normalization == "poster":
        factor /= kernels.funk_hecke_constant(dim)[0]
    m, e = np.frexp(mantissa * factor)
    return 2.0 * m, np.where(m == 0.0, 0, exponent + shift + e - 1)
