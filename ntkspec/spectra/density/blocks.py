"""Blocks of the operator under a density: the harmonics that it mixes, at the nodes of a rule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import multiplicity
from ntkspec.spectra.density.rule import Rule

__all__ = ["Block", "angular", "blocks", "circular"]

Array = NDArray[np.float64]
Degrees = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Harmonics of one azimuthal degree, orthonormal under the uniform measure.

    Attributes
    ----------
    azimuthal : int
        Degree j of the harmonic of the other coordinates; 0 on the circle where the density is
        not even.
    multiplicity : float
        Number of such harmonics, N(d - 1, j).
    degrees : (K,) int64 array
        Degree of each function.
    functions : (M, K) float64 array
        Their values at the nodes, times the roots of the weights.

    Examples
    --------
    >>> Block(0, 1.0, np.arange(2), np.ones((5, 2))).functions.shape
    (5, 2)
    """

    azimuthal: int
    multiplicity: float
    degrees: Degrees
    functions: Array


def blocks(rule: Rule, size: int) -> Iterator[Block]:
    """Yield the blocks of harmonics of degrees below `size`, by azimuthal degree.

    Examples
    --------
    >>> from ntkspec import Sphere
    >>> from ntkspec.spectra.density.rule import profile, rule
    >>> found = rule(profile(Sphere(3, density="von_mises(2)")), 4)
    >>> [block.degrees.size for block in blocks(found, 4)]
    [4, 3, 2, 1]
    """
    dim = rule.profile.sphere.dim
    if rule.profile.around:
        at = np.sqrt(rule.weights / (2.0 * math.pi))
        degrees = (np.arange(2 * size - 1) + 1) // 2
        yield Block(0, 1.0, degrees, circular(rule.angles, size) * at[:, np.newaxis])
        return
    last = min(size, 2) if dim == 2 else size
    for j in range(last):
        count = 1.0 if dim == 2 else float(multiplicity(dim - 1, [j])[0])
        yield Block(j, count, np.arange(j, size), _zonal(rule, dim + 2 * j, size - j))


def circular(angles: Array, size: int) -> Array:
    """(T, 2 size - 1) values of 1, sqrt(2) cos, sqrt(2) sin, sqrt(2) cos 2, ... at angles.

    The angle is split, so that its products with the degree do not round.

    Examples
    --------
    >>> circular(np.array([0.0]), 2).round(6)
    array([[1.      , 1.414214, 0.      ]])
    """
    high = np.asarray(angles.astype(np.float32), dtype=np.float64)
    low = angles - high
    k = np.arange(1.0, size)
    turned, rest = high[:, np.newaxis] * k, low[:, np.newaxis] * k
    out = np.empty((angles.size, 2 * size - 1))
    out[:, 0] = 1.0
    cosine, sine = np.cos(turned), np.sin(turned)
    close, beside = np.cos(rest), np.sin(rest)
    out[:, 1::2] = math.sqrt(2.0) * (cosine * close - sine * beside)
    out[:, 2::2] = math.sqrt(2.0) * (sine * close + cosine * beside)
    return out


def angular(angles: Array, dim: int, size: int, first: Array) -> Array:
    """(T, size) orthonormal Gegenbauer polynomials of dimension `dim` at cosines, times `first`.

    By b_n Q_n = t Q_(n-1) - b_(n-1) Q_(n-2), b_1^2 = 1/d,
    b_n^2 = n (n + d - 3) / ((2n + d - 2) (2n + d - 4)) (DLMF 18.9.1).

    Examples
    --------
    At t = 1 they are the roots of the numbers of harmonics:

    >>> (angular(np.array([0.0]), 3, 3, np.ones(1)) ** 2).round(6)
    array([[1., 3., 5.]])
    """
    t = np.cos(angles)
    out = np.empty((size, angles.size))
    out[0] = first
    before = 0.0
    for n in range(1, size):
        square = n * (n + dim - 3.0) / ((2.0 * n + dim - 2.0) * (2.0 * n + dim - 4.0) or 1.0)
        b = math.sqrt(square if n > 1 else 1.0 / dim)
        np.multiply(t, out[n - 1], out=out[n])
        if n > 1:
            out[n] -= before * out[n - 2]
        out[n] /= b
        before = b
    return np.asarray(out.T)


def _zonal(rule: Rule, dim: int, size: int) -> Array:
    """The polynomials with the root of their measure, c_d sin^(d-2), normalized by the rule."""
    with np.errstate(divide="ignore"):
        logs = (dim - 2.0) * np.log(np.sin(rule.angles)) + np.log(rule.weights)
    first = np.exp(0.5 * (logs - logs.max()))
    first /= math.sqrt(float(first @ first))
    return angular(rule.angles, dim, size, first)
