"""One dimension's spectrum: `spectrum` and `eigenvalues`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NotPositiveDefiniteWarning, NtkspecError
from ntkspec.kernels import closed_form as kernels
from ntkspec.kernels import scaled
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.parameters import as_number, shown
from ntkspec.spectra.conventions import (
    Normalization,
    check_degrees,
    check_dim,
    check_normalization,
)
from ntkspec.spectra.domain import Domain, Sphere, log_multiplicity, multiplicity
from ntkspec.spectra.parity import Parity, parity
from ntkspec.spectra.routes import Route, both_parities
from ntkspec.spectra.routes import route as accurate
from ntkspec.zonal import ZonalKernel

__all__ = ["Spectrum", "eigenvalues", "log_multiplicity", "multiplicity", "spectrum"]

ROUNDING = 2.0**-53
#: What every eigenvalue is promised to.
TOLERANCE = 1e-12


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

    Examples
    --------
    >>> s = spectrum("tanh", dim=100, degrees=[1, 2001])
    >>> s.eigenvalues, s.log_eigenvalues.round(6)
    (array([0.00368852, 0.        ]), array([  -5.602531, -788.314354]))
    """

    network: Network | ZonalKernel
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
    def domain(self) -> Domain:
        """Where the inputs lie: its multiplicities, the trace, and the degrees it has."""
        return Sphere(self.dim)

    @property
    def multiplicities(self) -> NDArray[np.float64]:
        """(K,) float64 array of the domain's multiplicities; inf beyond the range of doubles."""
        return self.domain.multiplicity(self.degrees)

    @property
    def log_multiplicities(self) -> NDArray[np.float64]:
        """(K,) natural logarithms of the multiplicities."""
        return self.domain.log_multiplicity(self.degrees)

    def _doubles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        value, log = np.empty(self.mantissas.size), np.empty(self.mantissas.size)
        scaled.to_doubles(self.mantissas.ravel(), self.exponents.ravel(), value, log)
        return value.reshape(self.mantissas.shape), log.reshape(self.mantissas.shape)


def spectrum(
    network: Network | ZonalKernel | str,
    dim: int = 3,
    degrees: int | str | Iterable[int] = range(101),
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    tolerance: float = TOLERANCE,
) -> Spectrum:
    """Eigenvalues of a network's kernel, with their logarithms, multiplicities and error bounds.

    Parameters
    ----------
    network : Network, ZonalKernel or str
        A name stands for the poster's network with that activation.  A bare function is refused:
        give `Network(user_activation(f))` or `ZonalKernel(f)`.
    dim : int
        2 to 10**6; inputs are unit vectors in R^dim.
    degrees : int, str or iterable of int
        0 to 10**5, in any order.
    kernel : {"ntk", "nngp"}
    normalization : {"probability", "surface", "poster"}
        The operator's measure: uniform probability, the surface measure, or the poster's
        formula (1) as printed.
    tolerance : float
        Largest relative error accepted; only what is given as a function of doubles can
        exceed the usual one.

    Returns
    -------
    Spectrum

    Raises
    ------
    NtkspecError
        For a parameter that is not allowed, and where an eigenvalue cannot be had to the
        tolerance: which, and the bound that holds.

    Warns
    -----
    NotPositiveDefiniteWarning
        When an eigenvalue of a `ZonalKernel` is negative beyond its error.

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
    source = network if isinstance(network, ZonalKernel) else as_network(network)
    dim, wanted = check_dim(dim), check_degrees(degrees)
    normalization = check_normalization(normalization)
    limit = _checked_tolerance(tolerance)
    if isinstance(source, Network):
        source.mixture(kernel)  # refuses another kernel's name
    unique, inverse = np.unique(wanted, return_inverse=True)
    mantissa, exponent, error = _scaled(source, dim, unique, kernel)
    if normalization != "probability":
        mantissa, exponent = _renormalized(mantissa, exponent, dim, normalization)
        error = error + 4 * ROUNDING
    _refuse_poor(unique, error, limit)
    warn_of_negative(unique, mantissa, error)
    return Spectrum(
        source, dim, kernel, normalization, wanted,
        mantissa[inverse], exponent[inverse], error[inverse],
    )  # fmt: skip


def _scaled(
    source: Network | ZonalKernel, dim: int, degrees: NDArray[np.int64], kernel: Kernel
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Mantissas, exponents and relative errors of increasing degrees."""
    doubles = source.arithmetic if isinstance(source, ZonalKernel) else source.sigma.arithmetic
    if doubles != "double":
        if isinstance(source, ZonalKernel):
            return _of_kernel(source, dim, degrees)
        route = accurate(source, kernel)
        if route.degrees_alone or source.sigma.user:
            mantissa, exponent = both_parities(route, dim, degrees)
        else:
            mantissa, exponent = _remembered(source, kernel, dim, degrees.tobytes())
        return mantissa, exponent, np.full(degrees.size, route.relative_error)
    from ntkspec.spectra.direct import direct_eigenvalues

    if isinstance(source, Network) and source.weights == "sphere":
        raise NtkspecError("weights = 'sphere' takes the activations that ntkspec knows")
    zeros = Parity() if isinstance(source, ZonalKernel) else parity(source, kernel)
    value, bound = direct_eigenvalues(source, dim, degrees, kernel)
    exact = np.array([zeros.vanishes(int(k)) for k in degrees])
    value[exact], bound[exact] = 0.0, 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(exact, 0.0, bound / np.abs(value))
    m, e = np.frexp(value)
    return 2.0 * m, np.where(m == 0.0, 0, e.astype(np.int64) - 1), error


@lru_cache(maxsize=64)
def _remembered(
    source: Network, kernel: Kernel, dim: int, degrees: bytes
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Eigenvalues that take long, read-only: each request by a route of its own."""
    wanted = np.frombuffer(degrees, np.int64)
    mantissa, exponent = both_parities(accurate(source, kernel), dim, wanted)
    mantissa.flags.writeable = exponent.flags.writeable = False
    return mantissa, exponent


def _of_kernel(
    source: ZonalKernel, dim: int, degrees: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Of a kernel in high precision, whose values doubles must support.

    Two runs of the seeds could agree by accident, on a feature that no node of theirs meets.
    """
    from ntkspec.spectra.direct import resolved_eigenvalues

    with np.errstate(all="ignore"):
        known, bound = resolved_eigenvalues(source.in_doubles, source.name, dim, degrees)
    route = _kernel_seeds(source)
    mantissa, exponent = both_parities(route, dim, degrees)
    off = np.abs(np.ldexp(mantissa, exponent) - known) > bound
    if off.any():
        at = np.flatnonzero(off)[0]
        raise NtkspecError(
            f"degree = {degrees[at]}: {source.name} gives this eigenvalue as {known[at]:.6g} in "
            f"doubles (to {bound[at]:.2g}), but its rules in high precision do not: it has too "
            "narrow a feature for them; give it for doubles"
        )
    return mantissa, exponent, np.full(degrees.size, route.relative_error)


def _kernel_seeds(source: ZonalKernel) -> Route:
    """Seeds of a user's kernel in high precision; analytic in theta, like that of a kink."""
    from ntkspec.callables import ball_function
    from ntkspec.spectra.seeds import BallSeeds

    function = ball_function(source.function, source.arithmetic, source.name)
    return BallSeeds(lambda: lambda angle: function(angle.cos()), Parity(), "kink", proved=False)


def _checked_tolerance(tolerance: float) -> float:
    value = as_number(tolerance)
    if not value > 0.0:
        raise NtkspecError(f"tolerance = {shown(tolerance)} is not allowed; it must be positive")
    return value


def _refuse_poor(degrees: NDArray[np.int64], error: NDArray[np.float64], limit: float) -> None:
    poor = np.flatnonzero(~(error <= limit))
    if poor.size:
        at = poor[0]
        raise NtkspecError(
            f"degree = {degrees[at]}: a function of doubles gives this eigenvalue to a relative "
            f"error of {error[at]:.2g} only, which exceeds tolerance = {limit:g}; {poor.size} of "
            f"{degrees.size} degrees do so: raise the tolerance, or give the function for flint "
            "or mpmath numbers"
        )


def warn_of_negative(
    degrees: NDArray[np.int64], mantissa: NDArray[np.float64], error: NDArray[np.float64]
) -> None:
    """Warn when an eigenvalue is negative beyond its error: the kernel is not positive definite.

    Parameters
    ----------
    degrees, mantissa, error : (K,) arrays
        The degrees, numbers of the eigenvalues' signs, and bounds on their relative errors.
    """
    negative = np.flatnonzero((mantissa < 0.0) & (error < 1.0))
    if negative.size:
        warnings.warn(
            f"the kernel is not positive definite: its eigenvalue of degree "
            f"{degrees[negative[0]]} is negative ({negative.size} of {degrees.size} are)",
            NotPositiveDefiniteWarning,
            stacklevel=3,
        )


def eigenvalues(
    network: Network | ZonalKernel | str,
    dim: int = 3,
    degrees: int | str | Iterable[int] = range(101),
    kernel: Kernel = "ntk",
    normalization: Normalization = "probability",
    log: bool = False,
    tolerance: float = TOLERANCE,
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
    result = spectrum(network, dim, degrees, kernel, normalization, tolerance)
    return result.log_eigenvalues if log else result.eigenvalues


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
