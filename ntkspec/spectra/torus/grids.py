"""Eigenvalues on the torus from values on a grid, by fast Fourier transforms.

The mean over M^m points is F_M = sum_l c_(m + l M), all terms >= 0.  It exceeds c_m by what M is
too small for, which F_(M/2) - F_M exceeds in turn where the eigenvalues of frequencies twice as
high add at most half: their sum is over fewer places, further out.

In one dimension a kernel whose singularities are powers of |z| has F_M = c_m + C_1 M^-2 + C_2 M^-4
+ ... (Euler and Maclaurin), of which nested grids remove three terms (Richardson).  The kernel
takes 1 - t = 2 sum_j w_j sin^2(pi b_j.z), so that its kink is at z = 0 itself.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.networks.pointwise import by_values, values_apart
from ntkspec.parameters import ways
from ntkspec.spectra.route import Eigenvalues
from ntkspec.spectra.rows import normalized

__all__ = ["by_grid"]

Array = NDArray[np.float64]

UNIT = 2.0**-53
#: Points in each coordinate by dimension: those of closed forms, of tabulated duals, and of values
#: that take longer; and the most.
CLOSED, TABULATED, SLOW = (2**20, 1024, 128), (2**17, 1024, 64), (2**11, 64, 16)
MOST = (2**20, 4096, 256)
#: Points for each frequency in the box, and in the features.
FINE, RESOLVED = 4, 8
#: Roundings of a closed form and layer, relative to K(1), and standard deviations that are allowed.
ROUNDINGS, DEVIATIONS = 8.0, 8.0
#: Relative error of values that rounding cannot average.
STEADY = 1e-14
#: Roundings that the values of a layer have in common, relative to K(1), at the frequency 0.  They
#: change with t as smoothly as the formulas do, or jump between two of them: 1 / m at frequency m.
COMMON = 2.0
#: Points that are evaluated at once.
CHUNK = 2**20
#: How much less Richardson's next column must change.
FALL = 2.0


def by_grid(network: Network, torus: Torus, size: int, kernel: Kernel) -> Eigenvalues:
    """Eigenvalues of half a box of frequencies, with bounds that say how many digits they have.

    Raises
    ------
    NtkspecError
        When the grid would be too large.
    """
    dim = torus.dim
    points = _kind(network, kernel)[dim - 1]
    widest = int(np.abs(torus.distinct[0]).max())
    needed = max(FINE * size, RESOLVED * widest)
    while points < needed:
        points *= 2
    if points > MOST[dim - 1]:
        raise NtkspecError(
            f"size = {size} and frequencies up to {widest} need {points}^{dim} grid points, and at "
            f"most {MOST[dim - 1]}^{dim} are computed"
            + ways(("size", "lower the size"), "give lower frequencies")
        )
    values, top, rounding = _values(network, torus, points, kernel)
    depth = len(network.sigmas)
    columns = [_coefficients(values, size)]
    levels = 4 if dim == 1 and network.kind == "kink" else 2
    for level in range(1, levels):
        columns.append(_coefficients(values[(slice(None, None, 2**level),) * dim], size))
    if rounding is None:
        # Every value is rounded on its own, and so are the sums of the transform.
        each = UNIT * (ROUNDINGS * depth + 0.5 * math.log2(values.size)) * top
        rounding = DEVIATIONS * each / math.sqrt(0.5 * values.size)
    found, errors = _extrapolated(columns, rounding) if levels == 4 else _plain(columns)
    common = COMMON * UNIT * depth * top / (1.0 + _largest_of_each(size, dim))
    errors = errors + 2.0 * rounding + common + STEADY * depth * np.abs(found)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(errors < np.abs(found), errors / (np.abs(found) - errors), np.inf)
    mantissas, exponents = normalized(found, np.zeros(found.shape, np.int64))
    return mantissas, exponents, relative


def _kind(network: Network, kernel: Kernel) -> tuple[int, int, int]:
    if by_values(network):
        return SLOW
    closed = values_apart(network, np.zeros(1), np.full(1, 2.0), kernel)[1] is None
    return CLOSED if closed else TABULATED


def _values(
    network: Network, torus: Torus, points: int, kernel: Kernel
) -> tuple[Array, float, float | None]:
    """K on the grid, K(1), and the mean bound of the errors unless values are rounded alone."""
    dim = torus.dim
    b, w = torus.distinct
    # sin^2 and cos^2 of whole multiples of pi / points.
    quarter = np.arange(points) * (math.pi / points)
    sine, cosine = np.sin(quarter) ** 2, np.cos(quarter) ** 2
    out = np.empty((points,) * dim)
    rows = points // 2 + 1
    others = points ** (dim - 1)
    step = max(1, CHUNK // others)
    bounds = []
    rest = [np.arange(points)] * (dim - 1)
    for first in range(0, rows, step):
        mine = np.arange(first, min(first + step, rows))
        grids = np.meshgrid(mine, *rest, indexing="ij", sparse=True)
        minus = np.zeros((mine.size,) + (points,) * (dim - 1))
        plus = np.zeros_like(minus)
        for frequency, weight in zip(b.tolist(), w.tolist(), strict=True):
            place = sum((f % points) * grid for f, grid in zip(frequency, grids, strict=True))
            place = np.asarray(place) % points
            minus += (2.0 * weight) * sine[place]
            plus += (2.0 * weight) * cosine[place]
        found, error = values_apart(network, minus.ravel(), plus.ravel(), kernel)
        out[first : first + mine.size] = found.reshape(minus.shape)
        if error is not None:
            bounds.append(float(np.max(error)))
    # K(-z) = K(z).
    mirror = out[1 : points - rows + 1][::-1]
    for axis in range(1, dim):
        mirror = np.roll(np.flip(mirror, axis), 1, axis)
    out[rows:] = mirror
    return out, float(np.abs(out[(0,) * dim])), max(bounds) if bounds else None


def _coefficients(values: Array, size: int) -> Array:
    """Half a box of Fourier coefficients of a grid."""
    dim = values.ndim
    transformed = np.fft.rfftn(values, axes=(*range(1, dim), 0)).real / values.size
    around = np.arange(-size, size + 1)
    return np.asarray(transformed[np.ix_(np.arange(size + 1), *[around] * (dim - 1))])


def _largest_of_each(size: int, dim: int) -> Array:
    """max |m_i| of half a box of frequencies."""
    first, around = np.arange(size + 1.0), np.abs(np.arange(-size, size + 1.0))
    parts = np.meshgrid(first, *[around] * (dim - 1), indexing="ij", sparse=True)
    largest = parts[0]
    for part in parts[1:]:
        largest = np.maximum(largest, part)
    return np.asarray(largest)


def _plain(columns: list[Array]) -> tuple[Array, Array]:
    """The finer grid, and what the other adds."""
    fine, coarse = columns
    return fine, np.abs(coarse - fine)


def _extrapolated(columns: list[Array], rounding: float) -> tuple[Array, Array]:
    """Richardson's last column, and how much it changes the one before.

    The changes are the largest of neighbouring frequencies, so that none is small by accident;
    where they do not fall from column to column down to the rounding, the ones before count.
    """
    table, changes = [columns], []
    for power in (2, 4, 6):
        above = table[-1]
        factor = 2.0**power
        table.append([(factor * x - y) / (factor - 1.0) for x, y in pairwise(above)])
        change = np.abs(table[-1][0] - above[0])
        padded = np.pad(change, 4, mode="edge")
        changes.append(np.max([padded[i : i + change.size] for i in range(9)], axis=0))
    first, second, third = changes
    good = third <= np.maximum(second / FALL, 4.0 * rounding)
    return table[-1][0], np.where(good, third, third + second + np.where(good, 0.0, first))
