"""Integrals of four spherical harmonics and of their gradients, exactly.

A basis function is a product of functions of one angle each, Y(x) = g(theta) Y'(x'/|x'|) with
cos(theta) the last coordinate, and so is each term of

    grad Y . grad Z = dg_Y dg_Z Y' Z' + g_Y g_Z / sin(theta)^2 grad' Y' . grad' Z'.

So integrals over S^(d-1) of products of two such pairs are sums of products of integrals over one
angle, taken by Gauss rules that are exact.  From the circle up, with v = Y Z and
c = grad Y . grad Z of pairs of functions, and a prime for the sphere below:

    int v v = (VV) int v'v',      int v c = (VD) int v'v' + (VU) int v'c',
    int c c = (DD) int v'v' + (DU) int v'c' + (UD) int c'v' + (UU) int c'c',

V = g_Y g_Z, D = dg_Y dg_Z, U = V / sin^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.trainer.harmonics import latitudes, multiplicity

__all__ = ["Angular", "angular_integrals"]

Array = NDArray[np.float64]


class Angular(NamedTuple):
    """Integrals over the sphere of pairs of functions, (P, P) each, under its uniform measure.

    `products[p, q]` is int Y_a Y_b Y_c Y_e for the pairs p = (a, b) and q = (c, e), `mixed[p, q]`
    is int Y_a Y_b (grad Y_c . grad Y_e), and `gradients[p, q]` that of both gradients' products.

    Examples
    --------
    >>> angular_integrals(2, [(3, 1)], [(0, 0)]).mixed.shape
    (1, 1)
    """

    products: Array
    mixed: Array
    gradients: Array


def angular_integrals(
    dim: int, functions: Sequence[tuple[int, int]], pairs: Sequence[tuple[int, int]]
) -> Angular:
    """Integrals of products of two pairs of basis functions, or of their gradients.

    Parameters
    ----------
    dim : int
    functions : (F,) sequence of (degree, index)
        Of `ntkspec.trainer.harmonics.harmonic`.
    pairs : (P,) sequence of (int, int)
        Positions in `functions`.

    Returns
    -------
    Angular

    Raises
    ------
    NtkspecError
        If a degree has no such index.

    Examples
    --------
    On the circle int Y^4 = 3/2 and int abs(grad Y)^4 = 3/2 k^4:

    >>> found = angular_integrals(2, [(3, 1)], [(0, 0)])
    >>> found.products.round(12), (found.gradients / 3**4).round(12)
    (array([[1.5]]), array([[1.5]]))
    """
    chains = np.array([_chain(dim, *one) for one in functions])
    first, second = np.array(pairs).T
    return _over_sphere(dim, chains, first, second)


def _chain(dim: int, degree: int, index: int) -> list[int]:
    """Degrees of a basis function on the spheres below each other, and its index on the circle."""
    most = multiplicity(dim, degree)
    if not 0 <= index < most:
        raise NtkspecError(
            f"index = {index} is not allowed; degree {degree} in dim = {dim} has the indices "
            f"0 to {most - 1}"
        )
    chain = [whole_number(degree, "degree", least=0)]
    while dim > 2 and chain[-1]:
        below = 0
        while index >= (count := multiplicity(dim - 1, below)):
            index, below = index - count, below + 1
        chain.append(below)
        dim -= 1
    return [*chain, *[0] * (dim - 2), index]


def _over_sphere(dim: int, chains: Array, first: Array, second: Array) -> Angular:
    """The integrals over S^(dim-1), with those over the spheres below."""
    top = chains[:, 0]
    if not top.any():  # constants
        ones = np.ones((first.size, first.size))
        return Angular(ones, 0.0 * ones, 0.0 * ones)
    if dim == 2:
        return _over_circle(top, chains[:, 1], first, second)
    below = _over_sphere(dim - 1, chains[:, 1:], first, second)
    t, weights = _gauss(dim, 2 * int(top.max()) + 1)
    sine = np.sqrt((1.0 - t) * (1.0 + t))
    value, slope = np.empty((2, top.size, t.size))
    for i, (k, j) in enumerate(zip(top.tolist(), chains[:, 1].tolist(), strict=True)):
        value[i] = latitudes(dim, k, j, t, sine)[-1]
        # (d/dtheta - j cot(theta)) g_kj = -sqrt((k-j)(k+j+d-2)) g_k,j+1.
        slope[i] = j * t / sine * value[i]
        if j < k:
            up = latitudes(dim, k, j + 1, t, sine)[-1]
            slope[i] -= ((k - j) * (k + j + dim - 2.0)) ** 0.5 * up
    v = value[first] * value[second]
    d = slope[first] * slope[second]
    # A constant below has no gradient there.
    turning = (chains[first, 1] > 0) & (chains[second, 1] > 0)
    u = np.where(turning[:, np.newaxis], v / sine**2, 0.0)
    vw, dw, uw = v * weights, d * weights, u * weights
    return Angular(
        (vw @ v.T) * below.products,
        (vw @ d.T) * below.products + (vw @ u.T) * below.mixed,
        (dw @ d.T) * below.products
        + (dw @ u.T) * below.mixed
        + (uw @ d.T) * below.mixed.T
        + (uw @ u.T) * below.gradients,
    )


def _over_circle(degree: Array, index: Array, first: Array, second: Array) -> Angular:
    n = 4 * int(degree.max()) + 1
    angle = np.outer(degree, 2.0 * np.pi * np.arange(n) / n) - 0.5 * np.pi * index[:, np.newaxis]
    size = np.where(degree > 0, np.sqrt(2.0), 1.0)[:, np.newaxis]
    value, slope = size * np.cos(angle), -size * degree[:, np.newaxis] * np.sin(angle)
    v, c = value[first] * value[second], slope[first] * slope[second]
    return Angular(v @ v.T / n, v @ c.T / n, c @ c.T / n)


def _gauss(dim: int, n: int) -> tuple[Array, Array]:
    """Nodes and weights of the Gauss rule for a coordinate of uniform points on S^(dim-1).

    The nodes are eigenvalues of the matrix of the orthonormal polynomials' recurrence; the weights
    are 1 / sum p_k^2, which has full relative accuracy also where they are tiny.
    """
    i, a = np.arange(1, n), (dim - 2) / 2
    beside = np.sqrt(i * (i + 2 * a - 1) / (4 * (i + a) * (i + a - 1)))
    t = np.linalg.eigvalsh(np.diag(beside, -1))
    t = 0.5 * (t - t[::-1])
    values = latitudes(dim, n - 1, 0, t, np.sqrt((1.0 - t) * (1.0 + t)))
    return t, 1.0 / np.sum(values**2, axis=0)
