"""Numbers written straight to the places of their chunks, in a file that HDF5 has closed.

An array whose chunks are allocated when it is created, without filters, has them one after another
in the file, row by row, and HDF5 keeps no index of them.  Any process can then write any of them,
many times faster than through HDF5.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
        width = digests.shape[1]
        run = np.zeros((min(RUN, width), *self.array.chunk))
        for at, piece, offset in self._chunks(corner, values):
            place = at[1] % RUN
            chunk = run[place]
            if piece.shape != chunk.shape:
                chunk[...] = 0.0
            chunk[: piece.shape[0], : piece.shape[1]] = piece
            digests[at] = chunk_digest(chunk)
            if place == RUN - 1 or at[1] == width - 1:
                write_all(handle, run[: place + 1].data, offset - place * self.array.bytes)
        return digests

    def read(
        self, handle: int, corner: Corner, values: NDArray[np.float64], digests: Digests
    ) -> bool:
        """Read whole chunks from a corner on; return whether all have these checksums."""
        if digests.shape != self._counts(values.shape):
            return False
        for at, piece, offset in self._chunks(corner, values):
            stored = os.pread(handle, self.array.bytes, offset)
            if chunk_digest(stored) != digests[at] or len(stored) != self.array.bytes:
                return False
            chunk = np.frombuffer(stored, "<f8").reshape(self.array.chunk)
            piece[...] = chunk[: piece.shape[0], : piece.shape[1]]
        return True

    def _counts(self, shape: tuple[int, ...]) -> tuple[int, int]:
        (rows, columns), (down, across) = shape, self.array.chunk
        return -(-rows // down), -(-columns // across)

    def _chunks(
        self, corner: Corner, values: NDArray[np.float64]
    ) -> Iterator[tuple[Corner, NDArray[np.float64], int]]:
        """Chunks from a corner on: places among them, values, and offsets in the file."""
        (down, across), width = self.array.chunk, self.array.grid[1]
        top, left = corner[0] // down, corner[1] // across
        for i, j in np.ndindex(self._counts(values.shape)):
            piece = values[i * down : (i + 1) * down, j * across : (j + 1) * across]
            place = (top + i) * width + left + j
            yield (i, j), piece, self.offset + self.array.bytes * place
