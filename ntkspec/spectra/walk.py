"""Blocks of the (dimension, degree) plane by the dimension walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.kernels import scaled
from ntkspec.kernels import walk as kernels
from ntkspec.networks import Kernel, Network
from ntkspec.spectra.rows import Rows, both_parities
from ntkspec.spectra.sphere_routes import row_provider

__all__ = ["Numbers", "is_walked", "sphere_block"]

#: Eigenvalues (D, K), their logarithms (D, K) and bounds on the relative errors (D,).
Numbers = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

#: Values of a tile, so that it stays in the cache; rounding of a double.
CACHED = 16384
UNIT = 2.0**-53


def sphere_block(
    network: Network, kernel: Kernel, dims: NDArray[np.int64], degrees: NDArray[np.int64]
) -> Numbers:
    """Eigenvalues on the sphere for all pairs of increasing dimensions and degrees.

    The two largest dimensions come from the network's own route, as do the two degrees after
    the last; the rest is lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2).
    If the requested dimensions or degrees are so sparse that walking over those between would
    cost more, every dimension is computed separately.

    Examples
    --------
    >>> value, _, _ = sphere_block(Network("relu"), "ntk", np.array([2, 3]), np.arange(3))
    >>> value.round(6)
    array([[0.101321, 0.125   , 0.05629 ],
           [0.0625  , 0.083333, 0.027344]])
    """
    source = row_provider(network, kernel)
    if not is_walked(source, dims, degrees):
        return _by_rows(source, dims, degrees)
    all_dims = np.arange(dims[0], dims[-1] + 1)
    all_degrees = np.arange(degrees[0], degrees[-1] + 1)
    block = _by_walk(source, all_dims, all_degrees)
    value, log, error = block.eigenvalues, block.log_eigenvalues, block.relative_error
    if all_dims.size == dims.size and all_degrees.size == degrees.size:
        return value, log, error
    at = np.ix_(dims - dims[0], degrees - degrees[0])
    return value[at], log[at], error[dims - dims[0]]


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


@dataclass(frozen=True)
class _Block:
    """A block that is being filled."""

    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]
    eigenvalues: NDArray[np.float64]
    log_eigenvalues: NDArray[np.float64]
    relative_error: NDArray[np.float64]


def _by_rows(source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64]) -> Numbers:
    """Every dimension separately, by the network's route."""
    value, log = np.empty((dims.size, degrees.size)), np.empty((dims.size, degrees.size))
    if source.walks and dims[-1] - dims[0] <= 4 * dims.size:
        source.prepare(int(dims[0]), int(dims[-1]), int(degrees[-1]))
    for i, dim in enumerate(dims):
        scaled.to_doubles(*both_parities(source, int(dim), degrees), value[i], log[i])
    return value, log, np.full(dims.size, source.relative_error)


def _by_walk(source: Rows, dims: NDArray[np.int64], degrees: NDArray[np.int64]) -> _Block:
    """Consecutive dimensions and degrees, each parity of the degrees separately."""
    shape = (dims.size, degrees.size)
    source.prepare(int(dims[0]), int(dims[-1]), int(degrees[-1]) + 2)
    block = _Block(dims, degrees, np.empty(shape), np.empty(shape), np.empty(dims.size))
    block.relative_error[:] = source.relative_error
    for first in range(min(2, degrees.size)):
        mine = degrees[first::2]
        isolated = source.isolated(int(mine[0]) % 2)
        if isolated is None:
            _walk_parity(source, block, first)
            continue
        block.eigenvalues[:, first::2] = 0.0
        block.log_eigenvalues[:, first::2] = -np.inf
        for degree in set(isolated) & set(mine[:2].tolist()):
            value, log = np.empty(dims.size), np.empty(dims.size)
            scaled.to_doubles(*_column(source, degree, dims), value, log)
            block.eigenvalues[:, degree - degrees[0]] = value
            block.log_eigenvalues[:, degree - degrees[0]] = log
    return block


def _column(
    source: Rows, degree: int, dims: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One degree in consecutive dimensions."""
    mantissa, exponent = np.empty(dims.size), np.empty(dims.size, np.int64)
    for i in range(min(2, dims.size)):
        mantissa[i::2], exponent[i::2] = source.column(degree, dims[i::2])
    return mantissa, exponent


def _walk_parity(source: Rows, block: _Block, first: int) -> None:
    """Fill columns first, first + 2, ... of a block of consecutive dimensions and degrees.

    Tiles of some rows, from the largest dimensions down, are computed and converted while they
    are in the cache; the two lowest rows of a tile start the next.
    """
    dims, degrees = block.dims, block.degrees[first::2]
    seed = source.relative_error / UNIT
    size = max(2, CACHED // degrees.size // 2 * 2)
    value = np.empty((size + 2, degrees.size))
    exponent = np.empty(value.shape, np.int32)
    log = np.empty(value.shape)
    for i in (0, 1):
        kernels.coarse(*source.row(int(dims[i - 2]), degrees), value[i], exponent[i])
    _convert(block, dims.size - 2, first, value[:2], exponent[:2], log)
    tail, tail_exponent = np.empty(dims.size - 2), np.empty(dims.size - 2, np.int32)
    kernels.coarse(*_column(source, int(degrees[-1]) + 2, dims[:-2]), tail, tail_exponent)
    error = np.full((2, degrees.size), seed)
    stop = dims.size - 2
    while stop > 0:
        # The tile of odd size comes first, where both rows of `error` are equal.
        count = stop % size or size
        mine = np.s_[stop - count : stop]
        value[count : count + 2], exponent[count : count + 2] = value[:2], exponent[:2]
        tile = np.s_[: count + 2]
        bound = np.empty(count)
        kernels.walk(
            dims[stop - count : stop + 2], degrees[0], tail[mine], tail_exponent[mine],
            value[tile], exponent[tile], seed, error, bound,
        )  # fmt: skip
        block.relative_error[mine] = np.maximum(block.relative_error[mine], bound * UNIT)
        stop -= count
        _convert(block, stop, first, value[:count], exponent[:count], log)


def _convert(
    block: _Block,
    row: int,
    first: int,
    value: NDArray[np.float64],
    exponent: NDArray[np.int32],
    log: NDArray[np.float64],
) -> None:
    """Write rows in the walk's form into the block's rows from `row` on, every other column."""
    rows = value.shape[0]
    with np.errstate(divide="ignore"):
        np.log(value, out=log[:rows])
    to = np.s_[row : row + rows]
    out, log_out = block.eigenvalues[to], block.log_eigenvalues[to]
    kernels.finish(value, exponent, log[:rows], out, log_out, first)
