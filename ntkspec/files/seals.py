"""Seals: checksums of every byte of an HDF5 file, appended after its end.

A seal holds one checksum of the whole file without the chunks of its large arrays, and the offset,
size and checksum of each of these chunks.  Opening a file verifies everything except the chunks;
reading part of an array verifies the chunks that it touches.  HDF5 may crash on a file whose
structure is damaged, so the seal is verified before HDF5 opens the file.

The end of a sealed file is ::

    HDF5 file | header (JSON) | arrays | offsets of the chunks | footer

The footer has a fixed size and holds a checksum of everything between it and the HDF5 file.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray

from ntkspec.errors import TableError
from ntkspec.files.inputs import opened_regular
from ntkspec.locks import cached_property

__all__ = [
    "Numbers",
    "Seal",
    "SealedFile",
    "begins_as_hdf5",
    "carries_seal",
    "chunk_digest",
    "copy_structure",
    "filters_of",
    "first_offset",
    "is_placed",
    "may_be",
    "seal",
    "sealed_kind",
]

MAGIC = b"ntkspec seal 2\r\n"
HDF5 = b"\x89HDF\r\n\x1a\n"
#: Magic, bytes of the header, number of arrays and of chunks, checksum of all before the footer.
FOOTER = struct.Struct("<16sQQQ16s")
#: An array: index of its first chunk, its shape, the shape of a chunk, and its filters.
FIELDS = ("first", "rows", "columns", "down", "across", "filters")
ARRAY_TYPE = np.dtype([(name, "<i8") for name in FIELDS])
#: A chunk: its offset and size in the file, HDF5's mask of skipped filters, its checksum.
CHUNK_TYPE = np.dtype([("offset", "<u8"), ("size", "<u4"), ("mask", "<u4"), ("digest", "<u8")])
#: Largest header (bytes), largest unpacked chunk (bytes), longest array.
MOST_HEADER, MOST_CHUNK, MOST_LENGTH = 2**26, 2**23, 2**31
#: Bytes that compression may add to a chunk.
PACKING = 2**12
#: Bytes read in one call, largest chunk that is read together with the structure around it, and
#: size of structure above which the file's actual storage is checked.
PIECE, SMALL, LARGE = 2**18, 2**15, 2**27
Filters = tuple[tuple[int, tuple[int, ...]], ...]
Digests = NDArray[np.uint64]


@dataclass(frozen=True)
class Chunked:
    """A two-dimensional array of doubles with a checksum for each chunk.

    `first` is the index of its first chunk among those of the file; its chunks follow row by row.
    `filters` has the codes of HDF5's filters and their parameters, in the order of writing.
    """

    first: int
    shape: tuple[int, int]
    chunk: tuple[int, int]
    filters: Filters

    @property
    def grid(self) -> tuple[int, int]:
        """Number of chunks down and across."""
        return -(-self.shape[0] // self.chunk[0]), -(-self.shape[1] // self.chunk[1])

    @property
    def bytes(self) -> int:
        """Size of an unpacked chunk."""
        return 8 * self.chunk[0] * self.chunk[1]


@dataclass
class Numbers:
    """Names of the arrays of a file whose chunks get a checksum each.

    `digests` holds the known checksums of an array's chunks, by their places in its grid; chunks
    whose checksum is 0 are read again when the file is sealed.  `contents` holds values of arrays
    that are written after HDF5 has closed the file, see `ntkspec.files.placed`.  `fingerprint` is
    that of the seal, once the file is written.
    """

    names: list[str] = field(default_factory=list)
    digests: dict[str, Digests] = field(default_factory=dict)
    contents: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    fingerprint: str = ""

    def located(self, file: h5py.File) -> tuple[dict[str, Chunked], NDArray[Any]]:
        """Offsets of the chunks of a flushed file; unknown digests are 0."""
        file.flush()
        arrays: dict[str, Chunked] = {}
        tables = []
        count = 0
        for name in self.names:
            dataset = file[name]
            filters = filters_of(dataset.id.get_create_plist())
            array = Chunked(count, dataset.shape, dataset.chunks, filters)
            tables.append(_chunks(dataset, array))
            if name in self.digests:
                tables[-1]["digest"] = self.digests[name].ravel()
            arrays[name] = array
            count += tables[-1].size
        return arrays, np.concatenate(tables) if tables else np.empty(0, CHUNK_TYPE)


def _chunks(dataset: h5py.Dataset, array: Chunked) -> NDArray[Any]:
    """Offsets, sizes and masks of the chunks of an array."""
    down, across = array.grid
    table = np.zeros(down * across, CHUNK_TYPE)
    if is_placed(dataset):
        table["offset"] = first_offset(dataset) + array.bytes * np.arange(table.size)
        table["size"] = array.bytes
        return table

    def note(chunk: Any) -> None:
        at = chunk.chunk_offset
        place = at[0] // array.chunk[0] * across + at[1] // array.chunk[1]
        table[place] = (chunk.byte_offset, chunk.size, chunk.filter_mask, 0)

    dataset.id.chunk_iter(note)  # one pass; a look-up of a single chunk takes a whole pass
    if not table["size"].all():
        raise TableError(f"{dataset.file.filename}: {dataset.name} has chunks that are not written")
    return table


def is_placed(dataset: h5py.Dataset) -> bool:
    """Whether the chunks of an array follow one another in the file, row by row.

    They do if their number is fixed and they were allocated with the array, without filters: HDF5
    then keeps no index of them.
    """
    plist = dataset.id.get_create_plist()
    return bool(
        plist.get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
        and not plist.get_nfilters()
        and dataset.maxshape == dataset.shape
    )


def first_offset(dataset: h5py.Dataset) -> int:
    """Offset of the first chunk of an array in its file."""
    return int(dataset.id.get_chunk_info_by_coord((0,) * dataset.ndim).byte_offset)


def filters_of(plist: h5py.h5p.PropDCID) -> Filters:
    """Codes and parameters of the filters of an array, in the order of writing."""
    found = (plist.get_filter(n) for n in range(plist.get_nfilters()))
    return tuple((int(code), tuple(map(int, values))) for code, _, values, _ in found)


def chunk_digest(stored: Any) -> int:
    """Checksum of a stored chunk."""
    return xxhash.xxh3_64_intdigest(stored)


def seal(path: Path, kind: str, arrays: Mapping[str, Chunked], chunks: NDArray[Any]) -> str:
    """Append the seal to a file that HDF5 has closed; HDF5 ignores what follows its own end.

    `kind` is the format of the file; `arrays` and `chunks` are those of `Numbers.located`.
    Returns the fingerprint of the seal.
    """
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        for n in np.flatnonzero(chunks["digest"] == 0).tolist():
            stored = os.pread(file.fileno(), int(chunks["size"][n]), int(chunks["offset"][n]))
            chunks["digest"][n] = chunk_digest(stored)
        filters = list(dict.fromkeys(one.filters for one in arrays.values()))
        table = np.array(
            [
                (one.first, *one.shape, *one.chunk, filters.index(one.filters))
                for one in arrays.values()
            ],
            ARRAY_TYPE,
        )
        made = Seal(kind, size, "", list(arrays), table, filters, chunks)
        header = json.dumps(
            {
                "kind": kind,
                "size": size,
                "structure": made.structure_digest(file.fileno()),
                "names": made.names,
                "filters": filters,
            }
        ).encode()
        body = header + table.tobytes() + chunks.tobytes()
        sizes = len(header), table.size, chunks.size
        digest = xxhash.xxh3_128_digest(body)
        file.seek(size)
        file.write(body + FOOTER.pack(MAGIC, *sizes, digest))
    return digest.hex()


def copy_structure(source: Path, target: Path) -> None:
    """Copy all bytes of a sealed file but its chunks, seal included, over those of another file.

    The other file has the chunks already, at the same places.
    """
    with SealedFile(source, "file") as file, target.open("r+b") as other:
        whole = os.fstat(file.handle).st_size
        other.truncate(whole)
        ranges = [(start, stop) for start, stop, _ in file.seal.between()]
        for start, stop in (*ranges, (file.seal.size, whole)):
            for at in range(start, stop, PIECE):
                piece = os.pread(file.handle, min(PIECE, stop - at), at)
                other.seek(at)
                other.write(piece)


@dataclass(frozen=True)
class Seal:
    """Checksums of the bytes of a file.

    `kind` is the format of the file, `size` that of the HDF5 file without the seal, and `structure`
    the checksum of all bytes outside the chunks.  `names` and `table`, of type `ARRAY_TYPE`,
    describe the arrays whose chunks have a checksum each, `filters` the filters that they have, and
    `chunks`, of type `CHUNK_TYPE`, these chunks, array by array.  Files with equal fingerprints are
    equal.
    """

    kind: str
    size: int
    structure: str
    names: list[str]
    table: NDArray[Any]
    filters: list[Filters]
    chunks: NDArray[Any]
    fingerprint: str = ""

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def array(self, name: str) -> Chunked | None:
        """The array of a name, or None."""
        place = self._places.get(name)
        if place is None:
            return None
        first, rows, columns, down, across, kept = self.table[place].tolist()
        return Chunked(first, (rows, columns), (down, across), self.filters[kept])

    def structure_digest(self, handle: int) -> str:
        """Checksum of all bytes of an open file outside the chunks."""
        digest = xxhash.xxh3_128()
        view = memoryview(bytearray(PIECE))
        begin = end = 0  # offsets of the buffer
        for start, stop, along in self.between():
            while start < stop:
                if not begin <= start < end:
                    begin, end = start, start + os.preadv(handle, [view[: along - start]], start)
                    if end == begin:
                        return ""
                last = min(stop, end)
                digest.update(view[start - begin : last - begin])
                start = last
        return digest.hexdigest()

    def between(self) -> Iterator[tuple[int, int, int]]:
        """Ranges of bytes outside the chunks, and how far to read from each.

        A small chunk is read along where that is faster than another call.
        """
        begins, ends = self._sorted
        befores, afters = np.append(0, ends), np.append(begins, self.size)
        gaps = afters > befores
        befores, afters = befores[gaps], afters[gaps]
        last = np.append(befores[1:] - afters[:-1] > SMALL, True)
        along = afters[last][np.cumsum(last) - last]
        return zip(befores.tolist(), afters.tolist(), along.tolist(), strict=True)

    @cached_property
    def structure_bytes(self) -> int:
        """Number of bytes outside the chunks."""
        return self.size - int(self.chunks["size"].sum(dtype=np.int64))

    def fits(self) -> bool:
        """Whether the chunks lie within the file, do not overlap, and make up the arrays."""
        first, rows, columns, down, across, kept = (self.table[name] for name in FIELDS)
        if any((lengths < 1).any() for lengths in (rows, columns, down, across)):
            return False
        if self.table.size and (kept.max() >= len(self.filters) or kept.min() < 0):
            return False
        if len(self.names) != self.table.size or len(self._places) != self.table.size:
            return False
        if max(rows.max(initial=1), columns.max(initial=1)) > MOST_LENGTH:
            return False
        if (down > MOST_CHUNK).any() or (across > MOST_CHUNK).any():
            return False
        sizes = 8 * down * across
        counts = -(-rows // down) * -(-columns // across)
        starts = np.cumsum(counts) - counts
        if (sizes > MOST_CHUNK).any() or (first != starts).any():
            return False
        if (counts > self.chunks.size).any() or int(counts.sum()) != self.chunks.size:
            return False
        stored = self.chunks["size"].astype(np.int64)
        if (stored < 1).any() or (stored > np.repeat(sizes, counts) + PACKING).any():
            return False
        begins, ends_ = self._sorted
        return not self.chunks.size or bool(
            begins[0] >= 0 and ends_[-1] <= self.size and (begins[1:] >= ends_[:-1]).all()
        )

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Starts and ends of the chunks, in the file's order."""
        begins = self.chunks["offset"].astype(np.int64)
        ends = begins + self.chunks["size"]
        order = np.argsort(begins, kind="stable")
        return begins[order], ends[order]


def read_seal(handle: int, path: Path, what: str) -> Seal:
    """Read and verify the seal of an open file, but none of the bytes before it."""
    whole = os.fstat(handle).st_size
    if whole < FOOTER.size or os.pread(handle, len(HDF5), 0) != HDF5:
        raise TableError(f"{path}: the {what} is damaged, or not a complete HDF5 file")
    magic, length, arrays, count, digest = FOOTER.unpack(
        os.pread(handle, FOOTER.size, whole - FOOTER.size)
    )  # fmt: skip
    if magic != MAGIC:
        raise TableError(
            f"{path}: the {what} is damaged (its seal is missing: it was truncated, altered by "
            "another program, or written by an earlier version)"
        )
    tables = ARRAY_TYPE.itemsize * arrays + CHUNK_TYPE.itemsize * count
    size = whole - FOOTER.size - length - tables
    if size < 0 or max(length, tables) > MOST_HEADER + whole // 8:
        raise _unfit(path, what)
    body = os.pread(handle, length + tables, size)
    if xxhash.xxh3_128_digest(body) != digest:
        raise _unfit(path, what)
    try:
        said = json.loads(body[:length])
        found = Seal(
            str(said["kind"]),
            int(said["size"]),
            str(said["structure"]),
            list(map(str, said["names"])),
            np.frombuffer(body, ARRAY_TYPE, arrays, length),
            [tuple((int(a), tuple(map(int, b))) for a, b in one) for one in said["filters"]],
            np.frombuffer(body, CHUNK_TYPE, count, length + tables - CHUNK_TYPE.itemsize * count),
            digest.hex(),
        )
        fits = found.size == size and found.fits()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        fits = False
    if not fits:
        raise _unfit(path, what)
    return found


def _unfit(path: Path, what: str) -> TableError:
    return TableError(f"{path}: the {what} is damaged (its seal does not match)")


class SealedFile:
    """A file with a valid seal, open for reading bytes; `what` is its name in error messages.

    Raises a TableError if it is missing or not a regular file, or its seal is damaged.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        self.handle = opened_regular(path, what)
        try:
            self.seal = read_seal(self.handle, path, what)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; further calls have no effect."""
        handle, self.handle = getattr(self, "handle", -1), -1
        if handle >= 0:
            os.close(handle)

    def check_structure(self) -> None:
        """Compare all bytes outside the chunks with their checksum."""
        if self.seal.structure_bytes > LARGE:
            # Hashing the claimed size of a sparse file could take hours.
            held = 512 * os.fstat(self.handle).st_blocks
            if 64 * held < self.seal.structure_bytes:
                raise TableError(f"{self.path}: the {self.what} is damaged (it is too short)")
        if self.seal.structure_digest(self.handle) != self.seal.structure:
            raise _unfit(self.path, self.what)

    def stored(self, place: int, name: str) -> tuple[bytes, int, int]:
        """Return a chunk, by its index in the file, its mask of filters, and its checksum."""
        offset, size, mask, digest = self.seal.chunks[place].tolist()
        data = os.pread(self.handle, size, offset)
        if chunk_digest(data) != digest:
            raise TableError(
                f"{self.path}: the {self.what} is damaged (wrong checksum of a chunk of {name}, "
                f"bytes {offset} to {offset + size})"
            )
        return data, mask, digest


def carries_seal(path: Path) -> bool:
    """Whether a file ends with a seal, valid or not."""
    return _bytes(path, len(MAGIC), -FOOTER.size) == MAGIC


def begins_as_hdf5(path: Path) -> bool:
    """Whether a file begins with HDF5's signature, even if it is truncated."""
    found = _bytes(path, len(HDF5))
    return found is not None and HDF5.startswith(found)


def _bytes(path: Path, count: int, start: int = 0) -> bytes | None:
    """Bytes of a file, counted from its end if start < 0; None if they cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(start, os.SEEK_END if start < 0 else os.SEEK_SET)
            return file.read(count)
    except OSError:
        return None


def may_be(path: Path, kind: str) -> bool:
    """Whether a file has a format, or is a damaged HDF5 file that may have had it."""
    found = sealed_kind(path)
    return found == kind if found else carries_seal(path) or begins_as_hdf5(path)


def sealed_kind(path: Path) -> str:
    """Format of a file according to its seal; empty without a valid seal."""
    try:
        with SealedFile(path, "file") as file:
            return file.seal.kind
    except TableError:
        return ""
