"""Leading eigenvalues by block Lanczos with thick restarts, and bounds on their errors.

All vectors are orthogonalized against all others, twice, and the matrix in their basis is taken
from the products themselves, so that it is right for any orthonormal basis, also where a block is
deficient and rounding fills it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError

__all__ = ["Solved", "are_settled", "error_bounds", "leading", "ritz"]

Array = NDArray[np.float64]

#: Part of the tolerance that estimates of residuals must reach.
SAFETY = 0.5
#: Products with K after which it is given up.
MOST_PRODUCTS = 300
#: Products of orthogonal unit vectors, by rounding, and attempts to reach them.
ORTHOGONAL, MOST_TURNS = 1e-14, 4
#: Residual from which on a pair is among the leading ones, relative to the spread of the values.
SETTLED = 1e-3
#: Rounding of a sum of squares, relative to it.
SQUARES = 1e-12


class Solved(NamedTuple):
    """Ritz values in falling order, their vectors in columns, and the norms of the residuals.

    least: the smallest Ritz value of the basis from which they are.

    Examples
    --------
    >>> Solved(np.array([1.0]), np.ones((1, 1)), np.zeros(1), 1.0).values
    array([1.])
    """

    values: Array
    vectors: Array
    residuals: Array
    least: float


def leading(
    times: Callable[[Array], Array],
    size: int,
    counts: tuple[int, int],
    shape: tuple[int, int],
    tolerance: float,
    floor: Callable[[], float],
    rng: np.random.Generator,
    told: Callable[[float], None],
) -> Solved:
    """Leading eigenpairs of a symmetric positive semidefinite operator.

    Parameters
    ----------
    times : callable
        The operator, of arrays of columns.
    size : int
        Its dimension.
    counts : (int, int)
        Eigenpairs that must reach the tolerance, and eigenpairs in all.
    shape : (int, int)
        Columns of a block, and of the basis at most.
    tolerance : float
        Norm of a residual, relative to the eigenvalue.
    floor : callable
        Residuals that rounding leaves, known after the first product.
    rng : numpy.random.Generator
    told : callable
        Told the largest relative residual among those that must reach the tolerance.

    Examples
    --------
    >>> matrix = np.diag(0.5 ** np.arange(100))
    >>> found = leading(lambda v: matrix @ v, 100, (2, 3), (8, 40), 1e-8, lambda: 1e-15,
    ...                 np.random.default_rng(0), lambda worst: None)
    >>> found.values.round(8)
    array([1.  , 0.5 , 0.25])
    """
    count, every = counts
    width, most = shape
    basis: list[Array] = []
    small = np.empty((0, 0))
    fresh = _orthonormal(rng.standard_normal((size, width)))
    worst = np.inf
    for number in range(MOST_PRODUCTS):
        product = times(fresh)
        basis.append(fresh)
        column, fresh, rest = _next_block(basis, product)
        small = _grown(small, column)
        values, inner = _falling(small)
        left = np.sqrt(np.sum((rest @ inner[-width:]) ** 2, axis=0))
        worst = _largest(left[:count], values[:count], floor())
        told(worst)
        if small.shape[0] >= every and worst <= SAFETY * tolerance:
            known = are_settled(values[:count], 2.0 * left[:count], values[-1], floor()).all()
            if known or number == MOST_PRODUCTS - 1:
                return ritz(times, _combined(basis, inner[:, :every]), values[-1])
        if small.shape[0] + 2 * width > most:
            kept = min(most - 2 * width, every + width)
            basis = [_combined(basis, inner[:, :kept])]
            small = np.diag(values[:kept])
    raise NtkspecError(
        f"after {MOST_PRODUCTS} products with the matrix a residual is still {worst:.2g} of its "
        f"eigenvalue, above tolerance = {tolerance:g}: raise the tolerance or the memory, or ask "
        "for fewer eigenvalues"
    )


def ritz(times: Callable[[Array], Array], vectors: Array, least: float) -> Solved:
    """Eigenpairs of the operator within the span of orthonormal columns, from one product.

    Examples
    --------
    >>> found = ritz(lambda v: np.diag([1.0, 3.0, 2.0]) @ v, np.eye(3)[:, :2], 1.0)
    >>> found.values, found.residuals
    (array([3., 1.]), array([0., 0.]))
    """
    product = times(vectors)
    values, turn = _falling(vectors.T @ product)
    vectors, product = vectors @ turn, product @ turn
    rest = product - vectors * values
    return Solved(values, vectors, np.sqrt(np.einsum("ij,ij->j", rest, rest)), least)


def are_settled(values: Array, residuals: Array, least: float, floor: float) -> NDArray[np.bool_]:
    """Whether residuals are so small that the pairs must be the leading ones.

    They are compared with the distance from the smallest Ritz value: where all eigenvalues nearly
    agree, any vector has a small residual.  Those that rounding leaves count as small.

    Examples
    --------
    >>> are_settled(np.array([1.0, 0.9999]), np.array([1e-4, 1e-4]), 0.0, 0.0)
    array([ True,  True])
    >>> are_settled(np.array([1.0, 0.9999]), np.array([1e-4, 1e-4]), 0.999, 0.0)
    array([False, False])
    """
    return (residuals <= SETTLED * (values - least)) | (residuals <= 2.0 * floor)


def error_bounds(
    solved: Solved, residuals: Array, size: int, floor: float, frobenius: float
) -> Array:
    """How much larger than each Ritz value the eigenvalue of its rank may be.

    Parameters
    ----------
    solved : Solved
    residuals : (p,) array
        Norms of its residuals, with what rounding may have changed.
    size : int
        Dimension of the operator.
    floor : float
        Residuals that rounding leaves.
    frobenius : float
        Frobenius norm of the operator.

    Notes
    -----
    The first c pairs that `are_settled` are taken to be the leading ones: without their vectors the
    operator has no eigenvalue above theta_c.  For s <= c, without the first s it has none above
    theta_(s+1) + r', r' the norm of the residuals s + 1, ..., c, or above theta_c for s = c.  Let r
    be the norm of the first s residuals and g what theta_k exceeds that by, k <= s.  Then
    lambda_k - theta_k is at most 2 r^2 / (g + sqrt(g^2 + 4 r^2)) for g >= 0 (Li and Li 2005), and
    r - g else (Weyl).  The least of all s holds.  Frobenius norms stand for norms.

    Residuals of other pairs do not show their ranks: lambda_k is at most lambda_c, and k - c times
    its square at most what the first c leave of the operator's Frobenius norm.

    Examples
    --------
    >>> values, residuals = np.array([1.0, 0.5, 0.4]), np.array([1e-5, 1e-4, 0.1])
    >>> error_bounds(Solved(values, np.eye(9)[:, :3], residuals, 0.0), residuals, 9, 0.0, 1.3)
    array([2.00040008e-10, 1.00498756e-04, 1.00100499e-01])
    """
    values, count = solved.values, solved.values.size
    if count == size:
        return np.zeros(count)
    good = are_settled(values, residuals, solved.least, floor)
    settled = count if good.all() else int(np.argmin(good))
    squares = residuals[:settled] ** 2
    whole = np.sqrt(np.cumsum(squares))
    rest = np.sqrt(np.cumsum(squares[::-1])[::-1])
    after = np.append(values[1:settled] + rest[1:], values[settled - 1 : settled])
    out = np.empty(count)
    for k in range(settled):
        r, g = whole[k:], values[k] - after[k:]
        positive = np.maximum(g, 0.0)
        most = np.maximum(positive + np.sqrt(positive**2 + 4.0 * r * r), 1e-300)
        out[k] = np.min(np.where(g >= 0.0, 2.0 * r * (r / most), r - g))
    if settled < count:
        left = max(frobenius**2 - float(np.sum(values[:settled] ** 2)), 0.0)
        left += SQUARES * frobenius**2
        top = np.sqrt(left / np.arange(1, count - settled + 1))
        if settled:
            top = np.minimum(top, values[settled - 1] + out[settled - 1])
        out[settled:] = np.maximum(top - values[settled:], residuals[settled:])
    return out


def _next_block(basis: list[Array], product: Array) -> tuple[Array, Array, Array]:
    """Coefficients of a product in the basis, the rest as orthonormal columns, and its factor."""
    column = _coefficients(basis, product)
    rest = _less(basis, product, column)
    again = _coefficients(basis, rest)
    rest = _less(basis, rest, again)
    fresh, factor = np.linalg.qr(rest)
    # Columns that rounding has filled are not orthogonal to the basis yet.
    for _ in range(MOST_TURNS):
        inside = _coefficients(basis, fresh)
        if np.abs(inside).max() <= ORTHOGONAL:
            break
        fresh = _orthonormal(_less(basis, fresh, inside))
    return column + again, fresh, factor


def _coefficients(basis: list[Array], block: Array) -> Array:
    return np.concatenate([part.T @ block for part in basis])


def _less(basis: list[Array], block: Array, coefficients: Array) -> Array:
    """The block less what the basis has of it."""
    out, first = block.copy(), 0
    for part in basis:
        out -= part @ coefficients[first : first + part.shape[1]]
        first += part.shape[1]
    return out


def _combined(basis: list[Array], coefficients: Array) -> Array:
    out: Any = 0.0
    first = 0
    for part in basis:
        out = out + part @ coefficients[first : first + part.shape[1]]
        first += part.shape[1]
    return _orthonormal(out)


def _orthonormal(block: Array) -> Array:
    """Orthonormal columns of the same span, each as close to its own as possible."""
    factor, turned = np.linalg.qr(block)
    return np.ascontiguousarray(factor * np.where(np.diag(turned) < 0.0, -1.0, 1.0))


def _grown(small: Array, column: Array) -> Array:
    """The matrix in the basis, with the columns of a new block."""
    total, width = column.shape
    out = np.zeros((total, total))
    old = total - width
    out[:old, :old] = small
    out[:, old:] = column
    out[old:, :old] = column[:old].T
    out[old:, old:] = 0.5 * (column[old:] + column[old:].T)
    return out


def _falling(matrix: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return values[::-1].copy(), np.ascontiguousarray(vectors[:, ::-1])


def _largest(residuals: Array, values: Array, floor: float) -> float:
    """Largest residual relative to its value; those that rounding leaves do not count."""
    counted = residuals > floor
    if not counted.any():
        return 0.0
    return float(np.max(residuals[counted] / np.maximum(values[counted], 1e-300)))
