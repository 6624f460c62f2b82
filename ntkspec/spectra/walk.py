"""Blocks of the (dimension, degree) plane by the dimension walk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.kernels import scaled
from ntkspec.kernels import walk as kernels
from ntkspec.networks import Kernel
from ntkspec.spectra.route import Source
from ntkspec.spectra.rows import Passed, Rows, both_parities
from ntkspec.spectra.sphere_routes import row_provider

__all__ = ["Numbers", "Out", "empty_arrays", "is_walked", "sphere_block"]

#: Eigenvalues (D, K), their logarithms (D, K) and bounds on the relative errors (D,).
Numbers = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

#: Eigenvalues and logarithms (D, K) to be written.
Out = tuple[NDArray[np.float64], NDArray[np.float64]]

#: Largest bound of a walk, if that of its first rows allows; then at least so many factors
#: 1 + delta are allowed on a path.
MOST_ERROR, LEAST_STEPS = 1e-12, 512
#: Most degrees of one walk, and most factors on a path.
MOST_STEPS = 8192
#: Rounding of a double, and the most that terms of second order multiply a bound by.
UNIT, SECOND_ORDER = 2.0**-53, 1.0 + 2.0**-20


def sphere_block(
    network: Source,
    kernel: Kernel,
    dims: NDArray[np.int64],
    degrees: NDArray[np.int64],
    out: Out | None = None,
) -> Numbers:
    """Eigenvalues on the sphere for all pairs of increasing dimensions and degrees.

    The two largest dimensions come from the network's own route, as do the two degrees after
    the last; the rest is lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2).
    If the requested dimensions or degrees are so sparse that walking over those between would
    cost more, every dimension is computed separately.

    Examples
    --------
    >>> from ntkspec import Network
    >>> value, _, _ = sphere_block(Network("relu"), "ntk", np.array([2, 3]), np.arange(3))
    >>> value.round(6)
    array([[0.101321, 0.125   , 0.05629 ],
           [0.0625  , 0.083333, 0.027344]])
    """
    source = row_provider(network, kernel)
    out = out or empty_arrays(dims.size, degrees.size)
    try:
        return _block(source, dims, degrees, out)
    except Passed as reason:
        raise NtkspecError(
            f"{network.name} to degree {degrees[-1]} in dimensions {dims[0]} to {dims[-1]}: "
            f"{reason}; lower the degrees or the dimensions"
        ) from None


def _block(source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64], out: Out) -> Numbers:
    """By the walk, or every dimension apart."""
    if not is_walked(source, dims, degrees):
        return *out, _by_rows(source, dims, degrees, out)
    all_dims = np.arange(dims[0], dims[-1] + 1)
    all_degrees = np.arange(degrees[0], degrees[-1] + 1)
    if all_dims.size == dims.size and all_degrees.size == degrees.size:
        return *out, _by_walk(source, all_dims, all_degrees, out)
    whole = empty_arrays(all_dims.size, all_degrees.size)
    error = _by_walk(source, all_dims, all_degrees, whole)
    at = np.ix_(dims - dims[0], degrees - degrees[0])
    for array, filled in zip(out, whole, strict=True):
        array[:] = filled[at]
    return *out, error[dims - dims[0]]


def empty_arrays(rows: int, columns: int) -> Out:
    """Two new arrays."""
    return np.empty((rows, columns)), np.empty((rows, columns))


def is_walked(source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64]) -> bool:
    """Whether a block of increasing dimensions and degrees is walked, including those between.

    Examples
    --------
    >>> from ntkspec.networks import Network
    >>> from ntkspec.spectra.sphere_routes import row_provider
    >>> relu = row_provider(Network("relu"), "ntk")
    >>> dims, degrees = np.arange(2, 200), np.arange(500)
    >>> is_walked(relu, dims, degrees), is_walked(relu, dims[:1], degrees)
    (True, False)
    """
    span = int(dims[-1] - dims[0] + 1) * int(degrees[-1] - degrees[0] + 1)
    return source.walks and dims.size > 3 and span <= 4 * dims.size * degrees.size


def _by_rows(
    source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64], out: Out
) -> NDArray[np.float64]:
    """Every dimension separately, by the network's route; return the bounds."""
    if source.walks and dims[-1] - dims[0] <= 4 * dims.size:
        source.prepare(int(dims[0]), int(dims[-1]), int(degrees[-1]))
    for dim, value, log in zip(dims, *out, strict=True):
        scaled.to_doubles(*both_parities(source, int(dim), degrees), value, log)
    return np.full(dims.size, source.relative_error)


def _by_walk(
    source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64], out: Out
) -> NDArray[np.float64]:
    """Consecutive dimensions and degrees; return the bounds.

    One degree of a parity is its own column: a walk would start from one as long.
    """
    source.prepare(int(dims[0]), int(dims[-1]), int(degrees[-1]) + 2)
    error = np.full(dims.size, source.relative_error)
    alone = {*(source.isolated(0) or ()), *(source.isolated(1) or ())}
    if degrees.size > 2:
        left = int((MOST_ERROR - source.relative_error) / (UNIT * SECOND_ORDER))
        most = min(max(left, LEAST_STEPS), MOST_STEPS)
        for columns in _parts(degrees.size, most):
            np.maximum(error, _walk(source, dims, degrees[columns], out, columns, most), out=error)
    else:
        out[0][:], out[1][:] = 0.0, -np.inf
        alone.update(int(k) for k in degrees if source.isolated(int(k) % 2) is None)
    for degree in alone.intersection(degrees.tolist()):
        column = degree - int(degrees[0])
        value, log = np.empty(dims.size), np.empty(dims.size)
        scaled.to_doubles(*_column(source, degree, dims), value, log)
        out[0][:, column], out[1][:, column] = value, log
    return error


def _parts(size: int, most: int) -> Iterator[slice]:
    """Cut 0..size into nearly equal parts that are not larger than `most`."""
    count = -(-size // most)
    edges = [size * i // count for i in range(count + 1)]
    return map(slice, edges[:-1], edges[1:])


def _column(
    source: Rows, degree: int, dims: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One degree in consecutive dimensions."""
    mantissa, exponent = np.empty(dims.size), np.empty(dims.size, np.int64)
    for i in range(min(2, dims.size)):
        mantissa[i::2], exponent[i::2] = source.column(degree, np.ascontiguousarray(dims[i::2]))
    return mantissa, exponent


def _walk(
    source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64], out: Out, columns: slice,
    most: int,
) -> NDArray[np.float64]:  # fmt: skip
    """Fill some columns of the arrays, by paths of at most so many factors; return the bounds.

    Without the isolated degrees, for which zeros are written.
    """
    start, size = int(degrees[0]), degrees.size
    first = [p for p in range(min(2, size)) if source.isolated((start + p) % 2) is None]
    if not first:
        out[0][:, columns], out[1][:, columns] = 0.0, -np.inf
        return np.zeros(dims.size)
    chains = [np.ascontiguousarray(degrees[p::2]) for p in first]
    count = np.array([mine.size for mine in chains])
    tail = np.empty((len(first), dims.size - 2))
    tail_exponent = np.empty(tail.shape, np.int64)
    for i, mine in enumerate(chains):
        tail[i], tail_exponent[i] = _column(source, int(mine[-1]) + 2, dims[:-2])
    # Rows of an odd length do not meet in the same lines of the cache.
    value = np.empty((len(first), kernels.BAND + 2, int(count[0]) | 1))
    scale = np.zeros((len(first), count[0]), np.int64)
    steps = np.zeros(dims.size)
    for rows in _parts(dims.size, 2 * ((most - int(count[0])) // 3)):
        some, below = dims[rows], slice(rows.start, rows.stop - 2)
        for mine, filled, scales in zip(chains, value, scale, strict=True):
            low, high = (source.row(int(dim), mine) for dim in some[-2:])
            kernels.start(*low, *high, filled[kernels.BAND :], scales[: mine.size])
        kernels.walk(
            some, start + np.array(first), np.array(first), count,
            np.ascontiguousarray(tail[:, below]), np.ascontiguousarray(tail_exponent[:, below]),
            value, scale, *out, rows.start, columns.start, size,
        )  # fmt: skip
        # The kernel's module proves it; three factors for each step up.
        up = np.arange(some.size - 1, -1, -1) // 2
        steps[rows] = np.where(up > 0, count[0] + 3 * up, 0)
    return source.relative_error + steps * (UNIT * SECOND_ORDER)
