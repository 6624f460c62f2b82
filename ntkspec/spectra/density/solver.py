"""Eigenvalues of D G D to high relative accuracy, from a factor of G.

G is the Gram matrix of harmonics under a density, D the roots of the uniform sphere's eigenvalues.
Forming G would lose half of the digits; the singular values of B D, G = B' B, keep them however
steeply D falls (Demmel and Veselic 1992; Drmac and Veselic 2008).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.kernels import density as kernels
from ntkspec.spectra.rows import Scaled, normalized

__all__ = ["Solved", "log2", "solved"]

Array = NDArray[np.float64]

#: Exponent of 2 of the smallest root of an eigenvalue, the largest being 1, that LAPACK takes.
SMALLEST = -960


@dataclass(frozen=True)
class Solved:
    """Eigenvalues of D G D, falling, and their vectors.

    Attributes
    ----------
    mantissas, exponents : (n,) arrays
    left : (n, n) float64 array
        Left singular vectors of R D, B = Q R.
    coefficients : (n, n) float64 array
        Columns c of eigenfunctions of norm 1 under the density: R c is a left vector.
    conditions : (n,) float64 array
        kappa_i, the norm of the coefficients c_i, each times the norm of its column of B: a
        relative error eps of those columns changes eigenvalue i by 2 eps kappa_i.

    Examples
    --------
    >>> found = solved(np.eye(2), np.ones(2), np.array([0, -4]))
    >>> np.ldexp(found.mantissas, found.exponents)
    array([1.    , 0.0625])
    """

    mantissas: Array
    exponents: NDArray[np.int64]
    left: Array
    coefficients: Array
    conditions: Array


def solved(triangle: Array, mantissas: Array, exponents: NDArray[np.int64]) -> Solved:
    """Eigenvalues of D R' R D, D^2 = mantissas * 2**exponents.

    Raises
    ------
    NtkspecError
        When LAPACK fails.

    Examples
    --------
    >>> solved(np.eye(2), np.ones(2), np.array([0, -4])).conditions
    array([1., 1.])
    """
    odd = exponents & 1
    roots, powers = np.sqrt(np.ldexp(mantissas, odd)), (exponents - odd) // 2
    top = powers.max()
    if powers.min() - top > SMALLEST:
        sigma, left = _by_lapack(triangle * np.ldexp(roots, powers - top))
        mantissa, shift = np.frexp(sigma)
        found = normalized(mantissa**2, 2 * (shift + top))
    else:
        found, left = _by_logarithms(triangle, roots, powers)
    with np.errstate(all="ignore"):
        coefficients = _coefficients(triangle, left, log2(mantissas, exponents), log2(*found))
        norms = np.sqrt(np.sum(triangle**2, axis=0))
        conditions = np.sqrt(np.sum((norms[:, np.newaxis] * coefficients) ** 2, axis=0))
    conditions[np.isnan(conditions)] = math.inf
    return Solved(*found, left, coefficients, conditions)


def log2(mantissas: Array, exponents: NDArray[np.int64]) -> Array:
    """Logarithms to base 2 of scaled numbers; -inf for 0.

    Examples
    --------
    >>> log2(np.array([1.0, 0.0]), np.array([-3, 0]))
    array([ -3., -inf])
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(mantissas) + exponents)


def _by_lapack(matrix: Array) -> tuple[Array, Array]:
    """Singular values and left vectors by dgejsv.

    joba = 0 ("C"): full relative accuracy for scaled columns; jobr = 0 ("N"): no small column is
    set to 0.  scipy's default, joba = 4 ("A"), drops what is small beside the largest.
    """
    sigma, left, _, work, _, info = scipy.linalg.lapack.dgejsv(
        matrix, joba=0, jobu=0, jobv=3, jobr=0, jobt=0, jobp=1
    )
    if info != 0:
        raise NtkspecError(
            f"the eigenvalues under the density did not converge (dgejsv: {info}); lower max_degree"
        )
    return sigma * (work[0] / work[1]), left


def _by_logarithms(
    triangle: Array, roots: Array, powers: NDArray[np.int64]
) -> tuple[Scaled, Array]:
    """The same by one-sided Jacobi rotations of the columns of D R', each with its own scale."""
    order = np.lexsort((-roots, -powers))
    turn, sorted_triangle = np.linalg.qr(triangle[:, order])
    # The rotations act on the columns of D R', so on the rows of this triangle.
    scale = powers[order]
    size = scale.size
    apart = np.maximum(scale[np.newaxis, :] - scale[:, np.newaxis], -1074)
    columns = np.ldexp(sorted_triangle * roots[order], np.minimum(apart, 0))
    left = np.eye(size)
    kernels.jacobi(columns, scale, left)
    norms = np.sqrt(np.sum(columns**2, axis=1))
    mantissa, exponent = normalized(norms, scale)
    found = normalized(mantissa**2, 2 * exponent)
    falling = np.lexsort((-found[0], -found[1]))
    return (found[0][falling], found[1][falling]), turn @ left.T[:, falling]


def _coefficients(triangle: Array, left: Array, logs: Array, found: Array) -> Array:
    """c with R c = u, and lambda_i c = D^2 R' u: each row by the stable of the two.

    The second is stable where the uniform eigenvalue is at most lambda_i.
    """
    out = np.exp2(np.minimum(logs[:, np.newaxis] - found, 0.0)) * (triangle.T @ left)
    above = logs[:, np.newaxis] > found
    for k in range(logs.size - 1, -1, -1):
        if above[k].any():
            solved_row = (left[k] - triangle[k, k + 1 :] @ out[k + 1 :]) / triangle[k, k]
            out[k] = np.where(above[k], solved_row, out[k])
    return np.asarray(out)
