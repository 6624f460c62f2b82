"""The Hermite eigenstructure ansatz: a kernel's eigenvalues from the covariance of the data.

Karkada, Turnbull, Liu and Simon 2025 (arXiv 2510.14878): for centred data with principal
coordinates z_i of variances gamma_i, sum gamma_i = 1, the eigenfunctions of sum_l a_l <x, y>^l are
close to the products of Hermite polynomials h_alpha(z), with the eigenvalues
l! a_l prod gamma_i^alpha_i, l = |alpha|.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from ntkspec.duals import taylor
from ntkspec.duals.composition import OutOfRangeError
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.parity import parity

__all__ = ["Ansatz", "Axes", "ansatz", "powers", "principal_axes"]

Array = NDArray[np.float64]
#: A product of Hermite polynomials: the numbers of its coordinates, each as often as its degree.
Product = tuple[int, ...]

#: Largest degree of a product, and the most that the eigenvalues of a degree add up to, over the
#: degree's part of the trace.
MOST_DEGREE, MOST_EXCESS = 32, 2.0
#: What is left of the trace by rounding alone.
ROUNDING = 1e-13
#: Variances below this part of the largest are rounding.
FLAT = 1e-12
#: Largest number of products whose coefficients are estimated, and of entries of their matrix.
MOST_FITTED, MOST_ENTRIES = 1000, 50_000_000
#: Weight of the mean square of the targets, which is known, over that of estimates.
CERTAIN = 1e12


@dataclass(frozen=True)
class Axes:
    """Principal axes of centred data: variances, largest first, and whitened coordinates."""

    variances: Array
    whitened: Array


@dataclass(frozen=True)
class Ansatz:
    """Eigenvalues of products of Hermite polynomials, largest first, and what is left out.

    Attributes
    ----------
    eigenvalues : (M,) float64 array
    products : tuple of tuples
    rest : float
        What all other eigenvalues add to the trace.
    """

    eigenvalues: Array
    products: tuple[Product, ...]
    rest: float


def principal_axes(points: Array) -> Axes:
    """Principal axes of centred points with mean square norm 1.

    Examples
    --------
    >>> principal_axes(np.sqrt(0.5) * np.array([[1.0, 1.0], [-1.0, -1.0]])).variances
    array([1.])
    """
    left, sizes, _ = np.linalg.svd(points, full_matrices=False)
    variances = sizes**2 / points.shape[0]
    kept = variances > FLAT * variances[0]
    return Axes(variances[kept] / variances[kept].sum(), left[:, kept] * math.sqrt(left.shape[0]))


def ansatz(network: Network, kernel: Kernel, variances: Array, count: int) -> Ansatz:
    """The largest eigenvalues by the ansatz, for vectors of mean square norm 1.

    The eigenvalues of degree l should add up to a_l, and the ansatz makes it more, at l = 2 by the
    factor 1 + sum gamma_i^2.  Degrees from where the factor exceeds 2 are not taken: they count as
    too many small eigenvalues to be learned, like all that are left out.

    Raises
    ------
    NtkspecError
        For networks whose kernel has no Taylor coefficients here.

    Examples
    --------
    >>> found = ansatz(Network("relu", trained="all"), "ntk", np.array([0.6, 0.4]), 4)
    >>> found.eigenvalues.round(4), found.products
    (array([0.3   , 0.2   , 0.1719, 0.1592]), ((0,), (1,), (0, 0), ()))
    """
    factorials = np.array([math.factorial(degree) for degree in range(MOST_DEGREE + 1)], float)
    factors = factorials * _symmetric(variances, MOST_DEGREE)
    last = int(np.flatnonzero(factors <= MOST_EXCESS * (1.0 + 1e-9))[-1])
    coefficients = _coefficients(network, kernel, last + 1)
    trace = float(network.ntk(1.0) if kernel == "ntk" else network.nngp(1.0))
    levels = coefficients * factorials[: last + 1]
    eigenvalues, products = _largest(levels, variances, count)
    sums = np.zeros(last + 1)
    np.add.at(sums, [len(product) for product in products], eigenvalues)
    rest = trace - float(coefficients.sum()) + float(np.maximum(coefficients - sums, 0.0).sum())
    return Ansatz(eigenvalues, products, rest if rest > ROUNDING * trace else 0.0)


def _coefficients(network: Network, kernel: Kernel, count: int) -> Array:
    """Taylor coefficients at t = 0 of the kernel of unit vectors."""
    network.check_kernel(kernel)
    if not network.user and network.weights == "gaussian":
        try:
            found = taylor.coefficients(network, kernel, count, parity(network, kernel))
            return np.asarray(np.ldexp(found.mantissa[:count], found.exponent[:count]))
        except OutOfRangeError:
            pass
    raise NtkspecError(
        f"the Taylor coefficients of the kernel of {network.name} are not known, and "
        "method = 'hermite' needs them; use method = 'eigenvectors'"
    )


def _largest(levels: Array, variances: Array, count: int) -> tuple[Array, tuple[Product, ...]]:
    """The largest eigenvalues and their products, by a heap.

    A product follows from one with a larger eigenvalue, by moving one of its factors to the next
    coordinate.
    """
    logs = np.log(variances).tolist()
    heap: list[tuple[float, Product]] = [
        (-math.log(level) - degree * logs[0], (0,) * degree)
        for degree, level in enumerate(levels.tolist())
        if level > 0.0
    ]
    heapq.heapify(heap)
    seen = {product for _, product in heap}
    found: list[tuple[float, Product]] = []
    while heap and len(found) < count:
        size, product = heapq.heappop(heap)
        found.append((size, product))
        for at, i in enumerate(product):
            if i + 1 < len(logs) and (at + 1 == len(product) or product[at + 1] > i):
                after = (*product[:at], i + 1, *product[at + 1 :])
                if after not in seen:
                    seen.add(after)
                    heapq.heappush(heap, (size + logs[i] - logs[i + 1], after))
    return np.exp([-size for size, _ in found]), tuple(product for _, product in found)


def _symmetric(variances: Array, last: int) -> Array:
    """Complete homogeneous symmetric polynomials of the variances, degrees 0 to last."""
    found = np.zeros(last + 1)
    found[0] = 1.0
    for one in variances.tolist():
        for degree in range(1, last + 1):
            found[degree] += one * found[degree - 1]
    return found


def hermite_products(whitened: Array, products: tuple[Product, ...]) -> Array:
    """Values of products of orthonormal Hermite polynomials at points, (n, M).

    Examples
    --------
    >>> hermite_products(np.array([[2.0, 3.0]]), ((), (0,), (0, 0), (0, 1)))
    array([[1.        , 2.        , 2.12132034, 6.        ]])
    """
    last = max(map(len, products), default=0)
    table = [np.ones_like(whitened), whitened]
    for degree in range(1, last):
        above = whitened * table[-1] - math.sqrt(degree) * table[-2]
        table.append(above / math.sqrt(degree + 1.0))
    found = np.ones((whitened.shape[0], len(products)))
    for column, product in enumerate(products):
        for i, degree in Counter(product).items():
            found[:, column] *= table[degree][:, i]
    return found


def powers(whitened: Array, products: tuple[Product, ...], targets: Array) -> tuple[Array, Array]:
    """Power of targets, (n, m), in products of Hermite polynomials, from training points alone.

    The products are made orthonormal on the points in their order.  The squares that are left
    after k of them, over n - k, estimate the power outside of the first k: the coefficients of
    random targets are on average those of noise, and noise is not counted as explained.  The
    estimates are made to fall, from the mean square of the targets on.

    Returns
    -------
    powers : (M, m) ndarray
    rest : (m,) ndarray
        Power outside of all of them, with noise of the targets.

    Examples
    --------
    >>> z = np.random.default_rng(1).standard_normal((400, 2))
    >>> found, rest = powers(z, ((0,), (1,), (0, 1)), z[:, :1] * (1.0 + z[:, 1:]))
    >>> found.round(1).ravel(), rest.round(6)
    (array([0.8, 0. , 1.1]), array([0.]))
    """
    n = whitened.shape[0]
    most = max(1, min(n // 2, MOST_FITTED, MOST_ENTRIES // n))
    fitted = products[:most]
    basis, _ = qr(hermite_products(whitened, fitted), mode="economic", overwrite_a=True)
    squares = (basis.T @ targets) ** 2
    whole = (targets**2).sum(axis=0)
    left = np.maximum(whole - np.vstack([0.0 * whole, np.cumsum(squares, axis=0)]), 0.0)
    free = n - np.arange(len(fitted) + 1.0)
    left /= free[:, np.newaxis]
    free[0] *= CERTAIN
    falling = np.stack([_falling(column, free) for column in left.T], axis=1)
    found = np.zeros((len(products), targets.shape[1]))
    found[: len(fitted)] = falling[:-1] - falling[1:]
    return found, falling[-1]


def _falling(values: Array, weights: Array) -> Array:
    """The falling sequence that is closest to values, in weighted squares."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights, increasing=False).x)
