"""Spherical harmonics in any dimension, orthonormal under the uniform probability measure.

The trainer has its own harmonics: they share no code with the spectrum, whose predictions the
trainer tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.trainer.checks import checked_degree, checked_dim, checked_vectors

__all__ = [
    "Basis",
    "axis",
    "count",
    "harmonic",
    "latitudes",
    "multiplicity",
    "recurrence",
    "zonal",
]

Array = NDArray[np.float64]

#: Largest degree for which the basis is accurate: above it, powers of a sine underflow where the
#: harmonic itself is not small (the worst is e^(-degree/e)).
MOST_DEGREE = 1500
#: Numbers in one block of the basis.
BASIS_BLOCK = 1 << 20


def multiplicity(dim: int, degree: int) -> int:
    """Number of independent harmonics of a degree on S^(dim-1).

    N(d,k) = (2k+d-2)/k binom(k+d-3, k-1), N(d,0) = 1.

    Examples
    --------
    >>> [multiplicity(3, k) for k in range(4)], multiplicity(2, 5), multiplicity(10, 2)
    ([1, 3, 5, 7], 2, 54)
    """
    dim, degree = checked_dim(dim), checked_degree(degree)
    if degree == 0:
        return 1
    return (2 * degree + dim - 2) * math.comb(degree + dim - 3, degree - 1) // degree


def count(dim: int, degree: int) -> int:
    """Number of independent harmonics of all degrees up to one.

    Examples
    --------
    >>> count(2, 4), count(3, 4), count(10, 2)
    (9, 25, 65)
    """
    dim, degree = checked_dim(dim), checked_degree(degree)
    return math.comb(degree + dim - 1, dim - 1) + (
        math.comb(degree + dim - 2, dim - 1) if degree else 0
    )


def largest_degree(dim: int, harmonics: int, least: int = 0) -> int:
    """Largest degree, from `least` on, up to which there are at most so many harmonics."""
    degree = least
    while count(dim, degree + 1) <= harmonics:
        degree += 1
    return degree


def recurrence(dim: int, k: int) -> tuple[float, float]:
    """Coefficients (a, b) of P_(k+1) = a t P_k - b P_(k-1), k >= 1, Legendre's in dimension dim.

    (k+d-2) P_(k+1) = (2k+d-2) t P_k - k P_(k-1) (Szegoe 1939, Orthogonal Polynomials, 4.7.17,
    divided by the values at 1).

    Examples
    --------
    >>> recurrence(3, 1)
    (1.5, 0.5)
    """
    return (2 * k + dim - 2) / (k + dim - 2), k / (k + dim - 2)


def axis(dim: int) -> Array:
    """Pole about which the basis function of index 0 is zonal.

    It is the first axis on the circle and the last axis in higher dimensions.

    Examples
    --------
    >>> axis(2), axis(3)
    (array([1., 0.]), array([0., 0., 1.]))
    """
    pole = np.zeros(checked_dim(dim))
    pole[0 if dim == 2 else -1] = 1.0
    return pole


def zonal(dim: int, degree: int, x: ArrayLike, pole: ArrayLike) -> Array:
    """Zonal harmonic sqrt(N(d,k)) P_k(<x, pole>), of unit norm.

    Parameters
    ----------
    dim, degree : int
    x : (n, dim) array_like
        Unit vectors.
    pole : (dim,) array_like
        A unit vector.

    Returns
    -------
    (n,) ndarray of float64

    Examples
    --------
    >>> zonal(3, 1, [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [0.0, 0.0, 1.0]).round(6)
    array([1.732051, 0.      ])
    """
    x = checked_vectors(x, dim)
    vector = np.asarray(pole, dtype=np.float64)
    if vector.shape != (dim,):
        raise NtkspecError(f"pole must have {dim} coordinates; its shape is {vector.shape}")
    cosines = np.clip(x @ vector, -1.0, 1.0)
    before, now = np.zeros_like(cosines), np.ones_like(cosines)
    for k in range(checked_degree(degree)):
        a, b = recurrence(dim, k) if k else (1.0, 0.0)
        before, now = now, a * cosines * now - b * before
    return math.sqrt(multiplicity(dim, degree)) * now


def harmonic(dim: int, degree: int, index: int, x: ArrayLike) -> Array:
    """One function of the real orthonormal basis.

    Parameters
    ----------
    dim, degree : int
    index : int
        From 0 to N(dim, degree) - 1.
    x : (n, dim) array_like
        Unit vectors.

    Returns
    -------
    (n,) ndarray of float64

    Raises
    ------
    NtkspecError
        If the degree has no such index, or is above 1500 in dim >= 3.

    Notes
    -----
    On the circle index 0 is sqrt(2) cos(k phi), index 1 sqrt(2) sin(k phi), x = (cos phi, sin phi).
    In higher dimensions Y(x) = g_kj(x_d) Y'(x'/norm(x')), x = (x', x_d): Y' runs through the
    basis of degree j in dimension d - 1, for j = 0, ..., k, so that index 0 is zonal about the
    last axis; g_kj(t) = (1-t^2)^(j/2) times the orthonormal Gegenbauer polynomial of degree k - j
    and parameter j + (d-2)/2 (Erdelyi 1953, Higher Transcendental Functions II, 11.2; real, and
    with no sign (-1)^m).

    Examples
    --------
    >>> harmonic(3, 1, 0, [[0.0, 0.0, 1.0]]).round(6), harmonic(2, 3, 1, [[1.0, 0.0]])
    (array([1.732051]), array([0.]))
    """
    most = multiplicity(dim, degree)
    index = whole_number(index, "index", least=0)
    if index >= most:
        raise NtkspecError(
            f"index = {index} is not allowed; degree {degree} in dim = {dim} has the indices "
            f"0 to {most - 1}"
        )
    _check_reach(dim, degree)
    x = checked_vectors(x, dim)
    value = np.ones(x.shape[0])
    while dim > 2:
        below = 0
        while index >= multiplicity(dim - 1, below):
            index -= multiplicity(dim - 1, below)
            below += 1
        t, sine, x = _split(x)
        value *= latitudes(dim, degree, below, t, sine)[degree - below]
        dim, degree = dim - 1, below
    value *= _circle(degree, x)[index]
    return value


def _split(x: Array) -> tuple[Array, Array, Array]:
    """Last coordinate, norm of the others, and these as a unit vector (arbitrary at the poles)."""
    rest = x[:, :-1]
    sine = np.linalg.norm(rest, axis=1)
    direction = rest / np.where(sine > 0.0, sine, 1.0)[:, np.newaxis]
    direction[sine == 0.0, 0] = 1.0
    return x[:, -1], sine, direction


def _circle(degree: int, x: Array) -> Array:
    """The basis of one degree on the circle, (1 or 2, n)."""
    if degree == 0:
        return np.ones((1, x.shape[0]))
    angle = degree * np.arctan2(x[:, 1], x[:, 0])
    return math.sqrt(2.0) * np.stack((np.cos(angle), np.sin(angle)))


def latitudes(dim: int, last: int, j: int, t: Array, sine: Array) -> Array:
    """g_kj(t) for k = j, ..., last, of `harmonic`'s notes: (last - j + 1, n).

    t p_i = b_(i+1) p_(i+1) + b_i p_(i-1), b_i^2 = i (i+2a-1) / (4 (i+a) (i+a-1)), a = j + (d-2)/2,
    the orthonormal Gegenbauer polynomials (Szegoe 1939, 4.7.17); p_0^2 is 1/E[(1-t^2)^j].

    Examples
    --------
    >>> t = np.array([0.5])
    >>> latitudes(3, 1, 0, t, np.sqrt(1 - t * t)).round(6).ravel()  # 1 and sqrt(3) t
    array([1.      , 0.866025])
    """
    i = np.arange(j)
    table = np.empty((last - j + 1, t.size))
    table[0] = math.sqrt(np.prod((dim + 2.0 * i) / (dim - 1.0 + 2.0 * i))) * sine**j
    a = j + (dim - 2) / 2
    i = np.arange(1, last - j + 1)
    b = np.sqrt(i * (i + 2 * a - 1) / (4 * (i + a) * (i + a - 1)))
    for k in range(last - j):
        np.multiply(t, table[k], out=table[k + 1])
        if k:
            table[k + 1] -= b[k - 1] * table[k - 1]
        table[k + 1] /= b[k]
    return table


class Basis:
    """All harmonics of degree 0 to max_degree at given points.

    Parameters
    ----------
    x : (n, dim) array_like
        Unit vectors.
    max_degree : int

    Examples
    --------
    >>> basis = Basis([[1.0, 0.0], [0.0, 1.0]], 2)
    >>> basis.matrix().shape
    (2, 5)
    >>> [part.shape for part in basis.coefficients([0.5, 0.5])]
    [(1,), (2,), (2,)]
    """

    def __init__(self, x: ArrayLike, max_degree: int) -> None:
        self.x = checked_vectors(x)
        self.dim = self.x.shape[1]
        self.max_degree = checked_degree(max_degree)
        _check_reach(self.dim, max_degree)

    def matrix(self) -> Array:
        """Values at the points, (n, count(dim, max_degree)), degree by degree and by index."""
        n = self.x.shape[0]
        values = np.empty((n, count(self.dim, self.max_degree)))
        start = 0
        for block in _all(self.x, self.max_degree):
            values[:, start : start + block.shape[0]] = block.T
            start += block.shape[0]
        return values

    def coefficients(self, weighted: ArrayLike) -> list[Array]:
        """Sums over the points of weighted_i Y(x_i), a vector of N(dim, k) for each degree k."""
        weighted = np.asarray(weighted, dtype=np.float64)
        totals = [np.zeros(multiplicity(self.dim, k)) for k in range(self.max_degree + 1)]
        wide = max(1, BASIS_BLOCK // count(max(self.dim - 1, 2), self.max_degree))
        for start in range(0, self.x.shape[0], wide):
            part = slice(start, start + wide)
            for total, more in zip(
                totals, _moments(self.x[part], self.max_degree, weighted[part]), strict=True
            ):
                total += more
        return totals


def _all(x: Array, last: int) -> list[Array]:
    """Values of the basis of each degree up to last, (N(dim, k), n) each."""
    if x.shape[1] == 2:
        return [_circle(k, x) for k in range(last + 1)]
    return _by_degree(x, last, lambda g, below: (factor * below for factor in g))


def _moments(x: Array, last: int, weighted: Array) -> list[Array]:
    """Sums of weighted_i Y(x_i): the last product of the recursion is a product of matrices."""
    if x.shape[1] == 2:
        return [_circle(k, x) @ weighted for k in range(last + 1)]
    return _by_degree(x, last, lambda g, below: (g * weighted) @ below.T)


def _by_degree(
    x: Array, last: int, product: Callable[[Array, Array], Iterable[Array]]
) -> list[Array]:
    """Products of all latitudes with the basis in one dimension less, for each degree."""
    t, sine, direction = _split(x)
    parts: list[list[Array]] = [[] for _ in range(last + 1)]
    for j, below in enumerate(_all(direction, last)):
        for k, part in enumerate(product(latitudes(x.shape[1], last, j, t, sine), below), start=j):
            parts[k].append(part)
    return [np.concatenate(part) for part in parts]


def _check_reach(dim: int, degree: int) -> None:
    if dim > 2 and degree > MOST_DEGREE:
        raise NtkspecError(
            f"degree = {degree} is not allowed; in dim >= 3 the largest is {MOST_DEGREE}"
        )
