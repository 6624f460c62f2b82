"""Seals of HDF5 files: a checksum of all but the numbers, which have their own, after their end.

HDF5 may crash on a file whose structure is damaged, so the seal is looked at before it is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import xxhash

from ntkspec.errors import TableError

__all__ = ["carries_seal", "is_sealed", "number_ranges", "open_sealed", "seal"]

MAGIC = b"ntkspec seal\n"
#: Characters of the seal's length, at the very end.
LENGTH = 12
Range = tuple[int, int]


def number_ranges(datasets: Iterable[h5py.Dataset]) -> list[Range]:
    """Where the chunks of some datasets lie in their file, neighbours joined."""
    chunks: list[Range] = []

    def note(chunk: Any) -> None:
        chunks.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    for dataset in datasets:
        dataset.id.chunk_iter(note)  # one pass; chunk by chunk each look-up is a pass of its own
    joined: list[Range] = []
    for start, stop in sorted(chunks):
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def seal(path: Path, ranges: list[Range]) -> None:
    """Append the seal to a file that HDF5 has closed; HDF5 does not look beyond its own end."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        digest = _digest(file, size, ranges)
        text = json.dumps({"size": size, "ranges": ranges, "xxh3_128": digest}).encode()
        file.seek(size)
        file.write(MAGIC + text + str(len(text)).zfill(LENGTH).encode())


def carries_seal(path: Path) -> bool:
    """Whether a file ends as `seal` leaves one; whether the seal fits is not looked at."""
    try:
        with path.open("rb") as file:
            end = file.seek(-LENGTH, 2)
            file.seek(end - int(file.read(LENGTH)) - len(MAGIC))
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def is_sealed(path: Path) -> bool:
    """Whether a file has a seal, and it fits."""
    with path.open("rb") as file:
        try:
            end = file.seek(-LENGTH, 2)
            length = int(file.read(LENGTH))
            file.seek(end - length - len(MAGIC))
            if file.read(len(MAGIC)) != MAGIC:
                return False
            said = json.loads(file.read(length))
            size, ranges = int(said["size"]), [(int(a), int(b)) for a, b in said["ranges"]]
            whole = size == end - length - len(MAGIC)
            return whole and said["xxh3_128"] == _digest(file, size, ranges)
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _digest(file: BinaryIO, size: int, ranges: list[Range]) -> str:
    """XXH3 of the places left out and of all other bytes."""
    digest = xxhash.xxh3_128(json.dumps([size, ranges]).encode())
    for start, stop in _between(size, ranges):
        file.seek(start)
        digest.update(file.read(stop - start))
    return digest.hexdigest()


def _between(size: int, ranges: list[Range]) -> Iterator[Range]:
    at = 0
    for start, stop in [*ranges, (size, size)]:
        if start > at:
            yield at, start
        at = max(at, stop)


def open_sealed(path: Path, what: str) -> h5py.File:
    """Open a file for reading, once it is known that its structure is as it was written.

    Parameters
    ----------
    path : Path
    what : str
        What it is, for the sentence of an error.

    Raises
    ------
    TableError
        When it is missing or damaged.
    """
    if not path.is_file():
        raise TableError(f"{path}: the {what} is missing")
    try:
        if not is_sealed(path):
            raise TableError(f"{path}: the {what} is damaged (its seal does not fit)")
        return h5py.File(path, "r")
    except OSError as error:
        raise TableError(f"{path}: the {what} is damaged ({error})") from None
