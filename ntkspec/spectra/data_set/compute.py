"""The leading eigenvalues of a kernel on a data set: checks, memory, and the method."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.vectors import FileVectors, read_vectors
from ntkspec.jobs.progress import Observer
from ntkspec.networks import Kernel
from ntkspec.parameters import (
    byte_count,
    check_finite,
    number,
    shown,
    size_of,
    truth,
    vectors,
    whole_number,
)
from ntkspec.spectra.data_set.lanczos import Solved, error_bounds, leading, ritz
from ntkspec.spectra.data_set.operator import AHEAD, ENTRIES, DataMatrix, Operator, side_of
from ntkspec.spectra.data_set.progress import Tally
from ntkspec.spectra.data_set.result import DataSpectrum
from ntkspec.spectra.route import Source, as_source
from ntkspec.threads import available_threads, one_blas_thread

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["data_spectrum"]

Array = NDArray[np.float64]

TOLERANCE, LEAST_TOLERANCE = 1e-6, 1e-13
DEFAULT_MEMORY = "256MB"
#: Errors of entries that are accepted, relative to the tolerance, and at most; bounds have them.
OF_ENTRIES, MOST_OF_ENTRIES = 1e-2, 1e-8
#: Vectors below which all eigenvalues are computed.
FEW = 512
#: Columns of a block: more than eigenvalues, so that a random start misses none of the largest,
#: however often it is repeated; a multiple of the least, twice that beyond few eigenvalues.
LEAST_WIDTH, FEW_EIGENVALUES = 32, 8
#: Eigenvalues that are computed beyond those asked for: they show gaps, which bounds need.
MORE = 4
#: Columns of the basis in units of a block's, at most.
BLOCKS = 10
#: Rounding of a product with the matrix, relative to sqrt(n) and the Frobenius norm.
ROUNDING = 4 * 2.0**-53
TOO_MANY = 10**9


def data_spectrum(
    network: Source | str,
    X: ArrayLike | str | Path | FileVectors,
    *,
    count: int = 20,
    further: int = 0,
    kernel: Kernel = "ntk",
    tolerance: float = TOLERANCE,
    memory: int | str = DEFAULT_MEMORY,
    seed: int = 0,
    fan_in: bool = False,
    client: Client | None = None,
    observer: Observer | None = None,
) -> DataSpectrum:
    """Leading eigenvalues and eigenvectors of K / n, K the kernel's matrix of n vectors.

    The matrix is never stored unless it fits in `memory`: tiles of one half of it, which is
    symmetric, are computed, multiplied with a block of vectors and forgotten, some eight times.

    Parameters
    ----------
    network : Network, ZonalKernel or str
        A zonal kernel needs unit vectors, unless it has a radial_power.
    X : (n, dim) array_like, or path
        Vectors in rows, of any norm, float32 or float64; or a .npy or .csv file of them.
        Repeated vectors are allowed, and counted in the result.
    count : int
        Eigenvalues that reach the tolerance.
    further : int
        So many more, as they come, with their residuals and bounds.
    kernel : {"ntk", "nngp"}
    tolerance : float
        Largest norm of K v / n - eigenvalue v, relative to the eigenvalue, v of norm 1.
        Eigenvalues that are 0 to rounding are given as they are, with that as their bound.
    memory : int or str
        Bytes to work in besides `X`, such as "2GB".  The matrix is kept if it fits.
    seed : int
        Of the random vectors at the start.
    fan_in : bool
        Divide the weight variance of the first layer by dim; see `Network.ntk_matrix`.
    client : distributed.Client, optional
        Workers of dask that compute the tiles.  `X` is sent to each of them.  The result
        has the same bits as without, on processors of one kind.
    observer : Observer, optional
        Receives the progress; see `ntkspec.jobs.progress`.

    Returns
    -------
    DataSpectrum

    Raises
    ------
    NtkspecError
        When `X` is empty, not numeric, of the wrong shape or not finite; when count exceeds n; when
        the memory is not enough, with what is needed, before the work starts; and as
        `Network.ntk_matrix`.
    TableError
        When a file is missing, damaged, or one of these; with its size.

    Notes
    -----
    A random start of more vectors than eigenvalues finds all of the largest, multiple ones too,
    with probability 1; no residual can prove it.

    The eigenvalues of K / n are those of the integral operator under the empirical measure, and
    for uniform points of the sphere they tend to those of `spectrum`, each as often as its
    multiplicity.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkspec
    >>> angles = 2 * np.pi * np.arange(1000) / 1000
    >>> circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> s = ntkspec.data_spectrum("relu", circle, count=5)
    >>> s.eigenvalues.round(6)
    array([0.125   , 0.125   , 0.101322, 0.05629 , 0.05629 ])
    >>> ntkspec.spectrum("relu", 2, degrees=[0, 1, 2]).eigenvalues.round(6)
    array([0.101321, 0.125   , 0.05629 ])
    """
    source = as_source(network)
    limit = number(tolerance, "tolerance", LEAST_TOLERANCE, 1.0)
    room = _bytes(memory)
    start = whole_number(seed, "seed", 0)
    scaled = truth(fan_in, "fan_in")
    if isinstance(X, (str, Path)):
        X = read_vectors(Path(X))
    given, name = X if isinstance(X, FileVectors) else (X, "X")
    blamed = TableError if isinstance(X, FileVectors) else NtkspecError
    try:
        points = vectors(given, name)
    except NtkspecError as error:
        raise blamed(str(error)) from None
    _check_client(client)
    n = len(points)
    wanted = whole_number(count, "count", 1)
    if wanted > n:
        raise NtkspecError(
            f"count = {wanted} is not allowed; {n} vector{'s have' if n > 1 else ' has'} no more "
            f"than {n} eigenvalue{'s' if n > 1 else ''}"
        )
    every = min(n, wanted + whole_number(further, "further", 0, TOO_MANY))
    plan = _planned(n, points.shape[1], every, room, client is not None)
    entries = min(MOST_OF_ENTRIES, OF_ENTRIES * limit)
    try:
        check_finite(points, name)
    except NtkspecError as error:
        raise blamed(str(error)) from None
    repeated = _repeated(points)
    tally = Tally(observer or Observer(), n, limit)
    matrix = DataMatrix(source, points, kernel, entries, scaled)
    rng = np.random.default_rng(start)
    with one_blas_thread():
        operator = Operator(matrix, keep=plan.keep, client=client, done=tally.rows)
        known = min(n, every + MORE)
        if plan.direct:
            solved = _direct(operator, known)
        else:
            solved = leading(
                operator.times, n, (wanted, known), (plan.width, plan.most), limit,
                lambda: _rounding(operator, matrix), rng, tally.residual,
            )  # fmt: skip
        rounding = _rounding(operator, matrix)
    tally.end()
    return _result(
        solved, every, operator, rounding, source=source, kernel=kernel, fan_in=scaled,
        points=points, count=wanted, repeated=repeated, tolerance=limit, seed=start,
        route=plan.route, entries=entries,
    )  # fmt: skip


class _Plan(NamedTuple):
    """How the eigenvalues are computed, within the memory."""

    direct: bool
    keep: bool
    width: int
    most: int

    @property
    def route(self) -> str:
        if self.direct:
            return "all eigenvalues of the matrix, which is kept"
        kept = "the matrix is kept" if self.keep else "entries are computed anew for each product"
        return f"block Lanczos, {self.width} vectors; {kept}"


def _planned(n: int, dim: int, every: int, memory: int, far: bool) -> _Plan:
    """Choose the method; raise if the memory is not enough."""
    whole = 8 * n * n
    width = LEAST_WIDTH * -(-(every + MORE) // LEAST_WIDTH)
    width = max(width, 2 * LEAST_WIDTH) if every > FEW_EIGENVALUES else width
    side = min(n, side_of(n))
    tiles = min(ENTRIES, side**2) + side * (dim + 4) + 3 * (1 + AHEAD) * side * width
    fixed = 8 * n * (5 * width + 3 * every) + (0 if far else 8 * available_threads() * tiles)
    fixed += 16 * n * (dim + 4)
    least = every + MORE + 4 * width
    direct = n <= FEW or least > n // 2
    if direct:
        if 5 * whole > memory:
            raise NtkspecError(
                f"{every} eigenvalues of {n} need the whole matrix, {size_of(5 * whole)} in all, "
                f"and memory = {size_of(memory)}: raise memory, or lower count"
            )
        return _Plan(True, True, n, n)
    column = 8 * n
    if fixed + least * column > memory:
        raise NtkspecError(
            f"{n} vectors of dimension {dim} and {every} eigenvalues need at least "
            f"{size_of(fixed + least * column)} to work in, and memory = {size_of(memory)}; raise "
            f"memory, or lower count (the whole matrix, {size_of(whole)}, is not needed)"
        )
    most = min((memory - fixed) // column, max(least, BLOCKS * width + every), n - width)
    keep = not far and fixed + most * column + whole <= memory
    return _Plan(False, keep, width, int(most))


def _direct(operator: Operator, known: int) -> Solved:
    """All eigenvalues of a matrix that is kept, of which the leading ones are returned."""
    operator.times(np.zeros((operator.size, 1)))
    values, vectors = np.linalg.eigh(operator.lower())
    leading_ones = np.ascontiguousarray(vectors[:, : -known - 1 : -1])
    return ritz(operator.times, leading_ones, float(values[0]))


def _rounding(operator: Operator, matrix: DataMatrix) -> float:
    """Bound on what rounding and errors of the entries change, in units of the eigenvalues."""
    sizes = operator.sizes
    entries = matrix.rows.error * float(np.sum(np.abs(sizes.diagonal)))
    sums = ROUNDING * np.sqrt(operator.size) * sizes.frobenius
    return float(entries + sums) / operator.size


def _result(
    solved: Solved, every: int, operator: Operator, rounding: float, *, source: Source,
    entries: float, **given: Any,
) -> DataSpectrum:  # fmt: skip
    n = operator.size
    frobenius = operator.sizes.frobenius / n
    bounds = error_bounds(solved, solved.residuals + rounding, n, rounding, frobenius)
    bounds = bounds[:every] + rounding
    # The bounds hold for values that are 0 or more, too: the matrix has no others.
    values = np.maximum(solved.values[:every], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = solved.residuals[:every] / values
        errors = bounds / values
    zero = operator.sizes.frobenius == 0.0
    vectors = solved.vectors[:, :every]
    at = np.argmax(np.abs(vectors), axis=0)
    signs = np.where(vectors[at, np.arange(every)] < 0.0, -1.0, 1.0)
    return DataSpectrum(
        network=source,
        eigenvalues=values,
        eigenvectors=vectors * signs,
        residuals=np.zeros(every) if zero else residuals,
        relative_error=np.zeros(every) if zero else errors,
        trace=float(np.sum(operator.sizes.diagonal)) / n,
        frobenius_norm=frobenius,
        products=operator.products,
        entries_tolerance=entries,
        **given,
    )


# --- arguments -----------------------------------------------------------------------------------


def _repeated(points: NDArray[Any]) -> int:
    """Number of vectors that equal an earlier one."""
    seen = {
        hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()  # -0 is 0
        for row in points
    }
    return len(points) - len(seen)


def _check_client(client: Any) -> None:
    if client is None:
        return
    if not (
        hasattr(client, "submit") and hasattr(client, "scatter") and hasattr(client, "nthreads")
    ):
        raise NtkspecError(
            f"client = {shown(client)} is not allowed; give a dask.distributed.Client"
        )
    if getattr(client, "asynchronous", False):
        raise NtkspecError("client: an asynchronous client is not allowed; give Client(address)")
    if not client.nthreads():
        raise NtkspecError("client: its cluster has no workers; start some, or wait for them")


def _bytes(memory: int | str) -> int:
    if isinstance(memory, str):
        found = byte_count(memory)
        if found < 1:
            raise NtkspecError(
                f"memory = {shown(memory)} is not allowed; write it as '256MB' or '2GB'"
            )
        return found
    return whole_number(memory, "memory", 1)
