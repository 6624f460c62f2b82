"""Kernels of networks in doubles: K(t) at cosines t = <x, x'>, and between vectors.

Catalogued activations have compiled kernels, accurate to `promised` K(1); a user's activation and
some catalogued ones have values with error bounds (`ntkspec.duals.plain`).  Between vectors of one
norm the kernel is K(t) too; between vectors of different norms see `ntkspec.duals.norms`.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.networks.composed import composed_arguments
from ntkspec.parameters import (
    RAISE,
    as_number,
    check_finite,
    numbers,
    shown,
    truth,
    vectors,
    ways,
)
from ntkspec.threads import available_threads

if TYPE_CHECKING:
    from ntkspec.duals.norms import VectorTables
    from ntkspec.duals.panels import NetworkPanels
    from ntkspec.networks.network import Kernel, Network

__all__ = [
    "Rows",
    "between_norms",
    "by_values",
    "checked_tolerance",
    "matrix",
    "matrix_with_error",
    "padded",
    "polar",
    "promised",
    "values",
    "values_apart",
    "values_with_error",
]

Array = NDArray[np.float64]

#: Error of the compiled kernels, relative to K(1): at least, and for each layer of deep networks,
#: whose rounding adds up (seen: 1.1e-15 a layer, erf of 17 layers and variance 2.3).
PROMISED, PROMISED_A_LAYER = 1e-14, 2e-15
#: Error between vectors of different norms for each layer that is summed as a series.
SUMMED = 1e-12
#: Catalogued activations whose kernels come from their values, with bounds, like a user's.
BY_VALUES = ("softsign", "finer")
#: Variance of the argument of tanh up to which its duals are tabulated for single evaluations.
TABULATED = 64.0
#: Rows of a matrix for which a further thread is started, and the most threads.
ROWS_OF_A_THREAD = 192
#: Norms beyond, and below the inverse, are taken out of a homogeneous kernel.
FAR = 2.0**32
#: Default tolerances, relative to K(1): of catalogued activations, and of a user's.
TOLERANCE, OF_USERS = 1e-12, 1e-6
#: Relative difference of norms that is rounding.
ONE_NORM = 4e-15
#: The square of a norm whose square vanishes.
TINY = 5e-324
ALL = slice(None)
#: Largest |t| that is rounded to 1: 4 units in the last place above it.
OUTERMOST = 1.0 + 4 * 2.0**-52


def promised(network: Network) -> float:
    """Bound on the error of the compiled kernels, relative to K(1).

    Examples
    --------
    >>> from ntkspec import Network
    >>> promised(Network("erf")), round(promised(Network("erf", depth=20)), 15)
    (1e-14, 4e-14)
    """
    return max(PROMISED, PROMISED_A_LAYER * len(network.sigmas))


def by_values(network: Network) -> bool:
    """Whether the kernel comes from values of an activation, with bounds, which takes longer."""
    return network.user or any(sigma.name in BY_VALUES for sigma in network.sigmas)


def values(network: Network, t: ArrayLike, kernel: Kernel, tolerance: float | None) -> Array:
    """K(t); raises if a user's activation cannot be computed to the tolerance."""
    limit, cosines = _limit(network, tolerance), _checked_cosine(t)
    if by_values(network):
        return _accepted(network, limit, *_user_values(network, cosines, kernel))
    return _compiled_values(network, cosines, kernel)


def values_with_error(network: Network, t: ArrayLike, kernel: Kernel) -> tuple[Array, Array]:
    """K(t) and bounds on its absolute error."""
    cosines = _checked_cosine(t)
    if by_values(network):
        return _user_values(network, cosines, kernel)[:2]
    return _bounded(network, kernel, _compiled_values(network, cosines, kernel))


def values_apart(
    network: Network, minus: Array, plus: Array, kernel: Kernel
) -> tuple[Array, Array | None]:
    """K of points with these 1 - t and 1 + t, so that t near 1 and -1 keeps its digits.

    The bounds on the absolute error are None where each value is rounded on its own, by closed
    forms, to `promised` K(1).
    """
    if by_values(network):
        value, error, _ = _plain_apart(network, kernel, minus, plus)
        return value, error
    out = np.empty(minus.size)
    (_, _, compiled), arguments = _compiled(network, kernel)
    compiled(minus, plus, out, *arguments)
    if network.uniform and composed_arguments(network) is not None:
        return out, None
    return _bounded(network, kernel, out)


def matrix(
    network: Network, points: ArrayLike, others: ArrayLike | None, kernel: Kernel,
    tolerance: float | None, fan_in: bool,
) -> NDArray[Any]:  # fmt: skip
    """Matrix of a kernel between vectors; raises if it cannot be computed to the tolerance."""
    limit = _limit(network, tolerance)
    network.check_kernel(kernel)
    _refuse_sphere(network)
    x = polar(points, "points", truth(fan_in, "fan_in"))
    y = x if others is None else polar(others, "others", fan_in)
    if x.directions.shape[1] != y.directions.shape[1]:
        raise NtkspecError(
            f"points have {x.directions.shape[1]} coordinates and others {y.directions.shape[1]}; "
            "give vectors of one dimension"
        )
    single = np.float32 if x.single and y.single else np.float64
    alike = _on_one_sphere(network, x, y)
    with np.errstate(over="ignore"):
        if alike is None:
            found = _between_norms(network, x, y, kernel, limit, single)
        elif by_values(network):
            bounded = _user_matrix(alike, x.directions, y.directions, kernel)
            found = _accepted(network, limit, *bounded).astype(single, copy=False)
        else:
            found = _compiled_matrix(alike, x.directions, y.directions, kernel)
            found = found.astype(single, copy=False)
    # Between vectors and themselves the largest value is on the diagonal.
    _check_range(network, found.diagonal() if x is y else found)
    return found


def matrix_with_error(network: Network, points: ArrayLike, kernel: Kernel) -> tuple[Array, Array]:
    """Matrix of K between points of the sphere, and bounds on its absolute errors."""
    x = _checked_points(points)
    if by_values(network):
        return _user_matrix(network, x, x, kernel)[:2]
    return _bounded(network, kernel, _compiled_matrix(network, x, x, kernel))


# --- vectors of any norm -------------------------------------------------------------------------


class _Vectors(NamedTuple):
    """Norms and directions of vectors; in single precision as given, and divided by sqrt(dim)."""

    norms: Array
    directions: Array
    single: bool
    fan_in: bool = False


def polar(points: ArrayLike, name: str, fan_in: bool) -> _Vectors:
    """Norms and directions of vectors in rows, checked; fan_in divides by the root of dim.

    Examples
    --------
    >>> polar([[3e200, 4e200], [0.0, 0.0]], "points", False).norms
    array([5.e+200, 0.e+000])
    """
    given = vectors(points, name)
    check_finite(given, name)
    x = np.asarray(given, np.float64)
    # Squares of the largest coordinates neither overflow nor vanish.
    size = np.abs(x).max(axis=1)
    scaled = x / np.where(size > 0.0, size, 1.0)[:, np.newaxis]
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    scaled /= np.where(lengths > 0.0, lengths, 1.0)[:, np.newaxis]
    norms = size * lengths
    if fan_in:
        norms = norms / math.sqrt(x.shape[1])
    single = given.dtype == np.float32
    return _Vectors(norms, np.ascontiguousarray(scaled), single, fan_in)


class _Powers(NamedTuple):
    """The matrix is that of vectors of moderate norms times 2^(rows + columns)."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def apply(self, out: NDArray[Any], rows: slice = ALL, columns: slice = ALL) -> None:
        """Multiply some rows and columns."""
        with np.errstate(over="ignore", under="ignore"):
            for row, exponent in zip(out, self.rows[rows], strict=True):
                np.ldexp(row, exponent + self.columns[columns], out=row)


def _moderate(
    network: Network, x: _Vectors, y: _Vectors, kernel: Kernel
) -> tuple[_Vectors, _Vectors, _Powers | None]:
    """Vectors with norms from 1/2 to 1 where some are far from 1 and the kernel is homogeneous."""
    norms = np.concatenate([x.norms, y.norms])
    if np.all((norms == 0.0) | ((norms > 1.0 / FAR) & (norms < FAR))):
        return x, y, None
    degrees = network.program.degrees(kernel == "ntk")
    if degrees.least != degrees.most:
        return x, y, None
    sides = [x] if y is x else [x, y]
    mantissas, exponents = zip(*(np.frexp(side.norms) for side in sides), strict=True)
    scaled = [side._replace(norms=part) for side, part in zip(sides, mantissas, strict=True)]
    powers = [int(degrees.least) * part.astype(np.int64) for part in exponents]
    return scaled[0], scaled[-1], _Powers(powers[0], powers[-1])


def _check_range(network: Network, found: NDArray[Any]) -> None:
    """Refuse values that are too large."""
    if not (math.isfinite(found.max()) and math.isfinite(found.min())):
        wider = ", or give float64" if found.dtype == np.float32 else ""
        raise NtkspecError(
            f"values of the kernel of {network.name} leave the range of {found.dtype}; scale the "
            f"vectors down{wider}"
        )


def _on_one_sphere(network: Network, x: _Vectors, y: _Vectors) -> Network | None:
    """The network whose kernel K(t) is the kernel of vectors that have one norm; else None."""
    low = min(x.norms.min(), y.norms.min())
    high = max(x.norms.max(), y.norms.max())
    if not (low > 0.0 and high - low <= ONE_NORM * high):
        return None
    if abs(high - 1.0) <= ONE_NORM:
        return network
    square = float(0.5 * (low + high)) ** 2
    from ntkspec.networks.parts import Linear

    try:
        return type(network).serial(Linear(square, trained=False), *network.parts)
    except NtkspecError:  # the norm is out of a variance's range
        return None


def between_norms(
    network: Network, norms: Array, directions: Array, kernel: Kernel
) -> tuple[Array, float, int]:
    """K between r_i (1, 0, ...) and r_j u for norms r and unit vectors u: (norms, norms, u).

    Returns
    -------
    values : (R, R, M) float64 array
    error : float
        Bound on their errors, relative to sqrt(K(x, x) K(y, y)).
    terms : int
        How many terms series have in all layers together, which the time of a value grows with.

    Examples
    --------
    >>> from ntkspec import Network
    >>> between_norms(Network("relu"), np.array([1.0, 2.0]), np.eye(2)[:1], "ntk")[0]
    array([[[0.5],
            [1. ]],
    <BLANKLINE>
           [[1. ],
            [2. ]]])
    """
    from ntkspec.kernels.vectors import vector_tiles

    network.check_kernel(kernel)
    _refuse_sphere(network)
    size, count = norms.size, directions.shape[0]
    first = np.zeros((size, directions.shape[1]))
    first[:, 0] = 1.0
    x = _Vectors(norms, first, False)
    tables = _tables(network, x, x, kernel, math.inf)
    program = (kernel == "ntk", *tables.program)
    rows, columns = padded(first), padded(directions)
    across = _columns(columns)
    values = np.empty((size, size, count))

    def fill(j: int) -> None:
        mine = tuple(np.ascontiguousarray(part[:, : j + 1]) for part in tables.rows)
        theirs = tuple(np.repeat(part[:, j : j + 1], count, axis=1) for part in tables.rows)
        arguments = (False, 0, 1, *program, mine, theirs)
        vector_tiles(rows[: j + 1], columns, across, values[j, : j + 1], *arguments)
        values[: j + 1, j] = values[j, : j + 1]

    with ThreadPoolExecutor(available_threads()) as pool:
        for job in [pool.submit(fill, j) for j in range(size)]:
            job.result()
    return values, _error(network, tables), len(tables.rows.features)


class Rows:
    """Parts of the matrix of a kernel between vectors and themselves, computed where asked for.

    Each entry is computed for itself: it does not depend on what is asked for together.
    Different threads may compute different parts.

    Attributes
    ----------
    error : float
        Bound on the errors of the entries, relative to sqrt(K(x, x) K(y, y)).

    Examples
    --------
    >>> from ntkspec import Network
    >>> out = np.empty((1, 2))
    >>> rows = Rows(Network("relu"), np.eye(2), "ntk", 1e-12, False)
    >>> rows.fill(slice(1, 2), slice(0, 2), out)
    >>> out
    array([[0. , 0.5]])
    """

    def __init__(
        self, network: Network, points: ArrayLike, kernel: Kernel, tolerance: float, fan_in: bool
    ) -> None:
        limit = checked_tolerance(tolerance)
        network.check_kernel(kernel)
        _refuse_sphere(network)
        x = polar(points, "points", truth(fan_in, "fan_in"))
        alike = _on_one_sphere(network, x, x)
        self.error = promised(network)
        self._network = network
        self._powers: _Powers | None = None
        self._sides: tuple[Any, ...] = ()
        self._by_values: tuple[Network, Network, Kernel, float] | None = None
        if alike is None:
            from ntkspec.kernels.vectors import vector_tiles

            x, _, self._powers = _moderate(network, x, x, kernel)
            tables = _tables(network, x, x, kernel, limit)
            self._compiled = vector_tiles
            self._arguments: tuple[Any, ...] = (kernel == "ntk", *tables.program)
            self._sides = (tables.rows, tables.columns)
            self.error = _error(network, tables)
        elif by_values(network):
            self._by_values = network, alike, kernel, limit
            self.error = limit
        else:
            (_, self._compiled, _), self._arguments = _compiled(alike, kernel)
        self._vectors = padded(x.directions)

    def fill(self, rows: slice, columns: slice, out: Array) -> None:
        """Write the entries of some rows and columns into a contiguous float64 array."""
        x, y = self._vectors[rows], self._vectors[columns]
        if self._by_values is not None:
            network, alike, kernel, limit = self._by_values
            out[:] = _accepted(network, limit, *_user_matrix(alike, x, y, kernel))
            return
        arguments = self._arguments
        if self._sides:
            sides = zip(self._sides, (rows, columns), strict=True)
            parts = ([np.ascontiguousarray(part[:, some]) for part in side] for side, some in sides)
            arguments = (*arguments, *(tuple(part) for part in parts))
        self._compiled(x, y, _columns(y), out, False, 0, 1, *arguments)
        if self._powers is not None:
            self._powers.apply(out, rows, columns)
        _check_range(self._network, out)


def padded(x: Array) -> Array:
    """Vectors in rows; zeros make the number of coordinates a multiple of 4.

    Examples
    --------
    >>> padded(np.ones((1, 2)))
    array([[1., 1., 0., 0.]])
    """
    left = -x.shape[1] % 4
    return np.pad(x, ((0, 0), (0, left))) if left else x


def _columns(x: Array) -> Array:
    return np.ascontiguousarray(x.T)


def _tables(
    network: Network, x: _Vectors, y: _Vectors, kernel: Kernel, limit: float
) -> VectorTables:
    """What `vector_tiles` needs of the norms, to the tolerance."""
    from ntkspec.duals.norms import vector_tables

    with np.errstate(over="ignore", under="ignore"):
        squares = [np.where(v.norms > 0.0, np.maximum(v.norms**2, TINY), 0.0) for v in (x, y)]
        tables = vector_tables(network, squares[0], None if y is x else squares[1], kernel)
    if not tables.left_out <= limit:
        hint = "" if x.fan_in else " (fan_in=True divides by the root of their dimension)"
        raise NtkspecError(
            f"the kernel of {network.name} between vectors of different norms is known to "
            f"{tables.left_out:.2g} only, which exceeds tolerance = {limit:g}"
            + ways(
                RAISE, f"scale the vectors down{hint}", "lower weight_variance",
                "scale all vectors to one norm",
            )
        )  # fmt: skip
    return tables


def _error(network: Network, tables: VectorTables) -> float:
    """Bound on the errors between vectors, relative to sqrt(K(x, x) K(y, y))."""
    if not tables.left_out:
        return promised(network)
    return max(tables.left_out, SUMMED * len(network.sigmas))


def _between_norms(
    network: Network, x: _Vectors, y: _Vectors, kernel: Kernel, limit: float, kind: Any
) -> NDArray[Any]:
    from ntkspec.kernels.vectors import vector_tiles

    x, y, powers = _moderate(network, x, y, kernel)
    tables = _tables(network, x, y, kernel, limit)
    arguments = (kernel == "ntk", *tables.program, tuple(tables.rows), tuple(tables.columns))
    out = _tiled(vector_tiles, x.directions, y.directions, arguments, kind)
    if powers is not None:
        powers.apply(out)
    return out


# --- catalogued activations ----------------------------------------------------------------------


def _compiled_values(network: Network, t: Array, kernel: Kernel) -> Array:
    flat, row = t.ravel().view(), np.empty(t.size)
    (compiled, _, _), arguments = _compiled(network, kernel)
    flat.flags.writeable = False  # of one type, so that nothing is compiled twice
    compiled(flat, row, *arguments)
    return row.reshape(t.shape)


def _compiled_matrix(network: Network, x: Array, y: Array, kernel: Kernel) -> Array:
    (_, compiled, _), arguments = _compiled(network, kernel)
    return _tiled(compiled, x, y, arguments)


def _tiled(
    compiled: Any, x: Array, y: Array, arguments: tuple[Any, ...], kind: Any = np.float64
) -> NDArray[Any]:
    """The matrix between rows of x and of y, its tiles on several threads."""
    out = np.empty((x.shape[0], y.shape[0]), kind)
    mirror = x is y
    threads = min(available_threads(), -(-x.shape[0] // ROWS_OF_A_THREAD))
    y = padded(y)
    x, columns = y if mirror else padded(x), _columns(y)
    jobs = [(x, y, columns, out, mirror, first, threads, *arguments) for first in range(threads)]
    if threads == 1:
        compiled(*jobs[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            for job in [pool.submit(compiled, *job) for job in jobs]:
                job.result()
    return out


def _bounded(network: Network, kernel: Kernel, value: Array) -> tuple[Array, Array]:
    """Values with the error bound of the compiled kernels, a fraction of K(1)."""
    bound = promised(network) * float(abs(_compiled_values(network, np.ones(1), kernel)[0]))
    return value, np.broadcast_to(bound, value.shape)


@lru_cache(maxsize=256)
def _compiled(network: Network, kernel: Kernel) -> tuple[tuple[Any, Any, Any], tuple[Any, ...]]:
    """Compiled functions of cosines, of tiles, of 1 - t and 1 + t, and their further arguments."""
    network.check_kernel(kernel)
    _refuse_sphere(network)
    from ntkspec.kernels import composed, dual, layers

    if network.uniform:
        mixture, sigma = network.mixture(kernel), network.sigma
        found = composed_arguments(network)
        if found is not None:
            functions = composed.composed_values, composed.composed_tiles, composed.composed_apart
            return functions, (*found, *mixture)
        shallow = network.depth == 1 and network.bias_variance == 0.0
        if shallow and sigma.tanh and network.weight_variance * sigma.tanh[2] ** 2 > TABULATED:
            arguments = (*sigma.tanh, network.weight_variance, *mixture)
            functions = dual.sigmoidal_values, dual.sigmoidal_tiles, dual.sigmoidal_apart
            return functions, arguments
    functions = layers.layered_values, layers.layered_tiles, layers.layered_apart
    return functions, (*_panels(network), kernel == "ntk")


@lru_cache(maxsize=128)
def _panels(network: Network) -> NetworkPanels:
    """Tables of the layers' duals, shared by both kernels."""
    from ntkspec.duals.panels import network_panels

    return network_panels(network)


def _refuse_sphere(network: Network) -> None:
    if network.weights == "sphere":
        raise NtkspecError(
            "with weights = 'sphere' the kernel depends on the dimension; "
            "ntkspec.spectrum(network, dim) computes its spectrum"
        )


# --- a user's activation -------------------------------------------------------------------------


def _user_values(network: Network, t: Array, kernel: Kernel) -> tuple[Array, Array, float]:
    """Values, bounds on their absolute errors, and K(1)."""
    flat = t.ravel()
    value, error, top = _plain_apart(network, kernel, 1.0 - flat, 1.0 + flat)
    return value.reshape(t.shape), error.reshape(t.shape), top


def _plain_apart(
    network: Network, kernel: Kernel, minus: Array, plus: Array
) -> tuple[Array, Array, float]:
    """Values, bounds on their absolute errors, and K(1), from 1 - t and 1 + t."""
    plain = _plain(network, kernel)
    return *plain(np.sqrt(minus), np.sqrt(plus)), plain.top


def _user_matrix(
    network: Network, x: Array, y: Array, kernel: Kernel
) -> tuple[Array, Array, float]:
    """Matrix, bounds on its absolute errors, and K(1)."""
    plain, mirror = _plain(network, kernel), x is y
    out = np.empty((x.shape[0], y.shape[0]))
    error = np.empty_like(out)
    for i in range(x.shape[0]):
        some = y[: i + 1] if mirror else y
        # Distances keep the digits of close and of nearly opposite points.
        near = np.linalg.norm(some - x[i], axis=1)
        far = np.linalg.norm(some + x[i], axis=1)
        value, bound = plain(near, far)
        out[i, : len(some)], error[i, : len(some)] = value, bound
        if mirror:
            out[: i + 1, i], error[: i + 1, i] = value, bound
    return out, error, plain.top


def _plain(network: Network, kernel: Kernel) -> Any:
    """The kernel with its bounds."""
    network.check_kernel(kernel)
    _refuse_sphere(network)
    from ntkspec.duals.plain import PlainKernel

    return PlainKernel(network, kernel)


def _accepted(network: Network, limit: float, value: Array, error: Array, top: float) -> Array:
    """Return the values if all errors are within the tolerance, relative to K(1)."""
    worst, allowed = float(np.max(error, initial=0.0)), limit * top
    if not worst <= allowed and not math.isinf(allowed):
        raise NtkspecError(
            f"the kernel of {network.name} is known to {worst / top if top else math.inf:.2g} "
            f"K(1) only, which exceeds tolerance = {allowed / top if top else 0.0:g}"
            + ways(
                RAISE,
                ("tolerance", "read values with their bounds by with_error or matrix_with_error"),
            )
        )
    return value


# --- arguments -----------------------------------------------------------------------------------


def _limit(network: Network, tolerance: float | None) -> float:
    if tolerance is None:
        return OF_USERS if network.user else TOLERANCE
    return checked_tolerance(tolerance)


def checked_tolerance(tolerance: float) -> float:
    """Return a tolerance, which must be positive."""
    limit = as_number(tolerance)
    if not limit > 0.0:
        raise NtkspecError(f"tolerance = {shown(tolerance)} is not allowed; it must be positive")
    return limit


def _checked_cosine(t: ArrayLike) -> Array:
    """Cosines; those that rounding put outside [-1, 1] are moved to its ends."""
    cosines = numbers(t, "t")
    size = np.abs(cosines)
    if (size <= 1.0).all():
        return cosines
    bad = ~(size <= OUTERMOST)
    if bad.any():
        raise NtkspecError(f"t = {cosines[bad].flat[0]} is not allowed; it must lie in [-1, 1]")
    return np.clip(cosines, -1.0, 1.0)


def _checked_points(points: ArrayLike) -> Array:
    x = numbers(points, "points")
    if x.ndim != 2 or x.shape[1] < 2 or x.shape[0] < 1:
        raise NtkspecError(f"points of shape {x.shape} are not allowed; give (n, dim), dim >= 2")
    norms = np.linalg.norm(x, axis=1)
    off = ~(np.abs(norms - 1.0) <= 1e-8)
    if off.any():
        i = int(np.flatnonzero(off)[0])
        raise NtkspecError(f"points[{i}] has norm {norms[i]:.10g}; all must have norm 1 to 1e-8")
    return np.ascontiguousarray(x / norms[:, np.newaxis])
