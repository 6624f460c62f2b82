"""Numbers written straight to the places of their chunks, in a file that HDF5 has closed.

An array whose chunks are allocated when it is created, without filters, has them one after another
in the file, row by row, and HDF5 keeps no index of them.  Any process can then write any of them,
many times faster than through HDF5.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.files.seals import Chunked, Digests, chunk_digest

__all__ = ["Placed", "write_all"]

Buffer = bytes | memoryview
#: Chunks written in one call; they share pages of the file with their neighbours.
RUN = 8
Corner = tuple[int, int]


def write_all(handle: int, data: Buffer, offset: int) -> None:
    """Write bytes at an offset of a file, also if the system takes them in several pieces."""
    left = memoryview(data).cast("B")
    while left:
        written = os.pwrite(handle, left, offset)
        left, offset = left[written:], offset + written


@dataclass(frozen=True)
class Placed:
    """An array of doubles whose chunks begin at an offset of a file."""

    offset: int
    array: Chunked

    def write(self, handle: int, corner: Corner, values: NDArray[np.float64]) -> Digests:
        """Write whole chunks, the first of which begins at a corner; return their checksums.

        Chunks that extend beyond the values are filled with zeros.
        """
        digests = np.empty(self._counts(values.shape), np.uint64)
        (down, across), width = self.array.chunk, digests.shape[1]
        run = np.empty((min(RUN, width), down, across))
        for i, j in np.ndindex(digests.shape[0], -(-width // RUN)):
            places = slice(j * RUN, min((j + 1) * RUN, width))
            piece = values[i * down : (i + 1) * down, places.start * across :]
            chunks = _cut(piece, run[: places.stop - places.start])
            digests[i, places] = [chunk_digest(chunk) for chunk in chunks]
            write_all(handle, chunks.data, self._place(corner, i, places.start))
        return digests

    def read(
        self, handle: int, corner: Corner, values: NDArray[np.float64], digests: Digests
    ) -> bool:
        """Read whole chunks from a corner on; return whether all have these checksums."""
        if digests.shape != self._counts(values.shape):
            return False
        down, across = self.array.chunk
        for i, j in np.ndindex(digests.shape):
            stored = os.pread(handle, self.array.bytes, self._place(corner, i, j))
            if chunk_digest(stored) != digests[i, j] or len(stored) != self.array.bytes:
                return False
            chunk = np.frombuffer(stored, "<f8").reshape(self.array.chunk)
            piece = values[i * down : (i + 1) * down, j * across : (j + 1) * across]
            piece[...] = chunk[: piece.shape[0], : piece.shape[1]]
        return True

    def _counts(self, shape: tuple[int, ...]) -> tuple[int, int]:
        (rows, columns), (down, across) = shape, self.array.chunk
        return -(-rows // down), -(-columns // across)

    def _place(self, corner: Corner, i: int, j: int) -> int:
        """Offset in the file of a chunk, counted from the one at a corner."""
        (down, across), width = self.array.chunk, self.array.grid[1]
        return self.offset + self.array.bytes * (
            (corner[0] // down + i) * width + corner[1] // across + j
        )


def _cut(values: NDArray[np.float64], chunks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut at most `down` rows into chunks (n, down, across), filled with zeros; return these."""
    count, down, across = chunks.shape
    values = values[:, : count * across]
    rows, columns = values.shape
    whole = columns // across
    if (rows, whole) != (down, count):
        chunks[...] = 0.0
        chunks[whole:, :rows, : columns % across] = values[:, whole * across :]
    chunks[:whole, :rows] = values[:, : whole * across].reshape(rows, whole, across).swapaxes(0, 1)
    return chunks
