"""Products of a data set's kernel matrix with blocks of vectors, its entries computed each time.

A tile of the matrix is computed, multiplied from both sides, since the matrix is symmetric, and
forgotten.  Tiles are the same whoever computes them, are multiplied on one BLAS thread, and their
products are summed in one order: the products have the same bits on one thread, on several, and on
the workers of a cluster.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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

__all__ = ["DataMatrix", "Operator", "Sizes", "side_of"]

Array = NDArray[np.float64]

#: Rows and columns of a tile at most, a multiple of the kernels' own blocks; tiles of a column at
#: least, so that few of them lie on the diagonal, where all entries are computed.
SIDE, ALIGNED, TILES = 6144, 64, 12
#: Entries that are computed before they are multiplied.
ENTRIES = 2**21
#: Tiles for each thread whose products may wait to be summed.
AHEAD = 2
#: How often tiles are sent again that were lost with their workers, and seconds without workers.
ATTEMPTS, PATIENCE = 4, 60
#: Diagonal entries whose squares, and sums of them, neither overflow nor vanish.
LEAST, MOST = 1e-140, 1e140


class Sizes(NamedTuple):
    """Diagonal of the matrix, and its Frobenius norm.

    Examples
    --------
    >>> Sizes(np.ones(4), 2.0).frobenius
    2.0
    """

    diagonal: Array
    frobenius: float


class _Tile(NamedTuple):
    """Rows and columns of a part of the matrix, on or below its diagonal."""

    rows: slice
    columns: slice

    @property
    def entries(self) -> int:
        high, wide = (part.stop - part.start for part in self)
        return int(high * wide)

    @property
    def central(self) -> bool:
        """Whether the tile lies on the diagonal, and is its own mirror image."""
        return self.rows == self.columns


class _Share(NamedTuple):
    """Products of a tile with vectors, and of its mirror image unless that is the tile itself.

    norm: the Frobenius norm of both; diagonal: of a tile on the diagonal.
    """

    product: Array
    mirrored: Array | None
    norm: float
    diagonal: Array | None


class DataMatrix:
    """The kernel matrix of a data set: a description that can be sent to workers.

    Examples
    --------
    >>> from ntkspec import Network
    >>> DataMatrix(Network("relu"), np.eye(300), "ntk", 1e-12, False).side
    64
    """

    def __init__(
        self, source: Source, points: NDArray[Any], kernel: Kernel, tolerance: float, fan_in: bool
    ) -> None:
        self._given = source, points, kernel, tolerance, fan_in
        self.size = len(points)
        self.side = side_of(self.size)

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
    def tiles(self) -> list[_Tile]:
        """The tiles on and below the diagonal, row by row."""
        starts = range(0, self.size, self.side)
        bands = [slice(first, min(first + self.side, self.size)) for first in starts]
        return [_Tile(rows, bands[j]) for i, rows in enumerate(bands) for j in range(i + 1)]

    def share(self, tile: _Tile, vectors: Array, measure: bool, kept: Array | None) -> _Share:
        """Multiply a tile and its mirror image; with `measure` also give their sizes.

        kept: the whole matrix, whose tile is filled in with `measure` and read without.
        """
        (first, last), columns = (tile.rows.start, tile.rows.stop), tile.columns
        wide = columns.stop - columns.start
        high = min(last - first, max(1, ENTRIES // wide))
        product = np.empty((last - first, vectors.shape[1]))
        mirrored = None if tile.central else np.zeros((wide, vectors.shape[1]))
        norm, diagonal = 0.0, np.empty(last - first) if measure and tile.central else None
        room = np.empty((high, wide)) if measure or kept is None else None
        for begin in range(first, last, high):
            rows = slice(begin, min(begin + high, last))
            here = slice(rows.start - first, rows.stop - first)
            if room is None:
                block = kept[rows, columns]  # type: ignore[index]
            else:
                block = room[: rows.stop - begin]
                self.rows.fill(rows, columns, block)
                if kept is not None:
                    kept[rows, columns] = block
            with np.errstate(over="ignore", invalid="ignore"):  # out of range: refused later
                np.matmul(block, vectors[columns], out=product[here])
                if mirrored is not None:
                    mirrored += block.T @ vectors[rows]
                if measure:
                    norm = math.hypot(norm, float(np.linalg.norm(block)))
            if diagonal is not None:
                diagonal[here] = block.diagonal(begin - first)
        return _Share(product, mirrored, norm if tile.central else math.sqrt(2.0) * norm, diagonal)


def side_of(size: int) -> int:
    """Rows and columns of the tiles of a matrix.

    Examples
    --------
    >>> side_of(100), side_of(10_000), side_of(100_000)
    (64, 896, 5888)
    """
    side = -(-size // max(TILES, -(-size // SIDE)))
    return -(-side // ALIGNED) * ALIGNED


def _task(matrix: DataMatrix, tile: _Tile, vectors: Array, measure: bool) -> _Share:
    """Work of a worker."""
    with one_blas_thread():
        return matrix.share(tile, vectors, measure, None)


class Operator:
    """K / n as a function of blocks of vectors.

    Parameters
    ----------
    matrix : DataMatrix
    keep : bool
        Keep the matrix in memory once it is computed.
    client : distributed.Client, optional
        Where tiles are computed; by default on the threads of this process.
    done : callable, optional
        Called after each tile with a number of rows: so many have as many entries.

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
        self._kept = np.zeros((self.size, self.size)) if keep else None
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
        out = np.zeros(vectors.shape)
        diagonal, norm = np.empty(self.size), 0.0
        tiles = self.matrix.tiles
        entries, known, rows = sum(tile.entries for tile in tiles), 0, 0
        shares = self._over_threads if self._client is None else self._over_workers
        for tile, share in zip(tiles, shares(tiles, vectors, measure), strict=True):
            out[tile.rows] += share.product
            if share.mirrored is not None:
                out[tile.columns] += share.mirrored
            if share.diagonal is not None:
                diagonal[tile.rows] = share.diagonal
            norm = math.hypot(norm, share.norm)
            known += tile.entries
            done = known * self.size // entries
            self._done(done - rows)
            rows = done
        if measure:
            self._sizes = _checked(Sizes(diagonal, norm), self.matrix)
        self.products += 1
        out /= self.size
        return out

    def lower(self) -> Array:
        """K / n itself on and below the diagonal; it must be kept, and known."""
        assert self._kept is not None
        return self._kept / self.size

    def _over_threads(self, tiles: list[_Tile], vectors: Array, measure: bool) -> Iterator[_Share]:
        """The shares in order, some tiles ahead of the one that is waited for."""
        _ = self.matrix.rows  # prepared once, and its errors raised here
        threads = min(available_threads(), len(tiles))
        ahead: deque[Future[_Share]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for tile in tiles:
                    ahead.append(pool.submit(self.matrix.share, tile, vectors, measure, self._kept))
                    if len(ahead) > AHEAD * threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for job in ahead:
                    job.cancel()

    def _over_workers(self, tiles: list[_Tile], vectors: Array, measure: bool) -> Iterator[_Share]:
        """The shares in order; what is lost with all that had the points is sent again."""
        done = attempts = 0
        while done < len(tiles):
            before = done
            for share in self._tried(tiles[done:], vectors, measure):
                yield share
                done += 1
            attempts = 0 if done > before else attempts + 1
            if attempts == ATTEMPTS:
                raise NtkspecError(
                    f"client: all workers that had the vectors were lost, {ATTEMPTS} times; start "
                    "workers that live longer, or with more memory"
                )
            if done < len(tiles):
                self._far = None

    def _tried(self, tiles: list[_Tile], vectors: Array, measure: bool) -> Iterator[_Share]:
        """The shares of the first tiles, up to one that is lost."""
        from distributed import CancelledError, wait

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
            return
        jobs = deque(
            self._client.submit(_task, self._far, tile, there, measure, pure=False)
            for tile in tiles
        )
        try:
            while jobs:
                with suppress(CancelledError):
                    wait(jobs[0])
                share = self._result(jobs[0])
                if share is None:
                    return
                jobs.popleft()
                yield share
        finally:
            if self._client.status == "running":
                self._client.cancel(list(jobs))

    def _result(self, job: Any) -> _Share | None:
        """Result of a task that has ended; None if it is lost with its worker."""
        from distributed import CancelledError

        if job.status == "finished":
            with suppress(OSError, CancelledError):  # lost since it ended
                found: _Share = job.result()
                return found
        elif job.status == "error":
            error = job.exception()
            if type(error).__name__ == "KilledWorker":
                raise NtkspecError(
                    "client: the workers that tried a tile of the matrix died (out of memory? "
                    "killed?); give them more memory"
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
