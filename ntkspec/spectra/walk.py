"""Blocks of the (dimension, degree) plane by the dimension walk (DESIGN 2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.kernels import scaled
from ntkspec.kernels import walk as kernels
from ntkspec.networks import Kernel, Network, as_network
from ntkspec.spectra.conventions import check_degrees, check_dim
from ntkspec.spectra.routes import Route, route

__all__ = ["Block", "table_block"]


@dataclass(frozen=True)
class Block:
    """A block of eigenvalues under the uniform probability measure.

    Attributes
    ----------
    dims : (D,) int64 array
    degrees : (K,) int64 array
    eigenvalue : (D, K) float64 array
        Exactly 0 where the eigenvalue is, and where it is below the smallest normal double.
    log_eigenvalue : (D, K) float64 array
        Natural logarithm, right where the eigenvalue has underflowed; -inf for exact zeros.
    relative_error : (D,) float64 array
        Bound on the relative error of each eigenvalue of a dimension; a logarithm is off by no
        more than that and the rounding of a double of its size.
    """

    dims: NDArray[np.int64]
    degrees: NDArray[np.int64]
    eigenvalue: NDArray[np.float64]
    log_eigenvalue: NDArray[np.float64]
    relative_error: NDArray[np.float64]


def table_block(
    network: Network | str, dims: Iterable[int], degrees: Iterable[int], kernel: Kernel = "ntk"
) -> Block:
    """Eigenvalues for all pairs of some dimensions and some degrees.

    Parameters
    ----------
    network : Network or str
    dims, degrees : iterable of int
        Both increasing.
    kernel : {"ntk", "nngp"}

    Returns
    -------
    Block

    Raises
    ------
    NtkspecError
        For parameters that are not allowed.

    Notes
    -----
    The two largest dimensions come from the network's own route, as do the two degrees after
    the last; the rest is lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2), DESIGN 2.4.
    Where the dimensions or degrees asked for lie so thin that walking over those between would
    cost more, every dimension is computed by its own route.

    Examples
    --------
    >>> table_block("relu", [2, 3], [0, 1, 2]).eigenvalue.round(6)
    array([[0.101321, 0.125   , 0.056286],
           [0.0625  , 0.083333, 0.027344]])
    """
    network = as_network(network)
    source = route(network, kernel)
    d = np.array([check_dim(dim) for dim in dims], dtype=np.int64)
    k = check_degrees(degrees)  # type: ignore[arg-type]
    for name, values in (("dims", d), ("degrees", k)):
        if values.size == 0 or np.any(np.diff(values) <= 0):
            raise NtkspecError(f"{name} must be increasing and not empty")
    block = Block(d, k, np.zeros((d.size, k.size)), np.full((d.size, k.size), -np.inf), np.zeros(d.size))
    for parity in (0, 1):
        columns = np.flatnonzero(k % 2 == parity)
        if columns.size:
            _fill_parity(source, block, parity, columns)
    return block


def _fill_parity(source: Route, block: Block, parity: int, columns: NDArray[np.intp]) -> None:
    degrees = block.degrees[columns]
    isolated = source.isolated(parity)
    if isolated is not None:
        for degree in isolated:
            at = columns[degrees == degree]
            if at.size:
                _fill_column(source, block, degree, int(at[0]))
        np.maximum(block.relative_error, source.relative_error, out=block.relative_error)
        return
    span = (int(block.dims[-1] - block.dims[0]) + 1) * (int(degrees[-1] - degrees[0]) // 2 + 1)
    if block.dims.size > 3 and span <= 4 * block.dims.size * degrees.size:
        _walk(source, block, columns)
    else:
        for i, dim in enumerate(block.dims):
            mantissa, exponent = source.row(int(dim), degrees)
            value, log = np.empty(degrees.size), np.empty(degrees.size)
            scaled.to_doubles(mantissa, exponent, value, log)
            block.eigenvalue[i, columns], block.log_eigenvalue[i, columns] = value, log
        np.maximum(block.relative_error, source.relative_error, out=block.relative_error)


def _by_parity(source: Route, degree: int, dims: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One degree in consecutive or any increasing dimensions."""
    mantissa, exponent = np.zeros(dims.size), np.zeros(dims.size, np.int64)
    for parity in (0, 1):
        at = np.flatnonzero(dims % 2 == parity)
        if at.size:
            mantissa[at], exponent[at] = source.column(degree, dims[at])
    return mantissa, exponent


def _fill_column(source: Route, block: Block, degree: int, at: int) -> None:
    mantissa, exponent = _by_parity(source, degree, block.dims)
    value, log = np.empty(block.dims.size), np.empty(block.dims.size)
    scaled.to_doubles(mantissa, exponent, value, log)
    block.eigenvalue[:, at], block.log_eigenvalue[:, at] = value, log


def _walk(source: Route, block: Block, columns: NDArray[np.intp]) -> None:
    """Walk over the hull of the dimensions and of one parity of degrees; keep what was asked."""
    wanted = block.degrees[columns]
    dims = np.arange(block.dims[0], block.dims[-1] + 1)
    degrees = np.arange(wanted[0], wanted[-1] + 1, 2)
    shape = (dims.size, degrees.size)
    value, exponent = np.empty(shape), np.empty(shape, np.int32)
    for i in (dims.size - 2, dims.size - 1):
        kernels.coarse(*source.row(int(dims[i]), degrees), value[i], exponent[i])
    tail, tail_exponent = np.empty(dims.size - 2), np.empty(dims.size - 2, np.int32)
    kernels.coarse(*_by_parity(source, int(degrees[-1]) + 2, dims[:-2]), tail, tail_exponent)
    bound = np.empty(dims.size)
    kernels.walk(
        dims, degrees[0], tail, tail_exponent, value, exponent,
        np.empty((2, degrees.size)), source.relative_error, bound,
    )  # fmt: skip
    with np.errstate(divide="ignore"):
        log = np.log(value)
    kernels.finish(value.ravel(), exponent.ravel(), log.ravel())
    rows = block.dims - dims[0]
    kept = (wanted - degrees[0]) // 2
    whole = rows.size == dims.size and kept.size == degrees.size
    pick = np.s_[:, :] if whole else np.ix_(rows, kept)
    to = np.s_[:, columns[0] :: 2] if whole and block.degrees.size > 1 and _every_other(columns) else np.s_[:, columns]
    block.eigenvalue[to] = value[pick]
    block.log_eigenvalue[to] = log[pick]
    np.maximum(block.relative_error, bound[rows], out=block.relative_error)


def _every_other(columns: NDArray[np.intp]) -> bool:
    return bool(np.all(np.diff(columns) == 2))
