"""Reading numbers from chunks, compared with their checksums and unpacked within bounds."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import TableError
from ntkspec.files.seals import SealedFile
from ntkspec.locks import cached_property

__all__ = ["ChunkedReader", "runs"]

DEFLATE, SHUFFLE, FLETCHER, BLOSC, ZSTD = 1, 2, 3, 32001, 32015
#: Filters of HDF5 that a file may use.
SEALED_FILTERS = (DEFLATE, SHUFFLE, FLETCHER, BLOSC, ZSTD)
ZSTD_MAGIC = 0xFD2FB528
Array = NDArray[np.float64]


class ChunkedReader:
    """Reads places of a two-dimensional array of doubles whose chunks have checksums.

    Raises a TableError if the seal does not list the array, or its filter is unknown.
    """

    def __init__(self, file: SealedFile, name: str) -> None:
        found = file.seal.array(name)
        if found is None:
            raise TableError(f"{file.path}: the {file.what} is damaged (its seal has no {name})")
        unknown = [code for code, _ in found.filters if code not in SEALED_FILTERS]
        if unknown:
            raise TableError(f"{file.path}: {name} is packed by an unknown filter ({unknown[0]})")
        self.file, self.name, self.array = file, name, found

    def read(self, rows: NDArray[np.int64], columns: NDArray[np.int64], out: Array) -> None:
        """Read increasing rows and columns into an array."""
        down, across = self.array.chunk
        width = self.array.grid[1]
        for mine in runs(rows, down):
            top = int(rows[mine.start]) // down
            inside = _slice(rows[mine] - top * down)
            for theirs in runs(columns, across):
                left = int(columns[theirs.start]) // across
                chunk = self.chunk(top * width + left)
                beside = _slice(columns[theirs] - left * across)
                if isinstance(inside, slice) or isinstance(beside, slice):
                    out[mine, theirs] = chunk[inside, beside]
                else:
                    out[mine, theirs] = chunk[np.ix_(inside, beside)]

    def chunk(self, place: int) -> Array:
        """Return a chunk, by its place among those of the array, read-only."""
        data, mask, _ = self.file.stored(self.array.first + place, self.name)
        try:
            plain = self._unpacked(data, mask)
        except (ValueError, OSError, RuntimeError, zlib.error, struct.error) as error:
            raise TableError(
                f"{self.file.path}: {self.name} is damaged (chunk {place}: {error})"
            ) from None
        return np.frombuffer(plain, "<f8").reshape(self.array.chunk)

    def check(self) -> None:
        """Compare every chunk with its checksum, without unpacking it."""
        for place in range(math.prod(self.array.grid)):
            self.file.stored(self.array.first + place, self.name)

    def _unpacked(self, data: bytes, mask: int) -> Any:
        codes = [code for code, _ in self.array.filters]
        size = self.array.bytes
        if mask >> len(codes):
            raise ValueError("its mask of filters is unknown")
        # HDF5 leaves out a filter that makes nothing smaller.
        used = {code for n, code in enumerate(codes) if not mask >> n & 1}
        if not used <= {SHUFFLE, DEFLATE, FLETCHER}:
            if mask or not _bounded(codes, data, size):
                raise ValueError("it would unpack to another size")
            return self._by_hdf5(data)
        for n in reversed(range(len(codes))):
            if mask >> n & 1:
                continue
            if codes[n] == DEFLATE:
                data = _inflated(data, size)
            elif codes[n] == SHUFFLE:
                data = _unshuffled(data)  # type: ignore[assignment]
            elif codes[n] == FLETCHER:
                data = data[:-4]  # its checksum; the seal has one of the whole chunk
        if len(memoryview(data).cast("B")) != size:
            raise ValueError("it has another size")
        return data

    def _by_hdf5(self, data: bytes) -> bytes:
        """Unpack by HDF5's own filters, through a file in memory."""
        self._scratch.id.write_direct_chunk((0, 0), data)
        return bytes(self._scratch[...].tobytes())

    @cached_property
    def _scratch(self) -> h5py.Dataset:
        codes = [code for code, _ in self.array.filters]
        if {BLOSC, ZSTD} & set(codes):
            try:
                import hdf5plugin  # noqa: F401  registers their filters
            except ImportError:
                raise TableError(
                    f"{self.file.path}: its numbers need hdf5plugin; "
                    "pip install 'ntkspec[compression]'"
                ) from None
        memory = h5py.File(f"unpacking {uuid4()}", "w", driver="core", backing_store=False)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(self.array.chunk)
        for code, values in self.array.filters:
            plist.set_filter(code, h5py.h5z.FLAG_MANDATORY, values)
        space = h5py.h5s.create_simple(self.array.chunk)
        made = h5py.h5d.create(memory.id, b"chunk", h5py.h5t.IEEE_F64LE, space, plist)
        return h5py.Dataset(made)


def _unshuffled(data: bytes) -> NDArray[np.uint8]:
    """Put the bytes of each double together, which HDF5 stores apart."""
    apart = np.frombuffer(data, np.uint8).reshape(8, -1)
    together = np.empty((apart.shape[1], 8), np.uint8)
    for n, column in enumerate(apart):  # faster than a transposed copy
        together[:, n] = column
    return together


def _inflated(data: bytes, size: int) -> bytes:
    """Unpack deflated data, never to more than a size."""
    stream = zlib.decompressobj()
    found = stream.decompress(data, size + 1)
    if len(found) > size or not stream.eof:
        raise ValueError("it would unpack to another size")
    return found


def _bounded(codes: list[int], data: bytes, size: int) -> bool:
    """Whether the header of data packed by zstd or Blosc states a size."""
    if BLOSC in codes:
        return bool(struct.unpack_from("<I", data, 4)[0] == size)
    if ZSTD in codes:
        magic, descriptor = struct.unpack_from("<IB", data)
        single, flag = descriptor >> 5 & 1, descriptor >> 6
        at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
        width = (single, 2, 4, 8)[flag]
        said = int.from_bytes(data[at : at + width], "little") + 256 * (flag == 1)
        return magic == ZSTD_MAGIC and width > 0 and said == size
    return DEFLATE not in codes


def runs(places: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Runs of places that lie in the same multiple of a size."""
    cuts = np.flatnonzero(np.diff(places // size)) + 1
    return (slice(a, b) for a, b in pairwise([0, *cuts.tolist(), places.size]))


def _slice(places: NDArray[np.int64]) -> Any:
    """The slice that increasing places are, or they themselves."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == places.size else places
