"""Spherical designs on S^2: points that integrate a degree exactly with equal weights."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ntkspec.errors import NtkspecError
from ntkspec.parameters import whole_number
from ntkspec.trainer.cubature import rule_error
from ntkspec.trainer.harmonics import Basis, latitudes

__all__ = ["design_points", "spiral"]

Array = NDArray[np.float64]

#: Largest degree: up to here Newton's method takes less than half a minute.
MOST_DEGREE = 63
#: Most steps of Newton's method; it takes about 10.
MOST_STEPS = 100
#: Mean of a harmonic that counts as 0.
ROUNDING = 4e-16
#: Largest `cubature.rule_error` of a design.
EXACT = 1e-13


@lru_cache(maxsize=8)
def design_points(degree: int) -> Array:
    """Symmetric spherical design on S^2, found by Newton's method from a spiral: (n, 3), read-only.

    The points come in opposite pairs, which integrate odd degrees exactly, so a design of an even
    degree is also one of the next.  n is about degree^2/2.

    h pairs of points have 2h - 3 degrees of freedom for the t(t+1)/2 - 1 conditions of the even
    degrees 2, ..., t - 1 (Womersley 2018, Efficient spherical designs with good geometric
    properties).  With 2 + t/4 more pairs Newton's method converges for every t up to 63.
    """
    degree = whole_number(degree, "degree", least=1)
    if degree > MOST_DEGREE:
        raise NtkspecError(
            f"degree = {degree} is not allowed; the largest is {MOST_DEGREE}; "
            "use product_rule for higher degrees"
        )
    last = degree if degree % 2 else degree + 1
    pairs = (last * (last + 1) // 2 + 3) // 2 + 2 + last // 4
    half = spiral(2 * pairs, pairs)
    better: Array | None = half
    for _ in range(MOST_STEPS):
        if better is None:
            break
        half = better
        better = _newton(half, last)
    x = np.concatenate((half, -half))
    _check(x, last)
    x.setflags(write=False)
    return x


def spiral(n: int, count: int) -> Array:
    """The first points of a spiral of n nearly evenly spaced points on S^2: (count, 3).

    Heights 1 - (2j+1)/n, angles 2 pi j/golden ratio (Gonzalez 2010, Mathematical Geosciences 42,
    p. 49).
    """
    j = np.arange(count)
    height = 1.0 - (2.0 * j + 1.0) / n
    radius = np.sqrt((1.0 - height) * (1.0 + height))
    angle = math.pi * (math.sqrt(5.0) - 1.0) * j
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), height), axis=1)


def _violation(half: Array, last: int) -> Array:
    """Means of the harmonics of the degrees 2, 4, ..., last - 1."""
    means = Basis(half, last - 1).coefficients(np.full(half.shape[0], 1.0 / half.shape[0]))
    return np.concatenate([np.empty(0), *means[2::2]])


def _newton(half: Array, last: int) -> Array | None:
    """One least-norm step, halved until the violation falls; None if it does not."""
    error = _violation(half, last)
    if float(np.abs(error).max(initial=0.0)) <= ROUNDING:
        return None
    jacobian, south, east = _jacobian(half, last)
    square = jacobian @ jacobian.T
    size = float(np.linalg.norm(error))
    square.flat[:: error.size + 1] += min(size, 1.0) * np.trace(square) / error.size * 1e-3
    step = -(linalg.cho_solve(linalg.cho_factor(square), error) @ jacobian)
    for halving in range(12):
        moved = half + 0.5**halving * (
            step[::2, np.newaxis] * south + step[1::2, np.newaxis] * east
        )
        moved /= np.linalg.norm(moved, axis=1)[:, np.newaxis]
        if np.linalg.norm(_violation(moved, last)) < size:
            return np.asarray(moved)
    return None


def _jacobian(half: Array, last: int) -> tuple[Array, Array, Array]:
    """Derivatives of `_violation` along two tangents of each point, and these tangents.

    With g_kj of `harmonic`: d g_kj/d theta = j cot(theta) g_kj - sqrt((k-j)(k+j+1)) g_k,j+1, since
    the derivative of an orthonormal Gegenbauer polynomial is one of the next parameter.
    """
    t, sine = half[:, 2], np.hypot(half[:, 0], half[:, 1])
    phi = np.arctan2(half[:, 1], half[:, 0])
    south = np.stack((t * np.cos(phi), t * np.sin(phi), -sine), axis=1)
    east = np.stack((-np.sin(phi), np.cos(phi), np.zeros_like(phi)), axis=1)
    top = last - 1
    rows: list[list[Array]] = [[] for _ in range(top + 1)]
    g = latitudes(3, top, 0, t, sine)
    for j in range(top + 1):
        above = latitudes(3, top, j + 1, t, sine) if j < top else np.zeros((0, t.size))
        scale = math.sqrt(2.0) if j else 1.0
        waves = scale * np.stack((np.cos(j * phi), np.sin(j * phi)))[: 2 if j else 1]
        turned = scale * np.stack((-np.sin(j * phi), np.cos(j * phi)))[: 2 if j else 1]
        for k in range(max(j + j % 2, 2), top + 1, 2):
            slope = j * t / sine * g[k - j]
            if k > j:
                slope = slope - math.sqrt((k - j) * (k + j + 1)) * above[k - j - 1]
            along = np.stack((slope * waves, j / sine * g[k - j] * turned), axis=-1)
            rows[k].append(along.reshape(waves.shape[0], -1) / t.size)
        g = above
    return (
        np.concatenate([np.empty((0, 2 * t.size)), *(r for row in rows for r in row)]),
        south,
        east,
    )


def _check(x: Array, last: int) -> None:
    error = rule_error(x, np.full(x.shape[0], 1.0 / x.shape[0]), last)
    if not error <= EXACT:
        raise NtkspecError(
            f"degree = {last}: no spherical design was found; the best points integrate a harmonic "
            f"to {error:.3g} instead of 0"
        )
