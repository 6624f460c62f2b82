"""Gauss-Gegenbauer quadrature in doubles, with error bounds.

It is an independent check of large eigenvalues and the baseline of the benchmarks; its bound shows
where no digit is correct.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ntkspec.conventions import check_degrees, check_dim
from ntkspec.domains import log_multiplicity
from ntkspec.errors import NtkspecError
from ntkspec.kernels import gauss as gauss_kernels
from ntkspec.kernels import legendre as legendre_kernels

__all__ = [
    "FunkHecke",
    "chebyshev_coefficients",
    "funk_hecke",
    "gauss_gegenbauer",
    "truncation",
]

MOST_NODES = 20_000
ROUNDING = 2.0**-53

Array = NDArray[np.float64]


def gauss_gegenbauer(n: int, dim: int) -> tuple[Array, Array]:
    """Gauss rule for the probability measure c_d (1-t^2)^((d-3)/2) dt on [-1, 1].

    Parameters
    ----------
    n : int
        Number of nodes, 1 to 20000.
    dim : int
        d >= 2.

    Returns
    -------
    nodes : (n,) float64 array
        Increasing, antisymmetric to the bit.
    weights : (n,) float64 array
        Accurate to 1e-14 relative, with sum 1; 0 if below the range of doubles.

    Raises
    ------
    NtkspecError
        For n or dim that are not allowed.

    Notes
    -----
    Eigenvalues of the Jacobi matrix (Golub and Welsch 1969), of its square to be exact, which
    has half the size; then Newton's method with the polynomials in double-double.

    Examples
    --------
    >>> nodes, weights = gauss_gegenbauer(2, 3)
    >>> nodes.round(6), weights
    (array([-0.57735,  0.57735]), array([0.5, 0.5]))
    """
    try:
        count = operator.index(n)
    except TypeError:
        count = 0
    if not 1 <= count <= MOST_NODES:
        raise NtkspecError(
            f"n = {n!r} nodes are not allowed; it must be a whole number from 1 to {MOST_NODES}"
        )
    return _rule(count, check_dim(dim))


@lru_cache(maxsize=32)
def _rule(n: int, dim: int) -> tuple[Array, Array]:
    if dim == 2:
        positive = np.sin(np.pi * (np.arange(n // 2) + 0.5 * (1 + n % 2)) / n)
        nodes = np.concatenate([-positive[::-1], np.zeros(n % 2), positive])
        weights = np.full(n, 1.0 / n)
    else:
        nodes, weights = _newton_rule(n, dim)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def _newton_rule(n: int, dim: int) -> tuple[Array, Array]:
    positive = _guesses(n, dim)
    if n % 2:
        positive = np.concatenate([[0.0], positive])
    mantissa, exponent = np.empty(positive.size), np.empty(positive.size, np.int64)
    correction = gauss_kernels.polish(n, dim, positive, mantissa, exponent)
    if np.any(np.diff(positive) <= 0.0) or not correction < 1e-15:
        raise NtkspecError(f"n = {n} nodes in dim = {dim} could not be found to the last digit")
    mantissa, shift = np.frexp(mantissa)
    exponent += shift
    half = np.ldexp(mantissa, np.maximum(exponent - exponent.max(), -2000))
    mirrored = slice(n % 2, None)
    nodes = np.concatenate([-positive[mirrored][::-1], positive])
    weights = np.concatenate([half[mirrored][::-1], half])
    return nodes, weights / math.fsum(weights)


def _guesses(n: int, dim: int) -> Array:
    """Positive nodes to about 1e-12: eigenvalues of one half of the squared Jacobi matrix."""
    if n == 1:
        return np.empty(0)
    k = np.arange(1.0, n + 1.0)
    square = k * (k + dim - 3.0) / ((2.0 * k + dim - 2.0) * (2.0 * k + dim - 4.0))
    square = np.concatenate([[0.0], square])[:n]  # squared off-diagonals, from 0 on
    first, size = n % 2, n // 2
    left, right = square[first::2][:size], square[first + 1 :: 2][:size]
    diagonal = left.copy()
    diagonal[: right.size] += right
    between = np.sqrt(square[first + 1 :: 2][: size - 1] * square[first + 2 :: 2][: size - 1])
    return np.asarray(np.sqrt(scipy.linalg.eigvalsh_tridiagonal(diagonal, between)))


@dataclass(frozen=True)
class FunkHecke:
    """Eigenvalues by plain quadrature, with bounds on their errors.

    Attributes
    ----------
    degrees : (K,) int64 array
    eigenvalues : (K,) float64 array
        Under the uniform probability measure.
    absolute_error : (K,) float64 array
        Bound on the error: rounding, and truncation from the kernel's Chebyshev coefficients
        that the rule does not integrate.  A kernel with a jump has a large one.
    digits : (K,) int64 array
        Correct decimal digits according to the bound; 0 if none.

    Examples
    --------
    >>> found = funk_hecke(np.exp, 3, [0, 30])
    >>> found.digits
    array([13,  0])
    """

    degrees: NDArray[np.int64]
    eigenvalues: Array
    absolute_error: Array
    digits: NDArray[np.int64]


def funk_hecke(
    kernel_function: Callable[[Array], ArrayLike],
    dim: int,
    degrees: int | Iterable[int],
    nodes: int = 2000,
) -> FunkHecke:
    """Eigenvalues c_d int K(t) P_k(t) (1-t^2)^((d-3)/2) dt by a Gauss-Gegenbauer rule.

    Parameters
    ----------
    kernel_function : callable
        K, vectorised over t in [-1, 1].
    dim : int
    degrees : int or iterable of int
    nodes : int
        2 to 20000.

    Returns
    -------
    FunkHecke

    Raises
    ------
    NtkspecError
        For parameters that are not allowed, or a kernel that returns NaN or another shape.

    Examples
    --------
    >>> result = funk_hecke(lambda t: t, 3, [0, 1, 2])
    >>> result.eigenvalues.round(15)[1], result.digits
    (np.float64(0.333333333333333), array([ 0, 13,  0]))
    """
    wanted, dim = check_degrees(degrees), check_dim(dim)
    if not isinstance(nodes, (int, np.integer)) or nodes < 2:
        raise NtkspecError(
            f"nodes = {nodes!r} is not allowed; it must be a whole number from 2 to {MOST_NODES}"
        )
    unique, inverse = np.unique(wanted, return_inverse=True)
    count = int(nodes)
    value, size, argument, crowding = _sums(kernel_function, dim, unique, count)
    # Kernel, weight and sum cost a few roundings; the rounded nodes and the recurrence some for
    # each degree.
    error = ROUNDING * ((64.0 + 4.0 * unique) * size + argument)
    missed = truncation(lambda t: _called(kernel_function, t), 2 * count - 1 - unique, count)
    error += crowding * missed
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = np.floor(np.nan_to_num(np.log10(np.abs(value) / error), nan=0.0, neginf=0.0))
    digits = np.clip(digits, 0, 15).astype(np.int64)
    return FunkHecke(wanted, value[inverse], error[inverse], digits[inverse])


def truncation(
    function: Callable[[Array], Array],
    exact: NDArray[np.int64],
    nodes: int,
) -> Array:
    """Bound on the truncation error of a Gauss rule on [-1, 1], from a Chebyshev series.

    A rule that is exact for polynomials to some degree errs by what lies beyond: of each stretch
    of 2 * nodes coefficients it takes a few for lower ones.  The coefficients come from two grids
    of incommensurate sizes; where these differ, either is wrong.

    Parameters
    ----------
    function : callable
        Of a float64 array.
    exact : (K,) int64 array
        Degrees to which the rule is exact, times the other factors of the integrand.
    nodes : int
        Of the rule.

    Returns
    -------
    (K,) float64 array
        An estimate with a factor of 8 to spare, not a proof: a feature between the points of
        both grids is not seen.

    Examples
    --------
    >>> bool(truncation(np.exp, np.array([39]), 20)[0] < 1e-14)
    True
    """
    first, second = (
        chebyshev_coefficients(function, scipy.fft.next_fast_len(m * nodes + 37)) for m in (4, 3)
    )
    sizes = np.abs(first)
    sizes[: second.size] = np.maximum(sizes[: second.size], np.abs(second))
    low = second.size // 2
    doubt = np.abs(first[:low] - second[:low]).max()
    # Below this a coefficient is the rounding of the values, which the caller counts.
    plateau = 8.0 * ROUNDING * sizes.max()
    sizes[sizes <= plateau] = 0.0
    doubt = 0.0 if doubt <= plateau else doubt
    # The largest from each degree on, so that one cut between two stretches hides nothing.
    largest = np.maximum.accumulate(sizes[::-1])[::-1]
    start = np.clip(exact, 0, sizes.size - 1)
    total = np.zeros(exact.size)
    for stretch in range(3):
        total += largest[np.minimum(start + stretch * 2 * nodes, sizes.size - 1)]
    return np.asarray(8.0 * (total + doubt))


def chebyshev_coefficients(function: Callable[[Array], Array], count: int) -> Array:
    """Chebyshev coefficients c_j of a function, f = c_0 / 2 + sum_(j >= 1) c_j T_j on [-1, 1].

    Parameters
    ----------
    function : callable
        Of a float64 array.
    count : int
        Number of Chebyshev points and of coefficients, which are aliased where f has more.

    Returns
    -------
    (count,) float64 array

    Examples
    --------
    >>> chebyshev_coefficients(lambda t: 3.0 * t, 3).round(12)
    array([0., 3., 0.])
    """
    values = function(np.cos(np.pi * (np.arange(count) + 0.5) / count))
    return np.asarray(scipy.fft.dct(values) / count)


def _called(kernel_function: Callable[[Array], ArrayLike], t: Array) -> Array:
    """Evaluate a kernel and check the values."""
    values = np.asarray(kernel_function(t), dtype=np.float64)
    if values.shape != t.shape:
        raise NtkspecError(
            f"kernel_function returned shape {values.shape} for t of shape {t.shape}"
        )
    if not np.all(np.isfinite(values)):
        at = float(t[~np.isfinite(values)][0])
        raise NtkspecError(f"kernel_function returned a value that is not finite at t = {at!r}")
    return values


def _sums(
    kernel_function: Callable[[Array], ArrayLike],
    dim: int,
    degrees: NDArray[np.int64],
    n: int,
) -> tuple[Array, Array, float, float]:
    """Sums over a rule, their sizes, what rounded nodes change in ulps, and the largest weight.

    A size is the sum of the moduli of the terms and, since these vanish where the nodes are zeros
    of P_k, at least what K and P_k have on the average: sqrt(2 E[K^2] / N(d, k)).  The weight is
    in units of that of Chebyshev's rule: it says how much of the measure lies at one node.
    """
    t, weights = gauss_gegenbauer(n, dim)
    values = _called(kernel_function, t)
    total, size = np.empty(degrees.size), np.empty(degrees.size)
    legendre_kernels.funk_hecke_sums(degrees, dim, t, weights * values, total, size)
    largest = np.abs(values).max()
    if largest > 0.0:
        mean = largest * math.sqrt(2.0 * float(weights @ (values / largest) ** 2))
        size = np.maximum(size, mean * np.exp(-0.5 * log_multiplicity(dim, degrees)))
    argument = float(weights @ np.abs(t * np.gradient(values, t)))
    return total, size, argument, max(1.0, n * float(weights.max()))
