"""Products of a data set's kernel matrix with blocks of vectors, its rows computed anew each time.

A block of rows is computed, multiplied and forgotten.  Every block has the same height whoever
computes it, and is multiplied on one BLAS thread: the products have the same bits on one thread, on
several, and on the workers of a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.locks import cached_property
from ntkspec.networks import Kernel
from ntkspec.spectra.data_set.rows import MatrixRows, matrix_rows
from ntkspec.spectra.route import Source
from ntkspec.threads import available_threads, one_blas_thread

__all__ = ["DataMatrix", "Operator", "Sizes"]

Array = NDArray[np.float64]

#: Entries of a block of rows.
ENTRIES = 2**21
#: Tasks of a product for each thread of a cluster.
TASKS = 4
#: How often blocks are sent again that were lost with their workers, and seconds without workers.
ATTEMPTS, PATIENCE = 4, 60
#: Diagonal entries whose squares, and sums of them, neither overflow nor vanish.
LEAST, MOST = 1e-140, 1e140


class Sizes(NamedTuple):
    """Diagonal of the matrix, and its Frobenius norm, of the whole matrix or of some rows.

    Examples
    --------
    >>> Sizes(np.ones(4), 2.0).frobenius
    2.0
    """

    diagonal: Array
    frobenius: float


class _Share(NamedTuple):
    """Product of some rows of the matrix with vectors."""

    first: int
    product: Array
    sizes: Sizes | None


class DataMatrix:
    """The kernel matrix of a data set: a description that can be sent to workers.

    Examples
    --------
    >>> from ntkspec import Network
    >>> matrix = DataMatrix(Network("relu"), np.eye(3), "ntk", 1e-12, False)
    >>> matrix.size, matrix.height
    (3, 3)
    """

    def __init__(
        self, source: Source, points: NDArray[Any], kernel: Kernel, tolerance: float, fan_in: bool
    ) -> None:
        self._given = source, points, kernel, tolerance, fan_in
        self.size = len(points)
        self.height = min(self.size, max(1, ENTRIES // self.size))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "rows"}

    @cached_property
    def rows(self) -> MatrixRows:
        """The rows, prepared once in each process."""
        return matrix_rows(*self._given)

    @property
    def longest(self) -> int:
        """Row of the vector with the largest coordinate; -1 if all are 0."""
        points = self._given[1]
        tops = np.array([np.abs(row).max() for row in points])
        at = int(np.argmax(tops))
        return at if tops[at] > 0.0 else -1

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First row and end of each block."""
        starts = range(0, self.size, self.height)
        return [(first, min(first + self.height, self.size)) for first in starts]

    def share(
        self, blocks: list[tuple[int, int]], vectors: Array, measure: bool, kept: Array | None
    ) -> _Share:
        """Multiply some blocks, one after another; with `measure` also their sizes.

        kept: the whole matrix, whose rows are filled in with `measure` and read without.
        """
        first, last = blocks[0][0], blocks[-1][1]
        product = np.empty((last - first, vectors.shape[1]))
        diagonal, norm = np.empty(last - first), 0.0
        room = np.empty((self.height, self.size)) if kept is None else None
        for begin, end in blocks:
            block = room[: end - begin] if room is not None else kept[begin:end]  # type: ignore[index]
            if measure or kept is None:
                self.rows.fill(begin, end, block)
            np.matmul(block, vectors, out=product[begin - first : end - first])
            if measure:
                some = np.arange(end - begin)
                diagonal[begin - first : end - first] = block[some, begin + some]
                with np.errstate(over="ignore"):  # what is out of range is refused later
                    norm = math.hypot(norm, float(np.linalg.norm(block.ravel())))
        return _Share(first, product, Sizes(diagonal, norm) if measure else None)


def _task(matrix: DataMatrix, blocks: list[tuple[int, int]], vectors: Array, measure: bool) -> Any:
    """Work of a worker."""
    with one_blas_thread():
        return matrix.share(blocks, vectors, measure, None)


class Operator:
    """K / n as a function of blocks of vectors.

    Parameters
    ----------
    matrix : DataMatrix
    keep : bool
        Keep the matrix in memory once it is computed.
    client : distributed.Client, optional
        Where blocks of rows are computed; by default on the threads of this process.
    done : callable, optional
        Called with the number of rows after each share of a product.

    Examples
    --------
    >>> from ntkspec import Network
    >>> matrix = DataMatrix(Network("relu"), np.eye(2), "ntk", 1e-12, False)
    >>> operator = Operator(matrix)
    >>> operator.times(np.ones((2, 1))).ravel(), operator.sizes.diagonal
    (array([0.25, 0.25]), array([0.5, 0.5]))
    """

    def __init__(
        self, matrix: DataMatrix, *, keep: bool = False, client: Any = None, done: Any = None
    ) -> None:
        self.matrix, self.size = matrix, matrix.size
        self.products = 0
        self._client, self._done = client, done or (lambda rows: None)
        self._kept = np.empty((self.size, self.size)) if keep else None
        self._sizes: Sizes | None = None
        self._far: Any = None

    @property
    def sizes(self) -> Sizes:
        """Diagonal and Frobenius norm of K, known after the first product."""
        assert self._sizes is not None
        return self._sizes

    def times(self, vectors: Array) -> Array:
        """Multiply K / n by the columns of an array.

        Raises
        ------
        NtkspecError
            When an entry is too large or too small to compute with.
        """
        measure = self._sizes is None
        vectors = np.ascontiguousarray(vectors)
        out = np.empty(vectors.shape)
        diagonal, norms = np.empty(self.size), dict[int, float]()
        shares = self._over_threads if self._client is None else self._over_workers
        for first, product, sizes in shares(vectors, measure):
            out[first : first + len(product)] = product
            if sizes is not None:
                diagonal[first : first + len(product)] = sizes.diagonal
                norms[first] = sizes.frobenius
            self._done(len(product))
        if measure:
            frobenius = float(np.linalg.norm([norms[first] for first in sorted(norms)]))
            self._sizes = _checked(Sizes(diagonal, frobenius), self.matrix)
        self.products += 1
        out /= self.size
        return out

    def whole(self) -> Array:
        """The matrix K / n itself, symmetric to the last bit; it must be kept, and known."""
        assert self._kept is not None
        found = self._kept + self._kept.T
        found *= 0.5 / self.size
        return found

    def _over_threads(self, vectors: Array, measure: bool) -> Iterator[_Share]:
        _ = self.matrix.rows  # prepared once, and its errors raised here
        blocks = self.matrix.blocks
        with ThreadPoolExecutor(min(available_threads(), len(blocks))) as pool:
            jobs = [
                pool.submit(self.matrix.share, [block], vectors, measure, self._kept)
                for block in blocks
            ]
            try:
                for job in jobs:
                    yield job.result()
            finally:
                for job in jobs:
                    job.cancel()

    def _over_workers(self, vectors: Array, measure: bool) -> Iterator[_Share]:
        """The shares of the workers; what is lost with all that had the points is sent again."""
        threads = max(1, sum(self._client.nthreads().values()))
        blocks = self.matrix.blocks
        many = max(1, len(blocks) // (TASKS * threads))
        left = [blocks[i : i + many] for i in range(0, len(blocks), many)]
        for _ in range(ATTEMPTS):
            lost = []
            for some, share in self._tried(left, vectors, measure):
                if share is None:
                    lost.append(some)
                else:
                    yield share
            if not lost:
                return
            left, self._far = lost, None
        raise NtkspecError(
            f"client: all workers that had the vectors were lost, {ATTEMPTS} times; start workers "
            "that live longer, or with more memory"
        )

    def _tried(
        self, left: list[list[tuple[int, int]]], vectors: Array, measure: bool
    ) -> Iterator[tuple[list[tuple[int, int]], _Share | None]]:
        """Blocks and their share; None if it is lost."""
        from distributed import as_completed

        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            self._check_scheduler()
            raise NtkspecError(
                f"client: no worker is left after {PATIENCE} s; start some"
            ) from None
        try:
            if self._far is None:
                self._far = self._client.scatter(self.matrix, broadcast=True, hash=False)
            there = self._client.scatter(vectors, broadcast=True, hash=False)
        except (OSError, TimeoutError):
            self._check_scheduler()
            yield from ((some, None) for some in left)
            return
        jobs = {
            self._client.submit(_task, self._far, some, there, measure, pure=False): some
            for some in left
        }
        try:
            for job in as_completed(list(jobs)):
                yield jobs[job], self._result(job)
        finally:
            if self._client.status == "running":
                self._client.cancel(list(jobs))

    def _result(self, job: Any) -> _Share | None:
        """Result of a task that has ended; None if it is lost with its worker."""
        if job.status == "finished":
            with suppress(OSError):
                found: _Share = job.result()
                return found
        elif job.status == "error":
            error = job.exception()
            if type(error).__name__ == "KilledWorker":
                raise NtkspecError(
                    "client: the workers that tried a block of rows died (out of memory? killed?); "
                    "give them more memory"
                )
            if not isinstance(error, OSError):
                raise error
        self._check_scheduler()
        return None

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise NtkspecError("client: the dask scheduler is gone; start it, and compute again")


def _checked(sizes: Sizes, matrix: DataMatrix) -> Sizes:
    """Refuse a matrix whose numbers leave the range in which sums of squares are known."""
    top = float(np.max(sizes.diagonal))
    if top == 0.0 and sizes.frobenius == 0.0:
        longest = matrix.longest
        if longest < 0:
            return sizes
        raise NtkspecError(
            f"X[{longest}] is so short that its kernel leaves the range of doubles; scale X so "
            f"that the largest is between {LEAST:g} and {MOST:g}"
        )
    if not (LEAST <= top <= MOST and math.isfinite(sizes.frobenius)):
        at = (
            int(np.argmax(sizes.diagonal))
            if top == top
            else int(np.argmax(np.isnan(sizes.diagonal)))
        )
        raise NtkspecError(
            f"the kernel of X[{at}] with itself is {sizes.diagonal[at]:.3g}, which is out of "
            f"range; scale X so that the largest is between {LEAST:g} and {MOST:g}"
        )
    return sizes
