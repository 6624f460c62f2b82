"""Rows of the matrix of a network's or a zonal kernel between the vectors of a data set."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel
from ntkspec.networks.pointwise import Rows, padded, polar
from ntkspec.spectra.route import Source
from ntkspec.zonal import ZonalKernel

__all__ = ["MatrixRows", "ZonalRows", "matrix_rows"]

Array = NDArray[np.float64]

#: Distance from norm 1 that unit vectors may have by rounding.
UNIT = 1e-8
#: Least bound on the error of a zonal kernel's values, relative to K(1).
ZONAL_ERROR = 1e-14
#: Entries of a zonal kernel that are computed at once.
ENTRIES = 2**16


class MatrixRows(Protocol):
    """Parts of a symmetric matrix, computed where asked for.

    Examples
    --------
    >>> from ntkspec import Network
    >>> matrix_rows(Network("relu"), np.eye(2), "ntk", 1e-12, False).error
    1e-14
    """

    #: Bound on the errors of the entries, relative to sqrt(K(x, x) K(y, y)).
    error: float

    def fill(self, rows: slice, columns: slice, out: Array) -> None:
        """Write the entries of some rows and columns into a contiguous array."""


def matrix_rows(
    source: Source, points: NDArray[Any], kernel: Kernel, tolerance: float, fan_in: bool
) -> MatrixRows:
    """Prepare the matrix of a kernel between vectors.

    Raises
    ------
    NtkspecError
        As `Network.ntk_matrix`; for a zonal kernel also for vectors that are no unit vectors,
        unless it has a radial_power.

    Examples
    --------
    >>> from ntkspec import Network
    >>> rows, out = matrix_rows(Network("relu"), np.eye(2), "ntk", 1e-12, False), np.empty((1, 2))
    >>> rows.fill(slice(0, 1), slice(0, 2), out)
    >>> out
    array([[0.5, 0. ]])
    """
    if isinstance(source, ZonalKernel):
        return ZonalRows(source, points, fan_in)
    return Rows(source, points, kernel, tolerance, fan_in)


class ZonalRows:
    """Rows of ``(|x| |y|)^P K(t)``, t the cosine between x and y.

    Examples
    --------
    >>> from ntkspec.zonal import gaussian
    >>> rows, out = ZonalRows(gaussian(1.0), np.eye(2), False), np.empty((1, 2))
    >>> rows.fill(slice(1, 2), slice(0, 2), out)
    >>> out.round(6)
    array([[0.367879, 1.      ]])
    """

    def __init__(self, source: ZonalKernel, points: NDArray[Any], fan_in: bool) -> None:
        if fan_in:
            raise NtkspecError(
                f"fan_in = True is not allowed for {source.name}; it is for networks"
            )
        norms, x, *_ = polar(points, "X", False)
        power = source.radial_power
        off = np.flatnonzero(~(np.abs(norms - 1.0) <= UNIT) if power is None else norms == 0.0)
        if off.size:
            raise NtkspecError(
                f"X[{off[0]}] has norm {norms[off[0]]:.10g}, and {source.name} is a kernel of "
                f"{'unit' if power is None else 'nonzero'} vectors; "
                + ("give X / numpy.linalg.norm(X, axis=1, keepdims=True)" if power is None
                   else "leave it out")
            )  # fmt: skip
        self.error = _zonal_error(source)
        self._source = source
        with np.errstate(over="ignore", under="ignore"):  # what is out of range is refused later
            self._radial = None if not power else norms**power
        self._directions = padded(x)

    def fill(self, rows: slice, columns: slice, out: Array) -> None:
        """Write the entries of some rows and columns into a contiguous array."""
        from ntkspec.kernels.cosines import distances

        mine, others = self._directions[rows], self._directions[columns]
        across = np.ascontiguousarray(others.T)
        high = max(1, ENTRIES // out.shape[1])
        for first in range(0, len(out), high):
            some = slice(first, first + high)
            minus, plus = np.empty((2, *out[some].shape))
            distances(mine[some], others, across, minus, plus)
            out[some] = self._source.apart(minus, plus)
        if self._radial is not None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                out *= self._radial[columns]
                out *= self._radial[rows, np.newaxis]


def _zonal_error(source: ZonalKernel) -> float:
    """Bound on the errors of the values, relative to K(1).

    A function in doubles sees cosines that are rounded, which an end with an infinite slope feels.
    """
    if source.arithmetic != "double":
        return ZONAL_ERROR
    ends = np.array([1.0, -1.0])
    at_ends = source.in_doubles(ends)
    moved = np.abs(source.in_doubles(ends * (1.0 - 2.0**-53)) - at_ends).max()
    return max(ZONAL_ERROR, float(moved / abs(at_ends[0]))) if at_ends[0] else ZONAL_ERROR
