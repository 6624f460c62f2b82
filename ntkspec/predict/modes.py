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
from ntkspec.parameters import whole_number
from ntkspec.spectra import Spectrum, spectrum
from ntkspec.spectra.closed_form import ClosedForm
from ntkspec.spectra.conventions import MAX_DEGREE, check_dim
from ntkspec.spectra.routes import route as accurate
from ntkspec.spectra.series import PositiveSeries
from ntkspec.spectra.spectrum import log_multiplicity
from ntkspec.tables import TableSlice

__all__ = ["Modes", "Source", "modes", "resolved"]

Array = NDArray[np.float64]

ROUNDING = 2.0**-53
#: Relative error of K(1) by the pointwise kernels.
TRACE_ERROR = 1e-14
DEFAULT_DEGREE = 128
#: Where `resolved` ends by itself: for networks of one layer without bias whose eigenvalues have a
#: closed form or a positive series, and for others.
MOST_DEGREE, MOST_SEEDED_DEGREE = 32768, 512
#: Blocks of the likely tail, four for each doubling of the degree, and the least power of k by
#: which its N lambda fall.
TAIL_BLOCKS, LEAST_FALL = 80, 1.05
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
    likely_tail : (B, 2) float64 array
        What it is taken for between them: blocks of eigenvalues, the natural logarithms of
        N lambda summed over each and of its lambda.  The last degrees go on as powers of k, to the
        sum that is known.
    log_largest_beyond : float
        Natural logarithm of a bound on each eigenvalue of those degrees.

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
    likely_tail: Array
    log_largest_beyond: float

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

        A term N lambda / (lambda + kappa) lies between N lambda / (the largest lambda + kappa)
        and N lambda / kappa.

        Examples
        --------
        >>> [round(float(x), 3) for x in modes("relu", max_degree=40).rest_freedom(np.log(1e-4))]
        [37.48, 38.175, 38.381]
        """
        x = np.asarray(log_kappa, dtype=np.float64)
        with np.errstate(divide="ignore"):
            low, high = np.log(self.rest)
        below = _exp_ratio(float(low), np.logaddexp(self.log_largest_beyond, x))
        above = _exp_ratio(float(high), x)
        return below, np.clip(self._tail(x, 1), below, above), above

    def rest_second(self, log_kappa: ArrayLike) -> tuple[Array, Array]:
        """Sum of N L^2 over the degrees that are not known: likely and most, (...) each.

        Examples
        --------
        >>> [round(float(x), 4) for x in modes("relu").rest_second(np.log(1e-4))]
        [0.0022, 0.0092]
        """
        most = self.rest_freedom(log_kappa)[2] * self.rest_learnability(log_kappa)
        return np.minimum(self._tail(np.asarray(log_kappa, dtype=np.float64), 2), most), most

    def doubt(self, log_kappa: float) -> float:
        """What the degrees that are not known leave open of the sum of N L, relative.

        Examples
        --------
        >>> round(modes("relu", max_degree=40).doubt(np.log(1e-4)), 4)
        0.0053
        """
        below, _, above = self.rest_freedom(log_kappa)
        return float((above - below) / (self.freedom(log_kappa).sum() + below))

    def rest_learnability(self, log_kappa: ArrayLike) -> Array:
        """The largest L that the degrees that are not known can have, (...).

        Examples
        --------
        >>> round(float(modes("relu").rest_learnability(np.log(1e-4))), 4)
        0.0007
        """
        top = self.log_largest_beyond
        return _exp_ratio(top, np.logaddexp(top, np.asarray(log_kappa, dtype=np.float64)))

    def _tail(self, log_kappa: Array, power: int) -> Array:
        """Sum of N L^power over the likely tail."""
        sums, values = self.likely_tail.T
        below = np.logaddexp(values, log_kappa[..., None])
        each = _exp_ratio(sums, below)
        if power == 2:
            each = each * _exp_ratio(values, below)
        return np.asarray(each.sum(axis=-1))


def _exp_ratio(log_above: float | Array, log_below: float | Array) -> Array:
    """exp of a difference of logarithms, 0 where the first is that of 0, at most e^700."""
    above = np.asarray(log_above, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.minimum(above - log_below, 700.0)
    return np.asarray(np.where(np.isneginf(above), 0.0, np.exp(gap)))


Source: TypeAlias = Network | str | Spectrum | TableSlice | Modes


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
        last = DEFAULT_DEGREE
        if max_degree is not None:
            last = whole_number(max_degree, "max_degree", 0, MAX_DEGREE)
        known = 3 if dim is None else dim
        source = spectrum(as_network(source), known, range(last + 1), kernel)
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
        at most 1e-3, falls no more, or 32768 degrees are reached (512 where the eigenvalues have
        neither a closed form nor a positive series).
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
    closed = not user and isinstance(accurate(network, kernel), (ClosedForm, PositiveSeries))
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
    # Large logarithms of N and lambda are added before the exponential.
    rounding = 8 * ROUNDING * float(gammaln(degrees[-1] + dim + 2.0))
    doubt = trace * TRACE_ERROR + known * (error + rounding)
    rest = max(0.0, trace - known - doubt), max(0.0, trace - known + doubt)
    likely = (
        math.log(trace - known) if trace - known > 4.0 * doubt else _extrapolated(counts + logs)
    )
    largest = _log_largest_beyond(dim, degrees, logs, rest[1], falling)
    tail = _tail_blocks(degrees, logs, counts, likely)
    return Modes(dim, degrees, logs, counts, trace, rest, tail, largest)


def _extrapolated(log_terms: Array) -> float:
    """Logarithm of the sum of what follows, if the terms of a parity fall on by their last ratio.

    `Modes.rest_freedom` holds it between the bounds of the rest.
    """
    total = -math.inf
    for before, last in zip(log_terms[-4:-2].tolist(), log_terms[-2:].tolist(), strict=False):
        if -math.inf < last < before:
            total = float(np.logaddexp(total, 2 * last - before - np.log(-np.expm1(last - before))))
    return total


def _tail_blocks(degrees: NDArray[np.int64], logs: Array, counts: Array, total: float) -> Array:
    """Blocks of the likely tail in logarithms: sums of N lambda, which make the total, and lambda.

    Of the parity that has more at the end, lambda goes on as k^-q and N lambda as k^-p, with the
    powers of its last two degrees.
    """
    last = max(range(-min(2, degrees.size), 0), key=lambda at: float(logs[at] + counts[at]))
    before = np.flatnonzero((degrees == degrees[last] - 2) & np.isfinite(logs))
    if not np.isfinite(logs[last]) or before.size == 0 or degrees[last] < 4:
        return np.array([[total, -math.inf]])
    k = float(degrees[last])
    apart = math.log(k / (k - 2.0))
    q = max(0.0, float(logs[before[0]] - logs[last]) / apart)
    p = max(LEAST_FALL, q - float(counts[last] - counts[before[0]]) / apart)
    edges = np.append(2.0 ** (np.arange(TAIL_BLOCKS) / 4.0), math.inf)
    with np.errstate(divide="ignore", under="ignore"):
        sums = np.log(edges[:-1] ** (1.0 - p) - edges[1:] ** (1.0 - p))
    middles = (1.0 + 1.0 / k) * edges[:-1] * 2.0**0.125
    return np.stack([total + sums, float(logs[last]) - q * np.log(middles)], axis=1)


def _log_largest_beyond(
    dim: int, degrees: NDArray[np.int64], logs: Array, rest: float, falling: bool
) -> float:
    """Logarithm of a bound on the eigenvalues of the degrees that are not known.

    Each is at most the rest over its N.  And lambda_(k+2) <= lambda_k for a kernel that is positive
    in all dimensions and depends on none: lambda_k = lambda_(k+2) + (1 + 2k/d) lambda_k^(d+2)
    (docs/mathematics.rst).
    """
    missing = np.setdiff1d(np.arange(degrees[-1] + 3), degrees)
    with np.errstate(divide="ignore"):
        bounds = np.log(rest) - log_multiplicity(dim, missing)
    if not falling:
        return float(bounds[:2].max())
    found: dict[int, float] = dict(zip(degrees.tolist(), logs.tolist(), strict=True))
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
