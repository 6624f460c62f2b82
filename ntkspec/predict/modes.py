"""The modes of a kernel: eigenvalue and multiplicity of each degree, and what lies beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.spectra import Spectrum, spectrum
from ntkspec.spectra.closed_form import ClosedForm
from ntkspec.spectra.conventions import check_dim
from ntkspec.spectra.routes import route as accurate
from ntkspec.tables import TableSlice

__all__ = ["Modes", "Source", "log_multiplicity", "modes", "resolved"]

Array = NDArray[np.float64]

ROUNDING = 2.0**-53
#: Relative error of K(1) by the pointwise kernels.
TRACE_ERROR = 1e-14
DEFAULT_DEGREE = 128
#: Where `resolved` ends by itself: for (leaky) ReLU of one layer, whose eigenvalues have a closed
#: form and a long tail, and for other networks.
MOST_DEGREE, MOST_SEEDED_DEGREE = 32768, 512
#: What the degrees left out may leave open, relative.
ENOUGH = 1e-3


@dataclass(frozen=True)
class Modes:
    """Eigenvalues of a kernel on the sphere S^(d-1) under the uniform probability measure.

    Attributes
    ----------
    dim : int
    degrees : (K,) int64 array
        Increasing.
    log_eigenvalues : (K,) float64 array
        Natural logarithm of lambda_k; -inf for an exact zero.
    log_multiplicities : (K,) float64 array
        Natural logarithm of N(d, k).
    trace : float
        K(1) = sum_k N(d, k) lambda_k over all degrees.
    rest : (float, float)
        Bounds of the sum of N(d, k) lambda_k over the degrees that are not among `degrees`.
    likely_rest : float
        What it is taken for between them: K(1) less the known sum, or, where that is rounding
        alone, what the last degrees go on to if each parity falls on by its last ratio.
    largest_beyond : float
        Bound on each eigenvalue of those degrees.

    Examples
    --------
    >>> m = modes("relu", dim=3, max_degree=40)
    >>> m.trace, round(m.rest[1], 4)
    (0.5, 0.0038)
    """

    dim: int
    degrees: NDArray[np.int64]
    log_eigenvalues: Array
    log_multiplicities: Array
    trace: float
    rest: tuple[float, float]
    likely_rest: float
    largest_beyond: float

    @cached_property
    def shares(self) -> Array:
        """(K,) share of each degree in the trace, N(d, k) lambda_k / K(1)."""
        return np.asarray(np.exp(self.log_multiplicities + self.log_eigenvalues)) / self.trace

    def place(self, degree: int, what: str = "degree") -> int:
        """Index of a degree.

        Raises
        ------
        NtkspecError
            When it is not among the degrees.

        Examples
        --------
        >>> modes("relu", max_degree=4).place(2)
        2
        """
        at = int(np.searchsorted(self.degrees, degree))
        if at == self.degrees.size or self.degrees[at] != degree:
            raise NtkspecError(
                f"{what} = {degree!r} is not among the degrees that are known, "
                f"{self.degrees.size} from {self.degrees[0]} to {self.degrees[-1]}"
            )
        return at

    def log_learnability(self, log_kappa: ArrayLike) -> Array:
        """ln L_k, L_k = lambda_k / (lambda_k + kappa), (..., K), from ln kappa (...).

        kappa = 0 leaves only the exact zeros unlearned.

        Examples
        --------
        >>> modes("relu", max_degree=3).log_learnability(np.log(0.0625))[:2].round(3)
        array([-0.693, -0.56 ])
        """
        logs = self.log_eigenvalues
        with np.errstate(invalid="ignore"):
            gap = logs - np.asarray(log_kappa, dtype=np.float64)[..., None]
            return np.where(np.isneginf(logs), -np.inf, -np.logaddexp(0.0, -gap))

    def freedom(self, log_kappa: ArrayLike, power: int = 1) -> Array:
        """N L^power of each known degree, (..., K).

        N overflows where lambda is tiny: the product is formed in logarithms.

        Examples
        --------
        >>> modes("relu", max_degree=3).freedom(np.log(0.0625)).round(3)
        array([0.5  , 1.714, 1.522, 0.   ])
        """
        return np.asarray(
            np.exp(self.log_multiplicities + power * self.log_learnability(log_kappa))
        )

    def rest_freedom(self, log_kappa: ArrayLike) -> tuple[Array, Array, Array]:
        """Sum of N L over the degrees that are not known: least, likely and most, (...) each.

        A term N lambda / (lambda + kappa) lies between N lambda / (largest_beyond + kappa) and
        N lambda / kappa.

        Examples
        --------
        >>> [round(float(x), 3) for x in modes("relu", max_degree=40).rest_freedom(np.log(1e-4))]
        [37.48, 37.925, 38.381]
        """
        kappa = np.exp(np.asarray(log_kappa, dtype=np.float64))
        sizes = (self.rest[0], self.likely_rest, self.rest[1])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            below, likely, above = (
                np.asarray(np.where(size > 0.0, size / (kappa + part * self.largest_beyond), 0.0))
                for size, part in zip(sizes, (1.0, 0.5, 0.0), strict=True)
            )
        return below, likely, above

    def rest_learnability(self, log_kappa: ArrayLike) -> tuple[Array, Array]:
        """A likely and the largest L of the degrees that are not known, (...) each.

        Examples
        --------
        >>> [round(float(x), 4) for x in modes("relu").rest_learnability(np.log(1e-4))]
        [0.0004, 0.0007]
        """
        kappa = np.exp(np.asarray(log_kappa, dtype=np.float64))
        top = self.largest_beyond
        if top == 0.0:
            return np.zeros_like(kappa), np.zeros_like(kappa)
        return 0.5 * top / (0.5 * top + kappa), top / (top + kappa)


Source: TypeAlias = Network | str | Spectrum | TableSlice | Modes


def log_multiplicity(dim: int, degrees: NDArray[np.int64]) -> Array:
    """ln N(d, k), N = (2k+d-2)/k binom(k+d-3, k-1), for any d and k.

    Examples
    --------
    >>> np.exp(log_multiplicity(3, np.array([0, 1, 10]))).round(9)
    array([ 1.,  3., 21.])
    """
    k = np.asarray(degrees, dtype=np.float64)
    if dim == 2:
        return np.where(k == 0, 0.0, math.log(2.0))
    # N = (2k+d-2)/(k+d-2) binom(k+d-2, k)
    log_binomial = gammaln(k + dim - 1) - gammaln(k + 1) - gammaln(dim - 1)
    return np.asarray(np.log((2 * k + dim - 2) / (k + dim - 2)) + log_binomial)


def modes(
    source: Source, dim: int | None = None, kernel: Kernel = "ntk", max_degree: int | None = None
) -> Modes:
    """Gather the modes of a kernel.

    Parameters
    ----------
    source : Network, str, Spectrum, TableSlice or Modes
        A name stands for the poster's network.  A spectrum is taken as it is (normalization
        "probability"), a table's slice in one of its dimensions.
    dim : int, optional
        By default 3 for a network, and the only dimension of a slice.
    kernel : {"ntk", "nngp"}
        Of a network.
    max_degree : int, optional
        Largest degree of a network's spectrum; 128 by default.

    Returns
    -------
    Modes

    Raises
    ------
    NtkspecError
        For a spectrum in another normalization or of a kernel whose K(1) is not known, a slice
        without the dimension, and what `ntkspec.spectrum` refuses.

    Notes
    -----
    The rest, sum of N lambda over the degrees left out, is K(1) less the sum of those known; both
    are right to about 1e-14 K(1), which its bounds include.

    Examples
    --------
    >>> modes("tanh", dim=10, max_degree=5).shares.round(4)
    array([0.    , 0.8301, 0.    , 0.1319, 0.    , 0.0289])
    """
    if isinstance(source, Modes):
        return source
    if isinstance(source, TableSlice):
        row = _row(source, dim)
        found, network = int(source.dims[row]), source.network
        logs, error = source.log_eigenvalue[row], float(source.relative_error[row])
        return _gathered(network, source.kernel, found, source.degrees, logs, error)
    if not isinstance(source, Spectrum):
        last = DEFAULT_DEGREE if max_degree is None else max_degree
        if isinstance(last, bool) or not isinstance(last, (int, np.integer)) or last < 0:
            raise NtkspecError(
                f"max_degree = {max_degree!r} is not allowed; it must be a whole number from 0"
            )
        known = 3 if dim is None else dim
        source = spectrum(as_network(source), known, range(int(last) + 1), kernel)
    if source.normalization != "probability":
        raise NtkspecError(
            f"normalization = {source.normalization!r} is not allowed; predictions need a spectrum "
            "in the normalization 'probability'"
        )
    if dim is not None and check_dim(dim) != source.dim:
        raise NtkspecError(f"dim = {dim!r} is not allowed; the spectrum given has {source.dim}")
    degrees, at = np.unique(source.degrees, return_index=True)
    error = float(source.relative_error.max())
    logs = source.log_eigenvalues[at]
    if not isinstance(source.network, Network):
        trace = float(source.network.function(1.0)) if source.network.arithmetic == "double" else 0
        return _of_trace(trace, source.dim, degrees, logs, error, falling=False)
    return _gathered(source.network, source.kernel, source.dim, degrees, logs, error)


def resolved(
    source: Source,
    dim: int | None,
    kernel: Kernel,
    max_degree: int | None,
    least: int,
    doubt: Callable[[Modes], float],
) -> Modes:
    """Modes with as many degrees as a prediction needs.

    Parameters
    ----------
    source, dim, kernel, max_degree
        As for `modes`.  Without a max_degree a network's degrees are doubled until the doubt is
        at most 1e-3, falls no more, or 32768 degrees are reached (512 where the eigenvalues have no
        closed form).
    least : int
        Largest degree that must be there.
    doubt : callable
        What the degrees left out leave open, relative, given the modes.

    Returns
    -------
    Modes

    Examples
    --------
    >>> resolved("relu", 3, "ntk", None, 5, lambda m: m.rest[1] / m.trace).degrees[-1]
    np.int64(512)
    """
    if max_degree is not None or not isinstance(source, (Network, str)):
        return modes(source, dim, kernel, max_degree)
    network, last = as_network(source), max(DEFAULT_DEGREE, least)
    user = network.sigma.user
    closed = not user and isinstance(accurate(network, kernel), ClosedForm)
    most = MOST_DEGREE if closed else MOST_SEEDED_DEGREE
    known = modes(network, dim, kernel, last)
    left = doubt(known)
    while left > ENOUGH and 2 * last <= most:
        last *= 2
        known = modes(network, dim, kernel, last)
        before, left = left, doubt(known)
        if left > 0.9 * before:  # what is left is rounding
            break
    return known


def _gathered(
    network: Network,
    kernel: Kernel,
    dim: int,
    degrees: NDArray[np.int64],
    logs: Array,
    error: float,
) -> Modes:
    trace = float(network.ntk(1.0) if kernel == "ntk" else network.nngp(1.0))
    return _of_trace(trace, dim, degrees, logs, error, network.weights == "gaussian")


def _of_trace(
    trace: float, dim: int, degrees: NDArray[np.int64], logs: Array, error: float, falling: bool
) -> Modes:
    if not trace > 0.0:
        raise NtkspecError("the kernel's value K(1) is not known; give a Network")
    counts = log_multiplicity(dim, degrees)
    terms = np.exp(counts + logs)
    known = math.fsum(terms.tolist())
    # The logarithms of N come from differences of ln Gamma.
    rounding = 8 * ROUNDING * float(gammaln(degrees[-1] + dim + 2.0))
    doubt = trace * TRACE_ERROR + known * (error + rounding)
    rest = max(0.0, trace - known - doubt), max(0.0, trace - known + doubt)
    likely = trace - known
    if likely < 4.0 * doubt:
        likely = min(max(rest[0], _extrapolated(terms)), rest[1])
    largest = _largest_beyond(dim, degrees, logs, rest[1], falling)
    return Modes(dim, degrees, logs, counts, trace, rest, likely, largest)


def _extrapolated(terms: Array) -> float:
    """Sum of what follows, if the terms of each parity fall on by their last ratio."""
    total = 0.0
    for before, last in zip(terms[-4:-2].tolist(), terms[-2:].tolist(), strict=False):
        if 0.0 < last < before:
            total += last * last / (before - last)
    return total


def _largest_beyond(
    dim: int, degrees: NDArray[np.int64], logs: Array, rest: float, falling: bool
) -> float:
    """Bound on the eigenvalues of the degrees that are not known.

    Each is at most the rest over its N.  And lambda_(k+2) <= lambda_k for a kernel that is positive
    in all dimensions and depends on none: lambda_k = lambda_(k+2) + (1 + 2k/d) lambda_k^(d+2)
    (docs/mathematics.rst).
    """
    missing = np.setdiff1d(np.arange(degrees[-1] + 3), degrees)
    bounds = np.exp(math.log(rest) - log_multiplicity(dim, missing)) if rest > 0.0 else 0 * missing
    if not falling:
        return float(bounds[:2].max())
    found: dict[int, float] = dict(zip(degrees.tolist(), np.exp(logs).tolist(), strict=True))
    for k, bound in zip(missing.tolist(), bounds.tolist(), strict=True):
        found[k] = min(bound, found.get(k - 2, math.inf))
    return max(found[k] for k in missing.tolist())


def _row(part: TableSlice, dim: int | None) -> int:
    """The place of a dimension in a table's slice."""
    if dim is None and part.dims.size == 1:
        return 0
    at = np.flatnonzero(part.dims == dim)
    if at.size != 1:
        given = ", ".join(map(str, part.dims[:8].tolist()))
        raise NtkspecError(f"dim = {dim!r} is not allowed; the slice of the table has {given}")
    return int(at[0])
